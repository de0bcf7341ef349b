/* SPI-NOR driver: JEDEC commands over one bus function. No chip select, register or pin is known
 * here; a board supplies struct kedge_spi_bus. Facts: facts/flash-parts.md, JESD216 (SFDP).
 *
 * Chips above 16 MiB are addressed by four bytes in commands of their own (13h, 12h, 21h, DCh), so
 * a mode that an application left behind does not matter.
 *
 * Errors of every operation: KEDGE_E_DEAD (status reads 0xFF, or write enable has no effect),
 * KEDGE_E_BUSY (longer than its longest time; stays until the next probe), KEDGE_E_PROTECTED (any
 * block-protect bit is set: nothing is programmed or erased), KEDGE_E_IO (the bus). Status is read
 * three times and the majority counts. Contents are not read back: that is the caller's. */
#ifndef KEDGE_SPINOR_H
#define KEDGE_SPINOR_H

#include "kedge/flash.h"

struct kedge_spi_bus {
    /* One transaction under one chip select: send `head`, then send `out`, then receive `in` (each
     * may be empty; not both of the last two are given). What is programmed must lie where the bus
     * can fetch it, which is RAM where a DMA does it. 0 or KEDGE_E_IO. */
    int (*transact)(void *ctx, struct kedge_bytes head, struct kedge_bytes out,
                    struct kedge_buf in);
    /* At least so long; feeds the watchdog if there is one. */
    void (*wait_us)(void *ctx, uint32_t us);
    void *ctx;
};

struct kedge_spinor;

/* What is known of a part without SFDP, or better than SFDP. Data, not code. */
struct kedge_spinor_part {
    uint8_t id[3]; /* JEDEC id; all 0: the generic part, any id is accepted, SFDP must be there */
    uint8_t flags; /* KEDGE_SPINOR_... */
    uint16_t page_size;
    uint32_t size;
    uint32_t erase_size;   /* smallest, bytes; erased by command 20h (64 KiB: D8h, by blocks) */
    uint32_t erase_max_us; /* limits for polling: smallest erase, */
    uint32_t block_max_us; /* 64 K erase (0: the part has no 32 K and 64 K erase), */
    uint32_t page_max_us;  /* page program */
    /* What a smaller loader does not link. kedge_spinor_sfdp; NULL: this entry is all there is to
     * know. kedge_spinor_erase_blocks; NULL: one command a sector. */
    int (*sfdp)(struct kedge_spinor *nor);
    int (*erase)(struct kedge_spinor *nor, uint32_t at, uint32_t size);
};
#define KEDGE_SPINOR_MX_HIGH_PERFORMANCE 0x01 /* MX25R: set the bit in configuration register 2 */
#define KEDGE_SPINOR_32K                 0x02 /* has these erases */
#define KEDGE_SPINOR_64K                 0x04
#define KEDGE_SPINOR_LARGE               0x1000000u /* a chip larger than this has addresses of four bytes */

/* The same chip with its SFDP read, and from the table alone (a smaller loader). Known parts must
 * have the size of the entry, whatever SFDP says, else KEDGE_E_FOREIGN. */
extern const struct kedge_spinor_part kedge_spinor_mx25r64;
extern const struct kedge_spinor_part kedge_spinor_mx25r64_table;
extern const struct kedge_spinor_part kedge_spinor_w25q64;
extern const struct kedge_spinor_part kedge_spinor_gd25q16;
extern const struct kedge_spinor_part kedge_spinor_generic;

struct kedge_spinor {
    const struct kedge_spi_bus *bus;
    const struct kedge_spinor_part *part;  /* of the chip that answered: `entry`, or `found` */
    const struct kedge_spinor_part *entry; /* what the board says */
    uint32_t pending_max_us;               /* limit of the posted operation; 0: nothing posted */
    int error; /* of the last probe or a time-out; every operation returns it */
    struct kedge_spinor_part found; /* the entry and, in place of its figures, those of SFDP */
};

extern const struct kedge_flash_ops kedge_spinor_ops;

/* Take geometry, erase types and time limits from the chip's SFDP (JESD216: header, first parameter
 * table, 9 or more words). Every value is checked; two readings must agree; what is nonsense leaves
 * the table entry as it was. 0; KEDGE_E_FOREIGN when the size contradicts a known part, or when a
 * generic one has no usable SFDP; KEDGE_E_IO. For the part table's use; nobody else calls it. */
int kedge_spinor_sfdp(struct kedge_spinor *nor);

/* Erase by 64 K and 32 K blocks where they fit. For the part table's use. */
int kedge_spinor_erase_blocks(struct kedge_spinor *nor, uint32_t at, uint32_t size);

/* One program or erase command (3-byte address in the low half, 4-byte sister in the high half);
 * the chip works on when this returns. For kedge_spinor_erase_blocks(). */
int kedge_spinor_post(struct kedge_spinor *nor, uint32_t command, uint32_t at,
                      struct kedge_bytes out, uint32_t max_us);

/* Probe the chip and fill `flash`. On KEDGE_E_DEAD, _FOREIGN or _BUSY `flash` is filled all the
 * same (from the part table), every operation on it returns the error, and ops->probe tries again.
 */
int kedge_spinor_open(struct kedge_spinor *nor, const struct kedge_spi_bus *bus,
                      const struct kedge_spinor_part *part, struct kedge_flash *flash);

#endif
