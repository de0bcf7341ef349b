/* Why a layout cannot work, in words that name the region and its numbers. Kept apart from the
 * layout itself: a board's layout is checked when it is made, a loader does not carry this. */
#include "kedge/layout.h"

#define WHY_SIZE   160
#define SECTOR_MIN 4096u

struct named {
    const char *name;
    const struct kedge_region *region;
};

static void put_hex(struct kedge_text *text, uint32_t value)
{
    kedge_text_put(text, "0x");
    kedge_text_number(text, value, 16);
}

/* "primary region (0xc000, 0x71000 bytes): <words>" */
static int refuse(struct kedge_text *text, const struct named *of, int error, const char *words)
{
    kedge_text_put(text, of->name);
    kedge_text_put(text, " region (");
    put_hex(text, of->region->start);
    kedge_text_put(text, ", ");
    put_hex(text, of->region->size);
    kedge_text_put(text, " bytes): ");
    kedge_text_put(text, words);
    return error;
}

static int check_region(const struct named *of, struct kedge_text *text)
{
    const struct kedge_region *const region = of->region;

    if (region->flash == NULL) {
        return refuse(text, of, KEDGE_E_NONE, "it is required, and has no device");
    }
    const struct kedge_geometry *const geometry = &region->flash->geometry;

    if (region->size == 0) {
        return refuse(text, of, KEDGE_E_SPACE, "it is empty");
    }
    if (region->start > geometry->size || region->size > geometry->size - region->start) {
        refuse(text, of, KEDGE_E_BOUNDS, "it runs past its device's end at ");
        put_hex(text, geometry->size);
        return KEDGE_E_BOUNDS;
    }
    if (region->start % geometry->erase_size != 0 || region->size % geometry->erase_size != 0) {
        refuse(text, of, KEDGE_E_ALIGN,
               "start and size must be multiples of its device's sector, ");
        put_hex(text, geometry->erase_size);
        return KEDGE_E_ALIGN;
    }
    return 0;
}

static int check_overlap(const struct named *a, const struct named *b, struct kedge_text *text)
{
    if (a->region->flash == NULL || b->region->flash == NULL ||
        !kedge_region_overlap(a->region, b->region)) {
        return 0;
    }
    refuse(text, a, KEDGE_E_BOUNDS, "it overlaps the ");
    kedge_text_put(text, b->name);
    kedge_text_put(text, " region at ");
    put_hex(text, b->region->start);
    return KEDGE_E_BOUNDS;
}

/* Journal and settings: two equal sectors, each whole flash sectors and at least 4 KiB. */
static int check_sectors(const struct named *of, struct kedge_text *text)
{
    const uint32_t sector = of->region->size / 2;

    if (of->region->size % 2 != 0 || sector < SECTOR_MIN ||
        sector % of->region->flash->geometry.erase_size != 0) {
        return refuse(text, of, KEDGE_E_SPACE,
                      "it must hold two equal sectors of at least 0x1000 bytes each");
    }
    return 0;
}

static int check_slots(const struct kedge_pair *pair, const struct named *named,
                       struct kedge_text *text)
{
    struct kedge_pair made;
    const uint8_t align = pair->primary.max_align;
    const int error =
        kedge_pair_make(&made, named[0].region, named[1].region, named[2].region, align);

    if (align != 8 && align != 16 && align != 32) {
        return refuse(text, &named[0], KEDGE_E_ALIGN, "the trailer alignment must be 8, 16 or 32");
    }
    if (error == KEDGE_E_ALIGN) {
        return refuse(text, &named[0], error,
                      "primary, secondary and backup must be whole units of the larger sector");
    }
    if (error != 0) {
        return refuse(
            text, &named[0], error,
            "no image fits: a slot is too small for trailer and spares, or over 255 units");
    }
    if (made.primary.unit != pair->primary.unit || made.secondary.gap != pair->secondary.gap ||
        made.secondary.units != pair->secondary.units || made.spares != pair->spares) {
        return refuse(text, &named[1], KEDGE_E_STATE, "the pair was not made by kedge_pair_make");
    }
    return 0;
}

int kedge_layout_check(const struct kedge_layout *layout, char *why)
{
    struct kedge_text text = {why, 0, WHY_SIZE};

    kedge_text_put(&text, "");
    if (layout->pair_count != 1 || layout->pairs == NULL) {
        kedge_text_put(&text, "exactly one pair of slots is supported");
        return KEDGE_E_UNSUPPORTED;
    }
    const struct kedge_pair *const pair = layout->pairs;
    const struct named named[] = {
        {"primary", &pair->primary.region}, {"secondary", &pair->secondary.region},
        {"backup", &pair->backup.region},   {"journal", &layout->journal},
        {"settings", &layout->settings},    {"staging", &layout->staging},
    };
    const size_t count = sizeof(named) / sizeof(named[0]);
    const unsigned required = 0x1b; /* all but backup and staging */

    for (size_t i = 0; i < count; i++) {
        const bool needed = (required >> i & 1u) != 0;
        const int error =
            needed || named[i].region->flash != NULL ? check_region(&named[i], &text) : 0;

        if (error != 0) {
            return error;
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            const int error = check_overlap(&named[i], &named[j], &text);

            if (error != 0) {
                return error;
            }
        }
    }
    for (size_t i = 3; i < 5; i++) {
        const int error = check_sectors(&named[i], &text);

        if (error != 0) {
            return error;
        }
    }
    return check_slots(pair, named, &text);
}
