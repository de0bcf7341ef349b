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
 * bytes of the header and asks for the rest; clients follow `off`. */
#include <string.h>

#include "agent/checked.h"
#include "agent/mailbox.h"
#include "agent/parts.h"

/* A first chunk of another client is refused for so long after the last accepted one. */
#define OWNED_MS 5000u
#define SHA256_SIZE 32u

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t sector_size(const struct kedge_agent *agent)
{
    return kedge_agent_geometry(agent)->erase_size;
}

static bool runs(const struct kedge_upload *upload)
{
    return upload->size > 0 && upload->claimed;
}

/* Bytes of a file of this size that go to image sectors; the rest is its trailer's sector. */
static uint32_t data_end(const struct kedge_agent *agent, uint32_t size)
{
    return least(size, kedge_agent_data_limit(agent));
}

static uint32_t tail_size(const struct kedge_agent *agent)
{
    return kedge_trailer_place(kedge_agent_secondary(agent)->max_align).size;
}

/* The session is over, its record stays half-way: a client starts again, or comes back after a
 * reset. */
static int fail(struct kedge_agent *agent, enum kedge_agent_status status, int error)
{
    agent->upload = (struct kedge_upload){0};
    return kedge_agent_refuse(agent, status, kedge_error_text(error));
}

/* ---- is it there already, is it what was sent ------------------------------------------------ */

static int hash_data(struct kedge_agent *agent, uint8_t base, uint32_t end,
                     struct kedge_hash_state *state)
{
    const struct kedge_buf scratch = agent->config->scratch;

    for (uint32_t at = 0; at < end;) {
        const uint32_t n = least((uint32_t)scratch.size, end - at);
        const int error = kedge_slot_read(kedge_agent_secondary(agent), base, at,
                                          kedge_buf(scratch.at, n));
        if (error != 0) {
            return error;
        }
        kedge_sha256.update(state, kedge_bytes(scratch.at, n));
        at += n;
    }
    return 0;
}

/* The trailer's sector as a file with a trailer has it: erased up to the tail. */
static void hash_trailer(struct kedge_agent *agent, uint32_t size, const uint8_t *tail,
                         struct kedge_hash_state *state)
{
    const struct kedge_buf scratch = agent->config->scratch;
    uint32_t left = size - kedge_agent_data_limit(agent) - tail_size(agent);

    memset(scratch.at, kedge_agent_geometry(agent)->erased, scratch.size);
    while (left > 0) {
        const uint32_t n = least((uint32_t)scratch.size, left);

        kedge_sha256.update(state, kedge_bytes(scratch.at, n));
        left -= n;
    }
    kedge_sha256.update(state, kedge_bytes(tail, tail_size(agent)));
}

/* SHA-256 over the file as it lies at `base` equals `sha`. Tried again: one flipped bit on the bus
 * must not condemn a good upload. */
static bool file_matches(struct kedge_agent *agent, uint8_t base, uint32_t size,
                         const uint8_t *tail, const uint8_t *sha)
{
    bool same = false;

    for (unsigned i = 0; i < KEDGE_CHECKED_TRIES && !same; i++) {
        struct kedge_hash_state state;
        uint8_t digest[SHA256_SIZE];

        kedge_sha256.start(&state);
        if (hash_data(agent, base, data_end(agent, size), &state) != 0) {
            continue;
        }
        if (size > kedge_agent_data_limit(agent)) {
            hash_trailer(agent, size, tail, &state);
        }
        kedge_sha256.finish(&state, digest);
        same = kedge_equal(digest, sha, sizeof(digest));
    }
    return same;
}

/* The slot holds this very file: nothing has to be sent. A look at the header comes first, so that
 * only a likely match costs reading the slot. */
static bool is_there(struct kedge_agent *agent, const struct kedge_upload_request *request)
{
    const struct kedge_slot *const slot = kedge_agent_secondary(agent);
    uint8_t head[KEDGE_UPLOAD_HEAD];
    uint8_t tail[KEDGE_TRAILER_SIZE_MAX];
    struct kedge_image image;

    if (request->sha.size != SHA256_SIZE || kedge_mailbox_half_way(agent)) {
        return false;
    }
    const int found = kedge_slot_find(slot, 0, &image);
    const uint8_t base = found < 0 ? 0 : (uint8_t)found;

    if (kedge_slot_read(slot, base, 0, kedge_buf(head, sizeof(head))) != 0 ||
        memcmp(head, request->data.at, sizeof(head)) != 0 ||
        kedge_checked_read(&slot->region, kedge_agent_slot_size(agent) - tail_size(agent),
                           kedge_buf(tail, tail_size(agent))) != 0) {
        return false;
    }
    return file_matches(agent, base, request->len, tail, request->sha.at);
}

/* ---- the first chunk ------------------------------------------------------------------------- */

/* What the header alone says the image needs, saturated. */
static uint32_t image_needs(const uint8_t *head)
{
    const uint64_t sum = (uint64_t)kedge_le16(head + 8) + kedge_le16(head + 10) +
                         kedge_le32(head + 12);

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
    if (request->sha.size > SHA256_SIZE) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_HASH, "sha is longer than 32 bytes");
    }
    return KEDGE_AGENT_OK;
}

static int check_length(struct kedge_agent *agent, const struct kedge_upload_request *request)
{
    const uint32_t largest = kedge_pair_max_image(kedge_agent_pair(agent));

    if ((request->len > largest && request->len != kedge_agent_slot_size(agent)) ||
        image_needs(request->data.at) > largest) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_TOO_LARGE,
                                  "larger than the largest image of this slot (see image slots)");
    }
    if (request->data.size > request->len) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_OVERRUN, "more data than the length told");
    }
    if (request->len <= KEDGE_UPLOAD_HEAD) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_LENGTH, "too short for an image");
    }
    return KEDGE_AGENT_OK;
}

/* May this image go into the slot now? In the order of facts A6. */
static int check_target(struct kedge_agent *agent, const struct kedge_upload_request *request)
{
    const uint8_t *const head = request->data.at;
    const struct kedge_version version = {.major = head[20],
                                          .minor = head[21],
                                          .revision = kedge_le16(head + 22),
                                          .build = kedge_le32(head + 24)};
    int status;

    /* image 1 is what clients of direct-upload servers send for "the other slot" */
    if (request->image > 1) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_SLOT, "this device has one image");
    }
    status = kedge_agent_slot_free(agent);
    if (status == KEDGE_AGENT_OK) {
        status = check_length(agent, request);
    }
    if (status == KEDGE_AGENT_OK) {
        status = kedge_agent_version_allowed(agent, &version, request->upgrade);
    }
    if (status == KEDGE_AGENT_OK && agent->policy.value[KEDGE_POLICY_CONFIDENTIAL] != 0 &&
        (kedge_le32(head + 16) & (KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256)) == 0) {
        status = kedge_agent_refuse(agent, KEDGE_AGENT_DENIED,
                                    "plain image: policy confidential takes encrypted ones only");
    }
    return status;
}

static bool is_same_file(const struct kedge_upload *upload,
                         const struct kedge_upload_request *request)
{
    return upload->size > 0 && upload->sha_size > 0 && upload->size == request->len &&
           upload->sha_size == request->sha.size &&
           memcmp(upload->sha, request->sha.at, upload->sha_size) == 0;
}

/* A new session, or (resumed > 0) one that goes on behind so many good sectors. What follows them
 * is erased again: it may have been torn, or half written. */
static int open_session(struct kedge_agent *agent, const struct kedge_upload_request *request,
                        uint32_t resumed)
{
    struct kedge_upload *const upload = &agent->upload;
    struct kedge_upload_record record = {
        .length = request->len,
        .image = request->image,
        .head_crc = kedge_crc32(0, kedge_bytes(request->data.at, KEDGE_UPLOAD_HEAD)),
        .sha_size = (uint8_t)request->sha.size,
        .marked = resumed,
    };
    const uint32_t at = resumed * sector_size(agent);

    memcpy(record.sha, request->sha.at, record.sha_size);
    *upload = (struct kedge_upload){
        .off = resumed > 0 ? at : KEDGE_UPLOAD_HEAD,
        .size = request->len,
        .erased_to = at,
        .last_ms = agent->config->now_ms(agent->config->ctx),
        .peer = request->peer,
        .claimed = true,
        .sha_size = record.sha_size,
    };
    memcpy(upload->sha, record.sha, sizeof(upload->sha));
    memcpy(upload->head, request->data.at, sizeof(upload->head));
    memset(upload->tail, kedge_agent_geometry(agent)->erased, sizeof(upload->tail));

    const int error = kedge_mailbox_open(agent, &record);

    return error == 0 ? KEDGE_AGENT_OK : fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
}

static int begin(struct kedge_agent *agent, const struct kedge_upload_request *request,
                 struct kedge_upload_reply *reply)
{
    struct kedge_upload *const upload = &agent->upload;
    int status = check_form(agent, request);

    if (status != KEDGE_AGENT_OK) {
        return status;
    }
    if (runs(upload) && is_same_file(upload, request)) {
        upload->peer = request->peer;
        upload->last_ms = agent->config->now_ms(agent->config->ctx);
        reply->off = upload->off;
        return KEDGE_AGENT_OK;
    }
    if (runs(upload) && request->peer != upload->peer &&
        agent->config->now_ms(agent->config->ctx) - upload->last_ms < OWNED_MS) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_BUSY, "another client is uploading");
    }
    status = check_target(agent, request);
    if (status != KEDGE_AGENT_OK) {
        return status;
    }
    if (is_there(agent, request)) {
        *upload = (struct kedge_upload){0};
        *reply = (struct kedge_upload_reply){.off = request->len, .has_match = true, .match = true};
        return KEDGE_AGENT_OK;
    }
    const bool found = !upload->claimed && is_same_file(upload, request);

    status = open_session(agent, request, found ? upload->off / sector_size(agent) : 0);
    reply->off = upload->off;
    return status;
}

/* ---- the chunks behind it -------------------------------------------------------------------- */

/* How far the file may be taken before the next erase. The last bytes wait for the old headers at
 * higher bases: one byte for each, so that every call makes some progress. */
static uint32_t limit_of(const struct kedge_agent *agent)
{
    const struct kedge_upload *const upload = &agent->upload;
    const uint32_t bases = kedge_agent_secondary(agent)->last_base;

    if (upload->erased_to < data_end(agent, upload->size)) {
        return least(upload->erased_to, upload->size - bases);
    }
    return upload->size - (bases - upload->stale_done);
}

/* Make the next sector writable, or the next old header disappear. *erased: a sector was erased. */
static int prepare(struct kedge_agent *agent, bool *erased)
{
    const struct kedge_slot *const slot = kedge_agent_secondary(agent);
    struct kedge_upload *const upload = &agent->upload;
    const bool linear = upload->erased_to < data_end(agent, upload->size);
    const uint32_t at = linear ? upload->erased_to
                               : kedge_slot_unit_at(slot, upload->stale_done + 1u);
    uint8_t magic[4];

    *erased = linear;
    if (!linear && at >= upload->erased_to) {
        const int error = kedge_checked_read(&slot->region, at, kedge_buf(magic, sizeof(magic)));

        if (error != 0) {
            return fail(agent, KEDGE_AGENT_READ_FAILED, error);
        }
        *erased = kedge_le32(magic) == KEDGE_IMAGE_MAGIC;
    }
    if (*erased) {
        const int error = kedge_checked_erase(&slot->region, at, agent->config->scratch);

        if (error != 0) {
            return fail(agent, KEDGE_AGENT_ERASE_FAILED, error);
        }
    }
    if (linear) {
        upload->erased_to += sector_size(agent);
    } else {
        upload->stale_done++;
    }
    return KEDGE_AGENT_OK;
}

/* A sector that does not hold its bytes is begun anew: the client is told to send it again. */
static int begin_sector_anew(struct kedge_agent *agent, int error)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t written = upload->off - upload->pending_size;
    const uint32_t at = written - written % sector_size(agent);

    upload->tries++;
    if (upload->tries >= KEDGE_CHECKED_TRIES) {
        return fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
    }
    upload->erased_to = at;
    upload->off = at == 0 ? KEDGE_UPLOAD_HEAD : at;
    upload->pending_size = 0;
    return KEDGE_AGENT_OK;
}

/* Program what has been held back, filled up with erased bytes. */
static int flush(struct kedge_agent *agent)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t block = kedge_agent_geometry(agent)->write_block;
    int error;

    if (upload->pending_size == 0) {
        return 0;
    }
    memset(upload->pending + upload->pending_size, kedge_agent_geometry(agent)->erased,
           block - upload->pending_size);
    error = kedge_checked_program(&kedge_agent_secondary(agent)->region,
                                  upload->off - upload->pending_size,
                                  kedge_bytes(upload->pending, block), agent->config->scratch);
    if (error == 0) {
        upload->pending_size = 0;
    }
    return error;
}

/* Write the first bytes of `data` at off: whole blocks go to flash, the rest is held back. Advances
 * off by what it took. */
static int put(struct kedge_agent *agent, struct kedge_bytes data)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t block = kedge_agent_geometry(agent)->write_block;
    uint32_t n = (uint32_t)data.size;

    if (upload->pending_size == 0 && n >= block) {
        n -= n % block;
        const int error = kedge_checked_program(&kedge_agent_secondary(agent)->region, upload->off,
                                                kedge_bytes(data.at, n), agent->config->scratch);
        if (error == 0) {
            upload->off += n;
        }
        return error;
    }
    n = least(n, block - upload->pending_size);
    memcpy(upload->pending + upload->pending_size, data.at, n);
    upload->pending_size = (uint8_t)(upload->pending_size + n);
    upload->off += n;
    return upload->pending_size == block ? flush(agent) : 0;
}

/* Image bytes up to the end of one sector. */
static int take_data(struct kedge_agent *agent, struct kedge_bytes data, uint32_t end)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t sector = sector_size(agent);
    const uint32_t sector_end = least(upload->off - upload->off % sector + sector, end);
    const uint32_t n = least((uint32_t)data.size, sector_end - upload->off);
    int error = put(agent, kedge_bytes(data.at, n));

    if (error == 0 && upload->off == sector_end) {
        error = flush(agent);
    }
    if (error != 0) {
        return begin_sector_anew(agent, error);
    }
    if (upload->off < sector_end) {
        return KEDGE_AGENT_OK;
    }
    /* the sector is written and read back: only now may its cell say so */
    upload->tries = 0;
    error = kedge_mailbox_mark(agent, (sector_end - 1) / sector);
    return error == 0 ? KEDGE_AGENT_OK : fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
}

/* Bytes of the trailer's sector: kept in RAM, for the sector is the record's until the end. */
static int take_tail(struct kedge_agent *agent, struct kedge_bytes data)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t start = upload->size - tail_size(agent);
    const uint32_t before = upload->off < start ? least((uint32_t)data.size, start - upload->off) : 0;

    if (!kedge_all(kedge_bytes(data.at, before), kedge_agent_geometry(agent)->erased)) {
        *upload = (struct kedge_upload){0};
        return kedge_agent_refuse(agent, KEDGE_AGENT_TOO_LARGE,
                                  "the file has data where the slot's trailer sector lies");
    }
    if (data.size > before) {
        memcpy(upload->tail + (upload->off + before - start), data.at + before, data.size - before);
    }
    upload->off += (uint32_t)data.size;
    return KEDGE_AGENT_OK;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* A file that brought its own trailer asks for a boot, as if a debugger had written it. */
static int request_by_tail(struct kedge_agent *agent, const uint8_t *tail)
{
    const struct kedge_trailer trailer = kedge_trailer_parse(
        kedge_bytes(tail, tail_size(agent)), kedge_agent_secondary(agent)->max_align,
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
        .has_match = upload->sha_size == SHA256_SIZE,
        .match = upload->match,
    };
}

static int finish(struct kedge_agent *agent, struct kedge_upload_reply *reply)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t size = upload->size;
    int error = kedge_checked_program(&kedge_agent_secondary(agent)->region, 0,
                                      kedge_bytes(upload->head, sizeof(upload->head)),
                                      agent->config->scratch);
    if (error == 0) {
        error = kedge_mailbox_complete(agent);
    }
    if (error != 0) {
        return fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
    }
    upload->match = upload->sha_size == SHA256_SIZE &&
                    file_matches(agent, 0, size, upload->tail, upload->sha);
    upload->size = 0; /* the session is over; off stays, for a repeated last chunk */
    upload->status = KEDGE_AGENT_OK;
    if (size > kedge_agent_data_limit(agent) &&
        (upload->match || upload->sha_size != SHA256_SIZE)) {
        upload->status = (uint8_t)request_by_tail(agent, upload->tail);
    }
    *reply = end_reply(upload);
    return upload->status;
}

static int take(struct kedge_agent *agent, struct kedge_bytes data, bool may_erase)
{
    struct kedge_upload *const upload = &agent->upload;
    int status = KEDGE_AGENT_OK;

    while (data.size > 0 && status == KEDGE_AGENT_OK) {
        const uint32_t from = upload->off;
        const uint32_t limit = limit_of(agent);
        const uint32_t end = data_end(agent, upload->size);

        if (from >= limit) {
            bool erased = false;

            if (!may_erase) {
                break;
            }
            status = prepare(agent, &erased);
            may_erase = !erased;
            continue;
        }
        const struct kedge_bytes now = kedge_bytes(data.at, least((uint32_t)data.size, limit - from));

        status = from < end ? take_data(agent, now, end) : take_tail(agent, now);
        if (status != KEDGE_AGENT_OK || upload->off <= from) {
            break; /* failed, or a sector is begun anew */
        }
        const uint32_t taken = upload->off - from;

        data = kedge_bytes(data.at + taken, data.size - taken);
    }
    return status;
}

static int go_on(struct kedge_agent *agent, const struct kedge_upload_request *request,
                 struct kedge_upload_reply *reply)
{
    struct kedge_upload *const upload = &agent->upload;
    int status;

    if (!runs(upload)) {
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
    status = take(agent, request->data, true);
    reply->off = upload->off;
    if (status == KEDGE_AGENT_OK && upload->off == upload->size) {
        status = finish(agent, reply);
    }
    return status;
}

/* ---- public ---------------------------------------------------------------------------------- */

int kedge_agent_upload(struct kedge_agent *agent, const struct kedge_upload_request *request,
                       struct kedge_upload_reply *reply)
{
    const uint8_t before = kedge_agent_enter(agent, KEDGE_PHASE_DOWNLOAD);
    int status;

    agent->detail[0] = '\0';
    *reply = (struct kedge_upload_reply){0};
    if (!request->has_off) {
        status = kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_OFFSET, "a chunk must tell its off");
    } else if (request->off == 0) {
        status = begin(agent, request, reply);
    } else {
        status = go_on(agent, request, reply);
    }
    (void)kedge_agent_enter(agent, before);
    return status;
}

bool kedge_agent_idle(struct kedge_agent *agent)
{
    struct kedge_upload *const upload = &agent->upload;
    bool erased = false;

    if (!runs(upload) || (upload->erased_to >= data_end(agent, upload->size) &&
                          upload->stale_done >= kedge_agent_secondary(agent)->last_base)) {
        return false;
    }
    const uint8_t before = kedge_agent_enter(agent, KEDGE_PHASE_DOWNLOAD);

    /* a failure ends the session, and the next chunk starts it anew */
    (void)prepare(agent, &erased);
    (void)kedge_agent_enter(agent, before);
    return true;
}

/* An upload that a reset interrupted waits for the client that has its sha. */
static void find_interrupted(struct kedge_agent *agent)
{
    struct kedge_upload *const upload = &agent->upload;
    struct kedge_upload_record record;

    if (kedge_mailbox_find(agent, &record) != 0 || !kedge_mailbox_half_way(agent) ||
        record.sha_size == 0 || record.length <= KEDGE_UPLOAD_HEAD ||
        record.length > kedge_agent_slot_size(agent)) {
        return;
    }
    /* a file without a trailer leaves its last sector to be sent, so that there is an end to reach */
    const uint32_t last = record.length > kedge_agent_data_limit(agent)
                              ? kedge_agent_data_limit(agent) / sector_size(agent)
                              : (record.length - 1) / sector_size(agent);
    const uint32_t good = least(record.marked, last);

    if (good == 0) {
        return;
    }
    upload->off = good * sector_size(agent);
    upload->size = record.length;
    upload->sha_size = record.sha_size;
    memcpy(upload->sha, record.sha, sizeof(upload->sha));
}

void kedge_agent_start(struct kedge_agent *agent, const struct kedge_agent_config *config)
{
    KEDGE_ASSERT(config->scratch.size >= 512);
    *agent = (struct kedge_agent){.config = config};
    kedge_policy_load(&config->layout->settings, config->defaults, &agent->policy);
    find_interrupted(agent);
}
