/* How four regions become a pair of slots (SWAP.md 2). */
#include "kedge/layout.h"

#define SPARES_WANTED 2
/* A plan holds 8 bytes a unit; image bases and units are counted in bytes (SWAP.md 3.1). */
#define UNITS_MAX 255

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct kedge_slot make_slot(const struct kedge_region *region, uint32_t unit, uint32_t units,
                                   uint32_t gap, uint32_t last_base, uint8_t max_align)
{
    return (struct kedge_slot){
        .region = *region,
        .unit = unit,
        .units = (uint16_t)units,
        .gap = (uint16_t)gap,
        .last_base = (uint8_t)last_base,
        .max_align = max_align,
    };
}

int kedge_pair_make(struct kedge_pair *pair, const struct kedge_region *primary,
                    const struct kedge_region *secondary, const struct kedge_region *backup,
                    uint8_t max_align)
{
    const uint32_t erase_p = primary->flash->geometry.erase_size;
    const uint32_t erase_s = secondary->flash->geometry.erase_size;
    /* both are powers of two: the larger one is the lowest common multiple */
    const uint32_t unit = erase_p > erase_s ? erase_p : erase_s;
    const uint32_t n = primary->size / unit;
    const uint32_t m = secondary->size / unit;

    if (primary->size % unit != 0 || secondary->size % unit != 0) {
        return KEDGE_E_ALIGN;
    }
    const uint32_t seen = least(n, m); /* the slot as the application sees it, mailbox last */
    const uint32_t behind = least(m - seen, SPARES_WANTED);
    const uint32_t spares = behind != 0 ? behind : SPARES_WANTED;
    const uint32_t units = seen - 1 + behind;

    if (n < 2 || m < 2 || n > UNITS_MAX || units <= spares) {
        return KEDGE_E_SPACE;
    }
    *pair = (struct kedge_pair){
        .primary = make_slot(primary, unit, n - 1, n - 1, 0, max_align),
        .secondary = make_slot(secondary, unit, units, seen - 1, spares, max_align),
        .spares = (uint8_t)spares,
    };
    if (backup == NULL || backup->flash == NULL) {
        return 0;
    }
    if (backup->size % unit != 0 || unit % backup->flash->geometry.erase_size != 0) {
        return KEDGE_E_ALIGN;
    }
    const uint32_t backup_units = least(backup->size / unit, n - 1);

    pair->backup = make_slot(backup, unit, backup_units, KEDGE_SLOT_NO_GAP, 0, max_align);
    return backup_units * unit < kedge_pair_max_image(pair) ? KEDGE_E_SPACE : 0;
}

uint32_t kedge_pair_max_image(const struct kedge_pair *pair)
{
    return least(pair->primary.units, (uint32_t)pair->secondary.units - pair->spares) *
           pair->primary.unit;
}
