/* Shortest path over the halfwords of the new image. A node is a place; what leads to it is a
 * literal, a copy, or a copy and a literal and the same copy going on (the usual shape of a changed
 * reference). Each node keeps only its cheapest way and the decoder's state on that way. */
#include "delta_parse.h"

#include <stdlib.h>
#include <string.h>

#define SHORT 48u /* lengths up to this are all tried, */
#define TAIL  4u  /* and of longer ones the last few */

struct node {
    uint64_t cost;
    uint32_t from;     /* node */
    uint32_t distance; /* 0: a literal */
    uint32_t length;   /* of the copy; after it, if `rest`, a literal and then the copy's rest */
    uint32_t rest;
    struct delta_state state;
};

struct parse {
    struct delta_find *find;
    const struct delta_pair *pair;
    const struct delta_prices *prices;
    struct node *nodes;
    uint32_t end; /* node: of the present chunk */
};

static void relax(struct parse *p, uint32_t from, uint64_t cost, uint32_t distance, uint32_t length,
                  uint32_t rest)
{
    const uint32_t to = from + (length > 0 || rest > 0 ? length : 1) + (rest > 0 ? rest + 1 : 0);
    struct node *const node = &p->nodes[to];
    if (cost < node->cost) {
        node->cost = cost;
        node->from = from;
        node->distance = distance;
        node->length = length;
        node->rest = rest;
    }
}

static uint32_t last_of(const struct parse *p, uint32_t i, uint32_t chunk_begin)
{
    return i == chunk_begin ? 0 : delta_half(&p->pair->now, i * 2 - 2);
}

static uint32_t literal_price(const struct parse *p, const struct delta_prices *prices, uint32_t i,
                              uint32_t last, uint32_t history, uint32_t distance)
{
    const uint32_t near = history != 0 ? delta_predict(p->pair, i * 2, distance) : 0;
    return prices->match[history * 2 + (i & 1u)][0] +
           delta_price_literal(prices, delta_half(&p->pair->now, i * 2), last, history, near);
}

static uint32_t run_of(const struct parse *p, struct delta_run *runs, uint32_t i, uint32_t distance)
{
    const uint32_t length = delta_run_length(p->find, runs, i, distance);
    return length < p->end - i ? length : p->end - i;
}

/* After a copy of `length` (0: at once) a literal, and the same distance again. */
static void relax_rest(struct parse *p, const struct delta_prices *prices, uint32_t i,
                       uint64_t cost, uint32_t distance, uint32_t length, uint32_t history,
                       uint32_t last)
{
    const uint32_t at = i + length;
    if (at + 1 >= p->end) {
        return;
    }
    const uint32_t rest = run_of(p, length > 0 ? p->find->rests : p->find->runs, at + 1, distance);
    if (rest == 0) {
        return;
    }
    cost += literal_price(p, prices, at, last, history, distance);
    const uint32_t after = history << 1 & 7u;
    cost += prices->match[after * 2 + ((at + 1) & 1u)][1] + prices->repeat[after][1] +
            prices->recent_0[after][0] +
            delta_price_number(prices, KEDGE_DELTA_REPEAT_LENGTH, rest - 1);
    relax(p, i, cost, distance, length, rest);
}

/* All useful lengths of a copy, from `least` on. */
static void relax_copy(struct parse *p, const struct delta_prices *prices, uint32_t i,
                       uint64_t cost, uint32_t kind, uint32_t distance, uint32_t least,
                       uint32_t length)
{
    for (uint32_t n = least; n <= length; n++) {
        if (n > SHORT && n + TAIL < length) {
            n = length - TAIL;
        }
        relax(p, i, cost + delta_price_number(prices, kind, n - 1), distance, n, 0);
    }
    const uint32_t history = (p->nodes[i].state.history << 1 | 1u) & 7u;
    relax_rest(p, prices, i, cost + delta_price_number(prices, kind, length - 1), distance, length,
               history, delta_half(&p->pair->now, (i + length) * 2 - 2));
}

static void relax_recent(struct parse *p, const struct delta_prices *prices, uint32_t i,
                         uint64_t cost)
{
    const struct delta_state *const state = &p->nodes[i].state;
    const uint32_t history = state->history;
    cost += prices->repeat[history][1];
    for (uint32_t r = 0; r < 3; r++) {
        const uint32_t distance = state->recent[r];
        const uint32_t length = run_of(p, p->find->runs, i, distance);
        if (length == 0 || (r > 0 && distance == state->recent[0]) ||
            (r > 1 && distance == state->recent[1])) {
            continue;
        }
        uint64_t with = cost + prices->recent_0[history][r > 0];
        with += r > 0 ? prices->recent_1[history][r > 1] : 0;
        relax_copy(p, prices, i, with, KEDGE_DELTA_REPEAT_LENGTH, distance, 1, length);
    }
}

static void relax_candidates(struct parse *p, const struct delta_prices *prices, uint32_t i,
                             uint64_t cost)
{
    const struct delta_find *const find = p->find;
    const uint32_t history = p->nodes[i].state.history, old_size = p->pair->old.size;
    const uint64_t own =
        cost + prices->repeat[history][0] + (old_size > 0 ? prices->old[history][0] : 0);
    const uint64_t old = cost + prices->repeat[history][0] + prices->old[history][1];
    uint32_t done_old = 0, done_own = 0;
    for (uint32_t k = find->begin[i]; k < find->begin[i + 1]; k++) {
        const struct delta_candidate *const c = &find->candidates[k];
        const uint32_t length = c->length < p->end - i ? c->length : p->end - i;
        if (c->distance > i * 2) {
            const uint32_t at = old_size + i * 2 - c->distance;
            const uint32_t miss = delta_zigzag(at - find->expected[i]);
            relax_copy(p, prices, i, old + delta_price_number(prices, KEDGE_DELTA_OLD_MISS, miss),
                       KEDGE_DELTA_OLD_LENGTH, c->distance, done_old + 1, length);
            done_old = length;
        } else {
            const uint32_t far = c->distance - 2;
            relax_copy(p, prices, i,
                       own + delta_price_number(prices, KEDGE_DELTA_NEW_DISTANCE, far),
                       KEDGE_DELTA_NEW_LENGTH, c->distance, done_own + 1, length);
            done_own = length;
        }
    }
}

/* The decoder's state at a node, from that of the node before it. */
static void settle(struct parse *p, uint32_t i)
{
    struct node *const node = &p->nodes[i];
    node->state = p->nodes[node->from].state;
    if (node->distance == 0) {
        delta_state_literal(&node->state);
        return;
    }
    if (node->length > 0) {
        delta_state_copy(&node->state, node->distance);
    }
    if (node->rest > 0) {
        delta_state_literal(&node->state);
        delta_state_copy(&node->state, node->distance);
    }
}

static void step(struct parse *p, uint32_t i, uint32_t chunk_begin)
{
    const struct node *const node = &p->nodes[i];
    const struct delta_prices *const prices = &p->prices[i * 2 / DELTA_SEGMENT];
    const uint32_t history = node->state.history, last = last_of(p, i, chunk_begin);
    const uint32_t near = node->state.recent[0];
    relax(p, i, node->cost + literal_price(p, prices, i, last, history, near), 0, 0, 0);
    const uint64_t copy = node->cost + prices->match[history * 2 + (i & 1u)][1];
    relax_recent(p, prices, i, copy);
    if (history != 0) {
        relax_rest(p, prices, i, node->cost, near, 0, history, last);
    }
    relax_candidates(p, prices, i, copy);
}

static void put(struct delta_token *tokens, size_t *to, uint32_t distance, uint32_t length)
{
    tokens[--*to] = (struct delta_token){distance, length};
}

/* Follows the nodes back; the tokens come to lie at the end of `tokens` and are moved to its front.
 */
static size_t collect(const struct parse *p, uint32_t halves, struct delta_token *tokens)
{
    size_t to = halves;
    for (uint32_t i = halves; i > 0; i = p->nodes[i].from) {
        const struct node *const node = &p->nodes[i];
        if (node->rest > 0) {
            put(tokens, &to, node->distance, node->rest);
            put(tokens, &to, 0, 0);
        }
        if (node->length > 0 || node->distance == 0) {
            put(tokens, &to, node->distance, node->length);
        }
    }
    memmove(tokens, tokens + to, (halves - to) * sizeof(*tokens));
    return halves - to;
}

static uint32_t chunk_end(uint32_t begin, uint32_t chunk_log, uint32_t halves)
{
    const uint32_t chunk = chunk_log == 0 ? halves : 1u << (chunk_log - 1);
    return halves - begin < chunk ? halves : begin + chunk;
}

int delta_parse(struct delta_find *find, uint32_t chunk_log, const struct delta_prices *prices,
                struct delta_token *tokens, size_t *count)
{
    const struct delta_pair *const pair = find->pair;
    const uint32_t halves = (pair->now.size + 1) / 2;
    struct parse p = {.find = find, .pair = pair, .prices = prices};
    p.nodes = malloc((halves + 1) * sizeof(*p.nodes));
    if (p.nodes == NULL) {
        return KEDGE_E_SPACE;
    }
    for (uint32_t i = 1; i <= halves; i++) {
        p.nodes[i].cost = UINT64_MAX;
    }
    p.nodes[0].cost = 0;
    for (uint32_t begin = 0; begin < halves; begin = p.end) {
        p.end = chunk_end(begin, chunk_log, halves);
        delta_state_begin(&p.nodes[begin].state, pair);
        for (uint32_t i = begin; i < p.end; i++) {
            if (i > begin) {
                settle(&p, i);
            }
            step(&p, i, begin);
        }
    }
    *count = collect(&p, halves, tokens);
    free(p.nodes);
    return 0;
}

void delta_alignment(const struct delta_pair *pair, uint32_t chunk_log,
                     const struct delta_token *tokens, size_t count, uint32_t *alignment)
{
    const uint32_t halves = (pair->now.size + 1) / 2;
    struct delta_state state = {0};
    uint32_t i = 0, end = 0;
    for (size_t t = 0; t < count; t++) {
        if (i == end) {
            end = chunk_end(i, chunk_log, halves);
            delta_state_begin(&state, pair);
        }
        if (tokens[t].length == 0) {
            alignment[i++] = state.history != 0 ? state.recent[0] : DELTA_NONE;
            delta_state_literal(&state);
            continue;
        }
        delta_state_copy(&state, tokens[t].distance);
        for (uint32_t k = 0; k < tokens[t].length; k++) {
            alignment[i++] = tokens[t].distance;
        }
    }
}
