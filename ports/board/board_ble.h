/* What a board supplies for BLE, beside board.h: a line to a controller in H4 framing. */
#ifndef KEDGE_BOARD_BLE_H
#define KEDGE_BOARD_BLE_H

#include "peripheral.h"

extern const struct ble_line board_controller;
void board_controller_start(void);

/* Random static (the top two bits of the last byte set), the same at each start. */
extern const uint8_t board_ble_address[6];
extern const uint8_t board_ble_security; /* enum peripheral_security */

uint32_t board_random(void);

#endif
