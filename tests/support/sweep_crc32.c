/* CRC-32 eight bytes at a time, for the sweeps: the core's own, made small, takes more than half of
 * their time. Linked in its place with --wrap (cmake/host.cmake); every 1000th result is compared
 * with the core's, and all are in a pass with KEDGE_NO_MEMO. */
#include <stdio.h>
#include <stdlib.h>

#include "kedge/base.h"

uint32_t __wrap_kedge_crc32_of(uint32_t crc, const uint8_t *at, size_t size);
uint32_t __real_kedge_crc32_of(uint32_t crc, const uint8_t *at, size_t size);

static uint32_t table[8][256];
static unsigned long every = 1000, calls;

static void make_tables(void)
{
    every = getenv("KEDGE_NO_MEMO") != NULL ? 1 : 1000;
    for (uint32_t i = 0; i < 256; i++) {
        table[0][i] = i;
        for (unsigned bit = 0; bit < 8; bit++)
            table[0][i] = table[0][i] >> 1 ^ (0xEDB88320u & (0u - (table[0][i] & 1)));
    }
    for (unsigned t = 1; t < 8; t++)
        for (uint32_t i = 0; i < 256; i++)
            table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 255];
}

static uint32_t by_eight(uint32_t crc, const uint8_t *at, size_t size)
{
    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        const uint32_t low = kedge_le32(at) ^ crc, high = kedge_le32(at + 4);
        crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^
              table[4][low >> 24] ^ table[3][high & 255] ^ table[2][high >> 8 & 255] ^
              table[1][high >> 16 & 255] ^ table[0][high >> 24];
    }
    for (; size > 0; size--, at++)
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 255];
    return ~crc;
}

uint32_t __wrap_kedge_crc32_of(uint32_t crc, const uint8_t *at, size_t size)
{
    if (table[0][1] == 0)
        make_tables();
    const uint32_t result = by_eight(crc, at, size);
    if (calls++ % every == 0 && result != __real_kedge_crc32_of(crc, at, size)) {
        fprintf(stderr, "sweep_crc32: not the core's CRC\n");
        abort();
    }
    return result;
}
