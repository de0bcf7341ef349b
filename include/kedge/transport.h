/* Transports as bytes in, bytes out: no sockets, no serial ports, no threads. Server and client use
 * the same code: one's request is the other's reply.
 *
 * Console: SMP shares a text console with log lines (FORMAT.md "Console").
 *
 *     06 09 <base64> LF                     first line of a packet
 *     04 14 <base64> LF                     the lines that follow
 *     decoded and joined:  be16 length | message | be16 crc16(message)      length = message + 2
 *
 * Raw: bare SMP messages, one behind the other; the header's length field delimits them. */
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

#endif
