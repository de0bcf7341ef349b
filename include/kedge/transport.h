/* Transports as bytes in, bytes out: no sockets, no serial ports, no threads. Server and client use
 * the same code: one's request is the other's reply.
 *
 * Console: SMP shares a text console with log lines (FORMAT.md "Console").
 *
 *     06 09 <base64> LF                     first line of a packet
 *     04 14 <base64> LF                     the lines that follow
 *     decoded and joined:  be16 length | message | be16 crc16(message)      length = message + 2
 *
 * Raw: bare SMP messages, one behind the other; the header's length field delimits them.
 *
 * GATT: a message is one write or several in a row, its reply one notification or several, each as
 * long as the ATT MTU allows; the header in the first of them says how many bytes there are. */
#ifndef KEDGE_TRANSPORT_H
#define KEDGE_TRANSPORT_H

#include "kedge/base.h"

/* ---- console, receiving -------------------------------------------------------------------- */

#define KEDGE_CONSOLE_OVERHEAD 4 /* bytes of `packet` that are not message */

struct kedge_console {
    struct kedge_buf packet; /* of the caller: longest message + KEDGE_CONSOLE_OVERHEAD */
    /* owned by the decoder */
    uint32_t have;   /* bytes of the packet so far */
    uint8_t state;   /* where in a line we are */
    uint8_t quad;    /* base64 characters of the current group, 0..3 */
    uint8_t padding; /* '=' seen in this line, 0..2 */
    bool open;       /* a packet was started and not dropped since */
    uint32_t bits;   /* of the current group */
};

void kedge_console_start(struct kedge_console *console, struct kedge_buf packet);

/* Take one byte from the line. 1: *message is a whole message with the right CRC, valid until the
 * next push; 0: not yet. Lines of any length, CR anywhere, other text between; a start restarts,
 * anything malformed, too long or with a wrong CRC drops its packet silently (the sender asks
 * again). */
int kedge_console_push(struct kedge_console *console, uint8_t byte, struct kedge_bytes *message);

/* ---- console, sending ---------------------------------------------------------------------- */

#define KEDGE_CONSOLE_LINE        127   /* longest line, start and LF included (ZDOC) */
#define KEDGE_CONSOLE_MESSAGE_MAX 65533 /* the length field has 16 bits and counts the CRC */

struct kedge_console_lines {
    struct kedge_bytes message; /* of the caller, unchanged until the last line is out */
    uint32_t at;                /* bytes of the packet already encoded */
    uint16_t crc;
};

/* Requires: message.size <= KEDGE_CONSOLE_MESSAGE_MAX. */
void kedge_console_lines_start(struct kedge_console_lines *lines, struct kedge_bytes message);

/* The next line into `line` (KEDGE_CONSOLE_LINE bytes), LF at its end: its size; 0: no more. */
size_t kedge_console_lines_next(struct kedge_console_lines *lines, uint8_t *line);

/* ---- raw ----------------------------------------------------------------------------------- */

#define KEDGE_RAW_IDLE_MS 3000 /* as MCUboot's serial recovery (facts/smp.md A8) */

struct kedge_raw {
    struct kedge_buf buffer; /* of the caller: the longest message, at least a header (8) */
    uint32_t have;           /* bytes of the message so far, also when they are not kept */
};

void kedge_raw_start(struct kedge_raw *raw, struct kedge_buf buffer);

/* Take one byte. 1: *message is a whole message, valid until the next push; 0: not yet. A message
 * longer than the buffer is passed over as a whole, so the next one is found; a byte that cannot
 * start a message is ignored. */
int kedge_raw_push(struct kedge_raw *raw, uint8_t byte, struct kedge_bytes *message);

/* Nothing came for KEDGE_RAW_IDLE_MS: what is there of a message is dropped. */
void kedge_raw_idle(struct kedge_raw *raw);

/* ---- GATT ---------------------------------------------------------------------------------- */

#define KEDGE_GATT_BUFFERS 16   /* most messages that can wait */
#define KEDGE_GATT_IDLE_MS 3000 /* a message whose next write takes longer was given up */

/* One link at a time, several messages of it: the ones that are whole wait, in order of arrival,
 * while the next comes in and a reply goes out. Nothing here waits, so a port may call
 * kedge_gatt_write() while the handler of an earlier message waits for flash (not from another
 * thread or an interrupt). */
struct kedge_gatt {
    struct kedge_buf memory; /* of the caller: `count` buffers of equal size */
    uint32_t message_max;    /* bytes of one: the longest message */
    uint8_t count;
    /* owned by the framing; the caller may look */
    bool connected;
    uint16_t link;    /* the port's number of the connection that is served */
    uint32_t dropped; /* writes that were refused since start */
    /* private */
    bool kept;            /* the message being received goes into a buffer */
    bool taken, orphan;   /* the oldest is being handled; its link has gone since */
    uint8_t first, ready; /* the buffers that hold whole messages: a ring */
    uint8_t head[8];
    uint32_t have, size; /* bytes of the message being received; of them expected */
    uint32_t last_ms;
    struct kedge_bytes reply;
    size_t reply_at;
};

/* Requires: 1 <= count <= KEDGE_GATT_BUFFERS; at least a header (8 bytes) each. */
void kedge_gatt_start(struct kedge_gatt *gatt, struct kedge_buf memory, uint8_t count);

/* A central came. KEDGE_E_REFUSED: another one is being served; nothing changes for it. */
int kedge_gatt_connect(struct kedge_gatt *gatt, uint16_t link);
/* It went, or unsubscribed: half a message, waiting ones and the rest of a reply go with it. */
void kedge_gatt_disconnect(struct kedge_gatt *gatt, uint16_t link);

/* One write arrived. 0: taken. Errors, with the write dropped: KEDGE_E_REFUSED: not of the link
 * that is served; KEDGE_E_FORMAT: no request begins like this, or it holds more than its message
 * (the message itself is taken); KEDGE_E_SPACE: all buffers are taken, or its message is longer
 * than one (all its writes are dropped, the next message is found). */
int kedge_gatt_write(struct kedge_gatt *gatt, uint16_t link, uint32_t now_ms,
                     struct kedge_bytes fragment);

/* Take the oldest whole message, if there is one and none is taken. Its bytes stay as they are
 * until the release, also when the link goes. */
bool kedge_gatt_message(struct kedge_gatt *gatt, struct kedge_bytes *message);
void kedge_gatt_release(struct kedge_gatt *gatt);

/* Begin the reply to the message that is taken; its bytes stay the caller's, unchanged until the
 * last is sent or the link goes. It is dropped when the message's link has gone. */
void kedge_gatt_reply(struct kedge_gatt *gatt, struct kedge_bytes reply);
/* The next notification's value, if there is more; count it as sent once the stack has taken it. */
bool kedge_gatt_fragment(const struct kedge_gatt *gatt, uint16_t att_mtu,
                         struct kedge_bytes *fragment);
void kedge_gatt_sent(struct kedge_gatt *gatt, size_t size);

#endif
