/* Parts with the longest times that their data sheets allow (facts/flash-parts.md), in whatever
 * power mode the part happens to be. Each entry is linked only where its name is mentioned. */
#include "kedge/spinor.h"

/* MX25R6435F: 48 ms, 480 ms, 0.896 ms times 8, 8, 6 [SFDP]; the low-power mode's page is slower. */
#define MX25R64(parser, eraser)                                                                    \
    {                                                                                              \
        .id = {0xC2, 0x28, 0x17},                                                                  \
        .flags = KEDGE_SPINOR_MX_HIGH_PERFORMANCE | KEDGE_SPINOR_32K | KEDGE_SPINOR_64K,           \
        .page_size = 256, .size = 0x800000, .erase_size = 4096, .erase_max_us = 400000,            \
        .block_max_us = 4000000, .page_max_us = 10000, .sfdp = (parser), .erase = (eraser)         \
    }

const struct kedge_spinor_part kedge_spinor_mx25r64 =
    MX25R64(kedge_spinor_sfdp, kedge_spinor_erase_blocks);
const struct kedge_spinor_part kedge_spinor_mx25r64_table = MX25R64(NULL, NULL);

const struct kedge_spinor_part kedge_spinor_w25q64 = {.id = {0xEF, 0x40, 0x17},
                                                      .flags = KEDGE_SPINOR_32K | KEDGE_SPINOR_64K,
                                                      .page_size = 256,
                                                      .size = 0x800000,
                                                      .erase_size = 4096,
                                                      .erase_max_us = 400000,
                                                      .block_max_us = 2000000,
                                                      .page_max_us = 3000,
                                                      .sfdp = kedge_spinor_sfdp,
                                                      .erase = kedge_spinor_erase_blocks};

const struct kedge_spinor_part kedge_spinor_gd25q16 = {.id = {0xC8, 0x40, 0x15},
                                                       .flags = KEDGE_SPINOR_32K | KEDGE_SPINOR_64K,
                                                       .page_size = 256,
                                                       .size = 0x200000,
                                                       .erase_size = 4096,
                                                       .erase_max_us = 300000,
                                                       .block_max_us = 2000000,
                                                       .page_max_us = 3000,
                                                       .sfdp = kedge_spinor_sfdp,
                                                       .erase = kedge_spinor_erase_blocks};

const struct kedge_spinor_part kedge_spinor_generic = {.page_size = 256,
                                                       .erase_size = 4096,
                                                       .erase_max_us = 1000000,
                                                       .block_max_us = 4000000,
                                                       .page_max_us = 10000,
                                                       .sfdp = kedge_spinor_sfdp,
                                                       .erase = kedge_spinor_erase_blocks};
