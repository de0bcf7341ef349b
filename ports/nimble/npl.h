/* The loop that NimBLE runs in: what npl.c has besides NimBLE's own interface. */
#ifndef KEDGE_NIMBLE_NPL_H
#define KEDGE_NIMBLE_NPL_H

#include <stdint.h>

#include "ble_line.h"

#define NPL_IDLE UINT32_MAX

/* Forget all events and timers (a new power-on), and work on this line from now on. */
void npl_start(const struct ble_line *line);

/* Run due timers and all queued events. */
void npl_run(void);

/* Milliseconds until the next timer; 0 when events wait; NPL_IDLE: none. */
uint32_t npl_next_ms(void);

#endif
