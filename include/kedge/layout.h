/* The layout: which regions there are. A board supplies it as const data; the virtual device reads
 * it from a file. One image pair today; the type holds more. */
#ifndef KEDGE_LAYOUT_H
#define KEDGE_LAYOUT_H

#include "kedge/slot.h"

struct kedge_pair {
    struct kedge_slot primary, secondary, backup; /* backup.region.flash NULL: none */
    uint8_t spares;                               /* s of SWAP.md 2: 1 or 2 */
};

struct kedge_layout {
    const struct kedge_pair *pairs;
    uint8_t pair_count; /* 1 */
    struct kedge_region journal, settings, staging;
};

/* Fill a pair from four regions as SWAP.md 2 lays them out. unit = lcm of the erase sizes.
 * secondary holds n + s units where n = primary units; where it holds only n, the spares come out
 * of it. KEDGE_E_ALIGN, KEDGE_E_SPACE when it cannot work. */
int kedge_pair_make(struct kedge_pair *pair, const struct kedge_region *primary,
                    const struct kedge_region *secondary, const struct kedge_region *backup,
                    uint8_t max_align);

/* Largest image in bytes that a swap can take: (n - 1) units, or n - 1 - s. */
uint32_t kedge_pair_max_image(const struct kedge_pair *pair);

/* 0 or the first reason why it cannot work, in words into `why` (at least 160 bytes): overlap,
 * region past the device's end, sector mismatch, slot too small, journal under two sectors. */
int kedge_layout_check(const struct kedge_layout *layout, char *why);

#endif
