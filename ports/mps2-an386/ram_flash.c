/* Flash as plain RAM; see flash.h. */
#include <string.h>

#include "flash.h"

static uint8_t *place(const void *ctx, uint32_t at)
{
    return (uint8_t *)((uintptr_t)ctx + at);
}

static int read(void *ctx, uint32_t at, struct kedge_buf to)
{
    memcpy(to.at, place(ctx, at), to.size);
    return 0;
}

static int program(void *ctx, uint32_t at, struct kedge_bytes from)
{
    memcpy(place(ctx, at), from.at, from.size);
    return 0;
}

static int erase(void *ctx, uint32_t at, uint32_t size)
{
    uint32_t *word = (uint32_t *)(void *)place(ctx, at);
    for (uint32_t i = 0; i < size / 4; i++) {
        word[i] = 0xFFFFFFFF;
    }
    return 0;
}

static int nothing(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct kedge_flash_ops ops = {
    .read = read, .program = program, .erase = erase, .sync = nothing, .probe = nothing};

const struct kedge_flash mps2_internal = {.ops = &ops,
                                          .ctx = (void *)MPS2_INTERNAL,
                                          .geometry = {.size = MPS2_INTERNAL_SIZE,
                                                       .erase_size = 4096,
                                                       .page_size = 4,
                                                       .write_block = 4,
                                                       .erased = 0xFF}};

const struct kedge_flash mps2_external = {.ops = &ops,
                                          .ctx = (void *)MPS2_EXTERNAL,
                                          .geometry = {.size = MPS2_EXTERNAL_SIZE,
                                                       .erase_size = 4096,
                                                       .page_size = 256,
                                                       .write_block = 1,
                                                       .erased = 0xFF}};
