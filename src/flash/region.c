/* Regions: the one place where address and length are judged. What passes here is inside the device
 * and aligned, so no driver checks again. */
#include "kedge/flash.h"

/* 0 when [at, at + size) lies inside the region and both are multiples of what the operation needs.
 */
enum operation { READ, PROGRAM, ERASE };

static int check(const struct kedge_region *region, uint32_t at, size_t size,
                 enum operation operation)
{
    uint32_t align = 1;

    if (region->flash == NULL || at > region->size || size > region->size - at)
        return KEDGE_E_BOUNDS;
    if (operation == PROGRAM)
        align = region->flash->geometry.write_block;
    if (operation == ERASE)
        align = region->flash->geometry.erase_size;
    return ((at | (uint32_t)size) & (align - 1)) != 0 ? KEDGE_E_ALIGN : 0;
}

int kedge_region_get(const struct kedge_region *region, uint32_t at, uint8_t *to, size_t size)
{
    const int error = check(region, at, size, READ);

    if (error != 0 || size == 0)
        return error;
    return region->flash->ops->read(region->flash->ctx, region->start + at, kedge_buf(to, size));
}

int kedge_region_put(const struct kedge_region *region, uint32_t at, const uint8_t *from,
                     size_t size)
{
    const int error = check(region, at, size, PROGRAM);

    if (error != 0 || size == 0)
        return error;
    return region->flash->ops->program(region->flash->ctx, region->start + at,
                                       kedge_bytes(from, size));
}

int kedge_region_erase(const struct kedge_region *region, uint32_t at, uint32_t size)
{
    const int error = check(region, at, size, ERASE);

    if (error != 0 || size == 0)
        return error;
    return region->flash->ops->erase(region->flash->ctx, region->start + at, size);
}

int kedge_region_sync(const struct kedge_region *region)
{
    if (region->flash == NULL)
        return KEDGE_E_BOUNDS;
    return region->flash->ops->sync(region->flash->ctx);
}

int kedge_region_blank(const struct kedge_region *region, uint32_t at, uint32_t size,
                       struct kedge_buf scratch, bool *blank)
{
    int error = check(region, at, size, READ);

    KEDGE_ASSERT(scratch.size > 0);
    *blank = false;
    while (error == 0 && size > 0) {
        if (scratch.size > size)
            scratch.size = size;
        error = kedge_region_read(region, at, scratch);
        if (error == 0 &&
            !kedge_all(kedge_bytes(scratch.at, scratch.size), region->flash->geometry.erased))
            return 0;
        at += (uint32_t)scratch.size;
        size -= (uint32_t)scratch.size;
    }
    *blank = error == 0;
    return error;
}

bool kedge_region_overlap(const struct kedge_region *a, const struct kedge_region *b)
{
    if (a->flash == NULL || a->flash != b->flash)
        return false;
    if (a->start <= b->start)
        return b->size > 0 && a->size > b->start - a->start;
    return a->size > 0 && b->size > a->start - b->start;
}
