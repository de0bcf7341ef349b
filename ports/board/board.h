/* What a board supplies, for a loader with a console (loader.c) and for an application that is
 * nothing but the update agent (application.c). ports/template/board.c is the file to fill in;
 * ports/qemu-ast1030 and ports/nrf52840/application are two that are. One thread, no heap. */
#ifndef KEDGE_BOARD_H
#define KEDGE_BOARD_H

#include "kedge/recorder.h"

/* Longest unit and most units of a pair that the buffers of loader.c are made for. */
#define BOARD_UNIT  4096u
#define BOARD_STATE 2048u

/* Where the regions lie: device addresses, multiples of the sectors. `spares` sectors lie right
 * behind the secondary slot. */
struct board_map {
    uint32_t primary, slot_size, journal, settings; /* internal; the last two: two sectors each */
    uint32_t secondary, spares;                     /* external */
    uint8_t max_align;                              /* of the trailers: 8, 16, 32 */
};
extern const struct board_map board_map;

/* Words for `os info`. */
extern const char board_name[], board_hardware[];

/* Times of the parts, for the recorder. */
extern const struct kedge_part_times board_times[KEDGE_DEVICES];

/* Clocks, pins, console, time. Called once after the reset, by loader and application alike. */
void board_start(void);

/* Fill both devices. The result is the external chip's: a dead one is no reason to stop. */
int board_open(struct kedge_flash *internal, struct kedge_flash *external);

/* Up to `to.size` bytes that came over the console; 0: none now. */
size_t board_receive(struct kedge_buf to);
/* Returns when all is on its way. */
void board_send(struct kedge_bytes bytes);

uint32_t board_now_ms(void);

/* Let the processor sleep until something may have come, a few milliseconds at most. */
void board_sleep(void);

/* The watchdog resets after `us` without a feed. Once started it runs on, over the jump. */
void board_watchdog_start(uint32_t us);
void board_watchdog_feed(void);

_Noreturn void board_reset(void);

/* "power on", "watchdog", ...: for the console. Called once, early. */
const char *board_reset_reason(void);

/* To the image whose payload (a vector table first) lies at device address `entry` of the internal
 * flash, `size` bytes: interrupts and timer off, VTOR, stack, entry. */
_Noreturn void board_jump(const struct kedge_flash *internal, uint32_t entry, uint32_t size);

/* Interrupt `number` (0: the first of the chip's own; -1: SysTick) came. */
void board_interrupt(int number);

/* Built with the application: version-independent choices of a test build. */
struct board_application {
    bool confirms; /* after its self-test, instead of waiting for a client's word */
    bool crashes;  /* before it does anything */
};
extern const struct board_application board_application;

#endif
