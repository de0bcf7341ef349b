/* What the decoder's predicted() computes, made quick for an encoder that asks a hundred times per
 * halfword: all that does not depend on the place it is copied to is computed once. */
#include "delta_pair.h"

#include <stdlib.h>
#include <string.h>

static int make_side(struct delta_side *side, struct kedge_bytes of)
{
    const size_t halves = of.size / 2 + 2;
    *side = (struct delta_side){.at = of.at, .size = (uint32_t)of.size};
    side->kind = calloc(halves, sizeof(*side->kind));
    side->value = calloc(halves, sizeof(*side->value));
    return side->kind != NULL && side->value != NULL ? 0 : KEDGE_E_SPACE;
}

int delta_pair_make(struct delta_pair *pair, struct kedge_bytes old, struct kedge_bytes now)
{
    memset(pair, 0, sizeof(*pair));
    const int error = make_side(&pair->old, old);
    return error != 0 ? error : make_side(&pair->now, now);
}

void delta_pair_drop(struct delta_pair *pair)
{
    free(pair->old.kind);
    free(pair->old.value);
    free(pair->now.kind);
    free(pair->now.value);
}

uint32_t delta_half(const struct delta_side *side, uint32_t at)
{
    if (at >= side->size) {
        return at == UINT32_MAX && side->size > 0 ? (uint32_t)side->at[0] << 8 : 0;
    }
    return at + 1 < side->size ? kedge_le16(side->at + at) : side->at[at];
}

int32_t delta_shift_at(const struct delta_pair *pair, uint32_t key)
{
    uint32_t low = 0, high = pair->map_count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (pair->map[middle].start <= key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? pair->map[low - 1].shift : 0;
}

uint32_t delta_expected(const struct delta_pair *pair, uint32_t pos)
{
    uint32_t best = 0, shift = 0;
    for (uint32_t i = 0; i < pair->map_count; i++) {
        const uint32_t moved = pair->map[i].start + (uint32_t)pair->map[i].shift;
        if (pair->map[i].start < pair->old.size && moved <= pos && moved >= best) {
            best = moved;
            shift = (uint32_t)pair->map[i].shift;
        }
    }
    return pos - shift;
}

static bool is_branch(uint32_t a, uint32_t b)
{
    return a >> 11 == 0x1E && (b | 0x4000u) >> 11 == 0x1F;
}

static uint32_t target(uint32_t a, uint32_t b, uint32_t at)
{
    return at + 4 + (uint32_t)((int32_t)((a & 0x7FFu) << 21 | (b & 0x7FFu) << 10) >> 9);
}

uint32_t delta_branch(const struct delta_side *side, uint32_t at)
{
    const uint32_t a = delta_half(side, at), b = delta_half(side, at + 2);
    return is_branch(a, b) ? target(a, b, at) : UINT32_MAX;
}

static uint32_t moved_word(const struct delta_pair *pair, uint32_t word)
{
    const uint32_t code = word - pair->old_base, ram = word - pair->ram_base;
    if (code < pair->old.size) {
        return word + (uint32_t)delta_shift_at(pair, code) + pair->new_base - pair->old_base;
    }
    if (ram < pair->ram_size) {
        return word + (uint32_t)delta_shift_at(pair, pair->old.size + ram);
    }
    return word;
}

/* Kind and value of the halfword at an even offset, inside the image or not. */
static enum delta_kind classify(const struct delta_pair *pair, bool own, uint32_t at,
                                uint32_t *value)
{
    const struct delta_side *const side = own ? &pair->now : &pair->old;
    const uint32_t here = delta_half(side, at);
    if (pair->flags & KEDGE_DELTA_BRANCHES) {
        const bool first = here >> 11 == 0x1E;
        const uint32_t from = first ? at : at - 2;
        const uint32_t a = first ? here : at < 2 ? 0 : delta_half(side, at - 2);
        const uint32_t b = first ? delta_half(side, at + 2) : here;
        if (is_branch(a, b)) {
            uint32_t to = target(a, b, from);
            if (!own) {
                to += to < side->size ? (uint32_t)delta_shift_at(pair, to)
                                      : pair->old_base - pair->new_base;
            }
            *value = to;
            return first ? DELTA_FIRST : DELTA_SECOND;
        }
    }
    *value = here;
    if (!own && (pair->flags & KEDGE_DELTA_WORDS)) {
        const uint32_t other = delta_half(side, at ^ 2u);
        const uint32_t word = at & 2u ? here << 16 | other : other << 16 | here;
        *value = at & 2u ? moved_word(pair, word) >> 16 : moved_word(pair, word) & 0xFFFFu;
    }
    return DELTA_PLAIN;
}

static void prepare(const struct delta_pair *pair, bool own)
{
    const struct delta_side *const side = own ? &pair->now : &pair->old;
    for (uint32_t at = 0; at < side->size; at += 2) {
        side->kind[at / 2] = (uint8_t)classify(pair, own, at, &side->value[at / 2]);
    }
}

void delta_pair_prepare(struct delta_pair *pair)
{
    prepare(pair, false);
    prepare(pair, true);
}

uint32_t delta_predict(const struct delta_pair *pair, uint32_t pos, uint32_t distance)
{
    const bool own = distance <= pos;
    const struct delta_side *const side = own ? &pair->now : &pair->old;
    const uint32_t at = pos - distance + (own ? 0 : pair->old.size);
    if (at & 1u) {
        return delta_half(side, at);
    }
    uint32_t value;
    enum delta_kind kind;
    if (at < side->size && !(own && distance == 2)) {
        kind = side->kind[at / 2];
        value = side->value[at / 2];
    } else {
        kind = classify(pair, own, at, &value);
        if (kind == DELTA_FIRST && own) { /* its second half is not there yet */
            return delta_half(side, at);
        }
    }
    if (kind == DELTA_PLAIN) {
        return value;
    }
    if (kind == DELTA_FIRST) {
        return 0xF000u | ((value - pos - 4) >> 12 & 0x7FFu);
    }
    return (delta_half(side, at) & 0xF800u) | ((value - pos - 2) >> 1 & 0x7FFu);
}

uint8_t *delta_normalised(const struct delta_side *side)
{
    uint8_t *const bytes = malloc(side->size + 2u);
    if (bytes == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i * 2 < side->size; i++) {
        const uint32_t value = side->value[i];
        uint32_t half = value;
        if (side->kind[i] == DELTA_FIRST) {
            half = 0xF000u | (value >> 12 & 0x7FFu);
        } else if (side->kind[i] == DELTA_SECOND) {
            half = (delta_half(side, i * 2) & 0xF800u) | (value >> 1 & 0x7FFu);
        }
        kedge_put_le16(bytes + i * 2, (uint16_t)half);
    }
    return bytes;
}
