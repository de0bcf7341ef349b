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

#include <string.h>

#define READ                0x1303
#define PROGRAM             0x1202
#define ERASE               0x2120

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
#define RELEASE_US          50    /* tRES1: MX25R 35, W25Q 3, GD25 20 */
#define CONFIG_MAX_US       60000 /* tW: MX25R 30 ms */

static int transact(const struct kedge_spinor *nor, const uint8_t *head, size_t head_size,
                    struct kedge_bytes out, struct kedge_buf in)
{
    return nor->bus->transact(nor->bus->ctx, kedge_bytes(head, head_size), out, in);
}

/* A command of one byte, and its answer. */
static int ask(const struct kedge_spinor *nor, uint8_t command, uint8_t *answer, size_t size)
{
    return transact(nor, &command, 1, kedge_bytes(NULL, 0), kedge_buf(answer, size));
}

static int command_at(const struct kedge_spinor *nor, uint32_t command, uint32_t at,
                      struct kedge_bytes out, struct kedge_buf in)
{
    uint8_t head[5];
    unsigned skip = 1; /* an address of three bytes: the command takes the place of the fourth */

    kedge_put_be32(head + 1, at);
    if (nor->part->size > KEDGE_SPINOR_LARGE) {
        command >>= 8;
        skip = 0;
    }
    head[skip] = (uint8_t)command;
    return transact(nor, head + skip, sizeof head - skip, out, in);
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
    nor->error = KEDGE_E_BUSY;
    return KEDGE_E_BUSY;
}

static int ready(void *ctx)
{
    struct kedge_spinor *nor = ctx;

    return nor->error == 0 ? wait_ready(nor) : nor->error;
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

int kedge_spinor_post(struct kedge_spinor *nor, uint32_t command, uint32_t at,
                      struct kedge_bytes out, uint32_t max_us)
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
        uint32_t size = nor->part->page_size - (at & (nor->part->page_size - 1));
        int error;

        if (size > from.size)
            size = (uint32_t)from.size;
        error =
            kedge_spinor_post(nor, PROGRAM, at, kedge_bytes(from.at, size), nor->part->page_max_us);
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
    int error = 0;

    if (nor->part->erase != NULL)
        return nor->part->erase(nor, at, size);
    for (const uint32_t end = at + size; error == 0 && at != end; at += nor->part->erase_size)
        error = kedge_spinor_post(nor, ERASE, at, kedge_bytes(NULL, 0), nor->part->erase_max_us);
    return error;
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
 * once in the chip's life, so what was read is written back only when two readings agree. Failing
 * is no error: the chip is slow, and the time limits cover that. */
static void set_high_performance(struct kedge_spinor *nor)
{
    static const uint8_t command = WRITE_STATUS;
    uint8_t r[2][4]; /* status, configuration 1 and 2, nothing */

    for (unsigned i = 0; i < 2; i++)
        if (ask(nor, READ_STATUS, r[i], 1) != 0 || ask(nor, READ_CONFIG, r[i] + 1, 2) != 0)
            return;
    if (memcmp(r[0], r[1], 3) != 0 || (r[0][2] & MX_HIGH_PERFORMANCE) != 0 ||
        enable_write(nor) != 0)
        return;
    r[0][2] |= MX_HIGH_PERFORMANCE;
    if (transact(nor, &command, 1, kedge_bytes(r[0], 3), kedge_buf(NULL, 0)) == 0)
        nor->pending_max_us = CONFIG_MAX_US;
}

static int identify(struct kedge_spinor *nor)
{
    int error = ask(nor, RELEASE, NULL, 0);

    if (error != 0)
        return error;
    nor->bus->wait_us(nor->bus->ctx, RELEASE_US);
    /* a warm reset may have left the longest of all running */
    nor->pending_max_us = nor->part->block_max_us + nor->part->erase_max_us;
    error = wait_ready(nor);
    if (error == 0)
        error = check_id(nor);
    if (error == 0 && nor->part->sfdp != NULL)
        error = nor->part->sfdp(nor);
    if (error == 0 && (nor->part->flags & KEDGE_SPINOR_MX_HIGH_PERFORMANCE) != 0)
        set_high_performance(nor);
    return error;
}

static int probe(void *ctx)
{
    struct kedge_spinor *nor = ctx;

    nor->part = nor->entry;
    nor->error = identify(nor);
    return nor->error;
}

const struct kedge_flash_ops kedge_spinor_ops = {
    .read = read, .program = program, .erase = erase, .sync = ready, .probe = probe};

int kedge_spinor_open(struct kedge_spinor *nor, const struct kedge_spi_bus *bus,
                      const struct kedge_spinor_part *part, struct kedge_flash *flash)
{
    nor->bus = bus;
    nor->entry = part;
    (void)probe(nor);
    flash->ops = &kedge_spinor_ops;
    flash->ctx = nor;
    flash->geometry = (struct kedge_geometry){.size = nor->part->size,
                                              .erase_size = nor->part->erase_size,
                                              .page_size = nor->part->page_size,
                                              .write_block = 1,
                                              .erased = 0xFF};
    return nor->error;
}
