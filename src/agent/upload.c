/* Receiving an image into the secondary slot (facts/smp.md A6, FORMAT.md Upload record).
 *
 * Order of writes, and what it defends against:
 *   1. the mailbox sector is erased and the upload record written: no request survives the image it
 *      was made for, and a reset in the middle is recognised;
 *   2. sector by sector: erase, program, read back, then the sector's cell: a resume trusts cells;
 *   3. old headers at higher bases that the file did not cover are erased: the loader must find
 *      this image and no older one;
 *   4. the header, held back so far: only now does an image exist;
 *   5. the `complete` cell;
 *   6. for a file with a trailer (imgtool --pad): the request, once the image has been verified.
 * A call erases one sector at most. The first one spends that on the mailbox, so it takes the 32
 * bytes of the header and asks for the rest; clients follow `off`.
 *
 * What comes through a pipe (wrapped.c) is written in the same order; 1. waits until its header has
 * come out and may come, and between 4. and 5. the image is verified. */
#include <string.h>

#include "agent/checked.h"
#include "agent/mailbox.h"
#include "agent/session.h"

int kedge_upload_fail(struct kedge_agent *agent, enum kedge_agent_status status, int error)
{
    kedge_wrapped_forget(agent);
    return kedge_agent_refuse(agent, status, kedge_error_text(error));
}

/* A file that brought its own trailer asks for a boot, as if a debugger had written it. */
static int request_by_tail(struct kedge_agent *agent, const uint8_t *tail)
{
    const struct kedge_trailer trailer = kedge_trailer_parse(
        kedge_bytes(tail, kedge_upload_tail_size(agent)), kedge_agent_secondary(agent)->max_align,
        kedge_agent_geometry(agent)->erased);
    const enum kedge_request request = kedge_trailer_request(&trailer);
    int status;

    if (request != KEDGE_REQUEST_TEST && request != KEDGE_REQUEST_PERMANENT) {
        return KEDGE_AGENT_OK;
    }
    status = kedge_agent_check_candidate(agent, 0);
    if (status != KEDGE_AGENT_OK) {
        return status;
    }
    return kedge_mailbox_request(agent, tail) == 0
               ? KEDGE_AGENT_OK
               : kedge_agent_refuse(agent, KEDGE_AGENT_WRITE_FAILED,
                                    "the file's trailer could not be written: use image test");
}

static struct kedge_upload_reply end_reply(const struct kedge_upload *upload)
{
    return (struct kedge_upload_reply){
        .off = upload->off,
        .has_match = upload->sha_size == KEDGE_SHA256_SIZE,
        .match = upload->match,
    };
}

/* The header makes an image of it. One that does not hold must not stay: it might parse. */
int kedge_upload_put_header(struct kedge_agent *agent)
{
    const struct kedge_region *const region = &kedge_agent_secondary(agent)->region;
    const struct kedge_buf scratch = agent->config->scratch;
    const uint8_t *const head = agent->upload.head;
    const int error =
        kedge_checked_program(region, 0, kedge_bytes(head, KEDGE_UPLOAD_HEAD), scratch);

    if (error == 0) {
        return KEDGE_AGENT_OK;
    }
    (void)kedge_checked_erase(region, 0, scratch);
    return kedge_upload_fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
}

int kedge_upload_complete(struct kedge_agent *agent)
{
    const int error = kedge_mailbox_complete(agent);

    return error == 0 ? KEDGE_AGENT_OK : kedge_upload_fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
}

/* What was sent, byte by byte, has the sha that was told; each byte was read back when it was
 * written. */
static bool is_hash(struct kedge_upload *upload)
{
    uint8_t digest[KEDGE_SHA256_SIZE];

    kedge_sha256.finish(&upload->hash, digest);
    return kedge_equal(digest, upload->sha, sizeof(digest));
}

static int finish_plain(struct kedge_agent *agent, bool *match)
{
    struct kedge_upload *const upload = &agent->upload;
    int status = kedge_upload_put_header(agent);

    if (status == KEDGE_AGENT_OK) {
        status = kedge_upload_complete(agent);
    }
    if (status == KEDGE_AGENT_OK) {
        status = kedge_agent_check_secret(agent);
    }
    *match =
        status == KEDGE_AGENT_OK && upload->sha_size == KEDGE_SHA256_SIZE &&
        (upload->hashed ? is_hash(upload)
                        : kedge_upload_matches(agent, 0, upload->size, upload->tail, upload->sha));
    return status;
}

static int finish(struct kedge_agent *agent, struct kedge_upload_reply *reply)
{
    struct kedge_upload *const upload = &agent->upload;
    const int status = upload->way == KEDGE_UPLOAD_PLAIN
                           ? finish_plain(agent, &upload->match)
                           : kedge_wrapped_finish(agent, &upload->match);

    if (status != KEDGE_AGENT_OK) {
        return status;
    }
    upload->size = 0; /* the session is over; off stays, for a repeated last chunk */
    upload->status = KEDGE_AGENT_OK;
    if (upload->length > kedge_agent_data_limit(agent) &&
        (upload->match || upload->sha_size != KEDGE_SHA256_SIZE)) {
        upload->status = (uint8_t)request_by_tail(agent, upload->tail);
    }
    *reply = end_reply(upload);
    return upload->status;
}

int kedge_upload_take(struct kedge_agent *agent, struct kedge_bytes data)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t from = upload->at;
    bool may_erase = true;
    int status;

    if (upload->way != KEDGE_UPLOAD_PLAIN) {
        return kedge_wrapped_take(agent, data);
    }
    status = kedge_upload_put(agent, data, &may_erase);
    upload->off = upload->at;
    if (upload->at >= from) {
        kedge_sha256.update(&upload->hash, kedge_bytes(data.at, upload->at - from));
    } else {
        upload->hashed = false; /* a sector is begun anew: its bytes come twice */
    }
    return status;
}

static int go_on(struct kedge_agent *agent, const struct kedge_upload_request *request,
                 struct kedge_upload_reply *reply)
{
    struct kedge_upload *const upload = &agent->upload;
    int status;

    if (!kedge_upload_runs(upload)) {
        /* the last chunk again, its reply was lost? Anybody else has to begin: off 0 */
        if (upload->size == 0 && upload->off != 0 && request->peer == upload->peer &&
            request->off + request->data.size == upload->off) {
            *reply = end_reply(upload);
            return upload->status;
        }
        return KEDGE_AGENT_OK;
    }
    if (request->peer != upload->peer) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_BUSY,
                                  "another client is uploading: begin with off 0");
    }
    reply->off = upload->off;
    if (request->off != upload->off) {
        return KEDGE_AGENT_OK;
    }
    if (request->data.size > upload->size - upload->off) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_OVERRUN, "more data than the length told");
    }
    upload->last_ms = agent->config->now_ms(agent->config->ctx);
    if (kedge_owed_takes(agent, request)) {
        reply->off = request->off + (uint32_t)request->data.size;
        return KEDGE_AGENT_OK;
    }
    status = kedge_upload_take(agent, request->data);
    reply->off = upload->off;
    if (status == KEDGE_AGENT_OK && upload->off == upload->size) {
        status = finish(agent, reply);
    }
    return status;
}

/* What comes out of the chunk store was downloaded before. */
static uint8_t phase_of(uint32_t peer)
{
    return peer == KEDGE_PEER_STAGE ? KEDGE_PHASE_DECODE : KEDGE_PHASE_DOWNLOAD;
}

int kedge_agent_upload(struct kedge_agent *agent, const struct kedge_upload_request *request,
                       struct kedge_upload_reply *reply)
{
    const uint8_t before = kedge_agent_enter(agent, phase_of(request->peer));
    int status;

    /* chunks that were on the way when the session ended do not wipe out why it did */
    if (request->off == 0 || kedge_upload_runs(&agent->upload)) {
        agent->detail[0] = '\0';
    }
    *reply = (struct kedge_upload_reply){0};
    while (kedge_owed_write(agent)) {
    }
    if (kedge_owed_failed(agent, request->peer, &status)) {
        /* the client learns what became of the chunk before */
    } else if (!request->has_off) {
        status = kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_OFFSET, "a chunk must tell its off");
    } else if (request->off == 0) {
        status = kedge_upload_first(agent, request, reply);
    } else {
        status = go_on(agent, request, reply);
    }
    (void)kedge_agent_enter(agent, before);
    return status;
}

bool kedge_agent_idle(struct kedge_agent *agent)
{
    bool erased = false;

    if (agent->owed.size > 0) {
        const uint8_t outside = kedge_agent_enter(agent, KEDGE_PHASE_DOWNLOAD);

        (void)kedge_owed_write(agent);
        (void)kedge_agent_enter(agent, outside);
        return true;
    }
    if (!kedge_upload_runs(&agent->upload)) {
        return kedge_backup_idle(agent);
    }
    if (agent->upload.way == KEDGE_UPLOAD_LOOKS || !kedge_upload_unprepared(agent)) {
        return false;
    }
    const uint8_t before = kedge_agent_enter(agent, phase_of(agent->upload.peer));

    /* a failure ends the session, and the next chunk starts it anew */
    (void)kedge_upload_prepare(agent, &erased);
    (void)kedge_agent_enter(agent, before);
    return true;
}

/* An upload that a reset interrupted waits for the client that has its sha. */
static void find_interrupted(struct kedge_agent *agent)
{
    struct kedge_upload *const upload = &agent->upload;
    struct kedge_upload_record record;

    if (kedge_mailbox_find(agent, &record) != 0 || !kedge_mailbox_half_way(agent) ||
        record.sha_size == 0 || record.slot_length <= KEDGE_UPLOAD_HEAD ||
        record.slot_length > kedge_agent_slot_size(agent)) {
        return;
    }
    /* an image without a trailer leaves its last sector to be sent, so that there is an end to
     * reach */
    const uint32_t last = record.slot_length > kedge_agent_data_limit(agent)
                              ? kedge_agent_data_limit(agent) / kedge_agent_sector(agent)
                              : (record.slot_length - 1) / kedge_agent_sector(agent);
    const uint32_t good = kedge_least(record.marked, last);

    if (good == 0) {
        return;
    }
    upload->at = good * kedge_agent_sector(agent);
    upload->size = record.length;
    upload->depth = record.depth;
    memcpy(upload->head, record.head, sizeof(upload->head));
    upload->sha_size = record.sha_size;
    memcpy(upload->sha, record.sha, sizeof(upload->sha));
}

void kedge_agent_start(struct kedge_agent *agent, const struct kedge_agent_config *config)
{
    KEDGE_ASSERT(config->scratch.size >= 512);
    *agent = (struct kedge_agent){.config = config};
    /* what a cut left open is made one of both first, else another value may be read at the next
     * boot [S-3]; settings that cannot be written stay as they are */
    (void)kedge_policy_settle(&config->layout->settings);
    kedge_policy_load(&config->layout->settings, config->defaults, &agent->policy);
    kedge_agent_count_boot(agent);
    find_interrupted(agent);
    kedge_wrapped_start(agent);
}
