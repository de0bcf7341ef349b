/* A slot: a region seen as units in which an image lies at a base, with the mailbox sector left out
 * (SWAP.md 2). Loader, agent and host tool all find and read images through this. */
#ifndef KEDGE_SLOT_H
#define KEDGE_SLOT_H

#include "kedge/flash.h"
#include "kedge/image.h"
#include "kedge/trailer.h"

/*  primary    | 0 | 1 | ... | n-2 | trailer |                      gap = n-1, nothing behind
 *  secondary  | 0 | 1 | ... | n-2 | mailbox | n-1 | n |            gap = n-1, spares behind (s = 2)
 *  backup     | 0 | 1 | ... | n-2 |                                no gap */
#define KEDGE_SLOT_NO_GAP 0xFFFFu
struct kedge_slot {
    struct kedge_region region;
    uint32_t unit;     /* bytes: copy granule, a multiple of the region's erase size */
    uint16_t units;    /* image units that the region holds, spares included, gap not counted */
    uint16_t gap;      /* sector number (in units) of trailer or mailbox; KEDGE_SLOT_NO_GAP: none */
    uint8_t last_base; /* highest base at which an image may start: 0 (primary, backup) or s */
    uint8_t max_align; /* trailer alignment: 8, 16, 32 */
};

/* Region offset of unit u: u * unit before the gap, (u + 1) * unit behind it. */
uint32_t kedge_slot_unit_at(const struct kedge_slot *slot, uint32_t u);

/* Read image bytes [at, at + to.size) of the image that starts at unit `base`; crosses units and
 * the gap as needed. KEDGE_E_BOUNDS past the last unit. */
int kedge_slot_read(const struct kedge_slot *slot, uint8_t base, uint32_t at, struct kedge_buf to);

/* The same as a source for the image functions; `view` must outlive the source. Its size is all
 * units from the base on; who may not take so much (kedge_pair_max_image) lowers source.size. */
struct kedge_slot_view {
    const struct kedge_slot *slot;
    uint8_t base;
};
struct kedge_source kedge_slot_source(const struct kedge_slot_view *view);

/* Lowest base in [from, last_base] at which a parsable image lies: its base, or KEDGE_E_NONE;
 * KEDGE_E_IO when there is none and one of the places could not be read. */
int kedge_slot_find(const struct kedge_slot *slot, uint8_t from, struct kedge_image *image);

/* Reads the trailer's tail and parses it. reads is 3: bitwise majority of three reads; or 1: a
 * plain read. Requires a gap: that is where the trailer lies, at its end. A flash error. */
int kedge_slot_trailer(const struct kedge_slot *slot, unsigned reads,
                       struct kedge_trailer *trailer);

#endif
