/* A second way in beside the console: BLE (air_ble.c) or none (air_none.c). The application polls
 * it in its loop; what it needs of the board is in board_ble.h. */
#ifndef KEDGE_BOARD_AIR_H
#define KEDGE_BOARD_AIR_H

#include "kedge/flash.h"

/* Messages that may wait there, for `os params`. */
extern const uint16_t air_buffers;

/* A power-on. `settings`: where bonds live. */
void air_start(const struct kedge_region *settings);

/* Take what came, do what is due. True: `message` waits to be answered by air_reply(). */
bool air_receive(struct kedge_bytes *message, uint32_t *peer);

/* The answer to the message; empty: there is none. */
void air_reply(struct kedge_bytes reply);

/* Nothing else is to be done: keep what must last, in flash. */
void air_idle(void);

/* Before a reset: say goodbye. */
void air_stop(void);

#endif
