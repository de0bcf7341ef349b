/* The client's side of an upload (facts/smp.md A6, B3). One rule carries it: what a reply says in
 * `off` is where the device stands, whatever we thought.
 *
 *      acknowledged              next
 *   ........|////////////////////|.................   /: in flight, up to `window` requests
 *
 *   off == end of that request   it was taken
 *   off >  end                   the device has more than we knew (resume, repetition): jump there
 *   off <  end                   it was dropped, an earlier one is missing (or the device
 * restarted): forget what is in flight and go back there
 *
 * Forgetting is what keeps a lost request from costing a window of steps back: the other replies
 * that say the same carry sequence numbers that nobody waits for any more. */
#include "kedge/smp_client.h"

#include <string.h>

/* Steps back without progress in between, before we call the device stuck. */
#define STALLS_MAX 1000u
/* An image header: what a server wants to see in the first request. */
#define FIRST_MIN 32u

int kedge_smp_upload_start(struct kedge_smp_upload *upload)
{
    if (upload->file.size < FIRST_MIN || upload->file.size > UINT32_MAX || upload->window == 0 ||
        upload->window > KEDGE_SMP_WINDOW_MAX ||
        upload->message_max < KEDGE_SMP_UPLOAD_FIRST + 2 * FIRST_MIN) {
        return KEDGE_E_BOUNDS;
    }
    upload->acknowledged = 0;
    upload->resumed_at = 0;
    upload->requests = 0;
    upload->has_match = false;
    upload->match = false;
    upload->rc = 0;
    upload->next = 0;
    upload->number = 0;
    upload->furthest = 0;
    upload->stalls = 0;
    upload->opened = false;
    upload->done = false;
    memset(upload->flights, 0, sizeof(upload->flights));
    return 0;
}

static struct kedge_smp_flight *free_flight(struct kedge_smp_upload *upload)
{
    for (unsigned i = 0; i < upload->window; i++) {
        if (upload->flights[i].size == 0) {
            return &upload->flights[i];
        }
    }
    return NULL;
}

static struct kedge_smp_flight *oldest_flight(struct kedge_smp_upload *upload)
{
    struct kedge_smp_flight *oldest = NULL;

    for (unsigned i = 0; i < upload->window; i++) {
        struct kedge_smp_flight *flight = &upload->flights[i];

        if (flight->size != 0 && (oldest == NULL || flight->number < oldest->number)) {
            oldest = flight;
        }
    }
    return oldest;
}

static struct kedge_smp_flight *flight_of(struct kedge_smp_upload *upload, uint8_t sequence)
{
    for (unsigned i = 0; i < upload->window; i++) {
        if (upload->flights[i].size != 0 && upload->flights[i].sequence == sequence) {
            return &upload->flights[i];
        }
    }
    return NULL;
}

static int write_request(struct kedge_smp_upload *upload, const struct kedge_smp_flight *flight,
                         struct kedge_buf to, size_t *size)
{
    struct kedge_smp_request request;

    kedge_smp_request_start(&request, to, KEDGE_SMP_WRITE, 1, 1, flight->sequence);
    if (flight->off == 0) {
        if (upload->image > 0) {
            kedge_smp_put_uint(&request.map, "image", upload->image);
        }
        kedge_smp_put_uint(&request.map, "len", (uint32_t)upload->file.size);
        kedge_smp_put_bytes(&request.map, "sha", kedge_bytes(upload->sha, sizeof(upload->sha)));
        if (upload->upgrade) {
            kedge_smp_put_bool(&request.map, "upgrade", true);
        }
    }
    kedge_smp_put_uint(&request.map, "off", flight->off);
    kedge_smp_put_bytes(&request.map, "data",
                        kedge_bytes(upload->file.at + flight->off, flight->size));
    const int error = kedge_smp_request_end(&request, size);

    upload->requests++;
    return error == 0 ? 1 : error;
}

static uint32_t least(size_t a, size_t b)
{
    return (uint32_t)(a < b ? a : b);
}

int kedge_smp_upload_next(struct kedge_smp_upload *upload, struct kedge_buf to, size_t *size)
{
    struct kedge_smp_flight *flight = free_flight(upload);

    *size = 0;
    /* The first request travels alone: its reply says where to begin. */
    if (flight == NULL || upload->done || upload->next >= upload->file.size ||
        (!upload->opened && oldest_flight(upload) != NULL)) {
        return 0;
    }
    const uint32_t overhead = upload->next == 0 ? KEDGE_SMP_UPLOAD_FIRST : KEDGE_SMP_UPLOAD_NEXT;

    *flight = (struct kedge_smp_flight){
        .off = upload->next,
        .size = least(upload->message_max - overhead, upload->file.size - upload->next),
        .number = upload->number++,
        .sequence = upload->sequence++,
    };
    upload->next += flight->size;
    return write_request(upload, flight, to, size);
}

int kedge_smp_upload_again(struct kedge_smp_upload *upload, struct kedge_buf to, size_t *size)
{
    const struct kedge_smp_flight *flight = oldest_flight(upload);

    *size = 0;
    return flight == NULL ? 0 : write_request(upload, flight, to, size);
}

/* Nobody waits any more for requests that end at `upto` or before; UINT32_MAX: for any. */
static void forget(struct kedge_smp_upload *upload, uint32_t upto)
{
    for (unsigned i = 0; i < upload->window; i++) {
        if (upload->flights[i].off + upload->flights[i].size <= upto) {
            upload->flights[i].size = 0;
        }
    }
}

/* The device stands at `off`, not where we thought. */
static int go_back(struct kedge_smp_upload *upload, uint32_t off)
{
    forget(upload, UINT32_MAX);
    upload->next = off;
    upload->opened = off > 0;
    upload->stalls++;
    return upload->stalls > STALLS_MAX ? KEDGE_E_STATE : 0;
}

static int follow(struct kedge_smp_upload *upload, struct kedge_smp_flight *flight, uint32_t off)
{
    const uint32_t end = flight->off + flight->size;
    const bool first = flight->off == 0 && off > 0;

    if (off > upload->file.size) {
        return KEDGE_E_STATE;
    }
    flight->size = 0;
    if (off > upload->furthest) {
        upload->furthest = off;
        upload->stalls = 0;
    }
    /* The first request may be taken in part: what it left is sent as a normal one. */
    if (off < end && !first) {
        upload->acknowledged = off;
        return go_back(upload, off);
    }
    if (first) {
        upload->opened = true;
        upload->resumed_at = off > end ? off : 0;
        upload->next = off;
    }
    if (off > upload->acknowledged) {
        upload->acknowledged = off;
    }
    if (off > end) {
        forget(upload, off);
        upload->next = off > upload->next ? off : upload->next;
    }
    upload->done = off == upload->file.size;
    return upload->done ? 1 : 0;
}

int kedge_smp_upload_reply(struct kedge_smp_upload *upload, struct kedge_bytes message)
{
    struct kedge_smp_header asked = {.op = KEDGE_SMP_WRITE, .group = 1, .command = 1};
    struct kedge_smp_reply reply;
    struct kedge_smp_flight *flight;
    uint32_t off;
    bool match = false;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("off", KEDGE_SMP_UINT, &off),
                                             KEDGE_SMP_FIELD("match", KEDGE_SMP_FLAG, &match)};

    if (upload->done) {
        return 1;
    }
    if (kedge_smp_reply_parse(message, &reply) != 0) {
        return 0;
    }
    flight = flight_of(upload, reply.header.sequence);
    asked.sequence = reply.header.sequence;
    if (flight == NULL || !kedge_smp_answers(&reply, &asked)) {
        return 0;
    }
    if (reply.rc != 0) {
        upload->rc = reply.rc;
        upload->of_group = reply.of_group;
        upload->group = reply.group;
        return KEDGE_E_REFUSED;
    }
    const int found = kedge_smp_read_fields(reply.cbor, fields, sizeof(fields) / sizeof(fields[0]));

    if (found < 0 || (found & 1) == 0) {
        return 0; /* without an offset it says nothing: it is asked again */
    }
    upload->has_match = (found & 2) != 0;
    upload->match = match;
    const int result = follow(upload, flight, off);

    return result == 1 && upload->has_match && !upload->match ? KEDGE_E_HASH : result;
}
