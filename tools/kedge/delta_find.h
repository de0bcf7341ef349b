/* What could be copied: long runs that the decoder would predict right. */
#ifndef KEDGE_TOOL_DELTA_FIND_H
#define KEDGE_TOOL_DELTA_FIND_H

#include "delta_pair.h"

#define DELTA_NONE UINT32_MAX /* in an alignment: no source */

/* Runs that were looked at, by distance: each halfword is compared once, not once per place in it.
 */
struct delta_run {
    uint32_t distance, from, to; /* halfwords [from, to) come out right, `to` does not */
};
#define DELTA_RUNS (1u << 17)

struct delta_candidate {
    uint32_t distance, length; /* bytes, halfwords */
};

struct delta_find {
    const struct delta_pair *pair;
    struct delta_run *runs, *rests;     /* of those asked for at a place, and behind a run's end */
    uint32_t *expected;                 /* delta_expected() by halfword */
    uint32_t *begin;                    /* by halfword: of its candidates; one more at the end */
    struct delta_candidate *candidates; /* old ones by rising cost, then own ones */
    size_t count, room;
};

/* How many halfwords come out right from halfword `i` on; remembered in `runs`, one of the two of
 * `find`: whoever looks at both sides of a run's end uses both. */
uint32_t delta_run_length(const struct delta_find *find, struct delta_run *runs, uint32_t i,
                          uint32_t distance);

/* First alignment, without any knowledge of what moved: by halfword of the new image the distance
 * of its likely source, or DELTA_NONE. Needs prepared sides (kinds). 0 or KEDGE_E_SPACE. */
int delta_walk(const struct delta_pair *pair, uint32_t *alignment);

/* All candidates, for the pair's present map. 0 or KEDGE_E_SPACE. */
int delta_find_make(struct delta_find *find, const struct delta_pair *pair,
                    const uint32_t *alignment);
void delta_find_drop(struct delta_find *find);

#endif
