/* Tokens to coded bytes, and what they will cost. */
#ifndef KEDGE_TOOL_DELTA_CODE_H
#define KEDGE_TOOL_DELTA_CODE_H

#include "delta_pair.h"

/* A literal halfword (length 0) or a copy of `length` halfwords. */
struct delta_token {
    uint32_t distance, length;
};

/* What both sides know at a place besides the probabilities. */
struct delta_state {
    uint32_t recent[3];
    uint32_t history;
};
void delta_state_begin(struct delta_state *state, const struct delta_pair *pair);
void delta_state_literal(struct delta_state *state);
/* Which of the recent distances this one is, 3: none; it becomes the latest. */
uint32_t delta_state_copy(struct delta_state *state, uint32_t distance);

/* Bits * 1024, by the probabilities of one moment. */
#define DELTA_BIT 1024u
struct delta_number_prices {
    uint32_t bits[25], first[25][4], last[2], last_two[4];
};
struct delta_prices {
    uint32_t match[16][2], repeat[8][2], recent_0[8][2], recent_1[8][2], old[8][2], equal[48][2];
    uint32_t high[32][16], high_lower[32][16], low[64][16], low_lower[32][16], difference[2][16];
    struct delta_number_prices number[5];
};
#define DELTA_SEGMENT 4096u /* bytes of output with the same prices */

/* Prices before anything is known. 0 or KEDGE_E_SPACE. */
int delta_prices_begin(struct delta_prices *prices, size_t count);
uint32_t delta_price_number(const struct delta_prices *prices, uint32_t kind, uint32_t value);
/* `last` the halfword before, `near` the predicted one; history 0: there is none. */
uint32_t delta_price_literal(const struct delta_prices *prices, uint32_t half, uint32_t last,
                             uint32_t history, uint32_t near);
static inline uint32_t delta_zigzag(uint32_t value)
{
    return value << 1 ^ (0u - (value >> 31));
}

struct delta_bytes {
    uint8_t *at;
    size_t size, room;
};

/* Codes the whole patch, header and hashes included, into *out (grown). Where `prices` is not NULL,
 * one per segment is filled in with the probabilities of this coding, as they are `when` bytes
 * after its begin. 0 or KEDGE_E_SPACE. */
int delta_code(const struct delta_pair *pair, uint32_t chunk_log, const struct delta_token *tokens,
               size_t count, struct delta_prices *prices, uint32_t when, struct delta_bytes *out);

#endif
