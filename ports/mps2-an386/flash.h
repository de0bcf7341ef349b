/* Two flashes for measuring on QEMU's mps2-an386, both in its 16 MiB of PSRAM: as plain RAM, which
 * is how the figures of other loaders were taken, and the external one once more behind the SPI-NOR
 * driver. Nothing here takes time or fails; ports/sim is the strict one. */
#ifndef KEDGE_MPS2_FLASH_H
#define KEDGE_MPS2_FLASH_H

#include "kedge/spinor.h"

#define MPS2_INTERNAL      0x21000000u /* 1 MiB */
#define MPS2_INTERNAL_SIZE 0x100000u
#define MPS2_EXTERNAL      0x21100000u /* 8 MiB */
#define MPS2_EXTERNAL_SIZE 0x800000u
#define MPS2_OLD           0x21A00000u /* the two images, where QEMU puts them */
#define MPS2_NEW           0x21A80000u

extern const struct kedge_flash mps2_internal, mps2_external;

/* An MX25R64 on a bus, with the external flash's bytes. */
extern const struct kedge_spi_bus mps2_bus;

#endif
