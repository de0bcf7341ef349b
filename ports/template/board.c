/* A port: the one file to fill in. As it stands it compiles (every build does so) for a Cortex-M4
 * that does not exist, whose registers are the plainest that could be. README.md goes through it
 * section by section; what each function must do is said in ../board/board.h. */
#include "board.h"

#include "kedge/spinor.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* ---- 1. Where everything lies ---------------------------------------------------------------- */

#define INTERNAL_SIZE   0x100000u
#define INTERNAL_SECTOR 4096u /* smallest erase */
#define INTERNAL_WORD   4u    /* smallest program */

/* The slots are equal in length; the same numbers stand in loader.ld and
 * application.ld. */
const struct board_map board_map = {.primary = 0xC000,
                                    .slot_size = 0x71000,
                                    .journal = 0x7D000,
                                    .settings = 0x7F000,
                                    .secondary = 0,
                                    .spares = 2,
                                    .max_align = 8};
const char board_name[] = "template";
const char board_hardware[] = "none";

/* Typical times by the data sheets: erase of a sector, a page (internal: a word), a byte on the
 * bus. */
const struct kedge_part_times board_times[KEDGE_DEVICES] = {
    {.erase_us = 85000, .page_us = 41},
    {.erase_us = 45000, .page_us = 400, .byte_ns = 1000},
};

/* ---- 2. Internal flash ----------------------------------------------------------------------- */

#define FLASH_BASE   0x00000000u /* where it is read */
#define FLASH_UNLOCK REGISTER(0x40010000)
#define FLASH_PAGE   REGISTER(0x40010004) /* erases the page of this address */
#define FLASH_BUSY   REGISTER(0x40010008)

static void flash_wait(void)
{
    while (FLASH_BUSY != 0) {
    }
}

static int flash_read(void *ctx, uint32_t at, struct kedge_buf to)
{
    (void)ctx;
    const volatile uint8_t *from = (const volatile uint8_t *)(uintptr_t)(FLASH_BASE + at);
    for (size_t i = 0; i < to.size; i++) {
        to.at[i] = from[i];
    }
    return 0;
}

/* Whole words, aligned: the core sees to it. */
static int flash_program(void *ctx, uint32_t at, struct kedge_bytes from)
{
    (void)ctx;
    FLASH_UNLOCK = 1;
    for (size_t i = 0; i < from.size; i += INTERNAL_WORD) {
        REGISTER(FLASH_BASE + at + i) = kedge_le32(from.at + i);
        flash_wait();
    }
    FLASH_UNLOCK = 0;
    return 0;
}

static int flash_erase(void *ctx, uint32_t at, uint32_t size)
{
    (void)ctx;
    FLASH_UNLOCK = 1;
    for (uint32_t i = 0; i < size; i += INTERNAL_SECTOR) {
        FLASH_PAGE = FLASH_BASE + at + i;
        flash_wait();
        board_watchdog_feed();
    }
    FLASH_UNLOCK = 0;
    return 0;
}

static int flash_done(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct kedge_flash_ops flash_ops = {.read = flash_read,
                                                 .program = flash_program,
                                                 .erase = flash_erase,
                                                 .sync = flash_done,
                                                 .probe = flash_done};

/* ---- 3. SPI bus of the external flash -------------------------------------------------------- */

#define SPI_DATA   REGISTER(0x40020000) /* write: send a byte; read: the byte that came with it */
#define SPI_BUSY   REGISTER(0x40020004)
#define SPI_SELECT REGISTER(0x40020008) /* 1: chip select low */

static uint8_t spi_byte(uint8_t out)
{
    SPI_DATA = out;
    while (SPI_BUSY != 0) {
    }
    return (uint8_t)SPI_DATA;
}

/* One transaction under one chip select: head out, then either `out` out or `in` in. */
static int spi_transact(void *ctx, struct kedge_bytes head, struct kedge_bytes out,
                        struct kedge_buf in)
{
    (void)ctx;
    SPI_SELECT = 1;
    for (size_t i = 0; i < head.size; i++) {
        (void)spi_byte(head.at[i]);
    }
    for (size_t i = 0; i < out.size; i++) {
        (void)spi_byte(out.at[i]);
    }
    for (size_t i = 0; i < in.size; i++) {
        in.at[i] = spi_byte(0xFF);
    }
    SPI_SELECT = 0;
    return 0;
}

/* At least so long; a chip that erases is waited for in here. */
static void spi_wait_us(void *ctx, uint32_t us)
{
    (void)ctx;
    board_watchdog_feed();
    for (volatile uint32_t i = us * 16u; i > 0; i--) {
    }
}

static const struct kedge_spi_bus spi = {.transact = spi_transact, .wait_us = spi_wait_us};
static struct kedge_spinor nor;

/* kedge_spinor_generic: whatever describes itself (SFDP). A known part by name is smaller. */
int board_open(struct kedge_flash *internal, struct kedge_flash *external)
{
    *internal = (struct kedge_flash){.ops = &flash_ops,
                                     .geometry = {.size = INTERNAL_SIZE,
                                                  .erase_size = INTERNAL_SECTOR,
                                                  .page_size = INTERNAL_WORD,
                                                  .write_block = INTERNAL_WORD,
                                                  .erased = 0xFF}};
    const int error = kedge_spinor_open(&nor, &spi, &kedge_spinor_generic, external);
    if (error != 0) {
        external->geometry.size = 0x800000; /* the map needs one, and says no more than that */
    }
    return error;
}

/* ---- 4. Console ------------------------------------------------------------------------------ */

#define UART_DATA     REGISTER(0x40030000)
#define UART_HAS_DATA REGISTER(0x40030004)
#define UART_HAS_ROOM REGISTER(0x40030008)
#define UART_IRQ      5
#define RING          4096u /* power of two; the longest request of application.c and more */

static uint8_t ring[RING];
static volatile uint32_t came, taken, ticks;

static void take_bytes(void)
{
    while (UART_HAS_DATA != 0) {
        const uint8_t byte = (uint8_t)UART_DATA;
        if (came - taken < RING) {
            ring[came % RING] = byte;
            came++;
        }
    }
}

size_t board_receive(struct kedge_buf to)
{
    size_t size = 0;
    while (size < to.size && taken != came) {
        to.at[size++] = ring[taken % RING];
        taken++;
    }
    return size;
}

void board_send(struct kedge_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        while (UART_HAS_ROOM == 0) {
        }
        UART_DATA = bytes.at[i];
    }
}

/* ---- 5. Start, time, watchdog, resets -------------------------------------------------------- */

#define CORE_KHZ        64000u
#define NVIC_ENABLE     REGISTER(0xE000E100)
#define NVIC_DISABLE    REGISTER(0xE000E180)
#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD  REGISTER(0xE000E014)
#define SCB_VTOR        REGISTER(0xE000ED08)
#define SCB_AIRCR       REGISTER(0xE000ED0C)
#define WATCHDOG_LIMIT  REGISTER(0x40040000) /* microseconds; starts it */
#define WATCHDOG_FEED   REGISTER(0x40040004)
#define RESET_CAUSE     REGISTER(0x40050000)

void board_start(void)
{
    NVIC_ENABLE = 1u << UART_IRQ;
    SYSTICK_RELOAD = CORE_KHZ - 1u;
    SYSTICK_CONTROL = 7u; /* on, with interrupt, by the processor's clock */
}

void board_interrupt(int number)
{
    if (number == UART_IRQ) {
        take_bytes();
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
    WATCHDOG_LIMIT = us;
}

void board_watchdog_feed(void)
{
    WATCHDOG_FEED = 1;
}

const char *board_reset_reason(void)
{
    return RESET_CAUSE == 1 ? "watchdog" : "power on";
}

_Noreturn void board_reset(void)
{
    SCB_AIRCR = 0x05FA0004u;
    for (;;) {
    }
}

/* Nothing of the loader must interrupt the application. */
_Noreturn void board_jump(const struct kedge_flash *internal, uint32_t entry, uint32_t size)
{
    (void)internal;
    (void)size;
    NVIC_DISABLE = 1u << UART_IRQ;
    SYSTICK_CONTROL = 0;
    SCB_VTOR = FLASH_BASE + entry;
    __asm volatile("dsb\n\tisb\n\tmsr msp, %0\n\tbx %1"
                   :
                   : "r"(REGISTER(FLASH_BASE + entry)), "r"(REGISTER(FLASH_BASE + entry + 4))
                   : "memory");
    __builtin_unreachable();
}
