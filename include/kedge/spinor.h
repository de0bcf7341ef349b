/* SPI-NOR driver: JEDEC commands over one bus function. No chip select, register or pin is known
 * here; a board supplies struct kedge_spi_bus. Facts: facts/flash-parts.md, JESD216 (SFDP). */
#ifndef KEDGE_SPINOR_H
#define KEDGE_SPINOR_H

#include "kedge/flash.h"

struct kedge_spi_bus {
    /* One transaction under one chip select: send `head`, then send `out`, then receive `in` (each
     * may be empty). 0 or KEDGE_E_IO. */
    int (*transact)(void *ctx, struct kedge_bytes head, struct kedge_bytes out,
                    struct kedge_buf in);
    void (*wait_us)(void *ctx, uint32_t us); /* at least so long; feeds the watchdog if there is one */
    void *ctx;
};

/* What is known of a part without SFDP, or better than SFDP. Data, not code. */
struct kedge_spinor_part {
    uint8_t id[3]; /* JEDEC id; all 0: the generic part, any id is accepted, SFDP must be there */
    const char *name;
    uint32_t size;
    uint32_t erase_size;    /* smallest, bytes */
    uint32_t erase_max_us;  /* limits for polling: smallest erase, */
    uint32_t block_max_us;  /* 64 K erase, */
    uint32_t page_max_us;   /* page program */
    uint8_t flags;          /* KEDGE_SPINOR_... */
};
#define KEDGE_SPINOR_MX_HIGH_PERFORMANCE 0x01 /* MX25R: set the bit in configuration register 2 */

extern const struct kedge_spinor_part kedge_spinor_mx25r64;
extern const struct kedge_spinor_part kedge_spinor_w25q64;
extern const struct kedge_spinor_part kedge_spinor_gd25q16;
extern const struct kedge_spinor_part kedge_spinor_generic;

struct kedge_spinor {
    const struct kedge_spi_bus *bus;
    const struct kedge_spinor_part *part;
    struct kedge_geometry geometry; /* after probe: from SFDP where the part has it */
    uint32_t pending_max_us;        /* 0: nothing posted */
    uint8_t blocks;                 /* bit 0: 32 K erase, bit 1: 64 K erase available */
    uint8_t alive;
};

extern const struct kedge_flash_ops kedge_spinor_ops;

/* Probe the chip and fill `flash`. On KEDGE_E_DEAD, _FOREIGN or _BUSY `flash` is filled all the
 * same (from the part table), every operation on it returns the error, and ops->probe tries again. */
int kedge_spinor_open(struct kedge_spinor *nor, const struct kedge_spi_bus *bus,
                      const struct kedge_spinor_part *part, struct kedge_flash *flash);

#endif
