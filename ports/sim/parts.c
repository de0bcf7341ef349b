/* Part data. Times: facts/flash-parts.md; the MX25L25645G's and whatever is not there are round
 * figures of the kind, not checked against a data sheet. SFDP: the MX25R6435F's basic parameter
 * table is the one that Zephyr's device trees publish; the others were written down from memory and
 * are right in form (place, length, density, erase types), not checked word for word. */
#include "inner.h"

#define HEADER(minor, headers, words, pointer)                                                     \
    'S', 'F', 'D', 'P', (minor), 1, (headers)-1, 0xFF, 0x00, (minor), 1, (words), (pointer), 0, 0, \
        0xFF

/* clang-format off */
/* MX25R6435F: three headers; vendor table at 0x110 and 4-byte table at 0xC0 are not kept here. */
static const uint8_t sfdp_mx25r64[] = {
    HEADER(6, 3, 16, 0x30),
    0xC2, 0x00, 0x01, 0x04, 0x10, 0x01, 0x00, 0xFF, 0x84, 0x00, 0x01, 0x02, 0xC0, 0x00, 0x00, 0xFF,
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xE5, 0x20, 0xF1, 0xFF, 0xFF, 0xFF, 0xFF, 0x03, 0x44, 0xEB, 0x08, 0x6B, 0x08, 0x3B, 0x04, 0xBB,
    0xEE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0x0C, 0x20, 0x0F, 0x52,
    0x10, 0xD8, 0x00, 0xFF, 0x23, 0x72, 0xF5, 0x00, 0x82, 0xED, 0x04, 0xCC, 0x44, 0x83, 0x68, 0x44,
    0x30, 0xB0, 0x30, 0xB0, 0xF7, 0xC4, 0xD5, 0x5C, 0x00, 0xBE, 0x29, 0xFF, 0xF0, 0xD0, 0xFF, 0xFF,
};

/* W25Q64JV: one header, the table at 0x80. */
static const uint8_t sfdp_w25q64[0xC0] = {
    HEADER(5, 1, 16, 0x80),
    [0x80] = 0xE5, 0x20, 0xF9, 0xFF, 0xFF, 0xFF, 0xFF, 0x03, 0x44, 0xEB, 0x08, 0x6B, 0x08, 0x3B,
    0x42, 0xBB, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0xFF, 0xFF, 0x40, 0xEB, 0x0C, 0x20,
    0x0F, 0x52, 0x10, 0xD8, 0x00, 0x00, 0x36, 0x02, 0xA6, 0x00, 0x82, 0xEA, 0x14, 0xC9, 0xE9, 0x63,
    0x76, 0x33, 0x7A, 0x75, 0x7A, 0x75, 0xF7, 0xA2, 0xD5, 0x5C, 0x19, 0xF7, 0x4D, 0xFF, 0xE9, 0x30,
    0xF8, 0x80,
};

/* GD25Q16C: revision 1.0, nine words: no times, no page size. */
static const uint8_t sfdp_gd25q16[0x54] = {
    HEADER(0, 1, 9, 0x30),
    [0x30] = 0xE5, 0x20, 0xF1, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x44, 0xEB, 0x08, 0x6B, 0x08, 0x3B,
    0x42, 0xBB, 0xEE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0x0C, 0x20,
    0x0F, 0x52, 0x10, 0xD8, 0x00, 0xFF,
};

static const uint8_t sfdp_mx25l25645[0x70] = {
    HEADER(6, 1, 16, 0x30),
    [0x30] = 0xE5, 0x20, 0xFB, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x44, 0xEB, 0x08, 0x6B, 0x08, 0x3B,
    0x04, 0xBB, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0xFF, 0xFF, 0xFF, 0x44, 0xEB, 0x0C, 0x20,
    0x0F, 0x52, 0x10, 0xD8, 0x00, 0xFF, 0xD6, 0x49, 0xC5, 0x00, 0x85, 0xDF, 0x04, 0xE3, 0x44, 0x03,
    0x67, 0x38, 0x30, 0xB0, 0x30, 0xB0, 0xF7, 0xBD, 0xD5, 0x5C, 0x4A, 0x9E, 0x29, 0xFF, 0xF0, 0x50,
    0xF9, 0x85,
};
/* clang-format on */

#define NOR(bytes)                                                                                 \
    {                                                                                              \
        .size = (bytes), .erase_size = 4096, .page_size = 256, .write_block = 1, .erased = 0xFF    \
    }

const struct kedge_sim_part kedge_sim_nrf52840 = {
    .name = "nRF52840",
    .geometry = {0x100000, 4096, 4, 4, 0xFF},
    .burst = 256,
    .writes_per_word = 2,
    .erase_us = 85000,
    .erase_max_us = 90000,
    .page_us = 41,
    .page_max_us = 43,
};

const struct kedge_sim_part kedge_sim_mx25r64 = {
    .name = "MX25R6435F",
    .id = {0xC2, 0x28, 0x17},
    .geometry = NOR(0x800000),
    .burst = 256,
    .erase_us = 48000,
    .erase_max_us = 384000,
    .block32_us = 240000,
    .block32_max_us = 1920000,
    .block64_us = 480000,
    .block64_max_us = 3840000,
    .chip_us = 52000000,
    .chip_max_us = 416000000,
    .page_us = 896,
    .page_max_us = 5376,
    .program_fixed_us = 32,
    .program_byte_ns = 1000,
    .low_power_erase_us = 58000,
    .low_power_page_us = 3200,
    .byte_ns = 1000,
    .sfdp = sfdp_mx25r64,
    .sfdp_size = sizeof sfdp_mx25r64,
};

const struct kedge_sim_part kedge_sim_w25q64 = {
    .name = "W25Q64JV",
    .id = {0xEF, 0x40, 0x17},
    .geometry = NOR(0x800000),
    .burst = 256,
    .erase_us = 45000,
    .erase_max_us = 400000,
    .block32_us = 120000,
    .block32_max_us = 1600000,
    .block64_us = 150000,
    .block64_max_us = 2000000,
    .chip_us = 20000000,
    .chip_max_us = 100000000,
    .page_us = 400,
    .page_max_us = 3000,
    .byte_ns = 1000,
    .sfdp = sfdp_w25q64,
    .sfdp_size = sizeof sfdp_w25q64,
};

const struct kedge_sim_part kedge_sim_gd25q16 = {
    .name = "GD25Q16C",
    .id = {0xC8, 0x40, 0x15},
    .geometry = NOR(0x200000),
    .burst = 256,
    .erase_us = 45000,
    .erase_max_us = 300000,
    .block32_us = 150000,
    .block32_max_us = 1200000,
    .block64_us = 250000,
    .block64_max_us = 1600000,
    .chip_us = 7000000,
    .chip_max_us = 15000000,
    .page_us = 600,
    .page_max_us = 2400,
    .byte_ns = 1000,
    .sfdp = sfdp_gd25q16,
    .sfdp_size = sizeof sfdp_gd25q16,
};

const struct kedge_sim_part kedge_sim_mx25l25645 = {
    .name = "MX25L25645G",
    .id = {0xC2, 0x20, 0x19},
    .geometry = NOR(0x2000000),
    .burst = 256,
    .erase_us = 30000,
    .erase_max_us = 400000,
    .block32_us = 150000,
    .block32_max_us = 1000000,
    .block64_us = 280000,
    .block64_max_us = 2000000,
    .chip_us = 110000000,
    .chip_max_us = 150000000,
    .page_us = 250,
    .page_max_us = 750,
    .byte_ns = 1000,
    .sfdp = sfdp_mx25l25645,
    .sfdp_size = sizeof sfdp_mx25l25645,
};

struct kedge_sim_part kedge_sim_small_internal(uint32_t size, uint32_t erase_size)
{
    struct kedge_sim_part part = kedge_sim_nrf52840;

    part.name = "small internal";
    part.geometry.size = size;
    part.geometry.erase_size = erase_size;
    return part;
}

struct kedge_sim_part kedge_sim_small_external(uint32_t size, uint32_t erase_size)
{
    struct kedge_sim_part part = kedge_sim_w25q64;

    part.name = "small external";
    memcpy(part.id, "\x7F\x4B\x01", sizeof part.id);
    part.geometry.size = size;
    part.geometry.erase_size = erase_size;
    part.block32_us = 0;
    part.block64_us = 0;
    part.sfdp = NULL;
    part.sfdp_size = 0;
    return part;
}

struct kedge_part_times kedge_sim_times_max(const struct kedge_sim_part *part)
{
    return (struct kedge_part_times){
        .erase_us = part->erase_max_us, .page_us = part->page_max_us, .byte_ns = part->byte_ns};
}

struct kedge_part_times kedge_sim_times(const struct kedge_sim_part *part)
{
    return (struct kedge_part_times){.erase_us = part->erase_us,
                                     .page_us = part->page_us,
                                     .byte_ns = part->byte_ns,
                                     .program_fixed_us = part->program_fixed_us,
                                     .program_byte_ns = part->program_byte_ns};
}
