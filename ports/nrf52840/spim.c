/* The SPI bus by SPIM0 with EasyDMA. It reaches RAM only, so constants in flash are copied first, a
 * few bytes at a time; chip select stays low over the whole transaction. */
#include <string.h>

#include "nrf52840.h"
#include "registers.h"

#define RAM_START 0x20000000u
#define CHUNK 32u /* bytes of the copy for constants */

static void transfer(const uint8_t *out, uint8_t *in, size_t size)
{
    SPIM_TXD_PTR = (uint32_t)(uintptr_t)out;
    SPIM_TXD_MAXCNT = out == NULL ? 0 : size;
    SPIM_RXD_PTR = (uint32_t)(uintptr_t)in;
    SPIM_RXD_MAXCNT = in == NULL ? 0 : size;
    SPIM_END = 0;
    SPIM_START = 1;
    while (SPIM_END == 0) {
    }
}

static void send(struct kedge_bytes bytes)
{
    uint8_t copy[CHUNK];
    while (bytes.size > 0) {
        const bool in_ram = (uintptr_t)bytes.at >= RAM_START;
        const size_t size = in_ram || bytes.size < CHUNK ? bytes.size : CHUNK;
        if (!in_ram) {
            memcpy(copy, bytes.at, size);
        }
        transfer(in_ram ? bytes.at : copy, NULL, size);
        bytes.at += size;
        bytes.size -= size;
    }
}

static int transact(void *ctx, struct kedge_bytes head, struct kedge_bytes out, struct kedge_buf in)
{
    (void)ctx;
    P0_OUTCLR = 1u << PIN_CS;
    send(head);
    send(out);
    if (in.size > 0) {
        transfer(NULL, in.at, in.size);
    }
    P0_OUTSET = 1u << PIN_CS;
    return 0;
}

/* At least `us`: a loop of at least four cycles at 64 MHz. */
static void wait_us(void *ctx, uint32_t us)
{
    (void)ctx;
    for (volatile uint32_t i = us * 16u; i > 0; i--) {
    }
}

void nrf52840_spim_start(void)
{
    P0_OUTSET = 1u << PIN_CS;
    P0_DIRSET = 1u << PIN_CS | 1u << PIN_SCK | 1u << PIN_MOSI;
    SPIM_PSEL_SCK = PIN_SCK;
    SPIM_PSEL_MOSI = PIN_MOSI;
    SPIM_PSEL_MISO = PIN_MISO;
    SPIM_FREQUENCY = SPIM_8_MHZ;
    SPIM_CONFIG = 0; /* mode 0, most significant bit first */
    SPIM_ENABLE = SPIM_ENABLED;
}

const struct kedge_spi_bus nrf52840_bus = {.transact = transact, .wait_us = wait_us, .ctx = NULL};
