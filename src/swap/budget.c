/* The program of an update as a sum of times: SWAP.md 5.2 and 9, each step at its longest. */
#include "kedge/budget.h"

#define RECORD_WORDS 2u /* a record of the log: 8 bytes, as two words or in one write */

/* One device: microseconds. */
struct cost {
    uint32_t erase, program, bus; /* of a unit: erased, programmed, carried over its bus once */
    uint32_t sectors;             /* of a unit */
};

static struct cost cost_of(const struct kedge_slot *slot, const struct kedge_part_times *times)
{
    const struct kedge_geometry *const geometry = &slot->region.flash->geometry;
    const uint32_t sectors = slot->unit / geometry->erase_size;

    return (struct cost){
        .erase = sectors * times->erase_us,
        .program = slot->unit / geometry->page_size * times->page_us,
        .bus = (uint32_t)((uint64_t)slot->unit * times->byte_ns / 1000u),
        .sectors = sectors,
    };
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* A take-over: erase, body, marks; what it reads costs nothing on an internal flash. */
static uint32_t take_over(const struct kedge_layout *layout, const struct kedge_part_times *times)
{
    const struct kedge_region *const journal = &layout->journal;
    const struct kedge_geometry *const geometry = &journal->flash->geometry;
    const uint32_t bytes = kedge_plan_size(&layout->pairs[0]) + 512;

    return journal->size / 2 / geometry->erase_size * times->erase_us +
           (bytes + geometry->page_size - 1) / geometry->page_size * times->page_us;
}

void kedge_budget_of(const struct kedge_layout *layout, const struct kedge_strategy *strategy,
                     const struct kedge_part_times times[KEDGE_DEVICES],
                     struct kedge_budget *budget)
{
    const struct kedge_pair *const pair = &layout->pairs[0];
    const struct cost in = cost_of(&pair->primary, &times[KEDGE_INTERNAL]);
    const struct cost ex = cost_of(&pair->secondary, &times[KEDGE_EXTERNAL]);
    const bool saves = strategy->method != KEDGE_METHOD_OVERWRITE;
    const bool both = strategy == &kedge_swap && pair->spares == 2;
    const uint32_t k = kedge_pair_max_image(pair) / pair->primary.unit;
    /* load: read, write, read back (the internal flash reads at no cost worth a figure) */
    const uint32_t load = ex.bus + in.erase + in.program + in.bus;
    /* save: written and read back over the bus */
    const uint32_t save = saves ? ex.erase + ex.program + 2 * ex.bus : 0;
    /* in one step, the bus is busy while the internal flash is */
    const uint32_t step =
        both ? larger(in.erase + in.program, ex.erase + ex.program) + 4 * ex.bus : load + save;
    const uint32_t mark = 2 * RECORD_WORDS * times[KEDGE_INTERNAL].page_us;
    const uint32_t journal = take_over(layout, &times[KEDGE_INTERNAL]);
    /* the candidate is read (a revert reads the old image), mailbox and old header are erased, the
     * trailer is written; two take-overs */
    const uint64_t around = (uint64_t)k * (2 * ex.bus + in.bus) + 2u * (ex.erase + ex.bus) +
                            in.erase + in.program + 2u * journal;

    *budget = (struct kedge_budget){
        .max_image = kedge_pair_max_image(pair),
        .update_ms = (uint32_t)((around + (uint64_t)k * (step + mark) + save) / 1000u),
        /* a log that is full is renewed behind the copy that it logs */
        .feed_ms = ((both ? step + save : larger(load, save)) + journal + ex.erase) / 1000u,
        .erases_internal = (k + 1) * in.sectors + 2 * (layout->journal.size / 2 /
                                                       layout->journal.flash->geometry.erase_size),
        .erases_external = (saves ? k + 2 : 1) * ex.sectors,
        .erases_sector = strategy->sparse == KEDGE_METHOD_INPLACE && k > 3 ? k / 2 : 1,
    };
}
