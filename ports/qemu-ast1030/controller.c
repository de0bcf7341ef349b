/* The Bluetooth controller on UART1, the second -serial: a virtual one over TCP. It stays as it is
 * when the processor is reset, so whatever it still had to say is passed over first. */
#include "controller.h"
#include "board.h"
#include "board_ble.h"
#include "registers.h"

#define RING     8192u /* power of two */
#define QUIET_MS 20u
#define MOST_MS  500u

const uint8_t board_ble_address[6] = {0x30, 0x10, 0x5A, 0xED, 0x6E, 0xC0};
const uint8_t board_ble_security = PERIPHERAL_OPEN;

static uint8_t ring[RING];
static volatile uint32_t came, taken;

static volatile uint32_t *uart(uint32_t at)
{
    return &REGISTER(UART1_BASE + at);
}

void controller_interrupt(void)
{
    while ((*uart(UART_STATUS) & UART_HAS_DATA) != 0) {
        if (came - taken == RING) {
            *uart(UART_ENABLE) = 0; /* QEMU keeps the rest */
            return;
        }
        ring[came % RING] = (uint8_t)*uart(UART_DATA);
        came++;
    }
}

static int receive(void *ctx, struct kedge_buf to)
{
    size_t size = 0;
    (void)ctx;
    while (size < to.size && taken != came) {
        to.at[size++] = ring[taken % RING];
        taken++;
    }
    *uart(UART_ENABLE) = UART_ON_DATA;
    return (int)size;
}

static int send(void *ctx, struct kedge_bytes bytes)
{
    (void)ctx;
    for (size_t i = 0; i < bytes.size; i++) {
        while ((*uart(UART_STATUS) & UART_HAS_ROOM) == 0) {
        }
        *uart(UART_DATA) = bytes.at[i];
    }
    return 0;
}

static void wait(void *ctx, uint32_t ms)
{
    const uint32_t start = board_now_ms();
    (void)ctx;
    board_watchdog_feed();
    while (taken == came && board_now_ms() - start < ms) {
        board_sleep();
        board_watchdog_feed();
    }
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return board_now_ms();
}

void board_controller_start(void)
{
    *uart(UART_LINE) = UART_DIVISOR | UART_8N1;
    *uart(UART_DATA) = 1;
    *uart(UART_ENABLE) = 0;
    *uart(UART_LINE) = UART_8N1;
    *uart(UART_FIFO) = UART_FIFO_ON;
    *uart(UART_ENABLE) = UART_ON_DATA;
    NVIC_ENABLE_HIGH = 1u << (UART1_IRQ - 32);
    const uint32_t start = board_now_ms();
    uint32_t heard = start;
    while (board_now_ms() - heard < QUIET_MS && board_now_ms() - start < MOST_MS) {
        uint8_t bytes[64];
        if (receive(NULL, kedge_buf(bytes, sizeof bytes)) > 0) {
            heard = board_now_ms();
        }
        board_watchdog_feed();
    }
}

/* Not random enough for anything but this emulated board: QEMU's has no generator that is. */
uint32_t board_random(void)
{
    static uint32_t state = 0x9E3779B9u;
    state ^= SYSTICK_NOW + came * 2654435761u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

const struct ble_line board_controller = {
    .send = send, .receive = receive, .wait = wait, .now_ms = now_ms};
