/* The SPI-NOR driver.
 *
 *   read             ready?            03h/13h
 *   program, a page  ready? WREN, WEL? 02h/12h   posted: returns while the chip works
 *   erase, a block   ready? WREN, WEL? 20h/21h, 52h, D8h/DCh   posted
 *   ready?           status until not busy, at most the posted operation's longest time
 *
 * Commands are written as one number: the one with 3 address bytes in the low half, its sister with
 * 4 address bytes in the high half. */
#include "kedge/spinor.h"

#define READ                0x1303
#define PROGRAM             0x1202
#define ERASE               0x2120
#define ERASE_32K           0x5C52
#define ERASE_64K           0xDCD8

#define WRITE_STATUS        0x01
#define READ_STATUS         0x05
#define WRITE_ENABLE        0x06
#define READ_CONFIG         0x15 /* MX25R: two bytes */
#define READ_ID             0x9F
#define RELEASE             0xAB

#define BUSY                0x01
#define ENABLED             0x02
#define PROTECTED           0x3C
#define MX_HIGH_PERFORMANCE 0x02 /* in configuration register 2 */

#define TRIES               4
#define RELEASE_US          50        /* tRES1: MX25R 35, W25Q 3, GD25 20 */
#define CONFIG_MAX_US       60000     /* tW: MX25R 30 ms */
#define LARGE               0x1000000 /* above it an address has four bytes */

static int transact(const struct kedge_spinor *nor, struct kedge_bytes head, struct kedge_bytes out,
                    struct kedge_buf in)
{
    return nor->bus->transact(nor->bus->ctx, head, out, in) == 0 ? 0 : KEDGE_E_IO;
}

/* A command of one byte, and its answer. */
static int ask(const struct kedge_spinor *nor, uint8_t command, uint8_t *answer, size_t size)
{
    return transact(nor, kedge_bytes(&command, 1), kedge_bytes(NULL, 0), kedge_buf(answer, size));
}

static int command_at(const struct kedge_spinor *nor, uint32_t command, uint32_t at,
                      struct kedge_bytes out, struct kedge_buf in)
{
    uint8_t head[5];
    unsigned n = 1;

    head[0] = (uint8_t)command;
    if (nor->geometry.size > LARGE) {
        head[0] = (uint8_t)(command >> 8);
        head[n++] = (uint8_t)(at >> 24);
    }
    head[n++] = (uint8_t)(at >> 16);
    head[n++] = (uint8_t)(at >> 8);
    head[n++] = (uint8_t)at;
    return transact(nor, kedge_bytes(head, n), out, in);
}

/* The status register is sent again and again; a bit flipped on the bus loses against two. */
static int read_status(const struct kedge_spinor *nor, uint8_t *status)
{
    uint8_t r[3];
    int error = ask(nor, READ_STATUS, r, sizeof r);

    if (error != 0)
        return error;
    *status = (uint8_t)((r[0] & r[1]) | (r[1] & r[2]) | (r[0] & r[2]));
    return *status == 0xFF ? KEDGE_E_DEAD : 0;
}

/* Poll until the chip is not busy: 1025 times at most, which is the posted operation's longest time
 * and the bus time of the polls on top. */
static int wait_ready(struct kedge_spinor *nor)
{
    uint32_t step = (nor->pending_max_us >> 10) + 1;
    uint8_t status;

    for (unsigned poll = 0; poll <= 1024; poll++) {
        int error = read_status(nor, &status);

        if (error != 0)
            return error;
        if ((status & BUSY) == 0) {
            nor->pending_max_us = 0;
            return 0;
        }
        nor->bus->wait_us(nor->bus->ctx, step);
    }
    nor->alive = 0;
    nor->error = KEDGE_E_BUSY;
    return KEDGE_E_BUSY;
}

static int ready(void *ctx)
{
    struct kedge_spinor *nor = ctx;

    return nor->alive ? wait_ready(nor) : nor->error;
}

/* Set the write-enable latch and see that it is set; a chip refuses protected blocks silently, so
 * the bits are judged here. */
static int enable_write(const struct kedge_spinor *nor)
{
    for (unsigned try = 0; try < TRIES; try++) {
        uint8_t status = 0;
        int error = ask(nor, WRITE_ENABLE, NULL, 0);

        if (error == 0)
            error = read_status(nor, &status);
        if (error != 0)
            return error;
        if ((status & PROTECTED) != 0)
            return KEDGE_E_PROTECTED;
        if ((status & ENABLED) != 0)
            return 0;
    }
    return KEDGE_E_DEAD;
}

/* One program or erase command; the chip works on when this returns. */
static int post(struct kedge_spinor *nor, uint32_t command, uint32_t at, struct kedge_bytes out,
                uint32_t max_us)
{
    int error = ready(nor);

    if (error == 0)
        error = enable_write(nor);
    if (error == 0)
        error = command_at(nor, command, at, out, kedge_buf(NULL, 0));
    if (error == 0)
        nor->pending_max_us = max_us;
    return error;
}

static int read(void *ctx, uint32_t at, struct kedge_buf to)
{
    int error = ready(ctx);

    return error != 0 ? error : command_at(ctx, READ, at, kedge_bytes(NULL, 0), to);
}

static int program(void *ctx, uint32_t at, struct kedge_bytes from)
{
    struct kedge_spinor *nor = ctx;

    while (from.size > 0) {
        uint32_t size = nor->geometry.page_size - (at & (nor->geometry.page_size - 1));
        int error;

        if (size > from.size)
            size = (uint32_t)from.size;
        error = post(nor, PROGRAM, at, kedge_bytes(from.at, size), nor->page_max_us);
        if (error != 0)
            return error;
        at += size;
        from = kedge_bytes(from.at + size, from.size - size);
    }
    return 0;
}

static int erase(void *ctx, uint32_t at, uint32_t size)
{
    struct kedge_spinor *nor = ctx;

    while (size > 0) {
        uint32_t command = ERASE_64K, block = 0x10000, max_us = nor->block_max_us;
        int error;

        if ((nor->blocks & 2) == 0 || (at & (block - 1)) != 0 || size < block) {
            command = ERASE_32K;
            block = 0x8000;
            if ((nor->blocks & 1) == 0 || (at & (block - 1)) != 0 || size < block) {
                command = ERASE;
                block = nor->geometry.erase_size;
                max_us = nor->erase_max_us;
            }
        }
        error = post(nor, command, at, kedge_bytes(NULL, 0), max_us);
        if (error != 0)
            return error;
        at += block;
        size -= block;
    }
    return 0;
}

/* A part with an id must show exactly that one; a flipped bit gets another try. */
static int check_id(const struct kedge_spinor *nor)
{
    uint32_t want = kedge_be32(nor->part->id) >> 8; /* the fourth byte is flags */
    int error = KEDGE_E_DEAD;

    for (unsigned try = 0; try < TRIES; try++) {
        uint8_t answer[4] = {0};
        uint32_t id;

        if (ask(nor, READ_ID, answer, 3) != 0)
            continue;
        id = kedge_be32(answer) >> 8;
        if (id == 0 || id == 0xFFFFFF)
            continue;
        if (want == 0 || id == want)
            return 0;
        error = KEDGE_E_FOREIGN;
    }
    return error;
}

/* The MX25R wakes in low-power mode. Configuration register 1 holds a bit that can be set only
 * once in the chip's life, so it is written back only when two readings agree. Failing is no error:
 * the chip is slow, and the time limits cover that. */
static void set_high_performance(struct kedge_spinor *nor)
{
    uint8_t a[3], b[2], status;

    if (ask(nor, READ_CONFIG, a + 1, 2) != 0 || ask(nor, READ_CONFIG, b, 2) != 0 || a[1] != b[0] ||
        a[2] != b[1] || (a[2] & MX_HIGH_PERFORMANCE) != 0)
        return;
    if (enable_write(nor) != 0 || read_status(nor, &status) != 0)
        return;
    a[0] = (uint8_t)(status & ~(BUSY | ENABLED));
    a[2] |= MX_HIGH_PERFORMANCE;
    status = WRITE_STATUS;
    if (transact(nor, kedge_bytes(&status, 1), kedge_bytes(a, 3), kedge_buf(NULL, 0)) == 0)
        nor->pending_max_us = CONFIG_MAX_US;
}

/* What the table knows; for a generic part a guess that nothing uses before SFDP replaced it. */
static void use_table(struct kedge_spinor *nor)
{
    const struct kedge_spinor_part *part = nor->part;

    nor->geometry.size = part->size;
    nor->geometry.erase_size = part->erase_size;
    nor->geometry.page_size = 256;
    nor->geometry.write_block = 1;
    nor->geometry.erased = 0xFF;
    nor->erase_max_us = part->erase_max_us;
    nor->block_max_us = part->block_max_us;
    nor->page_max_us = part->page_max_us;
    nor->blocks = part->block_max_us != 0 ? 3 : 0;
}

static int identify(struct kedge_spinor *nor)
{
    int error = ask(nor, RELEASE, NULL, 0);

    if (error != 0)
        return error;
    nor->bus->wait_us(nor->bus->ctx, RELEASE_US);
    /* a warm reset may have left the longest of all running */
    nor->pending_max_us = nor->block_max_us + nor->erase_max_us;
    error = wait_ready(nor);
    if (error == 0)
        error = check_id(nor);
    if (error == 0 && nor->part->sfdp != NULL)
        error = nor->part->sfdp(nor);
    if (error != 0)
        return error;
    if (nor->geometry.size > LARGE)
        nor->blocks &= 2; /* few of the large chips have 5Ch */
    if ((nor->part->flags & KEDGE_SPINOR_MX_HIGH_PERFORMANCE) != 0)
        set_high_performance(nor);
    return 0;
}

static int probe(void *ctx)
{
    struct kedge_spinor *nor = ctx;

    use_table(nor);
    nor->error = identify(nor);
    nor->alive = nor->error == 0;
    return nor->error;
}

const struct kedge_flash_ops kedge_spinor_ops = {
    .read = read, .program = program, .erase = erase, .sync = ready, .probe = probe};

int kedge_spinor_open(struct kedge_spinor *nor, const struct kedge_spi_bus *bus,
                      const struct kedge_spinor_part *part, struct kedge_flash *flash)
{
    int error;

    nor->bus = bus;
    nor->part = part;
    error = probe(nor);
    flash->ops = &kedge_spinor_ops;
    flash->ctx = nor;
    flash->geometry = nor->geometry;
    return error;
}
