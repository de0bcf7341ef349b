/* Sockets and ptys of the virtual device: messages in, messages out. Host code. */
#ifndef KEDGE_LINUX_WIRE_H
#define KEDGE_LINUX_WIRE_H

#include <netinet/in.h>

#include "kedge/smp.h"
#include "kedge/transport.h"

#define WIRE_WHY 256
#define WIRE_MAX 4

enum wire_kind { WIRE_UDP, WIRE_CONSOLE, WIRE_RAW, WIRE_BLE /* see ble_wire.h */ };

struct wire {
    int fd;
    int peer_fd;             /* pty: our own open end, so that a client may come and go; -1 */
    uint8_t kind;            /* enum wire_kind */
    const char *link;        /* pty: the symbolic link, removed at close */
    uint32_t peer;           /* of the last message */
    struct sockaddr_in from; /* UDP: where the last message came from */
    struct kedge_console console;
    struct kedge_raw raw;
    struct kedge_bytes unread; /* pty: the part of `chunk` that is not digested yet */
    uint64_t last_ms;          /* raw pty: of the last byte, for its idle rule */
    uint8_t chunk[512];
    uint8_t message[KEDGE_SMP_MESSAGE_MAX + KEDGE_CONSOLE_OVERHEAD];
};

/* "HOST:PORT"; only IPv4 literals and "localhost". -1 with the reason in `why`. */
int wire_open_udp(struct wire *wire, const char *address, char *why);
/* A pty whose other end is found at `link`. */
int wire_open_pty(struct wire *wire, const char *link, uint8_t kind, char *why);
void wire_close(struct wire *wire);

/* Takes what has arrived. 1: *message is a whole SMP message from wire->peer; call again, there may
 * be more. 0: nothing more for now. */
int wire_receive(struct wire *wire, struct kedge_bytes *message);

/* Sends to the peer of the last message. Lost when the peer does not take it: SMP retries. */
void wire_send(struct wire *wire, struct kedge_bytes message);

#endif
