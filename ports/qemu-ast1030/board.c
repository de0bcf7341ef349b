/* QEMU's ast1030-evb as a board: two SPI-NOR chips behind the same driver. The one on FMC stands
 * for the internal flash, so nothing is executed in place: a payload is copied to SRAM and run
 * there. */
#include "board.h"

#include "controller.h"
#include "registers.h"
#include "smc.h"

#define UART_RING        4096u /* power of two: the longest request and its repetition */
#define APPLICATION_AT   0x40000u
#define APPLICATION_MOST 0x60000u

const struct board_map board_map = {.primary = 0xC000,
                                    .slot_size = 0x71000,
                                    .journal = 0x7D000,
                                    .settings = 0x7F000,
                                    .secondary = 0,
                                    .spares = 2,
                                    .max_align = 8};
const char board_name[] = "ast1030-evb";
const char board_hardware[] = "qemu";

/* W25Q64JV: 45 ms, 0.4 ms (facts/flash-parts.md); the bus at 50 MHz. QEMU's chips take no time. */
const struct kedge_part_times board_times[KEDGE_DEVICES] = {
    {.erase_us = 45000, .page_us = 400, .byte_ns = 160},
    {.erase_us = 45000, .page_us = 400, .byte_ns = 160},
};

/* W25Q80 (1 MiB, as large as the internal flash that it stands for) and W25Q64, by their tables:
 * QEMU 7.2's have no SFDP. */
#define W25Q(code, bytes)                                                                          \
    {                                                                                              \
        .id = {0xEF, 0x40, (code)}, .page_size = 256, .size = (bytes), .erase_size = 4096,         \
        .erase_max_us = 400000, .block_max_us = 2000000, .page_max_us = 3000                       \
    }
static const struct kedge_spinor_part w25q80 = W25Q(0x14, 0x100000);
static const struct kedge_spinor_part w25q64 = W25Q(0x17, 0x800000);

static struct kedge_spinor internal_nor, external_nor;
static uint8_t ring[UART_RING];
static volatile uint32_t ring_in, ring_out, ticks;

static volatile uint32_t *uart(uint32_t at)
{
    return &REGISTER(UART5_BASE + at);
}

void board_start(void)
{
    smc_start();
    *uart(UART_LINE) = UART_DIVISOR | UART_8N1; /* as fast as it goes: QEMU has no line */
    *uart(UART_DATA) = 1;
    *uart(UART_ENABLE) = 0;
    *uart(UART_LINE) = UART_8N1;
    *uart(UART_FIFO) = UART_FIFO_ON;
    *uart(UART_ENABLE) = UART_ON_DATA;
    NVIC_ENABLE = 1u << UART5_IRQ;
    SYSTICK_RELOAD = CORE_MHZ * 1000u - 1u;
    SYSTICK_NOW = 0;
    SYSTICK_CONTROL = SYSTICK_ON;
}

/* The known part by its table, any other by its own description (SFDP). */
int board_open(struct kedge_flash *internal, struct kedge_flash *external)
{
    (void)kedge_spinor_open(&internal_nor, &smc_internal, &w25q80, internal);
    const struct kedge_spinor_part *part = &w25q64;
    int error = kedge_spinor_open(&external_nor, &smc_external, part, external);
    if (error == KEDGE_E_FOREIGN) {
        part = &kedge_spinor_generic;
        error = kedge_spinor_open(&external_nor, &smc_external, part, external);
    }
    if (error != 0) { /* the map needs a size, and says no more than that */
        external->geometry.size = w25q64.size;
    }
    return error;
}

/* ---- console --------------------------------------------------------------------------------- */

/* With the ring full the bytes stay where they are, and QEMU keeps the rest. */
static void on_uart(void)
{
    while ((*uart(UART_STATUS) & UART_HAS_DATA) != 0) {
        if (ring_in - ring_out == UART_RING) {
            *uart(UART_ENABLE) = 0;
            return;
        }
        ring[ring_in % UART_RING] = (uint8_t)*uart(UART_DATA);
        ring_in++;
    }
}

size_t board_receive(struct kedge_buf to)
{
    size_t size = 0;
    while (size < to.size && ring_out != ring_in) {
        to.at[size++] = ring[ring_out % UART_RING];
        ring_out++;
    }
    *uart(UART_ENABLE) = UART_ON_DATA;
    return size;
}

void board_send(struct kedge_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        while ((*uart(UART_STATUS) & UART_HAS_ROOM) == 0) {
        }
        *uart(UART_DATA) = bytes.at[i];
    }
    while ((*uart(UART_STATUS) & UART_EMPTY) == 0) {
    }
}

/* ---- time and resets ------------------------------------------------------------------------- */

void board_interrupt(int number)
{
    if (number == UART5_IRQ) {
        on_uart();
    } else if (number == UART1_IRQ) {
        controller_interrupt();
    } else {
        ticks++;
    }
}

uint32_t board_now_ms(void)
{
    return ticks;
}

void board_sleep(void)
{
    __asm volatile("wfi");
}

void board_watchdog_start(uint32_t us)
{
    WDT1_CONTROL = 0;
    WDT1_RELOAD = us;
    WDT1_RESTART = WDT_RESTART;
    WDT1_CONTROL = WDT_SYSTEM;
}

void board_watchdog_feed(void)
{
    WDT1_RESTART = WDT_RESTART;
}

/* The cause cannot be read from a register here; RAM is zero when QEMU starts. */
#define MARKER_RUNS  0x52554E53u
#define MARKER_ASKED 0x41534B44u
extern uint32_t link_marker;

const char *board_reset_reason(void)
{
    const uint32_t marker = link_marker;
    link_marker = MARKER_RUNS;
    return marker == MARKER_ASKED ? "asked for" : marker == MARKER_RUNS ? "watchdog" : "power on";
}

_Noreturn void board_reset(void)
{
    link_marker = MARKER_ASKED;
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

_Noreturn void board_jump(const struct kedge_flash *internal, uint32_t entry, uint32_t size)
{
    uint8_t *const to = (uint8_t *)APPLICATION_AT;
    if (size > APPLICATION_MOST ||
        internal->ops->read(internal->ctx, entry, kedge_buf(to, size)) != 0) {
        board_reset();
    }
    *uart(UART_ENABLE) = 0;
    NVIC_DISABLE = 1u << UART5_IRQ;
    NVIC_CLEAR = 1u << UART5_IRQ;
    SYSTICK_CONTROL = 0;
    SCB_VTOR = APPLICATION_AT;
    __asm volatile("dsb\n\tisb\n\tmsr msp, %0\n\tbx %1"
                   :
                   : "r"(REGISTER(APPLICATION_AT)), "r"(REGISTER(APPLICATION_AT + 4))
                   : "memory");
    __builtin_unreachable();
}
