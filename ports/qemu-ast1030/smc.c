/* User mode: while the chip is selected, every access to the window shifts that many bytes, the
 * lowest first. What is sent goes byte by byte, so that a watchdog may cut a page between any two.
 */
#include "smc.h"

#include <string.h>

#include "board.h"
#include "registers.h"

struct smc {
    uint32_t base, window;
};

static const struct smc fmc = {FMC_BASE, FMC_WINDOW};
static const struct smc spi1 = {SPI1_BASE, SPI1_WINDOW};

bool smc_sends_bursts;

/* Eight words from one place to another by two instructions; every access to a window leaves QEMU's
 * translated code, an instruction does it once. Neither address moves. */
#define BURST 32u
static void burst(void *to, const void *from)
{
    __asm volatile("ldm %1, {r3-r6, r8-r10, r12}\n\tstm %0, {r3-r6, r8-r10, r12}"
                   :
                   : "r"(to), "r"(from)
                   : "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "memory");
}

static void send(const struct smc *smc, struct kedge_bytes bytes)
{
    void *const window = (void *)(uintptr_t)smc->window;
    uint32_t words[BURST / 4];
    while (smc_sends_bursts && bytes.size >= BURST) {
        memcpy(words, bytes.at, BURST);
        burst(window, words);
        bytes = kedge_bytes(bytes.at + BURST, bytes.size - BURST);
    }
    for (size_t i = 0; i < bytes.size; i++) {
        *(volatile uint8_t *)window = bytes.at[i];
    }
}

static void receive(const struct smc *smc, struct kedge_buf to)
{
    const void *const window = (const void *)(uintptr_t)smc->window;
    uint32_t words[BURST / 4];
    for (; to.size >= BURST; to.at += BURST, to.size -= BURST) {
        burst(words, window);
        memcpy(to.at, words, BURST);
    }
    for (; to.size > 0; to.at++, to.size--) {
        *to.at = *(const volatile uint8_t *)window;
    }
}

static int transact(void *ctx, struct kedge_bytes head, struct kedge_bytes out, struct kedge_buf in)
{
    const struct smc *smc = ctx;
    REGISTER(smc->base + SMC_CONTROL) = SMC_SELECT;
    send(smc, head);
    send(smc, out);
    receive(smc, in);
    REGISTER(smc->base + SMC_CONTROL) = SMC_RELEASE;
    return 0;
}

/* QEMU's chips are never busy, so this is called for the release from power-down only. */
static void wait_us(void *ctx, uint32_t us)
{
    (void)ctx;
    board_watchdog_feed();
    for (volatile uint32_t i = us * CORE_MHZ / 4; i > 0; i--) {
    }
}

void smc_start(void)
{
    REGISTER(FMC_BASE + SMC_CONFIG) |= SMC_WRITABLE;
    REGISTER(SPI1_BASE + SMC_CONFIG) |= SMC_WRITABLE;
    REGISTER(FMC_BASE + SMC_CONTROL) = SMC_RELEASE;
    REGISTER(SPI1_BASE + SMC_CONTROL) = SMC_RELEASE;
}

const struct kedge_spi_bus smc_internal = {
    .transact = transact, .wait_us = wait_us, .ctx = (void *)&fmc};
const struct kedge_spi_bus smc_external = {
    .transact = transact, .wait_us = wait_us, .ctx = (void *)&spi1};
