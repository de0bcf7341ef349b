/* A BLE peripheral that serves SMP: NimBLE's host on a line to a controller, the SMP service, one
 * central at a time. NimBLE keeps its state in static memory, so there is one peripheral a program.
 *
 * A port calls, in its loop:
 *
 *     peripheral_poll()                    negative: the controller is gone: open a line, start
 * again while kedge_gatt_message(gatt, &m):  peripheral_denied() ? deny : handle(m),
 * kedge_gatt_reply() while !peripheral_send():        peripheral_poll(), wait
 *         kedge_gatt_release(gatt)
 *     peripheral_keep()                    when nothing else is to be done
 *     sleep until bytes come or peripheral_next_ms() is over
 *
 * peripheral_poll() may also be called while a handler waits for flash: it only fills kedge_gatt's
 * buffers. All of it on one thread. */
#ifndef KEDGE_NIMBLE_PERIPHERAL_H
#define KEDGE_NIMBLE_PERIPHERAL_H

#include "ble_line.h"
#include "kedge/flash.h"
#include "kedge/transport.h"

enum peripheral_security {
    PERIPHERAL_OPEN,         /* anybody in reach may send requests */
    PERIPHERAL_ENCRYPTED,    /* LE Secure Connections, keyed without comparison ("just works") */
    PERIPHERAL_AUTHENTICATED /* the same, and whoever pairs types the six digits that we show */
};

enum peripheral_event_kind {
    PERIPHERAL_READY,          /* the controller answers, advertising has begun */
    PERIPHERAL_CONNECTED,      /* peer */
    PERIPHERAL_DISCONNECTED,   /* value: HCI reason */
    PERIPHERAL_SECOND_REFUSED, /* another central came while one is served */
    PERIPHERAL_GAVE_WAY,       /* a silent central was sent away for another one */
    PERIPHERAL_PASSKEY,        /* value: six digits to show */
    PERIPHERAL_SECURED,        /* value: 1: authenticated, 0: encrypted */
    PERIPHERAL_PAIRING_FAILED, /* value: NimBLE's status; or a central whose bond is not ours */
    PERIPHERAL_DENIED,         /* a request came over a link that is not as secure as demanded */
    PERIPHERAL_BOND_LOST       /* value: kedge's error: the bond could not be written to flash */
};

struct peripheral_event {
    uint8_t kind;
    int value;
    uint8_t peer[6]; /* as over the air: last byte first in print */
};

struct peripheral_config {
    const char *name;   /* advertised; whole only where 8 characters suffice */
    uint8_t address[6]; /* random static (top bits of [5] set), for as long as the device lives; all
                         * 0: the controller's public one */
    uint16_t att_mtu;   /* 23..498 */
    uint8_t security;   /* enum peripheral_security */
    struct kedge_gatt *gatt;
    struct kedge_region settings;  /* where bonds live; flash NULL: they die with the power */
    uint32_t (*random)(void *ctx); /* for the passkey */
    void (*event)(void *ctx, const struct peripheral_event *event);
    void *ctx;
};

/* A new power-on: the host starts from nothing, the bonds are read. `config` and `line` must live
 * on. Waits for nothing; PERIPHERAL_READY comes out of a later poll. */
void peripheral_start(const struct peripheral_config *config, const struct ble_line *line);

/* Take what the controller sent, run what is due. Negative: the line is dead. */
int peripheral_poll(void);
/* Milliseconds until poll has something to do even if nothing comes. */
uint32_t peripheral_next_ms(void);

/* The link is not as secure as config->security demands: whatever came over it must be denied. */
bool peripheral_denied(void);
/* The reply that says so, to a request's header: rc 11. Bytes put to `reply` (at least 16). */
size_t peripheral_deny(struct kedge_bytes request, uint8_t *reply);

/* Hand kedge_gatt's reply to the stack. True: all of it, or there is nobody for it; false: its
 * buffers are full, poll and call again. */
bool peripheral_send(void);

/* Who is served, for the agent: different for each central. */
uint32_t peripheral_peer(void);

/* Before a reset: tell the central, so that it need not find out by silence; up to half a second.
 */
void peripheral_stop(void);

/* Write a new bond to flash: an erase and a few programs of the settings. */
void peripheral_keep(void);

#endif
