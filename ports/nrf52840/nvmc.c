/* Internal flash by the NVMC: reads are plain memory reads, a word is programmed by a store, the
 * processor stands still meanwhile. Two writes a word between erases (facts/flash-parts.md). */
#include <string.h>

#include "nrf52840.h"
#include "registers.h"

static int nvmc_read(void *ctx, uint32_t at, struct kedge_buf to)
{
    (void)ctx;
    memcpy(to.at, (const void *)(uintptr_t)at, to.size);
    return 0;
}

static void enter(uint32_t mode)
{
    NVMC_CONFIG = mode;
    while (NVMC_READY == 0) {
    }
}

static int nvmc_program(void *ctx, uint32_t at, struct kedge_bytes from)
{
    (void)ctx;
    enter(NVMC_WRITE);
    for (size_t i = 0; i < from.size; i += 4) {
        REGISTER(at + i) = kedge_le32(from.at + i);
        while (NVMC_READY == 0) {
        }
    }
    enter(NVMC_READ_ONLY);
    return 0;
}

static int nvmc_erase(void *ctx, uint32_t at, uint32_t size)
{
    (void)ctx;
    enter(NVMC_ERASE);
    for (uint32_t i = 0; i < size; i += NRF52840_PAGE) {
        NVMC_ERASEPAGE = at + i;
        while (NVMC_READY == 0) {
        }
    }
    enter(NVMC_READ_ONLY);
    return 0;
}

static int nothing(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct kedge_flash_ops nvmc_ops = {.read = nvmc_read,
                                                .program = nvmc_program,
                                                .erase = nvmc_erase,
                                                .sync = nothing,
                                                .probe = nothing};

const struct kedge_flash nrf52840_internal = {.ops = &nvmc_ops,
                                              .geometry = {.size = 0x100000,
                                                           .erase_size = NRF52840_PAGE,
                                                           .page_size = 4,
                                                           .write_block = 4,
                                                           .erased = 0xFF}};
