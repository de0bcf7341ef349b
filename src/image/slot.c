/* Reading through a slot: units, base, and the gap where trailer or mailbox lies. */
#include "kedge/slot.h"

#include <string.h>

/* Pieces in which the trailer is voted on. */
#define PIECE 8

uint32_t kedge_slot_unit_at(const struct kedge_slot *slot, uint32_t u)
{
    return (u < slot->gap ? u : u + 1) * slot->unit;
}

int kedge_slot_read(const struct kedge_slot *slot, uint8_t base, uint32_t at, struct kedge_buf to)
{
    while (to.size > 0) {
        const uint32_t u = base + at / slot->unit;
        const uint32_t inside = at % slot->unit;
        const uint32_t left = slot->unit - inside;
        const uint32_t n = to.size < left ? (uint32_t)to.size : left;

        if (u >= slot->units) {
            return KEDGE_E_BOUNDS;
        }
        const int error = kedge_region_read(&slot->region, kedge_slot_unit_at(slot, u) + inside,
                                            kedge_buf(to.at, n));
        if (error != 0) {
            return error;
        }
        at += n;
        to.at += n;
        to.size -= n;
    }
    return 0;
}

static int read_view(const void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct kedge_slot_view *const view = ctx;

    return kedge_slot_read(view->slot, view->base, at, to);
}

struct kedge_source kedge_slot_source(const struct kedge_slot_view *view)
{
    KEDGE_ASSERT(view->base <= view->slot->units);
    return (struct kedge_source){
        .read = read_view,
        .ctx = view,
        .size = (uint32_t)(view->slot->units - view->base) * view->slot->unit,
    };
}

int kedge_slot_find(const struct kedge_slot *slot, uint8_t from, struct kedge_image *image)
{
    int result = KEDGE_E_NONE;

    for (unsigned base = from; base <= slot->last_base; base++) {
        const struct kedge_slot_view view = {.slot = slot, .base = (uint8_t)base};
        const struct kedge_source source = kedge_slot_source(&view);
        const enum kedge_verdict verdict = kedge_image_parse(&source, image);

        if (verdict == KEDGE_IMAGE_GOOD) {
            return (int)base;
        }
        if (verdict == KEDGE_IMAGE_UNREADABLE) {
            result = KEDGE_E_IO; /* but the next base may be readable */
        }
    }
    return result;
}

/* Read one piece `reads` times: the bits that two reads saw, of one read those that it saw. */
static int vote(const struct kedge_slot *slot, uint32_t at, unsigned reads, uint8_t *piece)
{
    uint8_t once[PIECE] = {0};
    uint8_t twice[PIECE] = {0};
    uint8_t now[PIECE];

    for (unsigned i = 0; i < reads; i++) {
        const int error = kedge_region_read(&slot->region, at, kedge_buf(now, sizeof(now)));

        if (error != 0) {
            return error;
        }
        for (size_t b = 0; b < PIECE; b++) {
            twice[b] = (uint8_t)(twice[b] | (once[b] & now[b]));
            once[b] |= now[b];
        }
    }
    memcpy(piece, reads == 1 ? once : twice, PIECE);
    return 0;
}

int kedge_slot_trailer(const struct kedge_slot *slot, unsigned reads, struct kedge_trailer *trailer)
{
    const uint32_t size = kedge_trailer_place(slot->max_align).size;
    const uint32_t start = (slot->gap + 1u) * slot->unit - size;
    uint8_t tail[KEDGE_TRAILER_SIZE_MAX];

    KEDGE_ASSERT(slot->gap != KEDGE_SLOT_NO_GAP && (reads == 1 || reads == 3));
    for (uint32_t at = 0; at < size; at += PIECE) {
        const int error = vote(slot, start + at, reads, tail + at);

        if (error != 0) {
            return error;
        }
    }
    *trailer = kedge_trailer_parse(kedge_bytes(tail, size), slot->max_align,
                                   slot->region.flash->geometry.erased);
    return 0;
}
