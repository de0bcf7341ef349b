/* A flash device: an ops table, a context, a geometry. Regions check bounds and alignment once.
 *
 * Operations are *posted*: program() and erase() may return while the device still works. The next
 * call on the same device waits for it first; sync() waits and returns the error of the posted
 * operation. This is how the external chip erases while the internal flash is being written: nobody
 * needs a thread or a callback. A device that blocks (NVMC) has a sync() that returns 0.
 *
 * After a power cut inside program(): any subset of the bits may have changed. Inside erase(): old
 * content, a mix, all zeros, or ones that are weak (SWAP.md 0). Nothing else on the device moves.
 */
#ifndef KEDGE_FLASH_H
#define KEDGE_FLASH_H

#include "kedge/base.h"

struct kedge_geometry {
    uint32_t size;        /* bytes of the device */
    uint32_t erase_size;  /* smallest sector, bytes, power of two */
    uint32_t page_size;   /* largest single program, bytes, power of two (NVMC: its write block) */
    uint32_t write_block; /* smallest program, bytes, power of two; 1 for NOR, 4 for NVMC */
    uint8_t erased;       /* what an erased byte reads: 0xFF or 0x00 */
};

struct kedge_flash_ops {
    /* Fill `to` from device address `at`. Waits for a posted operation. */
    int (*read)(void *ctx, uint32_t at, struct kedge_buf to);
    /* Program `from` at `at`; both multiples of write_block; the place is erased (or holds the same
     * bits). May cross pages; the driver splits. The last page may still be under way on return. */
    int (*program)(void *ctx, uint32_t at, struct kedge_bytes from);
    /* Erase [at, at + size), multiples of erase_size. The driver picks larger blocks where they
     * fit. The last one may still be under way on return. */
    int (*erase)(void *ctx, uint32_t at, uint32_t size);
    /* Wait for the posted operation; its error. */
    int (*sync)(void *ctx);
    /* 0 when the device answers as configured, else KEDGE_E_DEAD, _FOREIGN, _BUSY. (Re)initialises:
     * waits for a command that a warm reset left running, releases deep power-down. */
    int (*probe)(void *ctx);
};

struct kedge_flash {
    const struct kedge_flash_ops *ops;
    void *ctx;
    struct kedge_geometry geometry;
};

/* A part of a device. Offsets of the functions below are relative to `start`. */
struct kedge_region {
    const struct kedge_flash *flash; /* NULL: the board has no such region */
    uint32_t start;                  /* device address, multiple of erase_size */
    uint32_t size;                   /* bytes, multiple of erase_size */
};

/* KEDGE_E_BOUNDS / KEDGE_E_ALIGN before the device is touched; else the device's own result. */
int kedge_region_get(const struct kedge_region *region, uint32_t at, uint8_t *to, size_t size);
int kedge_region_put(const struct kedge_region *region, uint32_t at, const uint8_t *from,
                     size_t size);
KEDGE_INLINE int kedge_region_read(const struct kedge_region *region, uint32_t at,
                                   struct kedge_buf to)
{
    return kedge_region_get(region, at, to.at, to.size);
}
KEDGE_INLINE int kedge_region_program(const struct kedge_region *region, uint32_t at,
                                      struct kedge_bytes from)
{
    return kedge_region_put(region, at, from.at, from.size);
}
int kedge_region_erase(const struct kedge_region *region, uint32_t at, uint32_t size);
int kedge_region_sync(const struct kedge_region *region);

/* Reads [at, at + size) in steps of `scratch` and sets *blank when every byte is erased. */
int kedge_region_blank(const struct kedge_region *region, uint32_t at, uint32_t size,
                       struct kedge_buf scratch, bool *blank);

/* True when the two regions share a byte of the same device. */
bool kedge_region_overlap(const struct kedge_region *a, const struct kedge_region *b);

#endif
