/* The chunk store over SMP: any client may push a file in pieces, in any order. */
#include "smp/group_stage.h"

#include <string.h>

#include "kedge/service.h"
#include "kedge/smp_cbor.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a gap takes in the list of those that are missing, with what closes the reply behind it. */
#define GAP_ROOM 64u

static const char check_words[KEDGE_STAGE_CHECKS][7] = {"none", "crc32", "sha256"};
static const uint8_t check_sizes[KEDGE_STAGE_CHECKS] = {0, 4, 32};

static struct kedge_stage *stage_of(const struct kedge_smp_call *call)
{
    return ((struct kedge_service *)call->ctx)->stage;
}

static int result_of(int status)
{
    return status == KEDGE_STAGE_OK            ? 0
           : status == KEDGE_STAGE_UNSUPPORTED ? KEDGE_SMP_ENOTSUP
                                               : KEDGE_SMP_GROUP_ERROR(status);
}

/* Gaps from chunk `from` on, as many as fit; "next" when there are more. */
static void put_missing(struct kedge_smp_writer *reply, struct kedge_stage *stage, uint32_t from)
{
    uint32_t at = kedge_stage_next_missing(stage, from);

    kedge_smp_open_list(reply, "missing");
    while (at < stage->chunks && kedge_smp_room(reply) > GAP_ROOM) {
        const uint32_t end = kedge_stage_next_present(stage, at);

        kedge_smp_open_list(reply, NULL);
        kedge_smp_put_uint(reply, NULL, at);
        kedge_smp_put_uint(reply, NULL, end - at);
        kedge_smp_close(reply);
        at = kedge_stage_next_missing(stage, end);
    }
    kedge_smp_close(reply);
    if (at < stage->chunks) {
        kedge_smp_put_uint(reply, "next", at);
    }
}

static void put_file(struct kedge_smp_writer *reply, struct kedge_stage *stage, uint32_t from)
{
    const struct kedge_manifest *const manifest = &stage->manifest;

    kedge_smp_put_bytes(reply, "id", kedge_bytes(manifest->id, sizeof(manifest->id)));
    kedge_smp_put_uint(reply, "size", manifest->size);
    kedge_smp_put_uint(reply, "chunk", manifest->chunk);
    kedge_smp_put_string(reply, "check", check_words[manifest->check]);
    kedge_smp_put_uint(reply, "check_size", manifest->check_size);
    kedge_smp_put_string(reply, "expects", kedge_stage_kind_text(manifest->transform));
    kedge_smp_put_string(reply, "kind", kedge_stage_kind_text(stage->kind));
    kedge_smp_put_uint(reply, "chunks", stage->chunks);
    kedge_smp_put_uint(reply, "received", stage->received);
    kedge_smp_put_uint(reply, "attempts", stage->attempts);
    kedge_smp_put_uint(reply, "idle", stage->idle);
    kedge_smp_put_uint(reply, "rounds", stage->rounds);
    if (stage->state == KEDGE_STAGE_FAILED || stage->state == KEDGE_STAGE_SPOILT) {
        kedge_smp_put_string(reply, "reason", stage->reason);
    }
    put_missing(reply, stage, from);
}

static void put_status(struct kedge_smp_writer *reply, struct kedge_stage *stage, uint32_t from)
{
    kedge_smp_put_string(reply, "state", kedge_stage_state_text(stage->state));
    if (stage->state == KEDGE_STAGE_HASHING || stage->state == KEDGE_STAGE_DECODING) {
        kedge_smp_put_uint(reply, "at", stage->at);
    }
    if (stage->state != KEDGE_STAGE_EMPTY) {
        put_file(reply, stage, from);
    }
}

int kedge_stage_on_show(struct kedge_smp_call *call)
{
    struct kedge_stage *const stage = stage_of(call);
    uint32_t from = 0;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("from", KEDGE_SMP_UINT, &from)};

    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) < 0) {
        return KEDGE_SMP_EINVAL;
    }
    if (stage == NULL || kedge_stage_capacity(stage, KEDGE_STAGE_CHUNK_MAX) == 0) {
        return KEDGE_SMP_ENOTSUP;
    }
    put_status(call->reply, stage, from);
    return 0;
}

/* The place of a word in a list of words; `count` when it is none of them. */
static uint8_t word_of(struct kedge_bytes word, uint8_t count, const char *(*text)(uint8_t))
{
    uint8_t i = 0;

    while (i < count && !kedge_smp_is(word, text(i))) {
        i++;
    }
    return i;
}

static const char *check_text(uint8_t check)
{
    return check_words[check];
}

static const char *then_text(uint8_t then)
{
    static const char words[][8] = {"nothing", "test", "confirm"};

    return words[then];
}

int kedge_stage_on_begin(struct kedge_smp_call *call)
{
    struct kedge_stage *const stage = stage_of(call);
    struct kedge_manifest manifest = {0};
    struct kedge_bytes id = {0}, check = {0}, kind = {0};
    uint32_t check_size = 0;
    enum { ID, SIZE, CHUNK, CHECK, CHECK_SIZE, KIND };
    const struct kedge_smp_field fields[] = {
        [ID] = KEDGE_SMP_FIELD("id", KEDGE_SMP_BYTES, &id),
        [SIZE] = KEDGE_SMP_FIELD("size", KEDGE_SMP_UINT, &manifest.size),
        [CHUNK] = KEDGE_SMP_FIELD("chunk", KEDGE_SMP_UINT, &manifest.chunk),
        [CHECK] = KEDGE_SMP_FIELD("check", KEDGE_SMP_TEXT, &check),
        [CHECK_SIZE] = KEDGE_SMP_FIELD("check_size", KEDGE_SMP_UINT, &check_size),
        [KIND] = KEDGE_SMP_FIELD("expects", KEDGE_SMP_TEXT, &kind),
        KEDGE_SMP_FIELD("origin", KEDGE_SMP_UINT, &manifest.origin),
    };
    const int found = kedge_smp_read_fields(call->request, fields, COUNT(fields));
    const int needed = 1 << ID | 1 << SIZE | 1 << CHUNK;

    if (found < 0 || (found & needed) != needed || id.size != sizeof(manifest.id) ||
        check_size > UINT8_MAX) {
        return KEDGE_SMP_EINVAL;
    }
    if (stage == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    memcpy(manifest.id, id.at, sizeof(manifest.id));
    if ((found >> CHECK & 1) != 0) {
        manifest.check = word_of(check, KEDGE_STAGE_CHECKS, check_text);
    }
    if ((found >> KIND & 1) != 0) {
        manifest.transform = word_of(kind, KEDGE_STAGE_KINDS, kedge_stage_kind_text);
    }
    manifest.check_size = (found >> CHECK_SIZE & 1) != 0        ? (uint8_t)check_size
                          : manifest.check < KEDGE_STAGE_CHECKS ? check_sizes[manifest.check]
                                                                : 0;
    const int status = kedge_stage_begin(stage, &manifest);

    if (status == KEDGE_STAGE_OK) {
        put_status(call->reply, stage, 0);
    }
    return result_of(status);
}

int kedge_stage_on_data(struct kedge_smp_call *call)
{
    struct kedge_stage *const stage = stage_of(call);
    struct kedge_bytes data, check = kedge_bytes(NULL, 0);
    uint32_t off;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("off", KEDGE_SMP_UINT, &off),
                                             KEDGE_SMP_FIELD("data", KEDGE_SMP_BYTES, &data),
                                             KEDGE_SMP_FIELD("check", KEDGE_SMP_BYTES, &check)};
    const int found = kedge_smp_read_fields(call->request, fields, COUNT(fields));

    if (found < 0 || (found & 3) != 3) {
        return KEDGE_SMP_EINVAL;
    }
    if (stage == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    const int status = kedge_stage_put(stage, off, data, check);

    if (status == KEDGE_STAGE_OK) {
        kedge_smp_put_uint(call->reply, "received", stage->received);
    }
    return result_of(status);
}

int kedge_stage_on_end(struct kedge_smp_call *call)
{
    struct kedge_stage *const stage = stage_of(call);
    struct kedge_bytes action, word;
    uint8_t then = KEDGE_STAGE_THEN_NOTHING;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("do", KEDGE_SMP_TEXT, &action),
                                             KEDGE_SMP_FIELD("then", KEDGE_SMP_TEXT, &word)};
    const int found = kedge_smp_read_fields(call->request, fields, COUNT(fields));

    if (found < 0 || (found & 1) == 0) {
        return KEDGE_SMP_EINVAL;
    }
    if ((found & 2) != 0) {
        then = word_of(word, KEDGE_STAGE_THEN_CONFIRM + 1, then_text);
    }
    if (then > KEDGE_STAGE_THEN_CONFIRM ||
        (!kedge_smp_is(action, "finish") && !kedge_smp_is(action, "abort"))) {
        return KEDGE_SMP_EINVAL;
    }
    if (stage == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    const int status = kedge_smp_is(action, "abort")
                           ? kedge_stage_abort(stage)
                           : kedge_stage_finish(stage, (enum kedge_stage_then)then);

    if (status == KEDGE_STAGE_OK) {
        put_status(call->reply, stage, 0);
    }
    return result_of(status);
}

int kedge_stage_to_v1(int code)
{
    switch (code) {
    case KEDGE_STAGE_INVALID:
        return KEDGE_SMP_EINVAL;
    case KEDGE_STAGE_TOO_LARGE:
        return KEDGE_SMP_ENOMEM;
    case KEDGE_STAGE_NO_FILE:
        return KEDGE_SMP_ENOENT;
    case KEDGE_STAGE_BAD_CHECK:
    case KEDGE_STAGE_BAD_HASH:
        return KEDGE_SMP_ECORRUPT;
    case KEDGE_STAGE_OTHER_FILE:
    case KEDGE_STAGE_CONFLICT:
    case KEDGE_STAGE_INCOMPLETE:
    case KEDGE_STAGE_GIVEN_UP:
        return KEDGE_SMP_EBADSTATE;
    case KEDGE_STAGE_PLAINTEXT:
        return KEDGE_SMP_EACCESS;
    case KEDGE_STAGE_BUSY:
        return KEDGE_SMP_EBUSY;
    default:
        return KEDGE_SMP_EUNKNOWN;
    }
}
