/* Parts with the longest times that their data sheets allow (facts/flash-parts.md), in whatever
 * power mode the part happens to be. Each entry is linked only where its name is mentioned. */
#include "kedge/spinor.h"

/* MX25R6435F: 48 ms, 480 ms, 0.896 ms times 8, 8, 6 [SFDP]; the low-power mode's page is slower. */
#define MX25R64(parser)                                                                            \
    {                                                                                              \
        .id = {0xC2, 0x28, 0x17}, .flags = KEDGE_SPINOR_MX_HIGH_PERFORMANCE, .name = "MX25R6435F", \
        .size = 0x800000, .erase_size = 4096, .erase_max_us = 400000, .block_max_us = 4000000,     \
        .page_max_us = 10000, .sfdp = (parser)                                                     \
    }

const struct kedge_spinor_part kedge_spinor_mx25r64 = MX25R64(kedge_spinor_sfdp);
const struct kedge_spinor_part kedge_spinor_mx25r64_table = MX25R64(NULL);

const struct kedge_spinor_part kedge_spinor_w25q64 = {.id = {0xEF, 0x40, 0x17},
                                                      .name = "W25Q64JV",
                                                      .size = 0x800000,
                                                      .erase_size = 4096,
                                                      .erase_max_us = 400000,
                                                      .block_max_us = 2000000,
                                                      .page_max_us = 3000,
                                                      .sfdp = kedge_spinor_sfdp};

const struct kedge_spinor_part kedge_spinor_gd25q16 = {.id = {0xC8, 0x40, 0x15},
                                                       .name = "GD25Q16C",
                                                       .size = 0x200000,
                                                       .erase_size = 4096,
                                                       .erase_max_us = 300000,
                                                       .block_max_us = 2000000,
                                                       .page_max_us = 3000,
                                                       .sfdp = kedge_spinor_sfdp};

const struct kedge_spinor_part kedge_spinor_generic = {.name = "SPI NOR",
                                                       .erase_size = 4096,
                                                       .erase_max_us = 1000000,
                                                       .block_max_us = 4000000,
                                                       .page_max_us = 10000,
                                                       .sfdp = kedge_spinor_sfdp};
