/* SFDP (JESD216): what the chip says of itself. Everything here is input: a chip, or noise on its
 * bus, may say anything. There is no checksum, so two readings must agree.
 *
 *   0x00  'S' 'F' 'D' 'P', minor, major, headers - 1, 0xFF
 *   0x08  first header: id 0x00, minor, major, words, pointer (24 bit), 0xFF
 *   ptr   w1 .. w9 (1.0), w10 times of erase, w11 times of program and page size (1.5 and later) */
#include <string.h>

#include "kedge/spinor.h"

#define SIGNATURE    0x50444653u
#define MIN_WORDS    9
#define WORDS        11
#define TRIES        4
#define MAX_US       16000000u /* no part needs longer for a block */
#define MAX_PAGE_LOG 8         /* splitting at 256 bytes is right for larger pages too */

struct facts {
    uint32_t size, erase_size, page_size;
    uint32_t erase_max_us, block_max_us, page_max_us;
    uint32_t blocks;
};

static int read_sfdp(const struct kedge_spinor *nor, uint32_t at, uint8_t *to, size_t size)
{
    uint8_t head[5] = {0x5A, (uint8_t)(at >> 16), (uint8_t)(at >> 8), (uint8_t)at, 0};
    int error = nor->bus->transact(nor->bus->ctx, kedge_bytes(head, sizeof head),
                                   kedge_bytes(NULL, 0), kedge_buf(to, size));

    return error == 0 ? 0 : KEDGE_E_IO;
}

/* Word 2: bits - 1, or with bit 31 the power of two of the bits. 0: nonsense. */
static uint32_t size_of(uint32_t density)
{
    if ((density & 0x80000000u) == 0)
        return (density & 7) == 7 ? (density >> 3) + 1 : 0;
    density &= 0x7FFFFFFFu;
    return density >= 32 && density <= 34 ? 1u << (density - 3) : 0;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Longest time of erase type `type` (0..3) from word 10: typical (count, unit) times a factor. */
static uint32_t erase_us(uint32_t word, unsigned type)
{
    static const uint16_t unit_ms[4] = {1, 16, 128, 1000};
    uint32_t field = word >> (4 + 7 * type);
    uint32_t ms = ((field & 0x1F) + 1) * unit_ms[field >> 5 & 3] * 2 * ((word & 0xF) + 1);

    return ms < MAX_US / 1000 ? ms * 1000 : MAX_US;
}

/* The four erase types of words 8 and 9: (log of the size, command). Those are used whose command
 * is the customary one. */
static void take_erases(struct facts *facts, const uint8_t *w8, bool timed, uint32_t w10)
{
    facts->erase_size = 0;
    facts->blocks = 0;
    for (unsigned type = 0; type < 4; type++) {
        unsigned key = (unsigned)w8[2 * type] << 8 | w8[2 * type + 1];
        uint32_t us = timed ? erase_us(w10, type) : 0;

        if (key == 0x0C20) {
            facts->erase_size = 4096;
            facts->erase_max_us = larger(facts->erase_max_us, us);
        } else if (key == 0x0F52 || key == 0x10D8) {
            facts->blocks |= key == 0x0F52 ? KEDGE_SPINOR_32K : KEDGE_SPINOR_64K;
            facts->block_max_us = larger(facts->block_max_us, us);
        }
    }
    if (facts->erase_size == 0 && facts->blocks != 0)
        facts->erase_size = (facts->blocks & KEDGE_SPINOR_32K) != 0 ? 0x8000 : 0x10000;
}

static void take_page(struct facts *facts, uint32_t w11)
{
    uint32_t log = w11 >> 4 & 0xF;
    uint32_t unit = (w11 >> 13 & 1) != 0 ? 64 : 8;
    uint32_t us = ((w11 >> 8 & 0x1F) + 1) * unit * 2 * ((w11 & 0xF) + 1);

    facts->page_size = 1u << (log < MAX_PAGE_LOG ? log : MAX_PAGE_LOG);
    facts->page_max_us = larger(facts->page_max_us, us);
}

/* One reading. Limits start from the part's entry and are only ever raised. */
static int read_facts(const struct kedge_spinor *nor, struct facts *facts)
{
    uint8_t head[16], words[4 * WORDS];
    size_t count;
    int error = read_sfdp(nor, 0, head, sizeof head);

    if (error != 0)
        return error;
    if (kedge_le32(head) != SIGNATURE || head[8] != 0 || head[11] < MIN_WORDS)
        return KEDGE_E_FORMAT;
    count = head[11] < WORDS ? MIN_WORDS : WORDS;
    error = read_sfdp(nor, kedge_le32(head + 12) & 0xFFFFFF, words, 4 * count);
    if (error != 0)
        return error;
    *facts = (struct facts){.page_size = 256,
                            .erase_max_us = nor->part->erase_max_us,
                            .block_max_us = nor->part->block_max_us,
                            .page_max_us = nor->part->page_max_us};
    facts->size = size_of(kedge_le32(words + 4));
    take_erases(facts, words + 28, count == WORDS, kedge_le32(words + 36));
    if (count == WORDS)
        take_page(facts, kedge_le32(words + 40));
    if (facts->erase_size == 0 || facts->size == 0 || facts->size % 0x10000 != 0)
        return KEDGE_E_FORMAT;
    return 0;
}

int kedge_spinor_sfdp(struct kedge_spinor *nor)
{
    bool generic = nor->part->size == 0;
    int error = KEDGE_E_FORMAT;
    struct facts a, b;

    for (unsigned try = 0; try < TRIES; try++) {
        error = read_facts(nor, &a);
        if (error == 0)
            error = read_facts(nor, &b);
        if (error == 0 && memcmp(&a, &b, sizeof a) == 0)
            break;
        if (error == 0)
            error = KEDGE_E_FORMAT;
    }
    if (error == KEDGE_E_FORMAT)
        return generic ? KEDGE_E_FOREIGN : 0;
    if (error != 0)
        return error;
    if (!generic && a.size != nor->part->size)
        return KEDGE_E_FOREIGN;
    nor->found = *nor->part;
    nor->found.flags = (uint8_t)((nor->part->flags & KEDGE_SPINOR_MX_HIGH_PERFORMANCE) | a.blocks);
    nor->found.page_size = (uint16_t)a.page_size;
    nor->found.size = a.size;
    nor->found.erase_size = a.erase_size;
    nor->found.erase_max_us = a.erase_max_us;
    nor->found.block_max_us = a.block_max_us;
    nor->found.page_max_us = a.page_max_us;
    nor->part = &nor->found;
    return 0;
}
