/* The virtual device's radio: a controller behind --hci, found again when it was lost. Host code.
 */
#ifndef KEDGE_LINUX_BLE_WIRE_H
#define KEDGE_LINUX_BLE_WIRE_H

#include "kedge/smp.h"
#include "line_linux.h"
#include "peripheral.h"

#define BLE_WIRE_BUFFERS 4 /* messages that may wait: os params says so */

struct ble_wire_options {
    const char *hci, *name; /* name NULL: "Kedge" */
    const char *identity;   /* the same text gives the same address */
    uint8_t security;       /* enum peripheral_security */
    uint16_t att_mtu;
    struct kedge_region settings;
    void (*say)(void *ctx, const char *line); /* what happened, in words */
    void *ctx;
};

struct ble_wire {
    struct ble_wire_options options;
    bool open;
    struct line_linux line; /* fd -1: no controller at present */
    uint64_t retry_ms;      /* when to look for it again */
    bool answered;          /* the controller */
    struct peripheral_config config;
    struct kedge_gatt gatt;
    uint8_t memory[BLE_WIRE_BUFFERS * KEDGE_SMP_MESSAGE_MAX];
};

/* A power-on. -1, with the reason in `why`, when there is no such controller. */
int ble_wire_open(struct ble_wire *wire, const struct ble_wire_options *options, char *why);
void ble_wire_close(struct ble_wire *wire);

/* Take what came and do what is due; also while flash is waited for. */
void ble_wire_poll(struct ble_wire *wire);
/* Milliseconds until poll is needed even if nothing comes; at most `most`. */
int ble_wire_next_ms(const struct ble_wire *wire, int most);
/* Wait for so many microseconds, polling. */
void ble_wire_wait(struct ble_wire *wire, uint64_t us);

/* Before a reset: the reply to its request may still wait for its turn on the air, and a client
 * that does not get it asks for the reset again, which would end a trial. Until the central is
 * gone, at most a quarter of a second, as long as Zephyr's servers wait. */
void ble_wire_linger(struct ble_wire *wire);

/* The oldest message and who sent it, kedge_gatt_release() after it. A message over a link that is
 * not secure enough is answered here and not handed out. */
bool ble_wire_message(struct ble_wire *wire, struct kedge_bytes *message, uint32_t *peer);
/* Send a reply, all of it, unless the link goes meanwhile. */
void ble_wire_reply(struct ble_wire *wire, struct kedge_bytes reply);

#endif
