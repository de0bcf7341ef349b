/* Instructions of a plain boot, a test swap and the revert on this board, with both chips behind
 * the SPI-NOR driver and their real transfers (-icount shift=0: one instruction a nanosecond). The
 * chips' files come with the old image in the primary slot and the new one in the secondary. One
 * line each:
 *
 *     board CASE REASON INSTRUCTIONS
 *
 * bench/board.py starts it; ports/mps2-an386 is the measure without transfers. */
#include <string.h>

#include "board.h"
#include "flashes.h"
#include "kedge/boot.h"
#include "loader_build.h"
#include "loader_key.h"
#include "registers.h"
#include "say.h"

#define SYSTICK_MOST 0xFFFFFFu
#define PER_TICK     5u /* instructions: 200 MHz, 1 ns each */

static struct flashes flashes;
static uint8_t unit[BOARD_UNIT];
static uint64_t state[(BOARD_STATE + LOADER_STATE_MORE) / 8];

static const struct kedge_boot_config config = {
    .layout = &flashes.layout,
    .strategy = &LOADER_STRATEGY(kedge_swap),
    .keys = &loader_key,
    .key_count = 1,
    .defaults = &kedge_policy_default,
    .unit = {unit, sizeof unit},
    .state = {(uint8_t *)state, sizeof state},
};

/* Turns of SysTick cost 20 instructions each, every 84 million. */
static void measure(const char *name)
{
    struct kedge_boot_report report;
    SYSTICK_CONTROL = 0;
    SYSTICK_RELOAD = SYSTICK_MOST;
    SYSTICK_NOW = 0;
    const uint32_t turns = board_now_ms();
    SYSTICK_CONTROL = SYSTICK_ON;
    const int error = kedge_boot(&config, &report);
    const uint32_t ticks = SYSTICK_MOST - SYSTICK_NOW;
    loader_forget();
    say("board ");
    say(name);
    say(" ");
    say_number(error == 0 ? report.reason : UINT32_MAX);
    say(" ");
    say_number(((board_now_ms() - turns) * (SYSTICK_MOST + 1u) + ticks) * PER_TICK);
    say("\r\n");
}

static void request_test(void)
{
    uint8_t magic[16];
    const struct kedge_region *secondary = &flashes.pair.secondary.region;
    kedge_trailer_magic(board_map.max_align, magic);
    KEDGE_ASSERT(kedge_region_program(secondary, board_map.slot_size - sizeof magic,
                                      kedge_bytes(magic, sizeof magic)) == 0);
}

int main(void)
{
    board_start();
    KEDGE_ASSERT(flashes_open(&flashes) == 0);
    measure("plain");
    request_test();
    measure("test");
    measure("revert");
    say("end\r\n");
    for (;;) {
        board_sleep();
    }
}
