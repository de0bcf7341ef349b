/* DLT1, the decoder: range decoder, tokens, and references carried over from the old image.
 *
 *      push --> in[64] --> token --> page[256] --> pull
 *                            ^ halfwords of the old image and of the own output, by way of cache[]
 *
 * A token takes at most 27 coded bytes, so with 32 bytes here, or with all that the section still
 * has, it is decoded without asking for more. Whatever the input, a halfword that is read from
 * outside reads as 0, and every loop ends with the output or with the input. */
#include "kedge/delta.h"

#include <string.h>

#include "kedge/crypto.h"

#define TOKEN_MOST  32u /* coded bytes, rounded up */
#define PAGE        256u
#define PAGE_MASK   (PAGE - 1u)
#define CACHE       32u
#define OWN         0x80000000u /* in a place: the own output, not the old image */
#define HALF        2048u       /* a probability of one half */
#define NUMBER_MOST 24u         /* bits */

/* In the order in which they follow, but for SKIP. */
enum phase { HEAD, MAP_LENGTH, MAP_BEGIN, MAP, LENGTH, CHUNK_BEGIN, TOKENS, SKIP, DONE };

enum why { RIGHT, NOT_DELTA, TOO_LARGE, WRONG_OLD, TORN, SHORT, LONG, WRONG_NEW };

static uint32_t field(const struct kedge_delta *d, uint32_t at)
{
    return kedge_le32(d->head + at);
}

/* ---- entropy coder ---- */

static void normalise(struct kedge_delta *d)
{
    if (d->range < 1u << 24) {
        d->range <<= 8;
        d->code <<= 8;
        if (d->in_at < d->in_end) {
            d->code |= d->in[d->in_at++];
        }
    }
}

/* One bit by the cell: its upper twelve bits are the probability of a 0; the others count its first
 * uses, in which it adapts faster. */
static uint32_t bit(struct kedge_delta *d, uint32_t cell)
{
    normalise(d);
    uint32_t value = d->cells[cell];
    const uint32_t count = value & 15u, p = value >> 4;
    const uint32_t shift = count < 2 ? 2 : count + 1;
    const uint32_t bound = (d->range >> 12) * p;
    value += shift < 4;
    if (d->code < bound) {
        d->range = bound;
        d->cells[cell] = (uint16_t)(value + (((4096u - p) >> shift) << 4));
        return 0;
    }
    d->code -= bound;
    d->range -= bound;
    d->cells[cell] = (uint16_t)(value - ((p >> shift) << 4));
    return 1;
}

/* `bits` bits, the highest first, by a tree of 1 << bits cells. */
static uint32_t tree(struct kedge_delta *d, uint32_t cells, uint32_t bits)
{
    uint32_t node = 1;
    do {
        node = node << 1 | bit(d, cells + node);
    } while (node >> bits == 0);
    return node - (1u << bits);
}

/* A number: its length in bits, then the bits below the leading one: two with a cell each, the last
 * two too, those between as they are. Longer than NUMBER_MOST: 0 and TORN. */
static uint32_t number(struct kedge_delta *d, uint32_t kind)
{
    const uint32_t cells = KEDGE_DELTA_NUMBER + kind * KEDGE_DELTA_NUMBER_CELLS;
    const uint32_t bits = tree(d, cells, 5);
    if (bits > NUMBER_MOST) {
        d->why = TORN;
        return 0;
    }
    uint32_t value = 1, low = 1;
    for (uint32_t left = bits; left-- > 0;) {
        uint32_t b;
        if (value < 4) {
            b = bit(d, cells + 32 + 4 * bits + value);
        } else if (left < 2) {
            b = bit(d, cells + 132 + low);
            low = low << 1 | b;
        } else {
            normalise(d);
            d->range >>= 1;
            b = d->code >= d->range;
            d->code -= b ? d->range : 0;
        }
        value = value << 1 | b;
    }
    return value - 1;
}

/* The same with a sign, which is its lowest bit. */
static uint32_t signed_number(struct kedge_delta *d, uint32_t kind)
{
    const uint32_t value = number(d, kind);
    return value >> 1 ^ (0u - (value & 1u));
}

/* A section begins: everything that was learnt is forgotten, so that chunks stand alone. */
static void begin_section(struct kedge_delta *d)
{
    for (uint32_t i = 0; i < KEDGE_DELTA_CELLS; i++) {
        d->cells[i] = HALF << 4;
    }
    d->code = 0;
    for (uint32_t i = 0; i < 4; i++) {
        d->range = 0;
        normalise(d);
    }
    d->range = 0xFFFFFFFFu;
}

/* ---- map ---- */

static uint32_t start_of(const struct kedge_delta *d, uint32_t entry)
{
    return d->map_start[entry] & 0xFFFFFFu;
}

static uint32_t shift_of(const struct kedge_delta *d, uint32_t entry)
{
    return (uint32_t)((int32_t)d->map_start[entry] >> 24) << 16 | d->map_shift[entry];
}

/* How far what lay at `key` has moved: the shift of the last entry that starts at or before it. */
static uint32_t shift_at(const struct kedge_delta *d, uint32_t key)
{
    uint32_t low = 0, high = d->map_count;
    while (low < high) {
        const uint32_t middle = (low + high) >> 1;
        if (start_of(d, middle) <= key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? shift_of(d, low - 1) : 0;
}

/* The place in the old image whose content the map expects at the present place of the new one. */
static uint32_t expected(const struct kedge_delta *d)
{
    uint32_t best = 0, shift = 0;
    for (uint32_t i = 0; i < d->map_count; i++) {
        const uint32_t moved = start_of(d, i) + shift_of(d, i);
        if (start_of(d, i) < field(d, KEDGE_DELTA_OLD_SIZE_AT) && moved <= d->pos &&
            moved >= best) {
            best = moved;
            shift = shift_of(d, i);
        }
    }
    return d->pos - shift;
}

static void map_entry(struct kedge_delta *d)
{
    const uint32_t entry = d->map_count;
    uint32_t start = number(d, 1), shift = signed_number(d, 2);
    if (entry > 0) {
        start += start_of(d, entry - 1);
        shift += shift_of(d, entry - 1);
    }
    if (start > 0xFFFFFFu || shift + 0x800000u > 0xFFFFFFu) {
        d->why = TORN;
        return;
    }
    d->map_start[entry] = start | (shift & 0xFF0000u) << 8;
    d->map_shift[entry] = (uint16_t)shift;
    d->map_count++;
}

/* ---- halfwords of both images ---- */

/* Of the own output (`own` is OWN) or of the old image (0), at an even offset. */
static uint32_t half(struct kedge_delta *d, const struct kedge_transform_env *env, uint32_t own,
                     uint32_t at)
{
    uint32_t end = field(d, KEDGE_DELTA_OLD_SIZE_AT);
    const struct kedge_source_reader *from = &env->old;
    if (own) {
        if (at >= d->pos) {
            return 0;
        }
        end = d->pos & ~PAGE_MASK;
        if (at >= end) {
            return kedge_le16(d->page + (at & PAGE_MASK));
        }
        from = &env->out;
    } else if (at >= end) {
        return 0;
    }
    uint32_t in = (at | own) - d->cached;
    if (in >= d->cache_size) {
        /* from a little before, because the neighbour in front is often asked for next */
        in = at >= 4 ? 4 : at;
        const uint32_t begin = at - in, size = end - begin < CACHE ? end - begin : CACHE;
        const int error = from->read(from->ctx, begin, kedge_buf(d->cache, size));
        if (error != 0) {
            d->failed = (int8_t)error;
            return 0;
        }
        d->cache[size] = 0; /* behind the last byte of an odd size */
        d->cached = begin | own;
        d->cache_size = (uint8_t)size;
    }
    return kedge_le16(d->cache + in);
}

static bool is_first(uint32_t half)
{
    return half >> 11 == 0xF000u >> 11;
}

/* BL or B.W with both J bits set: the second half of a branch within 4 MB. */
static bool is_second(uint32_t half)
{
    return (half | 0x4000u) >> 11 == 0xF800u >> 11;
}

/* The halfword that the copy's source predicts for the present place: references in it still mean
 * what they meant, though both they and what they mean have moved. */
static uint32_t predicted(struct kedge_delta *d, const struct kedge_transform_env *env)
{
    const uint32_t old_size = field(d, KEDGE_DELTA_OLD_SIZE_AT), distance = d->recent[0];
    const uint32_t flags = d->head[KEDGE_DELTA_FLAGS_AT];
    const uint32_t base_moved =
        field(d, KEDGE_DELTA_NEW_BASE_AT) - field(d, KEDGE_DELTA_OLD_BASE_AT);
    const uint32_t own = distance > d->pos ? 0 : OWN;
    const uint32_t at = d->pos - distance + (own ? 0 : old_size);

    const uint32_t here = half(d, env, own, at & ~1u);
    if (at & 1u) {
        return here >> 8 | (half(d, env, own, at + 1) & 0xFFu) << 8;
    }
    if (flags & KEDGE_DELTA_BRANCHES) {
        const uint32_t second = is_first(here) ? 0 : 2;
        const uint32_t other = half(d, env, own, at + 2 - 2 * second);
        const uint32_t a = second ? other : here, b = second ? here : other;
        if (is_first(a) && is_second(b)) {
            /* the offset is 22 bits of halfwords */
            uint32_t to = (uint32_t)((int32_t)((a & 0x7FFu) << 21 | (b & 0x7FFu) << 10) >> 9);
            to += at - second + 4;
            if (!own) {
                to += to < old_size ? shift_at(d, to) : 0u - base_moved;
            }
            to -= d->pos - second + 4;
            return second ? (b & 0xF800u) | (to >> 1 & 0x7FFu) : 0xF000u | (to >> 12 & 0x7FFu);
        }
    }
    if (!own && (flags & KEDGE_DELTA_WORDS)) {
        const uint32_t other = half(d, env, 0, at ^ 2u);
        uint32_t word = at & 2u ? here << 16 | other : other << 16 | here;
        const uint32_t code = word - field(d, KEDGE_DELTA_OLD_BASE_AT);
        const uint32_t ram = word - field(d, KEDGE_DELTA_RAM_BASE_AT);
        if (code < old_size) {
            word += shift_at(d, code) + base_moved;
        } else if (ram < field(d, KEDGE_DELTA_RAM_SIZE_AT)) {
            word += shift_at(d, old_size + ram);
        }
        return at & 2u ? word >> 16 : word & 0xFFFFu;
    }
    return here;
}

/* ---- tokens ---- */

static void put(struct kedge_delta *d, uint32_t half)
{
    kedge_put_le16(d->page + (d->pos & PAGE_MASK), (uint16_t)half);
    d->last = (uint16_t)half;
    d->pos += 2;
    if (d->pos > d->end) {
        d->pos = d->end; /* of an odd size */
    }
}

static void literal(struct kedge_delta *d, const struct kedge_transform_env *env)
{
    const uint32_t history = d->history;
    d->history = (uint8_t)(history << 1 & 7u);
    if (history != 0) {
        const uint32_t near = predicted(d, env);
        const uint32_t since = history & 1u ? 0 : history & 2u ? 1 : 2;
        if (bit(d, KEDGE_DELTA_EQUAL + since * 16 + (near >> 12))) {
            uint32_t low = near + (tree(d, KEDGE_DELTA_DIFFERENCE, 4) << 4);
            low += tree(d, KEDGE_DELTA_DIFFERENCE + 16, 4);
            put(d, (near & 0xFF00u) | (low & 0xFFu));
            return;
        }
    }
    const uint32_t last = d->last >> 8;
    uint32_t high = tree(d, KEDGE_DELTA_HIGH + (last >> 3) * 16, 4);
    high = high << 4 | tree(d, KEDGE_DELTA_HIGH_LOWER + ((last >> 7) * 16 + high) * 16, 4);
    uint32_t low = tree(d, KEDGE_DELTA_LOW + (high >> 2) * 16, 4);
    low = low << 4 | tree(d, KEDGE_DELTA_LOW_LOWER + (high >> 3) * 16, 4);
    put(d, high << 8 | low);
}

/* Where a copy comes from and how many halfwords it has. */
static void begin_copy(struct kedge_delta *d)
{
    const uint32_t old_size = field(d, KEDGE_DELTA_OLD_SIZE_AT), history = d->history;
    uint32_t kind = KEDGE_DELTA_REPEAT_LENGTH, which = 2, distance;
    if (bit(d, KEDGE_DELTA_REPEAT + history)) {
        which = bit(d, KEDGE_DELTA_RECENT_0 + history);
        which += which ? bit(d, KEDGE_DELTA_RECENT_1 + history) : 0;
        distance = d->recent[which];
    } else if (old_size != 0 && bit(d, KEDGE_DELTA_OLD + history)) {
        kind = KEDGE_DELTA_OLD_LENGTH;
        const uint32_t at = expected(d) + signed_number(d, KEDGE_DELTA_OLD_MISS);
        distance = old_size + d->pos - at;
        if (at >= old_size) {
            d->why = TORN;
        }
    } else {
        kind = KEDGE_DELTA_NEW_LENGTH;
        distance = number(d, KEDGE_DELTA_NEW_DISTANCE) + 2;
        if (distance > d->pos) {
            d->why = TORN;
        }
    }
    for (; which > 0; which--) {
        d->recent[which] = d->recent[which - 1];
    }
    d->recent[0] = distance;
    d->history = (uint8_t)((history << 1 | 1u) & 7u);
    d->copy = number(d, kind) + 1;
    if (d->copy > (d->end - d->pos + 1) >> 1) {
        d->why = TORN;
    }
}

/* One token, or as much of it as the page takes. */
static void token(struct kedge_delta *d, const struct kedge_transform_env *env)
{
    if (d->copy == 0) {
        if (!bit(d, KEDGE_DELTA_MATCH + d->history * 2u + (d->pos >> 1 & 1u))) {
            literal(d, env);
            return;
        }
        begin_copy(d);
    }
    while (d->copy > 0 && d->why == RIGHT && d->failed == 0) {
        put(d, predicted(d, env));
        d->copy--;
        if ((d->pos & PAGE_MASK) == 0) {
            return;
        }
    }
}

/* ---- the file ---- */

/* Whether the first 8 bytes of the SHA-256 of [0, size) are the ones at `at` of the header. */
static int check_hash(struct kedge_delta *d, const struct kedge_source_reader *of, uint32_t size,
                      uint32_t at, int differs)
{
    struct kedge_hash_state state;
    uint8_t digest[32];
    kedge_sha256.start(&state);
    for (uint32_t done = 0; done < size; done += PAGE) {
        const uint32_t some = size - done < PAGE ? size - done : PAGE;
        const int error = of->read(of->ctx, done, kedge_buf(d->page, some));
        if (error != 0) {
            return error;
        }
        kedge_sha256.update(&state, kedge_bytes(d->page, some));
    }
    kedge_sha256.finish(&state, digest);
    return memcmp(digest, d->head + at, 8) == 0 ? 0 : differs;
}

/* Words for a wrong base: which one it has to be. */
static void name_old(struct kedge_delta *d)
{
    static const char text[] =
        "made for another image than the one that runs: for the one with SHA-256 ";
    char *to = d->words + sizeof(text) - 1;
    memcpy(d->words, text, sizeof(text));
    for (uint32_t i = 0; i < 16; i++) {
        const uint32_t nibble = d->head[KEDGE_DELTA_OLD_HASH_AT + i / 2] >> (i & 1u ? 0 : 4) & 15u;
        *to++ = (char)(nibble + (nibble < 10 ? '0' : 'a' - 10));
    }
    d->why = WRONG_OLD;
}

static bool in_range(uint32_t value, uint32_t least, uint32_t most)
{
    return value - least <= most - least;
}

static int accept_head(struct kedge_delta *d, const struct kedge_transform_env *env)
{
    const uint32_t old_size = field(d, KEDGE_DELTA_OLD_SIZE_AT);
    const uint32_t new_size = field(d, KEDGE_DELTA_NEW_SIZE_AT);
    const uint8_t log = d->head[KEDGE_DELTA_CHUNK_LOG_AT];
    d->why = NOT_DELTA;
    if (field(d, 0) != KEDGE_DELTA_MAGIC) {
        return KEDGE_E_FORMAT;
    }
    if (d->head[KEDGE_DELTA_VERSION_AT] != 1 || d->head[KEDGE_DELTA_FLAGS_AT] > 3 ||
        d->head[KEDGE_DELTA_WORDS_AT] != KEDGE_DELTA_HEADER / 4 ||
        (log != 0 && !in_range(log, KEDGE_DELTA_CHUNK_LOG_LEAST, KEDGE_DELTA_CHUNK_LOG_MOST)) ||
        old_size > KEDGE_DELTA_SIZE_MOST || !in_range(new_size, 1, KEDGE_DELTA_SIZE_MOST) ||
        (field(d, KEDGE_DELTA_OLD_BASE_AT) & 3u) != 0 ||
        field(d, KEDGE_DELTA_RAM_SIZE_AT) > KEDGE_DELTA_RAM_MOST) {
        return KEDGE_E_UNSUPPORTED;
    }
    d->why = TOO_LARGE;
    if (new_size > env->out.size) {
        return KEDGE_E_SPACE;
    }
    name_old(d);
    if (old_size > env->old.size) {
        return KEDGE_E_SOURCE;
    }
    const int error = check_hash(d, &env->old, old_size, KEDGE_DELTA_OLD_HASH_AT, KEDGE_E_SOURCE);
    if (error == 0) {
        d->why = RIGHT;
    }
    return error;
}

/* The next section: its length is three bytes of input. */
static void expect_section(struct kedge_delta *d, enum phase phase)
{
    d->phase = (uint8_t)phase;
    d->in_at = d->in_end = 0;
    d->left = 3;
}

/* A section has told what it had to tell: nothing of it may be left. */
static void end_section(struct kedge_delta *d)
{
    normalise(d);
    if (d->in_at < d->in_end || d->left > 0) {
        d->why = TORN;
    }
    if (d->pos < field(d, KEDGE_DELTA_NEW_SIZE_AT)) {
        expect_section(d, LENGTH);
    } else {
        d->phase = DONE;
    }
}

static void begin_chunk(struct kedge_delta *d)
{
    const uint32_t new_size = field(d, KEDGE_DELTA_NEW_SIZE_AT);
    const uint32_t log = d->head[KEDGE_DELTA_CHUNK_LOG_AT];
    d->end = log == 0 || new_size - d->pos < 1u << log ? new_size : d->pos + (1u << log);
    d->phase = d->end <= d->given ? SKIP : CHUNK_BEGIN;
}

/* What a chunk knows at its start. */
static void forget(struct kedge_delta *d)
{
    const uint32_t old_size = field(d, KEDGE_DELTA_OLD_SIZE_AT);
    d->recent[0] = old_size != 0 ? old_size : 2; /* the same place of the old image */
    d->recent[1] = 2;
    d->recent[2] = 4;
    d->last = 0;
    d->history = 1;
}

static void begin_map(struct kedge_delta *d)
{
    const uint32_t total = number(d, 0);
    d->map_count = 0;
    d->map_total = (uint16_t)total;
    if (total > KEDGE_DELTA_MAP_MOST) {
        d->why = TORN;
    }
}

static int error_of(const struct kedge_delta *d)
{
    return d->failed != 0 ? d->failed : d->why == RIGHT ? 0 : KEDGE_E_FORMAT;
}

/* Does the next thing for which there is input; false: there was nothing to do. */
static bool step(struct kedge_delta *d, const struct kedge_transform_env *env)
{
    const bool has_token = d->left == 0 || d->in_end - d->in_at >= (int)TOKEN_MOST;
    if (!has_token || error_of(d) != 0) {
        return false;
    }
    switch (d->phase) {
    case MAP_LENGTH:
    case LENGTH:
        d->left = kedge_le16(d->in) | (uint32_t)d->in[2] << 16;
        d->in_end = 0;
        d->phase++;
        if (d->phase == CHUNK_BEGIN) {
            begin_chunk(d);
        }
        break;
    case MAP_BEGIN:
    case CHUNK_BEGIN:
        begin_section(d);
        if (d->phase == MAP_BEGIN) {
            begin_map(d);
        } else {
            forget(d);
        }
        d->phase++;
        break;
    case MAP:
        if (d->map_count < d->map_total) {
            map_entry(d);
        } else {
            end_section(d);
        }
        break;
    case SKIP:
        d->pos = d->end;
        end_section(d);
        break;
    case TOKENS:
        token(d, env);
        if (d->pos == d->end) {
            end_section(d);
        }
        break;
    default: /* HEAD, DONE */
        return false;
    }
    return true;
}

/* ---- the transform ---- */

static int start(void *state, const struct kedge_transform_env *env)
{
    struct kedge_delta *const d = state;
    (void)env;
    memset(d, 0, sizeof(*d));
    return 0;
}

static int push(void *state, const struct kedge_transform_env *env, struct kedge_bytes in,
                size_t *taken)
{
    struct kedge_delta *const d = state;
    uint8_t *to = d->in;
    size_t room;
    *taken = 0;
    if (error_of(d) != 0) {
        return error_of(d);
    }
    if (d->phase == HEAD) {
        to = d->head + d->head_have;
        room = KEDGE_DELTA_HEADER - d->head_have;
    } else if (d->phase == DONE && in.size > 0) {
        d->why = LONG;
        return KEDGE_E_FORMAT;
    } else {
        d->in_end = (uint8_t)(d->in_end - d->in_at);
        memmove(d->in, d->in + d->in_at, d->in_end);
        d->in_at = 0;
        to += d->in_end;
        room = sizeof(d->in) - d->in_end;
        room = d->phase == SKIP || room > d->left ? d->left : room;
    }
    const size_t some = in.size < room ? in.size : room;
    *taken = some;
    if (d->phase != SKIP) {
        memcpy(to, in.at, some);
    }
    if (d->phase != HEAD) {
        d->left -= (uint32_t)some;
        d->in_end = (uint8_t)(d->in_end + (d->phase == SKIP ? 0 : some));
        return 0;
    }
    d->head_have = (uint8_t)(d->head_have + some);
    if (d->head_have < KEDGE_DELTA_HEADER) {
        return 0;
    }
    expect_section(d, MAP_LENGTH);
    return accept_head(d, env);
}

static int pull(void *state, const struct kedge_transform_env *env, struct kedge_buf out,
                size_t *given)
{
    struct kedge_delta *const d = state;
    /* Up to the end of a page at most: what lies before it has to be readable in env.out before the
     * next page can be made. */
    while (d->pos <= d->given || ((d->pos & PAGE_MASK) != 0 && d->pos - d->given < out.size)) {
        if (!step(d, env)) {
            break;
        }
    }
    size_t some = d->pos > d->given ? d->pos - d->given : 0;
    some = some < out.size ? some : out.size;
    memcpy(out.at, d->page + (d->given & PAGE_MASK), some);
    d->given += (uint32_t)some;
    *given = some;
    return error_of(d);
}

static int finish(void *state, const struct kedge_transform_env *env)
{
    struct kedge_delta *const d = state;
    if (d->phase != DONE || d->given < d->pos) {
        d->why = SHORT;
        return KEDGE_E_FORMAT;
    }
    const int error = check_hash(d, &env->out, d->pos, KEDGE_DELTA_NEW_HASH_AT, KEDGE_E_HASH);
    if (error != 0) {
        d->why = WRONG_NEW;
    }
    return error;
}

static uint32_t size(const void *state)
{
    const struct kedge_delta *const d = state;
    return d->phase == HEAD ? 0 : field(d, KEDGE_DELTA_NEW_SIZE_AT);
}

static int seek(void *state, const struct kedge_transform_env *env, uint32_t *out, uint32_t *in)
{
    struct kedge_delta *const d = state;
    (void)env;
    if (*out > size(d)) {
        return KEDGE_E_BOUNDS;
    }
    d->given = *out;
    *in = KEDGE_DELTA_HEADER;
    expect_section(d, MAP_LENGTH);
    return 0;
}

static const char *reason(const void *state, int error)
{
    static const char *const words[] = {
        [NOT_DELTA] = "not a patch, or of a version that is not known here",
        [TOO_LARGE] = "the new image does not fit into the slot",
        [TORN] = "the patch is damaged",
        [SHORT] = "the patch ends too early",
        [LONG] = "something follows behind the end of the patch",
        [WRONG_NEW] = "the result is not the image that the patch promised",
    };
    const struct kedge_delta *const d = state;
    if (d->why == WRONG_OLD) {
        return d->words;
    }
    return d->failed != 0 || d->why == RIGHT ? kedge_error_text(error) : words[d->why];
}

const struct kedge_transform kedge_delta = {
    .name = "delta",
    .state_size = sizeof(struct kedge_delta),
    .start = start,
    .push = push,
    .pull = pull,
    .finish = finish,
    .size = size,
    .seek = seek,
    .reason = reason,
};
