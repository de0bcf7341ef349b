/* Suffix array over the normalised old image, hash chains in the normalised new one. Both only
 * propose; what counts is what the decoder would predict. */
#include "delta_find.h"

#include <divsufsort.h>
#include <stdlib.h>
#include <string.h>

#include "delta_code.h"

#define COMPARE_MOST 512u  /* bytes: longer equal stretches are all the same to the search */
#define NEIGHBOURS   9u    /* on each side in the suffix array */
#define LONG         1024u /* halfwords: in a run this long nothing better is looked for, */
#define LONG_END     64u   /* but near its end */
#define HASH_BITS    16u
#define DEPTH        400u /* of the chains of four bytes */
#define DEPTH_PAIR   2u   /* and of two */
#define PROPOSALS    32u

/* ---- suffix array ---- */

struct suffixes {
    const uint8_t *at;
    uint32_t size;
    int32_t *order;
};

static int sort_suffixes(struct suffixes *s, const uint8_t *at, uint32_t size)
{
    *s = (struct suffixes){.at = at, .size = size, .order = malloc((size + 1u) * sizeof(int32_t))};
    if (s->order == NULL || (size > 0 && divsufsort(at, s->order, (int32_t)size) != 0)) {
        return KEDGE_E_SPACE;
    }
    return 0;
}

static uint32_t common(const uint8_t *a, const uint8_t *b, uint32_t most)
{
    uint32_t n = 0;
    while (n < most && a[n] == b[n]) {
        n++;
    }
    return n;
}

/* Where text would stand: the number of suffixes before it. */
static uint32_t rank_of(const struct suffixes *s, const uint8_t *text, uint32_t size)
{
    const uint32_t most = size < COMPARE_MOST ? size : COMPARE_MOST;
    uint32_t low = 0, high = s->size;
    while (low < high) {
        const uint32_t middle = (low + high) / 2, at = (uint32_t)s->order[middle];
        const uint32_t here = s->size - at < most ? s->size - at : most;
        const int order = memcmp(s->at + at, text, here);
        if (order < 0 || (order == 0 && here < most)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- the first alignment ---- */

/* The image without its references: what a linker changes is 0. */
static uint8_t *masked(const struct delta_pair *pair, const struct delta_side *side, uint32_t base)
{
    uint8_t *const bytes = malloc(side->size + 4u);
    if (bytes == NULL) {
        return NULL;
    }
    memcpy(bytes, side->at, side->size);
    for (uint32_t at = 0; at + 4 <= side->size; at += 4) {
        const uint32_t word = kedge_le32(side->at + at);
        if (word - base < side->size || word - pair->ram_base < pair->ram_size) {
            memset(bytes + at, 0, 4);
        }
    }
    for (uint32_t at = 0; at + 4 <= side->size; at += 2) {
        if (delta_branch(side, at) != UINT32_MAX) {
            kedge_put_le16(bytes + at, 0xF000);
            kedge_put_le16(bytes + at + 2, kedge_le16(side->at + at + 2) & 0xF800);
        }
    }
    return bytes;
}

static uint32_t longest(const struct suffixes *s, const uint8_t *text, uint32_t size,
                        uint32_t *from)
{
    const uint32_t rank = rank_of(s, text, size);
    uint32_t best = 0;
    for (uint32_t i = rank > 0 ? rank - 1 : 0; i <= rank && i < s->size; i++) {
        const uint32_t at = (uint32_t)s->order[i];
        const uint32_t most = s->size - at < size ? s->size - at : size;
        const uint32_t length = common(s->at + at, text, most);
        if (length > best) {
            best = length;
            *from = at;
        }
    }
    return best;
}

/* How far from (a, b) on, in direction `step`, the two agree so mostly that it pays to call them
 * the same: the length where agreements less disagreements are most. */
static uint32_t extend(const uint8_t *a, const uint8_t *b, uint32_t most, int step)
{
    int32_t score = 0, best = 0;
    uint32_t length = 0;
    for (uint32_t i = 0; i < most && score > best - 64; i++) {
        const ptrdiff_t at = step > 0 ? (ptrdiff_t)i : -(ptrdiff_t)i - 1;
        score += a[at] == b[at] ? 1 : -1;
        if (score > best) {
            best = score;
            length = i + 1;
        }
    }
    return length;
}

/* A new alignment starts where the best match beats what the present one explains by this much. */
#define BETTER 8u

int delta_walk(const struct delta_pair *pair, uint32_t *alignment)
{
    const uint32_t size = pair->now.size, old_size = pair->old.size;
    struct suffixes s = {0};
    uint8_t *const a = masked(pair, &pair->old, pair->old_base);
    uint8_t *const b = masked(pair, &pair->now, pair->new_base);
    int error = a != NULL && b != NULL ? sort_suffixes(&s, a, old_size) : KEDGE_E_SPACE;
    for (uint32_t i = 0; i * 2 < size; i++) {
        alignment[i] = DELTA_NONE;
    }
    uint32_t pos = 0, distance = old_size, covered = 0;
    while (error == 0 && pos < size) {
        uint32_t from = 0;
        const uint32_t length = longest(&s, b + pos, size - pos, &from);
        const uint32_t same = old_size + pos - from;
        /* what goes on in step with the one before explains as much: stay */
        uint32_t explained = 0;
        const uint32_t stay = old_size + pos - distance;
        for (uint32_t i = 0; i < length && stay + i < old_size; i++) {
            explained += a[stay + i] == b[pos + i];
        }
        if (length == 0 || (same != distance && length < explained + BETTER)) {
            pos += length > 16 ? length / 2 : 1;
            continue;
        }
        const uint32_t most = size - pos < old_size - from ? size - pos : old_size - from;
        const uint32_t ahead = extend(a + from, b + pos, most, 1);
        uint32_t room = pos - covered < from ? pos - covered : from;
        const uint32_t behind = extend(a + from, b + pos, room, -1);
        for (uint32_t i = (pos - behind + 1) / 2; i < (pos + ahead) / 2; i++) {
            alignment[i] = same;
        }
        distance = same;
        covered = pos + ahead;
        pos = covered > pos + length ? covered : pos + length;
    }
    free(s.order);
    free(a);
    free(b);
    return error;
}

/* ---- candidates ---- */

uint32_t delta_run_length(const struct delta_find *find, struct delta_run *runs, uint32_t i,
                          uint32_t distance)
{
    const struct delta_pair *const pair = find->pair;
    struct delta_run *const run = &runs[(distance * 0x9E3779B1u) >> 15];
    if (run->distance == distance && run->from <= i && i <= run->to) {
        return run->to - i;
    }
    const uint32_t end = (pair->now.size + 1) / 2;
    uint32_t to = i;
    for (; to < end; to++) {
        const uint32_t half = delta_half(&pair->now, to * 2);
        const uint32_t differs = half ^ delta_predict(pair, to * 2, distance);
        if ((to * 2 + 1 < pair->now.size ? differs : differs & 0xFFu) != 0) {
            break;
        }
    }
    *run = (struct delta_run){.distance = distance, .from = i, .to = to};
    return to - i;
}

static bool add(struct delta_find *find, uint32_t distance, uint32_t length)
{
    if (find->count == find->room) {
        const size_t room = find->room * 2 + 4096;
        void *const at = realloc(find->candidates, room * sizeof(*find->candidates));
        if (at == NULL) {
            return false;
        }
        find->candidates = at;
        find->room = room;
    }
    find->candidates[find->count++] = (struct delta_candidate){distance, length};
    return true;
}

/* Proposals from the old image, by how far they are from what the map expects. */
struct proposals {
    uint32_t count;
    uint32_t miss[PROPOSALS], distance[PROPOSALS];
};

static void propose(struct proposals *p, const struct delta_find *find, uint32_t i, uint32_t at)
{
    const uint32_t distance = find->pair->old.size + i * 2 - at;
    const uint32_t miss = delta_zigzag(at - find->expected[i]);
    uint32_t slot = p->count;
    if (at >= find->pair->old.size || slot == PROPOSALS) {
        return;
    }
    for (; slot > 0 && p->miss[slot - 1] >= miss; slot--) {
        if (p->miss[slot - 1] == miss) {
            return;
        }
    }
    memmove(p->miss + slot + 1, p->miss + slot, (p->count - slot) * sizeof(uint32_t));
    memmove(p->distance + slot + 1, p->distance + slot, (p->count - slot) * sizeof(uint32_t));
    p->miss[slot] = miss;
    p->distance[slot] = distance;
    p->count++;
}

/* Old candidates of halfword i: each longer than all cheaper ones. The longest is returned. */
static uint32_t find_old(struct delta_find *find, const struct suffixes *s, const uint8_t *text,
                         uint32_t i, uint32_t aligned, bool *room)
{
    const uint32_t old_size = find->pair->old.size, pos = i * 2;
    struct proposals p = {0};
    uint32_t best = 0;
    propose(&p, find, i, find->expected[i]);
    propose(&p, find, i, pos); /* the same place */
    if (aligned != DELTA_NONE) {
        propose(&p, find, i, old_size + pos - aligned);
    }
    for (uint32_t k = 0; k < p.count; k++) {
        const uint32_t length = delta_run_length(find, find->runs, i, p.distance[k]);
        best = length > best ? length : best;
    }
    if (best < LONG) {
        const uint32_t rank = rank_of(s, text + pos, find->pair->now.size - pos);
        const uint32_t low = rank > NEIGHBOURS ? rank - NEIGHBOURS : 0;
        for (uint32_t k = low; k < rank + NEIGHBOURS && k < s->size; k++) {
            propose(&p, find, i, (uint32_t)s->order[k]);
        }
    }
    best = 0;
    for (uint32_t k = 0; k < p.count; k++) {
        const uint32_t length = delta_run_length(find, find->runs, i, p.distance[k]);
        if (length > best) {
            best = length;
            *room &= add(find, p.distance[k], length);
        }
    }
    return best;
}

struct chains {
    uint32_t head[1u << HASH_BITS], head_pair[1u << HASH_BITS];
    uint32_t *next, *next_pair; /* by byte offset */
};

static uint32_t hash_of(const uint8_t *at)
{
    return (kedge_le32(at) * 0x9E3779B1u) >> (32 - HASH_BITS);
}

static void insert(struct chains *chains, const uint8_t *text, uint32_t size, uint32_t at)
{
    if (at + 4 <= size) {
        uint32_t *const head = &chains->head[hash_of(text + at)];
        chains->next[at] = *head;
        *head = at;
    }
    if (at + 2 <= size) {
        uint32_t *const head = &chains->head_pair[kedge_le16(text + at)];
        chains->next_pair[at] = *head;
        *head = at;
    }
}

/* Own candidates of halfword i, nearest first, each longer than all nearer ones. */
static void find_own(struct delta_find *find, const struct chains *chains, const uint8_t *text,
                     uint32_t i, bool *room)
{
    const uint32_t size = find->pair->now.size, pos = i * 2;
    uint32_t best = 0;
    if (pos + 2 > size) {
        return;
    }
    uint32_t at = chains->head_pair[kedge_le16(text + pos)];
    for (uint32_t depth = 0; at != DELTA_NONE && depth < DEPTH_PAIR; depth++) {
        const uint32_t length = pos - at >= 2 ? delta_run_length(find, find->runs, i, pos - at) : 0;
        if (length > best) {
            best = length;
            *room &= add(find, pos - at, length);
        }
        at = chains->next_pair[at];
    }
    if (pos + 4 > size) {
        return;
    }
    at = chains->head[hash_of(text + pos)];
    for (uint32_t depth = 0; at != DELTA_NONE && depth < DEPTH; depth++) {
        const uint32_t here = at;
        at = chains->next[at];
        if (pos - here < 2 || pos + best * 2 + 2 > size ||
            memcmp(text + here, text + pos, best * 2 + 2) != 0) {
            continue;
        }
        const uint32_t length = delta_run_length(find, find->runs, i, pos - here);
        if (length > best) {
            best = length;
            *room &= add(find, pos - here, length);
        }
    }
}

static int find_all(struct delta_find *find, const struct suffixes *s, struct chains *chains,
                    const uint8_t *text, const uint32_t *alignment)
{
    const uint32_t size = find->pair->now.size, halves = (size + 1) / 2;
    uint32_t look_from = 0;
    bool room = true;
    memset(chains->head, 0xFF, sizeof(chains->head));
    memset(chains->head_pair, 0xFF, sizeof(chains->head_pair));
    for (uint32_t i = 0; i < halves; i++) {
        find->begin[i] = (uint32_t)find->count;
        if (i >= look_from) {
            uint32_t best = 0;
            if (s->size > 0) {
                best = find_old(find, s, text, i, alignment[i], &room);
            }
            if (best < LONG) {
                find_own(find, chains, text, i, &room);
            } else {
                look_from = i + best - LONG_END;
            }
        }
        insert(chains, text, size, i * 2);
        insert(chains, text, size, i * 2 + 1);
    }
    find->begin[halves] = (uint32_t)find->count;
    return room ? 0 : KEDGE_E_SPACE;
}

int delta_find_make(struct delta_find *find, const struct delta_pair *pair,
                    const uint32_t *alignment)
{
    const uint32_t halves = (pair->now.size + 1) / 2;
    struct suffixes s = {0};
    struct chains *const chains = malloc(sizeof(*chains));
    uint32_t *const next = malloc(pair->now.size * sizeof(uint32_t) * 2 + 16);
    uint8_t *const a = delta_normalised(&pair->old), *const b = delta_normalised(&pair->now);
    *find = (struct delta_find){.pair = pair};
    find->runs = calloc(DELTA_RUNS, sizeof(*find->runs));
    find->rests = calloc(DELTA_RUNS, sizeof(*find->rests));
    find->expected = malloc(halves * sizeof(uint32_t));
    find->begin = malloc((halves + 1) * sizeof(uint32_t));
    int error = KEDGE_E_SPACE;
    if (chains != NULL && next != NULL && a != NULL && b != NULL && find->runs != NULL &&
        find->rests != NULL && find->expected != NULL && find->begin != NULL) {
        error = sort_suffixes(&s, a, pair->old.size);
    }
    if (error == 0) {
        chains->next = next;
        chains->next_pair = next + pair->now.size;
        for (uint32_t i = 0; i < halves; i++) {
            find->expected[i] = delta_expected(pair, i * 2);
        }
        error = find_all(find, &s, chains, b, alignment);
    }
    free(s.order);
    free(chains);
    free(next);
    free(a);
    free(b);
    return error;
}

void delta_find_drop(struct delta_find *find)
{
    free(find->runs);
    free(find->rests);
    free(find->expected);
    free(find->begin);
    free(find->candidates);
}
