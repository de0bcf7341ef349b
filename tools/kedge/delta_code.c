/* The range encoder and the coding of tokens, mirror of src/transform/delta.c. */
#include "delta_code.h"

#include <stdlib.h>
#include <string.h>

#include "kedge/crypto.h"

struct coder {
    uint16_t cells[KEDGE_DELTA_CELLS];
    uint64_t low;
    uint64_t pending; /* bytes not written yet, because a carry may still change them */
    uint32_t range;
    uint8_t first; /* the first of them; the others are 0xFF */
    bool failed;
    struct delta_bytes *out;
};

static bool put_byte(struct delta_bytes *out, uint8_t byte)
{
    if (out->size == out->room) {
        const size_t room = out->room * 2 + 4096;
        uint8_t *const at = realloc(out->at, room);
        if (at == NULL) {
            return false;
        }
        out->at = at;
        out->room = room;
    }
    out->at[out->size++] = byte;
    return true;
}

static void shift_low(struct coder *c)
{
    if (c->low < 0xFF000000u || c->low > 0xFFFFFFFFu) {
        const uint8_t carry = (uint8_t)(c->low >> 32);
        uint8_t byte = c->first;
        for (; c->pending > 0; c->pending--) {
            c->failed |= !put_byte(c->out, (uint8_t)(byte + carry));
            byte = 0xFF;
        }
        c->first = (uint8_t)(c->low >> 24);
    }
    c->pending++;
    c->low = (c->low & 0x00FFFFFFu) << 8;
}

static void normalise(struct coder *c)
{
    if (c->range < 1u << 24) {
        c->range <<= 8;
        shift_low(c);
    }
}

static void code_bit(struct coder *c, uint32_t cell, uint32_t bit)
{
    normalise(c);
    uint32_t value = c->cells[cell];
    const uint32_t count = value & 15u, p = value >> 4;
    const uint32_t shift = count < 2 ? 2 : count + 1;
    const uint32_t bound = (c->range >> 12) * p;
    value += shift < 4;
    if (bit == 0) {
        c->range = bound;
        value += ((4096u - p) >> shift) << 4;
    } else {
        c->low += bound;
        c->range -= bound;
        value -= (p >> shift) << 4;
    }
    c->cells[cell] = (uint16_t)value;
}

static void code_raw(struct coder *c, uint32_t bit)
{
    normalise(c);
    c->range >>= 1;
    c->low += bit ? c->range : 0;
}

static void code_tree(struct coder *c, uint32_t cells, uint32_t bits, uint32_t value)
{
    uint32_t node = 1;
    while (bits-- > 0) {
        const uint32_t bit = value >> bits & 1u;
        code_bit(c, cells + node, bit);
        node = node << 1 | bit;
    }
}

static uint32_t bits_below_top(uint32_t value)
{
    return 31u - (uint32_t)__builtin_clz(value);
}

static void code_number(struct coder *c, uint32_t kind, uint32_t number)
{
    const uint32_t cells = KEDGE_DELTA_NUMBER + kind * KEDGE_DELTA_NUMBER_CELLS;
    const uint32_t value = number + 1, bits = bits_below_top(value);
    uint32_t so_far = 1, low = 1;
    code_tree(c, cells, 5, bits);
    for (uint32_t left = bits; left-- > 0;) {
        const uint32_t bit = value >> left & 1u;
        if (so_far < 4) {
            code_bit(c, cells + 32 + 4 * bits + so_far, bit);
        } else if (left < 2) {
            code_bit(c, cells + 132 + low, bit);
            low = low << 1 | bit;
        } else {
            code_raw(c, bit);
        }
        so_far = so_far << 1 | bit;
    }
}

static void forget(struct coder *c)
{
    for (uint32_t i = 0; i < KEDGE_DELTA_CELLS; i++) {
        c->cells[i] = 2048u << 4;
    }
}

static void begin_section(struct coder *c)
{
    forget(c);
    c->low = 0;
    c->pending = 0;
    c->first = 0;
    c->range = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < 3; i++) {
        c->failed |= !put_byte(c->out, 0); /* its length, to come */
    }
}

/* Any number in [low, low + range) will do: the one with the most zeros at its end, for zeros at
 * the end of a section need not be sent. */
static void end_section(struct coder *c, size_t begin)
{
    for (uint32_t zeros = 32; zeros-- > 0;) {
        const uint64_t step = (uint64_t)1 << zeros;
        const uint64_t value = (c->low + step - 1) & ~(step - 1);
        if (value < c->low + c->range) {
            c->low = value;
            break;
        }
    }
    for (uint32_t i = 0; i < 5; i++) {
        shift_low(c);
    }
    struct delta_bytes *const out = c->out;
    if (c->failed) {
        return;
    }
    const size_t body = begin + 3;
    while (out->size > body && out->at[out->size - 1] == 0) {
        out->size--;
    }
    const size_t size = out->size - body;
    out->at[begin] = (uint8_t)size;
    out->at[begin + 1] = (uint8_t)(size >> 8);
    out->at[begin + 2] = (uint8_t)(size >> 16);
}

void delta_state_begin(struct delta_state *state, const struct delta_pair *pair)
{
    *state =
        (struct delta_state){.recent = {pair->old.size ? pair->old.size : 2, 2, 4}, .history = 1};
}

void delta_state_literal(struct delta_state *state)
{
    state->history = state->history << 1 & 7u;
}

uint32_t delta_state_copy(struct delta_state *state, uint32_t distance)
{
    uint32_t which = 0;
    while (which < 3 && state->recent[which] != distance) {
        which++;
    }
    for (uint32_t i = which < 3 ? which : 2; i > 0; i--) {
        state->recent[i] = state->recent[i - 1];
    }
    state->recent[0] = distance;
    state->history = (state->history << 1 | 1u) & 7u;
    return which;
}

static void code_copy(struct coder *c, const struct delta_pair *pair, struct delta_state *state,
                      uint32_t pos, const struct delta_token *token)
{
    const uint32_t history = state->history;
    const uint32_t which = delta_state_copy(state, token->distance);
    uint32_t kind = KEDGE_DELTA_REPEAT_LENGTH;
    code_bit(c, KEDGE_DELTA_REPEAT + history, which < 3);
    if (which < 3) {
        code_bit(c, KEDGE_DELTA_RECENT_0 + history, which > 0);
        if (which > 0) {
            code_bit(c, KEDGE_DELTA_RECENT_1 + history, which > 1);
        }
    } else {
        const bool old = token->distance > pos;
        if (pair->old.size > 0) {
            code_bit(c, KEDGE_DELTA_OLD + history, old);
        }
        kind = old ? KEDGE_DELTA_OLD_LENGTH : KEDGE_DELTA_NEW_LENGTH;
        if (old) {
            const uint32_t at = pair->old.size + pos - token->distance;
            code_number(c, KEDGE_DELTA_OLD_MISS, delta_zigzag(at - delta_expected(pair, pos)));
        } else {
            code_number(c, KEDGE_DELTA_NEW_DISTANCE, token->distance - 2);
        }
    }
    code_number(c, kind, token->length - 1);
}

static void code_literal(struct coder *c, const struct delta_pair *pair, struct delta_state *state,
                         uint32_t pos, uint32_t last)
{
    const uint32_t half = delta_half(&pair->now, pos), history = state->history;
    const uint32_t high = half >> 8, low = half & 0xFFu;
    delta_state_literal(state);
    if (history != 0) {
        const uint32_t near = delta_predict(pair, pos, state->recent[0]);
        const uint32_t since = history & 1u ? 0 : history & 2u ? 1 : 2;
        code_bit(c, KEDGE_DELTA_EQUAL + since * 16 + (near >> 12), near >> 8 == high);
        if (near >> 8 == high) {
            code_tree(c, KEDGE_DELTA_DIFFERENCE, 4, (low - near) >> 4 & 15u);
            code_tree(c, KEDGE_DELTA_DIFFERENCE + 16, 4, (low - near) & 15u);
            return;
        }
    }
    const uint32_t lower = (last >> 15) * 16 + (high >> 4);
    code_tree(c, KEDGE_DELTA_HIGH + (last >> 11) * 16, 4, high >> 4);
    code_tree(c, KEDGE_DELTA_HIGH_LOWER + lower * 16, 4, high & 15u);
    code_tree(c, KEDGE_DELTA_LOW + (high >> 2) * 16, 4, low >> 4);
    code_tree(c, KEDGE_DELTA_LOW_LOWER + (high >> 3) * 16, 4, low & 15u);
}

static void code_map(struct coder *c, const struct delta_pair *pair)
{
    const size_t begin = c->out->size;
    uint32_t start = 0, shift = 0;
    begin_section(c);
    code_number(c, 0, pair->map_count);
    for (uint32_t i = 0; i < pair->map_count; i++) {
        code_number(c, 1, pair->map[i].start - start);
        code_number(c, 2, delta_zigzag((uint32_t)pair->map[i].shift - shift));
        start = pair->map[i].start;
        shift = (uint32_t)pair->map[i].shift;
    }
    end_section(c, begin);
}

/* ---- prices ---- */

static uint32_t price_of_0(uint32_t p)
{
    static uint16_t table[4096];
    if (table[2048] == 0) {
        for (uint32_t i = 1; i < 4096; i++) {
            /* log2(4096 / i) * 1024, a bit of the fraction at a time: squares carry */
            const uint32_t whole = 31u - (uint32_t)__builtin_clz(i);
            uint32_t log = whole << 10;
            uint64_t x = ((uint64_t)i << 30) >> whole;
            for (uint32_t b = 512; b > 0; b >>= 1) {
                x = (x >> 15) * (x >> 15);
                if (x >= (uint64_t)2 << 30) {
                    x >>= 1;
                    log |= b;
                }
            }
            table[i] = (uint16_t)((12u << 10) - log);
        }
    }
    return table[p];
}

static uint32_t price_bit(const struct coder *c, uint32_t cell, uint32_t bit)
{
    const uint32_t p = c->cells[cell] >> 4;
    return price_of_0(bit ? 4096u - p : p);
}

static uint32_t price_tree(const struct coder *c, uint32_t cells, uint32_t bits, uint32_t value)
{
    uint32_t price = 0, node = 1;
    while (bits-- > 0) {
        const uint32_t bit = value >> bits & 1u;
        price += price_bit(c, cells + node, bit);
        node = node << 1 | bit;
    }
    return price;
}

static void price_trees(const struct coder *c, uint32_t cells, uint32_t count,
                        uint32_t prices[][16])
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t value = 0; value < 16; value++) {
            prices[i][value] = price_tree(c, cells + i * 16, 4, value);
        }
    }
}

static void price_bits(const struct coder *c, uint32_t cells, uint32_t count, uint32_t prices[][2])
{
    for (uint32_t i = 0; i < count; i++) {
        prices[i][0] = price_bit(c, cells + i, 0);
        prices[i][1] = price_bit(c, cells + i, 1);
    }
}

static void price_numbers(const struct coder *c, uint32_t kind, struct delta_number_prices *prices)
{
    const uint32_t cells = KEDGE_DELTA_NUMBER + kind * KEDGE_DELTA_NUMBER_CELLS;
    for (uint32_t bits = 0; bits < 25; bits++) {
        prices->bits[bits] = price_tree(c, cells, 5, bits);
        for (uint32_t value = 0; value < 4; value++) {
            prices->first[bits][value] =
                price_tree(c, cells + 32 + 4 * bits, bits < 2 ? bits : 2, value);
        }
    }
    for (uint32_t value = 0; value < 4; value++) {
        prices->last_two[value] = price_tree(c, cells + 132, 2, value);
    }
    prices->last[0] = price_bit(c, cells + 133, 0);
    prices->last[1] = price_bit(c, cells + 133, 1);
}

static void take_prices(const struct coder *c, struct delta_prices *prices)
{
    price_bits(c, KEDGE_DELTA_MATCH, 16, prices->match);
    price_bits(c, KEDGE_DELTA_REPEAT, 8, prices->repeat);
    price_bits(c, KEDGE_DELTA_RECENT_0, 8, prices->recent_0);
    price_bits(c, KEDGE_DELTA_RECENT_1, 8, prices->recent_1);
    price_bits(c, KEDGE_DELTA_OLD, 8, prices->old);
    price_bits(c, KEDGE_DELTA_EQUAL, 48, prices->equal);
    price_trees(c, KEDGE_DELTA_HIGH, 32, prices->high);
    price_trees(c, KEDGE_DELTA_HIGH_LOWER, 32, prices->high_lower);
    price_trees(c, KEDGE_DELTA_LOW, 64, prices->low);
    price_trees(c, KEDGE_DELTA_LOW_LOWER, 32, prices->low_lower);
    price_trees(c, KEDGE_DELTA_DIFFERENCE, 2, prices->difference);
    for (uint32_t kind = 0; kind < 5; kind++) {
        price_numbers(c, kind, &prices->number[kind]);
    }
}

int delta_prices_begin(struct delta_prices *prices, size_t count)
{
    struct coder *const c = malloc(sizeof(*c));
    if (c == NULL) {
        return KEDGE_E_SPACE;
    }
    forget(c);
    for (size_t i = 0; i < count; i++) {
        take_prices(c, &prices[i]);
    }
    free(c);
    return 0;
}

uint32_t delta_price_number(const struct delta_prices *prices, uint32_t kind, uint32_t number)
{
    const struct delta_number_prices *const of = &prices->number[kind];
    const uint32_t value = number + 1, bits = bits_below_top(value);
    uint32_t price = of->bits[bits];
    if (bits <= 2) {
        return price + (bits == 0 ? 0 : of->first[bits][value & ((1u << bits) - 1u)]);
    }
    price += of->first[bits][value >> (bits - 2) & 3u];
    if (bits == 3) {
        return price + of->last[value & 1u];
    }
    return price + of->last_two[value & 3u] + (bits - 4) * DELTA_BIT;
}

uint32_t delta_price_literal(const struct delta_prices *prices, uint32_t half, uint32_t last,
                             uint32_t history, uint32_t near)
{
    const uint32_t high = half >> 8, low = half & 0xFFu;
    uint32_t price = 0;
    if (history != 0) {
        const uint32_t since = history & 1u ? 0 : history & 2u ? 1 : 2;
        const uint32_t equal = near >> 8 == high, difference = low - near;
        price = prices->equal[since * 16 + (near >> 12)][equal];
        if (equal) {
            return price + prices->difference[0][difference >> 4 & 15u] +
                   prices->difference[1][difference & 15u];
        }
    }
    return price + prices->high[last >> 11][high >> 4] +
           prices->high_lower[(last >> 15) * 16 + (high >> 4)][high & 15u] +
           prices->low[high >> 2][low >> 4] + prices->low_lower[high >> 3][low & 15u];
}

/* ---- the whole file ---- */

static void put_header(const struct delta_pair *pair, uint32_t chunk_log, uint8_t *head)
{
    const struct kedge_bytes old = {pair->old.at, pair->old.size};
    const struct kedge_bytes now = {pair->now.at, pair->now.size};
    uint8_t digest[KEDGE_DIGEST_MAX];
    kedge_put_le32(head, KEDGE_DELTA_MAGIC);
    head[KEDGE_DELTA_VERSION_AT] = 1;
    head[KEDGE_DELTA_FLAGS_AT] = pair->flags;
    head[KEDGE_DELTA_CHUNK_LOG_AT] = (uint8_t)chunk_log;
    head[KEDGE_DELTA_WORDS_AT] = KEDGE_DELTA_HEADER / 4;
    kedge_put_le32(head + KEDGE_DELTA_OLD_SIZE_AT, pair->old.size);
    kedge_put_le32(head + KEDGE_DELTA_NEW_SIZE_AT, pair->now.size);
    kedge_put_le32(head + KEDGE_DELTA_OLD_BASE_AT, pair->old_base);
    kedge_put_le32(head + KEDGE_DELTA_NEW_BASE_AT, pair->new_base);
    kedge_put_le32(head + KEDGE_DELTA_RAM_BASE_AT, pair->ram_base);
    kedge_put_le32(head + KEDGE_DELTA_RAM_SIZE_AT, pair->ram_size);
    kedge_hash_once(&kedge_sha256, old, digest);
    memcpy(head + KEDGE_DELTA_OLD_HASH_AT, digest, 8);
    kedge_hash_once(&kedge_sha256, now, digest);
    memcpy(head + KEDGE_DELTA_NEW_HASH_AT, digest, 8);
}

/* Codes the tokens of one chunk, [pos, end), and returns how many they were. */
static size_t code_chunk(struct coder *c, const struct delta_pair *pair, uint32_t pos, uint32_t end,
                         const struct delta_token *tokens, struct delta_prices *prices,
                         uint32_t when)
{
    const size_t begin = c->out->size;
    const struct delta_token *token = tokens;
    struct delta_state state;
    uint32_t last = 0, priced = pos;
    begin_section(c);
    delta_state_begin(&state, pair);
    while (pos < end) {
        const uint32_t parity = pos >> 1 & 1u;
        code_bit(c, KEDGE_DELTA_MATCH + state.history * 2 + parity, token->length > 0);
        if (token->length > 0) {
            code_copy(c, pair, &state, pos, token);
            pos += token->length * 2;
        } else {
            code_literal(c, pair, &state, pos, last);
            pos += 2;
        }
        last = delta_half(&pair->now, pos - 2);
        token++;
        for (; prices != NULL && priced < end && (pos >= priced + when || pos >= end);
             priced += DELTA_SEGMENT) {
            take_prices(c, &prices[priced / DELTA_SEGMENT]);
        }
    }
    end_section(c, begin);
    return (size_t)(token - tokens);
}

int delta_code(const struct delta_pair *pair, uint32_t chunk_log, const struct delta_token *tokens,
               size_t count, struct delta_prices *prices, uint32_t when, struct delta_bytes *out)
{
    struct coder *const c = malloc(sizeof(*c));
    if (c == NULL) {
        return KEDGE_E_SPACE;
    }
    c->failed = false;
    c->out = out;
    out->size = 0;
    for (uint32_t i = 0; i < KEDGE_DELTA_HEADER; i++) {
        c->failed |= !put_byte(out, 0);
    }
    if (!c->failed) {
        put_header(pair, chunk_log, out->at);
    }
    code_map(c, pair);
    const uint32_t size = pair->now.size, chunk = chunk_log == 0 ? size : 1u << chunk_log;
    size_t done = 0;
    for (uint32_t pos = 0; pos < size; pos += chunk) {
        const uint32_t end = size - pos < chunk ? size : pos + chunk;
        done += code_chunk(c, pair, pos, end, tokens + done, prices, when);
    }
    KEDGE_ASSERT(done == count);
    const int error = c->failed ? KEDGE_E_SPACE : 0;
    free(c);
    return error;
}
