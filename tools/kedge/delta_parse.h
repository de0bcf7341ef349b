/* The cheapest sequence of tokens, by given prices. */
#ifndef KEDGE_TOOL_DELTA_PARSE_H
#define KEDGE_TOOL_DELTA_PARSE_H

#include "delta_code.h"
#include "delta_find.h"

/* Tokens for the whole new image into *tokens (room for one per halfword) and *count. `prices` by
 * segment. 0 or KEDGE_E_SPACE. */
int delta_parse(struct delta_find *find, uint32_t chunk_log, const struct delta_prices *prices,
                struct delta_token *tokens, size_t *count);

/* By halfword, the distance of its source by these tokens, literals in copies included. */
void delta_alignment(const struct delta_pair *pair, uint32_t chunk_log,
                     const struct delta_token *tokens, size_t count, uint32_t *alignment);

#endif
