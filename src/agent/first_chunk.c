/* The first chunk: may this file come, and from where does it go on (facts A6, in its order)? */
#include <string.h>

#include "agent/checked.h"
#include "agent/mailbox.h"
#include "agent/session.h"

/* A first chunk of another client is refused for so long after the last accepted one. */
#define OWNED_MS 5000u

/* The slot holds this very file: nothing has to be sent. A look at the header comes first, so that
 * only a likely match costs reading the slot. */
static bool is_there(struct kedge_agent *agent, const struct kedge_upload_request *request)
{
    const struct kedge_slot *const slot = kedge_agent_secondary(agent);
    uint8_t head[KEDGE_UPLOAD_HEAD];
    uint8_t tail[KEDGE_TRAILER_SIZE_MAX];
    struct kedge_image image;

    if (request->sha.size != KEDGE_SHA256_SIZE || kedge_mailbox_half_way(agent)) {
        return false;
    }
    const int found = kedge_slot_find(slot, 0, &image);
    const uint8_t base = found < 0 ? 0 : (uint8_t)found;

    if (kedge_slot_read(slot, base, 0, kedge_buf(head, sizeof(head))) != 0 ||
        memcmp(head, request->data.at, sizeof(head)) != 0 ||
        kedge_checked_read(&slot->region,
                           kedge_agent_slot_size(agent) - kedge_upload_tail_size(agent),
                           kedge_buf(tail, kedge_upload_tail_size(agent))) != 0) {
        return false;
    }
    return kedge_upload_matches(agent, base, request->len, tail, request->sha.at);
}

/* This very file came in this power-on, through the pipe, and its image is there. */
static bool was_last(const struct kedge_upload *upload, const struct kedge_upload_request *request)
{
    return upload->size == 0 && upload->has_alias && upload->off == request->len &&
           upload->sha_size == KEDGE_SHA256_SIZE && request->sha.size == KEDGE_SHA256_SIZE &&
           memcmp(upload->sha, request->sha.at, KEDGE_SHA256_SIZE) == 0;
}

/* What the header alone says the image needs, saturated. */
static uint32_t image_needs(const uint8_t *head)
{
    const uint64_t sum =
        (uint64_t)kedge_le16(head + 8) + kedge_le16(head + 10) + kedge_le32(head + 12);

    return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

static int check_form(struct kedge_agent *agent, const struct kedge_upload_request *request)
{
    if (request->data.size < KEDGE_UPLOAD_HEAD) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_HEADER,
                                  "the first chunk must hold the image header, 32 bytes");
    }
    if (!request->has_len) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_LENGTH,
                                  "the first chunk must tell the file's length");
    }
    if (kedge_le32(request->data.at) != KEDGE_IMAGE_MAGIC) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_MAGIC,
                                  "not a signed image: sign it first (kedge sign, imgtool)");
    }
    if (request->sha.size > KEDGE_SHA256_SIZE) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_HASH, "sha is longer than 32 bytes");
    }
    return KEDGE_AGENT_OK;
}

int kedge_upload_admit(struct kedge_agent *agent, const uint8_t *head, uint32_t length,
                       bool upgrade)
{
    const struct kedge_version version = {.major = head[20],
                                          .minor = head[21],
                                          .revision = kedge_le16(head + 22),
                                          .build = kedge_le32(head + 24)};
    const uint32_t largest = kedge_pair_max_image(kedge_agent_pair(agent));
    int status;

    if ((length > largest && length != kedge_agent_slot_size(agent)) ||
        image_needs(head) > largest) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_TOO_LARGE,
                                  "larger than the largest image of this slot (see image slots)");
    }
    status = kedge_agent_version_allowed(agent, &version, upgrade);
    if (status == KEDGE_AGENT_OK && agent->policy.value[KEDGE_POLICY_CONFIDENTIAL] != 0 &&
        (kedge_le32(head + 16) & (KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256)) == 0) {
        status = kedge_agent_refuse(agent, KEDGE_AGENT_DENIED,
                                    "plain image: policy confidential takes encrypted ones only");
    }
    return status;
}

static int check_length(struct kedge_agent *agent, const struct kedge_upload_request *request)
{
    if (request->data.size > request->len) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_OVERRUN, "more data than the length told");
    }
    if (request->len <= KEDGE_UPLOAD_HEAD) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_LENGTH, "too short for an image");
    }
    return KEDGE_AGENT_OK;
}

/* May this file go into the slot now? What comes out of a pipe is judged when its own header has
 * come out. */
static int check_target(struct kedge_agent *agent, const struct kedge_upload_request *request)
{
    int status;

    /* image 1 is what clients of direct-upload servers send for "the other slot" */
    if (request->image > 1) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_SLOT, "this device has one image");
    }
    status = kedge_agent_slot_free(agent);
    if (status == KEDGE_AGENT_OK) {
        status = check_length(agent, request);
    }
    return status != KEDGE_AGENT_OK || kedge_wrapped_is(agent, request->data)
               ? status
               : kedge_upload_admit(agent, request->data.at, request->len, request->upgrade);
}

static bool is_same_file(const struct kedge_upload *upload,
                         const struct kedge_upload_request *request)
{
    return upload->size > 0 && upload->sha_size > 0 && upload->size == request->len &&
           upload->sha_size == request->sha.size &&
           memcmp(upload->sha, request->sha.at, upload->sha_size) == 0;
}

int kedge_upload_record(struct kedge_agent *agent, uint32_t marked)
{
    const struct kedge_upload *const upload = &agent->upload;
    struct kedge_upload_record record = {
        .length = upload->size,
        .image = upload->image,
        .sha_size = upload->sha_size,
        .depth = upload->depth,
        .slot_length = upload->length,
        .marked = marked,
    };

    memcpy(record.head, upload->head, sizeof(record.head));
    memcpy(record.sha, upload->sha, sizeof(record.sha));
    const int error = kedge_mailbox_open(agent, &record);

    return error == 0 ? KEDGE_AGENT_OK : kedge_upload_fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
}

/* A new session, or (`found`) one that goes on behind the sectors that were good before a reset.
 * What follows them is erased again: it may have been torn, or half written. */
static int open_session(struct kedge_agent *agent, const struct kedge_upload_request *request,
                        bool found)
{
    struct kedge_upload *const upload = &agent->upload;
    const struct kedge_upload before = *upload;
    const bool wrapped = kedge_wrapped_is(agent, request->data);
    const uint32_t at = found && wrapped == (before.depth > 0) ? before.at : 0;

    *upload = (struct kedge_upload){
        .off = at > 0 ? at : KEDGE_UPLOAD_HEAD,
        .at = at > 0 ? at : KEDGE_UPLOAD_HEAD,
        .size = request->len,
        .length = request->len,
        .erased_to = at,
        .fresh_to = agent->fresh_to,
        .same_to = at,
        .image = request->image,
        .upgrade = request->upgrade,
        .last_ms = agent->config->now_ms(agent->config->ctx),
        .peer = request->peer,
        .claimed = true,
        .sha_size = (uint8_t)request->sha.size,
    };
    agent->fresh_to = 0; /* it is this session's now */
    if (request->sha.size > 0) {
        memcpy(upload->sha, request->sha.at, request->sha.size);
    }
    memset(upload->tail, kedge_agent_geometry(agent)->erased, sizeof(upload->tail));
    if (!wrapped) {
        memcpy(upload->head, request->data.at, sizeof(upload->head));
        upload->hashed = at == 0;
        kedge_sha256.start(&upload->hash);
        kedge_sha256.update(&upload->hash, kedge_bytes(upload->head, sizeof(upload->head)));
        return kedge_upload_record(agent, at / kedge_agent_sector(agent));
    }
    memcpy(upload->head, before.head, sizeof(upload->head));
    upload->depth = at > 0 ? before.depth : 0;
    return kedge_wrapped_open(agent, request->data);
}

int kedge_upload_first(struct kedge_agent *agent, const struct kedge_upload_request *request,
                       struct kedge_upload_reply *reply)
{
    struct kedge_upload *const upload = &agent->upload;
    int status = check_form(agent, request);

    if (status != KEDGE_AGENT_OK) {
        return status;
    }
    if (kedge_upload_runs(upload) && is_same_file(upload, request)) {
        upload->peer = request->peer;
        upload->last_ms = agent->config->now_ms(agent->config->ctx);
        reply->off = upload->off;
        return KEDGE_AGENT_OK;
    }
    if (kedge_upload_runs(upload) && request->peer != upload->peer &&
        agent->config->now_ms(agent->config->ctx) - upload->last_ms < OWNED_MS) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_BUSY, "another client is uploading");
    }
    status = check_target(agent, request);
    if (status != KEDGE_AGENT_OK) {
        return status;
    }
    if (was_last(upload, request)) {
        *reply = (struct kedge_upload_reply){.off = request->len, .has_match = true, .match = true};
        return KEDGE_AGENT_OK;
    }
    if (is_there(agent, request)) {
        if (kedge_mailbox_retire(agent) != 0) {
            return kedge_agent_refuse(agent, KEDGE_AGENT_ERASE_FAILED,
                                      "the upload record cannot be cleared");
        }
        *upload = (struct kedge_upload){0};
        *reply = (struct kedge_upload_reply){.off = request->len, .has_match = true, .match = true};
        return KEDGE_AGENT_OK;
    }
    const bool found = !upload->claimed && is_same_file(upload, request);

    status = open_session(agent, request, found);
    reply->off = upload->off;
    return status;
}
