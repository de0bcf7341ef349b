/* The map: which parts of the old image have moved, and how far, as its references tell. */
#ifndef KEDGE_TOOL_DELTA_MAP_H
#define KEDGE_TOOL_DELTA_MAP_H

#include "delta_pair.h"

/* Makes pair->map out of what aligned references say. `alignment` as delta_walk() gives it. The
 * pair has to be prepared again. `price` is what an entry costs, in bits; more gives fewer. 0 or
 * KEDGE_E_SPACE. */
int delta_map_make(struct delta_pair *pair, const uint32_t *alignment, uint32_t price);

#endif
