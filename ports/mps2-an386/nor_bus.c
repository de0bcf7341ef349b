/* As much of an MX25R64 as the driver needs, one transaction at a time; see flash.h. */
#include <string.h>

#include "flash.h"

#define WRITE_ENABLE 0x06
#define READ_STATUS  0x05
#define READ_CONFIG  0x15
#define READ_ID      0x9F
#define READ         0x03
#define PROGRAM      0x02
#define ERASE        0x20

#define ENABLED      0x02

static uint8_t status;

static void fill(struct kedge_buf to, uint8_t value)
{
    memset(to.at, value, to.size);
}

static int transact(void *ctx, struct kedge_bytes head, struct kedge_bytes out, struct kedge_buf in)
{
    static const uint8_t id[] = {0xC2, 0x28, 0x17};
    uint8_t *place = (uint8_t *)MPS2_EXTERNAL;
    (void)ctx;
    if (head.size == 4) {
        place += kedge_be32(head.at) & (MPS2_EXTERNAL_SIZE - 1);
    }
    switch (head.at[0]) {
    case WRITE_ENABLE:
        status |= ENABLED;
        break;
    case READ_STATUS:
        fill(in, status);
        break;
    case READ_CONFIG:
        fill(in, 0x02); /* high performance mode is on */
        break;
    case READ_ID:
        memcpy(in.at, id, sizeof(id));
        break;
    case READ:
        memcpy(in.at, place, in.size);
        break;
    case PROGRAM:
        memcpy(place, out.at, out.size);
        status = 0;
        break;
    case ERASE:
        memset(place, 0xFF, 4096);
        status = 0;
        break;
    default:
        break;
    }
    return 0;
}

static void wait_us(void *ctx, uint32_t us)
{
    (void)ctx;
    (void)us;
}

const struct kedge_spi_bus mps2_bus = {.transact = transact, .wait_us = wait_us};
