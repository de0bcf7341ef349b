#include "board.h"

#include <string.h>

struct kedge_spinor_part kedge_sim_driver_part(const struct kedge_sim_part *part)
{
    const struct kedge_spinor_part *known[] = {&kedge_spinor_mx25r64, &kedge_spinor_w25q64,
                                               &kedge_spinor_gd25q16};
    struct kedge_spinor_part made;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (memcmp(known[i]->id, part->id, sizeof part->id) == 0)
            return *known[i];
    memset(&made, 0, sizeof made);
    memcpy(made.id, part->id, sizeof made.id);
    made.flags = part->block64_us != 0 ? KEDGE_SPINOR_32K | KEDGE_SPINOR_64K : 0;
    made.page_size = (uint16_t)part->geometry.page_size;
    made.erase = kedge_spinor_erase_blocks;
    made.size = part->geometry.size;
    made.erase_size = part->geometry.erase_size;
    made.erase_max_us = part->erase_max_us;
    made.block_max_us = part->block64_us != 0 ? part->block64_max_us : 0;
    made.page_max_us = part->page_max_us;
    made.sfdp = part->sfdp_size != 0 ? kedge_spinor_sfdp : NULL;
    return made;
}

int kedge_sim_board_open(struct kedge_sim_board *board, const struct kedge_sim_config *config,
                         char *why)
{
    memset(board, 0, sizeof *board);
    board->sim = kedge_sim_create(config, why);
    if (board->sim == NULL)
        return -1;
    board->part = kedge_sim_driver_part(config->external);
    kedge_sim_bus(board->sim, &board->bus);
    kedge_sim_flash(board->sim, KEDGE_INTERNAL, &board->internal);
    /* a chip that does not answer is the driver's verdict, told at each use; not ours */
    (void)kedge_spinor_open(&board->nor, &board->bus, &board->part, &board->external);
    return 0;
}

void kedge_sim_board_close(struct kedge_sim_board *board)
{
    kedge_sim_destroy(board->sim);
    board->sim = NULL;
}

int kedge_sim_board_power_on(struct kedge_sim_board *board)
{
    kedge_sim_power_on(board->sim);
    return kedge_spinor_open(&board->nor, &board->bus, &board->part, &board->external);
}
