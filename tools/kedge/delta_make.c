/* The search around the parse: what is known about prices and about what moved gets better with
 * each round, and the smallest file of all is kept. */
#include "delta_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delta_map.h"
#include "delta_parse.h"

#define PASSES 4u
#define ENTRY  26u /* bits of an entry of the map */

struct make {
    struct delta_pair pair;
    const struct delta_options *options;
    struct delta_prices *prices;
    struct delta_token *tokens;
    uint32_t *alignment;
    struct delta_bytes trial, *best;
    uint32_t done, all; /* passes */
};

static void keep_smaller(struct make *m)
{
    if (m->best->size == 0 || m->trial.size < m->best->size) {
        const struct delta_bytes swap = *m->best;
        *m->best = m->trial;
        m->trial = swap;
    }
}

static void tell(struct make *m)
{
    m->done++;
    if (m->options->progress != NULL) {
        m->options->progress(m->options->ctx, m->done * 1000 / m->all);
    }
}

/* Parses and codes, each time with the prices that the time before has shown: as they were at the
 * end of each segment, and the last time at its begin, which is better for very small patches. */
static int passes(struct make *m)
{
    struct delta_find find;
    size_t tokens = 0;
    delta_pair_prepare(&m->pair);
    int error = delta_find_make(&find, &m->pair, m->alignment);
    for (uint32_t i = 0; i < PASSES && error == 0; i++) {
        error = delta_parse(&find, m->options->chunk_log, m->prices, m->tokens, &tokens);
        if (error == 0) {
            error = delta_code(&m->pair, m->options->chunk_log, m->tokens, tokens, m->prices,
                               i + 2 == PASSES ? 0 : DELTA_SEGMENT, &m->trial);
        }
        if (error == 0) {
            keep_smaller(m);
            tell(m);
        }
    }
    if (error == 0) {
        delta_alignment(&m->pair, m->options->chunk_log, m->tokens, tokens, m->alignment);
    }
    delta_find_drop(&find);
    return error;
}

static int rounds(struct make *m, uint8_t flags, uint32_t count, uint32_t entry)
{
    m->pair.flags = flags;
    int error = delta_prices_begin(m->prices, m->pair.now.size / DELTA_SEGMENT + 1);
    if (error == 0) {
        error = delta_walk(&m->pair, m->alignment);
    }
    for (uint32_t i = 0; i < count && error == 0; i++) {
        error = delta_map_make(&m->pair, m->alignment, entry);
        if (error == 0) {
            error = passes(m);
        }
    }
    return error;
}

/* Where nothing in RAM has moved, entries of the map for it are a waste. The header says who won.
 */
static int without_ram(struct make *m, uint8_t flags)
{
    const uint32_t ram_size = m->pair.ram_size;
    m->pair.ram_size = 0;
    const int error = rounds(m, flags, 2, ENTRY);
    if (error == 0 && kedge_le32(m->best->at + KEDGE_DELTA_RAM_SIZE_AT) != 0) {
        m->pair.ram_size = ram_size;
    }
    return error;
}

/* Every mode for a start; then the best one with more patience, its map coarser and finer. */
static int search(struct make *m)
{
    static const uint8_t modes[] = {3, 2, 1, 0};
    static const uint8_t plain_modes[] = {1, 0};
    const bool plain = m->pair.old.size == 0;
    const uint8_t *const all = plain ? plain_modes : modes;
    const uint32_t count = plain ? 2 : 4;
    int error = 0;
    for (uint32_t i = 0; i < count && error == 0; i++) {
        error = rounds(m, all[i], plain ? 1 : 2, ENTRY);
    }
    const uint8_t best = error == 0 ? m->best->at[KEDGE_DELTA_FLAGS_AT] : 0;
    if (error == 0 && (best & KEDGE_DELTA_WORDS) != 0 && m->pair.ram_size != 0) {
        error = without_ram(m, best);
    }
    for (uint32_t i = 0; i < 3 && error == 0 && !plain; i++) {
        error = rounds(m, best, 4, ENTRY / 2 + i * ENTRY / 2);
    }
    return error;
}

static int allocate(struct make *m)
{
    const size_t halves = m->pair.now.size / 2 + 1;
    m->prices = malloc((m->pair.now.size / DELTA_SEGMENT + 1) * sizeof(*m->prices));
    m->tokens = malloc(halves * sizeof(*m->tokens));
    m->alignment = malloc(halves * sizeof(*m->alignment));
    return m->prices != NULL && m->tokens != NULL && m->alignment != NULL ? 0 : KEDGE_E_SPACE;
}

/* ---- the device's decoder ---- */

struct memory {
    const uint8_t *at;
    size_t size;
};

static int read_memory(void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct memory *const m = ctx;
    if (at > m->size || to.size > m->size - at) {
        return KEDGE_E_BOUNDS;
    }
    memcpy(to.at, m->at + at, to.size);
    return 0;
}

static int drain(struct kedge_delta *state, const struct kedge_transform_env *env,
                 struct memory *out, uint8_t *to, uint32_t room)
{
    size_t given;
    int error;
    do {
        error = kedge_delta.pull(state, env, kedge_buf(to + out->size, room - out->size), &given);
        out->size += given;
    } while (error == 0 && given > 0);
    return error;
}

int delta_apply(struct kedge_bytes old, struct kedge_bytes patch, struct delta_bytes *to,
                char reason[128])
{
    struct memory base = {old.at, old.size}, out = {to->at, 0};
    struct kedge_transform_env env = {
        .old = {read_memory, &base, (uint32_t)old.size},
        .out = {read_memory, &out, (uint32_t)to->room},
    };
    struct kedge_delta *const state = malloc(sizeof(*state));
    if (state == NULL) {
        return KEDGE_E_SPACE;
    }
    int error = kedge_delta.start(state, &env);
    while (error == 0 && patch.size > 0) {
        size_t taken = 0;
        error = kedge_delta.push(state, &env, patch, &taken);
        patch.at += taken;
        patch.size -= taken;
        if (error == 0) {
            error = drain(state, &env, &out, to->at, (uint32_t)to->room);
        }
    }
    if (error == 0) {
        error = kedge_delta.finish(state, &env);
    }
    if (reason != NULL) {
        snprintf(reason, 128, "%s", error != 0 ? kedge_delta.reason(state, error) : "");
    }
    to->size = out.size;
    free(state);
    return error;
}

static int prove(struct kedge_bytes old, struct kedge_bytes now, struct kedge_bytes patch)
{
    struct delta_bytes result = {.at = malloc(now.size + 1), .room = now.size};
    if (result.at == NULL) {
        return KEDGE_E_SPACE;
    }
    int error = delta_apply(old, patch, &result, NULL);
    if (error == 0 && (result.size != now.size || memcmp(result.at, now.at, now.size) != 0)) {
        error = KEDGE_E_HASH;
    }
    free(result.at);
    return error;
}

int delta_make(struct kedge_bytes old, struct kedge_bytes now, const struct delta_options *options,
               struct delta_bytes *out)
{
    struct make m = {.options = options, .best = out};
    if (old.size > KEDGE_DELTA_SIZE_MOST || now.size == 0 || now.size > KEDGE_DELTA_SIZE_MOST) {
        return KEDGE_E_BOUNDS;
    }
    int error = delta_pair_make(&m.pair, old, now);
    m.pair.old_base = options->old_base;
    m.pair.new_base = options->new_base;
    m.pair.ram_base = options->ram_base;
    m.pair.ram_size = options->ram_size;
    m.all = old.size == 0 ? 2 * PASSES : 22 * PASSES;
    if (error == 0) {
        error = allocate(&m);
    }
    if (error == 0) {
        error = search(&m);
    }
    if (error == 0) {
        error = prove(old, now, kedge_bytes(out->at, out->size));
    }
    delta_pair_drop(&m.pair);
    free(m.prices);
    free(m.tokens);
    free(m.alignment);
    free(m.trial.at);
    return error;
}
