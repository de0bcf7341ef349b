/* A ready pair of flashes on one simulator: what most tests and the virtual device start from. */
#ifndef KEDGE_SIM_BOARD_H
#define KEDGE_SIM_BOARD_H

#include "sim.h"

struct kedge_sim_board {
    struct kedge_sim *sim;
    struct kedge_spi_bus bus;
    struct kedge_spinor_part part; /* the driver's table entry for the external part */
    struct kedge_spinor nor;
    struct kedge_flash internal;
    struct kedge_flash external; /* the real driver on the simulated chip */
};

/* Make the simulator and open the driver. 0 also when the chip does not answer (board->external
 * then gives the error); -1 with the reason in `why` (at least 160 bytes). The board must not move
 * in memory afterwards. */
int kedge_sim_board_open(struct kedge_sim_board *board, const struct kedge_sim_config *config,
                         char *why);
void kedge_sim_board_close(struct kedge_sim_board *board);

/* Next life: power on, probe the chip. Returns the driver's verdict on the chip. */
int kedge_sim_board_power_on(struct kedge_sim_board *board);

/* The driver's table entry that fits a simulated part. */
struct kedge_spinor_part kedge_sim_driver_part(const struct kedge_sim_part *part);

#endif
