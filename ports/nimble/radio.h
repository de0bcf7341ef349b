/* NimBLE's host on a line: what a peripheral and a central have in common. */
#ifndef KEDGE_NIMBLE_RADIO_H
#define KEDGE_NIMBLE_RADIO_H

#include "ble_line.h"

/* A new power-on: memory pools, host, no services. The host's start is the first event. */
void radio_start(const struct ble_line *line);

/* Take what the controller sent, run what is due. Negative: the line is dead. */
int radio_poll(void);

/* Ask for long data packets and the 2M PHY. Whoever cannot says no, and all stays as it is. */
void radio_widen(uint16_t link);

#endif
