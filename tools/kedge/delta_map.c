/* Each pair of aligned references votes: what the old one means has become what the new one means,
 * so at this old address things have moved by so much. The map is the piecewise constant function
 * that contradicts the votes least, an entry for each change of its value: a shortest path over the
 * votes by address, whose states are the shifts that were voted for. */
#include "delta_map.h"

#include <stdlib.h>
#include <string.h>

#include "delta_find.h"

#define MISS  28u /* bits that a reference costs which was predicted wrong */
#define START 8u  /* bits that a copy's start costs which was not expected */

struct vote {
    uint32_t key;
    int32_t shift;
    uint32_t weight;
};

struct votes {
    struct vote *at;
    size_t count, room;
};

static bool vote(struct votes *votes, uint32_t key, uint32_t shift, uint32_t weight)
{
    if (votes->count == votes->room) {
        const size_t room = votes->room * 2 + 4096;
        struct vote *const at = realloc(votes->at, room * sizeof(*at));
        if (at == NULL) {
            return false;
        }
        votes->at = at;
        votes->room = room;
    }
    if ((int32_t)shift >= -0x800000 && (int32_t)shift <= 0x7FFFFF) {
        votes->at[votes->count++] = (struct vote){key, (int32_t)shift, weight};
    }
    return true;
}

/* The votes of what lies at `from` in the old image and at `pos` in the new one. */
static bool ask(const struct delta_pair *pair, struct votes *votes, uint32_t from, uint32_t pos)
{
    const struct delta_side *const old = &pair->old, *const now = &pair->now;
    bool room = true;
    if ((pair->flags & KEDGE_DELTA_BRANCHES) != 0) {
        const uint32_t a = delta_branch(old, from), b = delta_branch(now, pos);
        if (a != UINT32_MAX && b != UINT32_MAX && a < old->size) {
            return vote(votes, a, b - a, MISS);
        }
    }
    if ((pair->flags & KEDGE_DELTA_WORDS) != 0 && from % 4 == 0 && from + 4 <= old->size &&
        pos + 4 <= now->size) {
        const uint32_t a = kedge_le32(old->at + from), b = kedge_le32(now->at + pos);
        const uint32_t code = a - pair->old_base, ram = a - pair->ram_base;
        if (code < old->size) {
            room = vote(votes, code, b - pair->new_base - code, MISS);
        } else if (ram < pair->ram_size) {
            room = vote(votes, old->size + ram, b - a, MISS);
        }
    }
    return room;
}

static bool collect(const struct delta_pair *pair, const uint32_t *alignment, struct votes *votes)
{
    const uint32_t halves = pair->now.size / 2, old_size = pair->old.size;
    for (uint32_t i = 0; i < halves; i++) {
        const uint32_t pos = i * 2, from = old_size + pos - alignment[i];
        if (alignment[i] == DELTA_NONE || alignment[i] <= pos || from >= old_size) {
            continue;
        }
        if (i == 0 || alignment[i - 1] != alignment[i]) {
            if (!vote(votes, from, pos - from, START)) {
                return false;
            }
        }
        if (from % 2 == 0 && !ask(pair, votes, from, pos)) {
            return false;
        }
    }
    return true;
}

static int by_shift(const void *a, const void *b)
{
    const struct vote *const x = a, *const y = b;
    return (x->shift > y->shift) - (x->shift < y->shift);
}

static int by_key(const void *a, const void *b)
{
    const struct vote *const x = a, *const y = b;
    const int order = (x->key > y->key) - (x->key < y->key);
    return order != 0 ? order : by_shift(a, b);
}

/* One vote for each pair of key and shift. */
static size_t merge(struct vote *votes, size_t count)
{
    size_t to = 0;
    for (size_t i = 0; i < count; i++) {
        if (to > 0 && by_key(&votes[to - 1], &votes[i]) == 0) {
            votes[to - 1].weight += votes[i].weight;
        } else {
            votes[to++] = votes[i];
        }
    }
    return to;
}

/* A stretch of one shift on the way to a state; the way before it by `before`. */
struct stretch {
    uint32_t key;
    int32_t shift;
    uint32_t before;
};

/* A state of the path: how good it is to be at this shift now, less what all states have paid. */
struct at_shift {
    int32_t shift;
    int64_t cost;
    uint32_t stretch;
};

static struct at_shift *state_of(struct at_shift *states, size_t count, int32_t shift)
{
    size_t low = 0, high = count;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (states[middle].shift <= shift) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &states[low];
}

/* Walks the votes of one key. Those who are right gain, the others lose alike; entering a shift
 * costs an entry more than the best way so far. */
static void walk_key(const struct vote *votes, size_t count, struct at_shift *states,
                     size_t state_count, struct stretch *stretches, uint32_t *stretch_count,
                     uint32_t price, struct at_shift *best)
{
    const struct at_shift before = *best;
    for (size_t i = 0; i < count; i++) {
        struct at_shift *const state = state_of(states, state_count, votes[i].shift);
        if (before.cost + price < state->cost && before.shift != state->shift) {
            state->cost = before.cost + price;
            stretches[*stretch_count] =
                (struct stretch){votes[i].key, votes[i].shift, before.stretch};
            state->stretch = (*stretch_count)++;
        }
        state->cost -= votes[i].weight;
        if (state->cost < best->cost) {
            *best = *state;
        }
    }
}

static size_t unwind(const struct stretch *stretches, uint32_t last, struct delta_shift *map)
{
    size_t count = 0;
    for (uint32_t i = last; i != 0; i = stretches[i].before) {
        count++;
    }
    if (count > KEDGE_DELTA_MAP_MOST) {
        return count;
    }
    size_t to = count;
    for (uint32_t i = last; i != 0; i = stretches[i].before) {
        map[--to] = (struct delta_shift){stretches[i].key, stretches[i].shift};
    }
    return count;
}

/* Path over the votes; returns how many entries it needs, which are in `map` if they fit. */
static size_t find_path(const struct vote *votes, size_t count, struct at_shift *states,
                        size_t state_count, struct stretch *stretches, uint32_t price,
                        struct delta_shift *map)
{
    uint32_t stretch_count = 1; /* 0: the beginning, where nothing has moved */
    struct at_shift best = {.shift = 0, .cost = 0, .stretch = 0};
    for (size_t i = 0; i < state_count; i++) {
        states[i].cost = (int64_t)1 << 40; /* not entered yet */
        states[i].stretch = 0;
    }
    state_of(states, state_count, 0)->cost = 0; /* there is one: delta_map_make() votes for it */
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && votes[end].key == votes[i].key) {
            end++;
        }
        walk_key(votes + i, end - i, states, state_count, stretches, &stretch_count, price, &best);
        i = end;
    }
    return unwind(stretches, best.stretch, map);
}

static size_t list_states(const struct vote *votes, size_t count, struct at_shift *states)
{
    size_t to = 0;
    for (size_t i = 0; i < count; i++) {
        if (to == 0 || states[to - 1].shift != votes[i].shift) {
            states[to++].shift = votes[i].shift;
        }
    }
    return to;
}

int delta_map_make(struct delta_pair *pair, const uint32_t *alignment, uint32_t price)
{
    struct votes votes = {0};
    struct at_shift *states = NULL;
    struct stretch *stretches = NULL;
    bool room = collect(pair, alignment, &votes) && vote(&votes, 0, 0, 0);
    if (room) {
        states = malloc(votes.count * sizeof(*states));
        stretches = malloc((votes.count + 1) * sizeof(*stretches));
        room = states != NULL && stretches != NULL;
    }
    if (room) {
        qsort(votes.at, votes.count, sizeof(*votes.at), by_shift);
        const size_t state_count = list_states(votes.at, votes.count, states);
        qsort(votes.at, votes.count, sizeof(*votes.at), by_key);
        votes.count = merge(votes.at, votes.count);
        size_t needed;
        while (needed = find_path(votes.at, votes.count, states, state_count, stretches, price,
                                  pair->map),
               needed > KEDGE_DELTA_MAP_MOST) {
            price += price / 4 + 1;
        }
        pair->map_count = (uint32_t)needed;
    }
    free(votes.at);
    free(states);
    free(stretches);
    return room ? 0 : KEDGE_E_SPACE;
}
