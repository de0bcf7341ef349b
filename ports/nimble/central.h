/* A BLE central that speaks SMP with one peripheral: finds it, connects, subscribes, pairs when the
 * peripheral or a bond wants it. One a program, as peripheral.h; for hosts, not for devices. */
#ifndef KEDGE_NIMBLE_CENTRAL_H
#define KEDGE_NIMBLE_CENTRAL_H

#include "ble_line.h"
#include "bonds.h"

enum central_state {
    CENTRAL_WAKING,    /* the controller has not answered yet */
    CENTRAL_AWAY,      /* no connection, none wanted */
    CENTRAL_SEARCHING, /* for the peripheral's advertisement */
    CENTRAL_CONNECTING,
    CENTRAL_PREPARING, /* MTU, service, subscription */
    CENTRAL_READY
};

enum central_pairing {
    CENTRAL_NOT_PAIRED,
    CENTRAL_SECURED,        /* encrypted */
    CENTRAL_PAIRING_FAILED, /* central_status() says why */
    CENTRAL_BOND_UNKNOWN    /* the peripheral does not know the key that we have */
};

struct central_config {
    const char *target; /* AA:BB:CC:DD:EE:FF, or the advertised name */
    uint8_t address[6]; /* ours: random static, the same at each start */
    uint16_t att_mtu;
    struct bonds_place bonds;
    int (*passkey)(void *ctx); /* the six digits that the peripheral shows; negative: none */
    void (*received)(void *ctx, struct kedge_bytes fragment); /* one notification */
    void *ctx;
};

/* `config` and `line` must live on. */
void central_start(const struct central_config *config, const struct ble_line *line);

/* Take what the controller sent, run what is due. Negative: the line is dead. */
int central_poll(void);
uint32_t central_next_ms(void);

enum central_state central_state(void);
enum central_pairing central_pairing(void);
/* Of the last failure: NimBLE's status; 0: none. */
int central_status(void);

/* Look for the peripheral and connect, for so long at most; from CENTRAL_AWAY only. What becomes of
 * it central_state() says: CENTRAL_READY in the end, or CENTRAL_AWAY again. */
void central_connect(uint32_t ms);
/* End the connection. */
void central_disconnect(void);
/* Pair, or encrypt with the key of the bond. */
void central_pair(void);

/* Send the next piece of a message, as long as the ATT MTU allows: bytes taken; 0: no room, poll
 * and call again, or the link has gone (see the state). */
size_t central_send(struct kedge_bytes rest);

#endif
