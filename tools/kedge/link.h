/* A way to a device: messages out, messages in. One file per kind of link. */
#ifndef KEDGE_TOOL_LINK_H
#define KEDGE_TOOL_LINK_H

#include "kedge/smp.h"
#include "kedge/transport.h"

#define LINK_ROOM 65536 /* longest message that any link takes in */

struct link {
    const struct link_ops *ops;
    int fd;
    char name[160];     /* "127.0.0.1:1337", "/dev/ttyACM0": for messages */
    unsigned retry_ms;  /* how long an answer takes at most on this link, device apart */
    size_t overhead;    /* bytes of the device's buffer that are not message */
    size_t message_max; /* longest message that the link carries */
    struct kedge_console console;
    struct kedge_raw raw;
    struct kedge_bytes unread; /* serial: the part of `chunk` that is not digested yet */
    uint8_t chunk[512];
    uint8_t packet[LINK_ROOM + KEDGE_CONSOLE_OVERHEAD];
};

struct link_ops {
    /* 0, or -1: the link is broken (said on stderr). What cannot be sent now is lost. */
    int (*send)(struct link *link, struct kedge_bytes message);
    /* 1: *message came, valid until the next call; 0: nothing within `ms`; -1: broken (said). */
    int (*receive)(struct link *link, unsigned ms, struct kedge_bytes *message);
    void (*close)(struct link *link); /* NULL: nothing but its fd is to be closed */
};

/* By device_target's options; UDP to 127.0.0.1:1337 without any. 0, or the exit code to end with,
 * said on stderr. */
int link_open(struct link *link);
void link_close(struct link *link);

int link_open_udp(struct link *link, const char *address);
int link_open_serial(struct link *link, const char *line, bool raw);
/* `hci`: the controller, NULL: hci0. */
int link_open_ble(struct link *link, const char *target, const char *hci);

/* Milliseconds of a clock that only runs forward. */
uint64_t link_clock_ms(void);

#endif
