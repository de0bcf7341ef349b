/* What a layout costs at worst, before it is built into a product: the longest update, the longest
 * time between two feeds of the watchdog, the wear. Plain arithmetic; no loader links it. */
#ifndef KEDGE_BUDGET_H
#define KEDGE_BUDGET_H

#include "kedge/recorder.h"
#include "kedge/swap.h"

struct kedge_budget {
    uint32_t max_image; /* bytes that an update can take */
    /* Flash and bus time of the update of a largest image of which every unit differs, without a
     * fault: a fault adds the step that is done again. The processor's own (hash, signature) comes
     * on top. */
    uint32_t update_ms;
    /* Longest flash time between two calls of the hook `feed`; one signature comes on top. */
    uint32_t feed_ms;
    uint32_t erases_internal, erases_external; /* sectors, by that update */
    uint32_t erases_sector; /* the most that one sector gets by one update: a spare of a sparse
                             * swap, where half of the units differ */
};

/* Requires: a layout that kedge_layout_check() found good; times of each device's part, typical or
 * maximum. Ensures: no update of this layout by this strategy takes longer on parts that keep their
 * times. */
void kedge_budget_of(const struct kedge_layout *layout, const struct kedge_strategy *strategy,
                     const struct kedge_part_times times[KEDGE_DEVICES],
                     struct kedge_budget *budget);

#endif
