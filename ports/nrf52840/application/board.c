/* nRF52840 DK as a board with a console: NVMC, SPIM and their pins as in the loader (../nvmc.c,
 * ../spim.c), the console on the debugger's serial port (uarte.c), the chip's own watchdog. */
#include "board.h"

#include "handover.h"
#include "nrf52840.h"
#include "peripherals.h"
#include "uarte.h"

const struct board_map board_map = {.primary = 0xC000,
                                    .slot_size = 0x71000,
                                    .journal = 0x7D000,
                                    .settings = 0x7F000,
                                    .secondary = 0,
                                    .spares = 2,
                                    .max_align = 8};
const char board_name[] = "nrf52840dk";
const char board_hardware[] = "nrf52840";

/* facts/flash-parts.md: NVMC 85 ms a page, 41 us a word; MX25R64 in high performance mode at 8 MHz.
 */
const struct kedge_part_times board_times[KEDGE_DEVICES] = {
    {.erase_us = 85000, .page_us = 41},
    {.erase_us = 48000,
     .page_us = 896,
     .byte_ns = 1000,
     .program_fixed_us = 32,
     .program_byte_ns = 1000},
};

static struct kedge_spinor external_nor;
static volatile uint32_t ticks;

void board_start(void)
{
    CLOCK_HFXO_RUNS = 0;
    CLOCK_HFXO_START = 1;
    while (CLOCK_HFXO_RUNS == 0) {
    }
    P0_OUTSET = 1u << PIN_WP | 1u << PIN_HOLD;
    P0_DIRSET = 1u << PIN_WP | 1u << PIN_HOLD;
    nrf52840_spim_start();
    uarte_start();
    SYSTICK_RELOAD = CORE_KHZ - 1u;
    SYSTICK_NOW = 0;
    SYSTICK_CONTROL = SYSTICK_ON;
}

int board_open(struct kedge_flash *internal, struct kedge_flash *external)
{
    *internal = nrf52840_internal;
    return kedge_spinor_open(&external_nor, &nrf52840_bus, &kedge_spinor_mx25r64_table, external);
}

void board_interrupt(int number)
{
    if (number == UARTE_IRQ) {
        uarte_interrupt();
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

/* It cannot be stopped or changed once it runs, and a soft reset does not stop it. */
void board_watchdog_start(uint32_t us)
{
    if (WDT_RUNS == 0) {
        WDT_CONFIG = WDT_WHEN_ASLEEP;
        WDT_RELOAD = us / 15625u * 512u; /* 32,768 Hz */
        WDT_CHANNELS = 1;
        WDT_START = 1;
    }
    board_watchdog_feed();
}

void board_watchdog_feed(void)
{
    WDT_FEED = WDT_FEED_WORD;
}

/* The bits stay until they are cleared. */
const char *board_reset_reason(void)
{
    const uint32_t reasons = POWER_RESETREAS;
    POWER_RESETREAS = reasons;
    return (reasons & RESET_WATCHDOG) != 0 ? "watchdog"
           : (reasons & RESET_LOCKUP) != 0 ? "processor lock-up"
           : (reasons & RESET_SOFT) != 0   ? "asked for"
           : (reasons & RESET_PIN) != 0    ? "reset pin"
                                           : "power on";
}

_Noreturn void board_reset(void)
{
    __asm volatile("dsb");
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

_Noreturn void board_jump(const struct kedge_flash *internal, uint32_t entry, uint32_t size)
{
    (void)internal;
    (void)size;
    uarte_stop();
    SPIM_ENABLE = 0;
    SYSTICK_CONTROL = 0;
    SCB_VTOR = entry;
    __asm volatile("dsb\n\tisb\n\tmsr msp, %0\n\tbx %1"
                   :
                   : "r"(REGISTER(entry)), "r"(REGISTER(entry + 4))
                   : "memory");
    __builtin_unreachable();
}
