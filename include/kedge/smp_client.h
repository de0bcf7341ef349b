/* The other end of SMP: requests out, replies in, no I/O and no clock. The host tool and the tests
 * use it; a gateway on a microcontroller can.
 *
 * An exchange is: kedge_smp_request_start, put what the map needs, kedge_smp_request_end, send;
 * parse each message that comes in with kedge_smp_reply_parse and take the one that answers. A
 * request that was not answered in time is sent again *as it is*, same sequence number, so that a
 * server can see that it is the same one.
 *
 * An upload is a state machine:
 *
 *   while not done:
 *     while kedge_smp_upload_next(u, buf, &size) == 1:  send(buf, size)
 *     wait for a message, up to a timeout
 *       message: kedge_smp_upload_reply(u, message)     -> 1: done; negative: failed
 *       timeout: kedge_smp_upload_again(u, buf, &size)  -> send(buf, size)
 *
 * It follows the offsets of the replies wherever they lead: behind what was sent (resume, file
 * already there), or back (lost or reordered request, restarted device, unaligned tail not taken).
 */
#ifndef KEDGE_SMP_CLIENT_H
#define KEDGE_SMP_CLIENT_H

#include "kedge/smp.h"
#include "kedge/smp_cbor.h"

/* ---- one request, one reply ----------------------------------------------------------------- */

struct kedge_smp_request {
    struct kedge_smp_header header;
    struct kedge_buf buffer;
    struct kedge_smp_writer map; /* put the entries here */
};

/* Begin a request of version 2 in `buffer` (at least 16 bytes). op: KEDGE_SMP_READ or _WRITE. */
void kedge_smp_request_start(struct kedge_smp_request *request, struct kedge_buf buffer, uint8_t op,
                             uint16_t group, uint8_t command, uint8_t sequence);
/* Close it. *size: bytes of the message. KEDGE_E_SPACE: it does not fit. */
int kedge_smp_request_end(struct kedge_smp_request *request, size_t *size);

struct kedge_smp_reply {
    struct kedge_smp_header header;
    struct kedge_bytes cbor; /* the map, pointing into the message */
    uint32_t rc;             /* 0: done; else the code: of `group` or of management (A2) */
    bool of_group;           /* rc is a code of the group `group` */
    uint16_t group;
    struct kedge_bytes reason; /* "rsn" of verbose servers, usually empty */
};

/* KEDGE_E_FORMAT: not a reply (too short, length wrong, a request, not a map). Both error forms and
 * a superfluous "rc": 0 are understood. */
int kedge_smp_reply_parse(struct kedge_bytes message, struct kedge_smp_reply *reply);
/* Does it answer the request with this header? (op, group, command, sequence) */
bool kedge_smp_answers(const struct kedge_smp_reply *reply, const struct kedge_smp_header *request);

/* A short phrase for a code, e.g. "no slot holds an image with this hash". Never NULL. */
const char *kedge_smp_code_text(bool of_group, uint16_t group, uint32_t rc);

/* ---- replies with a shape ------------------------------------------------------------------- */

struct kedge_smp_image_entry {
    uint32_t image, slot;
    struct kedge_bytes version, hash;
    bool bootable, pending, confirmed, active, permanent;
};
/* Entries of a state read into `entries`, at most `most`: how many; KEDGE_E_FORMAT. */
int kedge_smp_read_images(struct kedge_bytes cbor, struct kedge_smp_image_entry *entries,
                          size_t most);

struct kedge_smp_slot_entry {
    uint32_t image, slot, size;
    uint32_t max_image; /* of the image; 0: not told */
};
int kedge_smp_read_slots(struct kedge_bytes cbor, struct kedge_smp_slot_entry *entries,
                         size_t most);

struct kedge_smp_params {
    uint32_t buffer_size, buffer_count;
};
int kedge_smp_read_params(struct kedge_bytes cbor, struct kedge_smp_params *params);

/* ---- upload --------------------------------------------------------------------------------- */

#define KEDGE_SMP_WINDOW_MAX 16
/* Bytes of a first request that are not data, at most; of a later one. */
#define KEDGE_SMP_UPLOAD_FIRST 96
#define KEDGE_SMP_UPLOAD_NEXT  32

struct kedge_smp_flight {
    uint32_t off, size; /* size 0: this place is free */
    uint32_t number;    /* counts up: the oldest is the one to be sent again */
    uint8_t sequence;
};

struct kedge_smp_upload {
    /* set by the caller before start */
    struct kedge_bytes file;
    uint8_t sha[32]; /* SHA-256 of `file`: resume and the device's check */
    uint32_t image;
    bool upgrade;
    uint32_t message_max; /* bytes of a message, header included; at least 160 */
    uint8_t window;       /* requests in flight, 1..KEDGE_SMP_WINDOW_MAX */
    uint8_t sequence;     /* of the first request; counts up */
    /* owned by the upload; the caller may look */
    uint32_t acknowledged; /* bytes that the device has, by its last reply */
    uint32_t resumed_at;   /* where the device told us to go on after the first request */
    uint32_t requests;     /* sent, repetitions included */
    bool has_match, match; /* the device's own check of the whole file */
    uint32_t rc;           /* of a failure */
    bool of_group;
    uint16_t group;
    /* private */
    uint32_t next; /* next byte to be sent */
    uint32_t number;
    uint32_t furthest; /* most that the device ever had */
    uint32_t stalls;   /* steps back since then */
    bool opened;       /* the first request has been answered */
    bool done;
    struct kedge_smp_flight flights[KEDGE_SMP_WINDOW_MAX];
};

/* Requires the members above; file of at least 32 bytes. KEDGE_E_BOUNDS otherwise. */
int kedge_smp_upload_start(struct kedge_smp_upload *upload);

/* The next request into `to` (message_max bytes). 1: send it; 0: wait (the window is full, all is
 * sent, or done); KEDGE_E_SPACE. */
int kedge_smp_upload_next(struct kedge_smp_upload *upload, struct kedge_buf to, size_t *size);

/* The oldest unanswered request once more, for a timeout. 1: send it; 0: nothing is in flight. */
int kedge_smp_upload_again(struct kedge_smp_upload *upload, struct kedge_buf to, size_t *size);

/* Take a message that came in. 1: the device has the whole file; 0: go on (messages that are no
 * answer to a request in flight are ignored). KEDGE_E_REFUSED: upload->rc says why. KEDGE_E_HASH:
 * the device's check of the file failed. KEDGE_E_STATE: it asks for the same bytes for ever. */
int kedge_smp_upload_reply(struct kedge_smp_upload *upload, struct kedge_bytes message);

#endif
