/* The two images of a patch as its encoder sees them, and what the decoder will predict from them.
 */
#ifndef KEDGE_TOOL_DELTA_PAIR_H
#define KEDGE_TOOL_DELTA_PAIR_H

#include "kedge/delta.h"

/* An entry of the map: from old offset `start` on things have moved by `shift`. Keys behind the old
 * image are RAM. */
struct delta_shift {
    uint32_t start;
    int32_t shift;
};

/* What a halfword is, by the decoder's rules. */
enum delta_kind { DELTA_PLAIN, DELTA_FIRST, DELTA_SECOND };

/* One image, by even offsets. */
struct delta_side {
    const uint8_t *at;
    uint32_t size;
    uint8_t *kind;   /* enum delta_kind */
    uint32_t *value; /* PLAIN: the halfword to predict; FIRST, SECOND: what the branch goes to, as
                        an offset in the new image */
};

struct delta_pair {
    struct delta_side old, now;
    uint32_t old_base, new_base, ram_base, ram_size;
    uint8_t flags;
    uint32_t map_count;
    struct delta_shift map[KEDGE_DELTA_MAP_MOST];
};

/* Memory for both sides; 0 or KEDGE_E_SPACE. The bytes stay the caller's. */
int delta_pair_make(struct delta_pair *pair, struct kedge_bytes old, struct kedge_bytes now);
void delta_pair_drop(struct delta_pair *pair);

/* To be called when flags, bases or map have changed. */
void delta_pair_prepare(struct delta_pair *pair);

/* The halfword that a copy from `distance` gives at `pos`, as the decoder computes it. */
uint32_t delta_predict(const struct delta_pair *pair, uint32_t pos, uint32_t distance);

/* The halfword of a side; bytes outside are 0. Any offset. */
uint32_t delta_half(const struct delta_side *side, uint32_t at);

int32_t delta_shift_at(const struct delta_pair *pair, uint32_t key);
/* The old offset that the map expects at `pos`. */
uint32_t delta_expected(const struct delta_pair *pair, uint32_t pos);

/* Old offset of the pair that begins at `at`: target of the branch, or UINT32_MAX: no branch. */
uint32_t delta_branch(const struct delta_side *side, uint32_t at);

/* The image with each branch as its target and each pointer as it will be: equal bytes are what a
 * copy would get right, nearly. To be freed. NULL: no memory. */
uint8_t *delta_normalised(const struct delta_side *side);

#endif
