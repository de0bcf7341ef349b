/* The SPI bus by SPIM0 with EasyDMA, which reaches RAM only: what the driver sends must lie there,
 * as spinor.h asks. Chip select stays low over the whole transaction. */
#include "nrf52840.h"
#include "registers.h"

#define RAM_START 0x20000000u

/* One of the two may be empty: the bus then sends zeros, or nobody listens. */
static void transfer(const uint8_t *out, size_t out_size, uint8_t *in, size_t in_size)
{
    KEDGE_ASSERT(out_size == 0 || (uintptr_t)out >= RAM_START);
    SPIM_TXD_PTR = (uint32_t)(uintptr_t)out;
    SPIM_TXD_MAXCNT = out_size;
    SPIM_RXD_PTR = (uint32_t)(uintptr_t)in;
    SPIM_RXD_MAXCNT = in_size;
    SPIM_END = 0;
    SPIM_START = 1;
    while (SPIM_END == 0) {
    }
}

static int transact(void *ctx, struct kedge_bytes head, struct kedge_bytes out, struct kedge_buf in)
{
    (void)ctx;
    P0_OUTCLR = 1u << PIN_CS;
    transfer(head.at, head.size, NULL, 0);
    if (out.size + in.size != 0) {
        transfer(out.at, out.size, in.at, in.size);
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
