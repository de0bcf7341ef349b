/* A line to a Bluetooth controller: HCI packets in H4 framing over any stream of bytes that loses
 * none: a UART with flow control, a TCP connection, Linux's HCI user channel. A port fills this. */
#ifndef KEDGE_BLE_LINE_H
#define KEDGE_BLE_LINE_H

#include "kedge/base.h"

struct ble_line {
    /* Send all of it; may wait. 0, or negative: the line is dead. */
    int (*send)(void *ctx, struct kedge_bytes bytes);
    /* Take what is there, without waiting: bytes put to `to`, 0: none; negative: the line is dead.
     */
    int (*receive)(void *ctx, struct kedge_buf to);
    /* Return when bytes may have come, at the latest after so many milliseconds. */
    void (*wait)(void *ctx, uint32_t ms);
    uint32_t (*now_ms)(void *ctx); /* monotonic, may wrap */
    void *ctx;
};

#endif
