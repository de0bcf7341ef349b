/* Bytes come by DMA into the two halves of a ring, one after the other without the processor, which
 * stands still for up to 85 ms while NVMC erases a page. TIMER1 counts them, for the UARTE itself
 * tells only about whole buffers. 1 KiB a half: 89 ms at 115200 baud. */
#include "uarte.h"

#include <string.h>

#include "board.h"
#include "peripherals.h"

#define HALF 1024u
#define SEND 64u /* the DMA reads RAM only, and texts lie in flash */

static uint8_t ring[2 * HALF];
static uint8_t out[SEND];
static uint32_t taken;         /* bytes that board_receive() gave out */
static volatile uint32_t half; /* the half that is named next */

void uarte_start(void)
{
    taken = 0;
    half = 0;
    TIMER1_MODE = TIMER_COUNTS;
    TIMER1_BITMODE = TIMER_32_BITS;
    TIMER1_CLEAR = 1;
    TIMER1_START = 1;
    PPI_EVENT = UARTE_RX_READY;
    PPI_TASK = TIMER1_COUNT;
    PPI_ENABLE_SET = 1;

    P0_OUTSET = 1u << PIN_TXD;
    P0_DIRSET = 1u << PIN_TXD;
    UARTE_PSEL_TXD = PIN_TXD;
    UARTE_PSEL_RXD = PIN_RXD;
    UARTE_BAUDRATE = UARTE_115200;
    UARTE_CONFIG = 0; /* 8N1, no flow control */
    UARTE_SHORTS = UARTE_ENDRX_START;
    UARTE_RX_STARTED = 0;
    UARTE_INT_ENABLE = UARTE_ON_STARTED;
    UARTE_ENABLE = UARTE_ENABLED;
    NVIC_ENABLE = 1u << UARTE_IRQ;
    UARTE_RXD_PTR = (uint32_t)(uintptr_t)ring;
    UARTE_RXD_MAXCNT = HALF;
    UARTE_START_RX = 1;
}

/* A buffer has been begun: the registers are free for the one behind it. */
void uarte_interrupt(void)
{
    UARTE_RX_STARTED = 0;
    half ^= 1u;
    UARTE_RXD_PTR = (uint32_t)(uintptr_t)(ring + half * HALF);
}

void uarte_stop(void)
{
    UARTE_INT_DISABLE = UARTE_ON_STARTED;
    UARTE_SHORTS = 0;
    UARTE_STOP_RX = 1;
    NVIC_DISABLE = 1u << UARTE_IRQ;
    NVIC_CLEAR = 1u << UARTE_IRQ;
    UARTE_ENABLE = 0;
}

/* When more came than the ring holds, the oldest are gone; SMP's checksum finds out. */
size_t board_receive(struct kedge_buf to)
{
    TIMER1_CAPTURE = 1;
    const uint32_t came = TIMER1_CC;
    size_t size = 0;
    if (came - taken > sizeof ring) {
        taken = came - sizeof ring;
    }
    while (size < to.size && taken != came) {
        to.at[size++] = ((volatile uint8_t *)ring)[taken % sizeof ring];
        taken++;
    }
    return size;
}

void board_send(struct kedge_bytes bytes)
{
    while (bytes.size > 0) {
        const size_t size = bytes.size < SEND ? bytes.size : SEND;
        memcpy(out, bytes.at, size);
        UARTE_TXD_PTR = (uint32_t)(uintptr_t)out;
        UARTE_TXD_MAXCNT = size;
        UARTE_TX_END = 0;
        UARTE_START_TX = 1;
        while (UARTE_TX_END == 0) {
        }
        bytes = kedge_bytes(bytes.at + size, bytes.size - size);
    }
}
