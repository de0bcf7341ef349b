/* From a whole file to an image that is asked for: hash, decode, request. Work in steps; a cut
 * costs nothing: the hash is taken again, the upload resumes by the agent's own record. */
#include <string.h>

#include "stage/store.h"

static void work(struct kedge_stage *stage, enum kedge_stage_state state)
{
    stage->state = (uint8_t)state;
    stage->at = 0;
    stage->steps = 0;
    if (state == KEDGE_STAGE_HASHING) {
        kedge_sha256.start(&stage->hash);
    }
}

static void fail(struct kedge_stage *stage, enum kedge_stage_state state, const char *words)
{
    size_t i = 0;

    for (; words[i] != '\0' && i + 1 < sizeof(stage->reason); i++) {
        stage->reason[i] = words[i];
    }
    stage->reason[i] = '\0';
    stage->state = (uint8_t)state;
}

/* Up to a buffer of the file from `at` on. */
static int read_file(struct kedge_stage *stage, uint32_t at, struct kedge_bytes *data)
{
    const uint32_t left = stage->manifest.size - at;
    const size_t n = left < stage->buffer.size ? left : stage->buffer.size;

    *data = kedge_bytes(stage->buffer.at, n);
    return kedge_checked_read(kedge_stage_region(stage), kedge_stage_file_at(stage) + at,
                              kedge_buf(stage->buffer.at, n));
}

/* ---- hash ------------------------------------------------------------------------------------ */

/* Read again: one flipped bit on the bus must not condemn a good file. */
static void hashed(struct kedge_stage *stage)
{
    uint8_t digest[KEDGE_DIGEST_MAX];
    int error;

    kedge_sha256.finish(&stage->hash, digest);
    if (kedge_equal(digest, stage->manifest.id, sizeof(stage->manifest.id))) {
        error = kedge_stage_affirm(stage);
        if (error == 0) {
            error = kedge_stage_set_flag(stage, KEDGE_STAGE_WHOLE);
        }
        if (error != 0) {
            fail(stage, KEDGE_STAGE_FAILED, kedge_error_text(error));
            return;
        }
        work(stage, KEDGE_STAGE_DECODING);
        return;
    }
    stage->tries++;
    if (stage->tries < KEDGE_CHECKED_TRIES) {
        work(stage, KEDGE_STAGE_HASHING);
        return;
    }
    error = kedge_stage_affirm(stage);
    if (error == 0) {
        error = kedge_stage_set_flag(stage, KEDGE_STAGE_BAD);
    }
    fail(stage, KEDGE_STAGE_SPOILT,
         error == 0 ? "every chunk is there, the hash of the whole is wrong: begin again"
                    : kedge_error_text(error));
}

static void hash_some(struct kedge_stage *stage)
{
    struct kedge_bytes data;
    const int error = read_file(stage, stage->at, &data);

    if (error != 0) {
        fail(stage, KEDGE_STAGE_FAILED, kedge_error_text(error));
        return;
    }
    kedge_sha256.update(&stage->hash, data);
    stage->at += (uint32_t)data.size;
    if (stage->at == stage->manifest.size) {
        hashed(stage);
    }
}

/* ---- request --------------------------------------------------------------------------------- */

static int ask(struct kedge_stage *stage)
{
    struct kedge_slot_state states[2];
    const size_t count = kedge_agent_list(stage->agent, states);
    const struct kedge_slot_state *const last = &states[count - (count > 0)];

    if (count == 0 || last->slot != 1) {
        return kedge_agent_refuse(stage->agent, KEDGE_AGENT_NO_IMAGE,
                                  "what was decoded is no image: slot 1 is empty");
    }
    /* verifies hash and signature before it writes anything */
    return kedge_agent_request(stage->agent, kedge_bytes(last->hash, last->hash_size),
                               stage->then == KEDGE_STAGE_THEN_CONFIRM);
}

static void decoded(struct kedge_stage *stage)
{
    if (stage->then != KEDGE_STAGE_THEN_NOTHING && ask(stage) != KEDGE_AGENT_OK) {
        fail(stage, KEDGE_STAGE_FAILED, stage->agent->detail);
        return;
    }
    const int error = kedge_stage_set_flag(stage, KEDGE_STAGE_CLOSED);

    if (error != 0) {
        fail(stage, KEDGE_STAGE_FAILED, kedge_error_text(error));
        return;
    }
    stage->state = KEDGE_STAGE_DECODED;
}

/* ---- decode ---------------------------------------------------------------------------------- */

/* A client that follows the offsets of its replies gets there; so many steps say that it won't. */
static uint32_t steps_most(const struct kedge_stage *stage)
{
    return 4 * (stage->manifest.size / (uint32_t)stage->buffer.size) + 1000;
}

static void decode_some(struct kedge_stage *stage)
{
    struct kedge_upload_request request = {.peer = KEDGE_PEER_STAGE, .has_off = true};
    struct kedge_upload_reply reply;
    const int error = read_file(stage, stage->at, &request.data);

    if (error != 0) {
        fail(stage, KEDGE_STAGE_FAILED, kedge_error_text(error));
        return;
    }
    request.off = stage->at;
    if (request.off == 0) {
        request.has_len = true;
        request.len = stage->manifest.size;
        request.sha = kedge_bytes(stage->manifest.id, sizeof(stage->manifest.id));
    }
    if (kedge_agent_upload(stage->agent, &request, &reply) != KEDGE_AGENT_OK) {
        fail(stage, KEDGE_STAGE_FAILED, stage->agent->detail);
        return;
    }
    stage->steps++;
    stage->at = reply.off;
    if (reply.off > stage->manifest.size || stage->steps > steps_most(stage)) {
        fail(stage, KEDGE_STAGE_FAILED, "decoding does not get on: try again");
    } else if (reply.off == stage->manifest.size) {
        if (reply.has_match && !reply.match) {
            fail(stage, KEDGE_STAGE_FAILED, "slot 1 does not hold what was decoded: try again");
        } else {
            decoded(stage);
        }
    }
}

/* ---- the work -------------------------------------------------------------------------------- */

bool kedge_stage_step(struct kedge_stage *stage)
{
    if (!kedge_stage_works(stage)) {
        return false;
    }
    const uint8_t before = kedge_agent_enter(stage->agent, KEDGE_PHASE_DECODE);

    if (stage->state == KEDGE_STAGE_HASHING) {
        hash_some(stage);
    } else {
        decode_some(stage);
    }
    (void)kedge_agent_enter(stage->agent, before);
    return true;
}

static int finish(struct kedge_stage *stage, enum kedge_stage_then then)
{
    if (!kedge_stage_is_open(stage)) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_NO_FILE, "nothing is staged: begin first");
    }
    if (kedge_stage_works(stage)) {
        return stage->then == then ? KEDGE_STAGE_OK
                                   : kedge_stage_refuse(stage, KEDGE_STAGE_BUSY,
                                                        "the file is being hashed or decoded");
    }
    if (stage->state == KEDGE_STAGE_SPOILT) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_BAD_HASH,
                                  "the whole file had a wrong hash: begin again");
    }
    if (stage->state == KEDGE_STAGE_DECODED && stage->then == then && stage->steps > 0) {
        return KEDGE_STAGE_OK;
    }
    if (kedge_stage_next_missing(stage, 0) < stage->chunks) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_INCOMPLETE,
                                  "chunks are missing: see stage status");
    }
    stage->then = (uint8_t)then;
    stage->tries = 0;
    work(stage, KEDGE_STAGE_HASHING);
    return KEDGE_STAGE_OK;
}

int kedge_stage_finish(struct kedge_stage *stage, enum kedge_stage_then then)
{
    const uint8_t before = kedge_agent_enter(stage->agent, KEDGE_PHASE_DECODE);

    stage->agent->detail[0] = '\0';
    const int status = finish(stage, then);

    (void)kedge_agent_enter(stage->agent, before);
    return status;
}
