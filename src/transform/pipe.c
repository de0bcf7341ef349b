/* Levels one behind the other. Level k is an envelope whose payload goes into its transform; what
 * comes out of that is the input of level k + 1; the last level is what the caller pulls.
 *
 *   phase    HEAD --known kind--> PAYLOAD --> PROTECTED --> INFO --> ENTRY <--> VALUE --> END
 *             |
 *             +--no envelope----> PASS
 *
 * A level that cannot take what is there holds it, at most 64 bytes of it; nothing else is stored
 * between two transforms. */
#include "kedge/pipe.h"

#include <string.h>

#include "kedge/image.h"

#define HEADER     32u
#define MAGIC_SIZE 4u
#define TLV_SHA256 0x10u
#define TLV_MAGIC  0x6907u
/* Moves of at most 64 bytes that one pull makes before it says that it wants more input. */
#define MOVES_MAX 1024u

enum phase { HEAD, PASS, PAYLOAD, PROTECTED, INFO, ENTRY, VALUE, END };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int fail(struct kedge_pipe *pipe, unsigned at, int error, const char *why)
{
    pipe->failed_at = (uint8_t)at;
    pipe->why = why;
    return error;
}

/* ---- envelopes ------------------------------------------------------------------------------- */

const struct kedge_pipe_kind *kedge_pipe_find(const struct kedge_pipe_config *config,
                                              const uint8_t *head)
{
    if (kedge_le32(head) != KEDGE_IMAGE_MAGIC || kedge_le16(head + 8) != HEADER ||
        (kedge_le32(head + 16) & KEDGE_IMAGE_NON_BOOTABLE) == 0 ||
        kedge_le32(head + 12) <= MAGIC_SIZE) {
        return NULL;
    }
    for (size_t i = 0; i < config->kind_count; i++) {
        if (config->kinds[i].magic == kedge_le32(head + HEADER)) {
            return &config->kinds[i];
        }
    }
    return NULL;
}

/* The payload's end is here: the next phase, and what the envelope's hash must be. */
static void enter_tlvs(struct kedge_pipe_level *level)
{
    level->phase = level->protected_left > 0 ? PROTECTED : INFO;
    level->tlv_size = 0;
    if (level->phase == INFO && level->whole) {
        struct kedge_hash_state copy = level->hash;

        kedge_sha256.finish(&copy, level->digest);
    }
}

static int start_stage(struct kedge_pipe *pipe, const struct kedge_pipe_kind *kind)
{
    const struct kedge_pipe_config *const config = pipe->config;
    struct kedge_pipe_level *const level = &pipe->levels[pipe->depth];
    const size_t size = kedge_pipe_state_size(kind->transform);

    if (pipe->depth == KEDGE_PIPE_STAGES) {
        return fail(pipe, pipe->depth, KEDGE_E_UNSUPPORTED, "too many envelopes in one another");
    }
    if (size > config->memory.size - pipe->memory_used) {
        return fail(pipe, pipe->depth, KEDGE_E_SPACE,
                    "this device has no memory for so many transforms");
    }
    level->transform = kind->transform;
    level->state = config->memory.at + pipe->memory_used;
    level->env =
        (struct kedge_transform_env){.old = config->old, .out = config->out, .keys = kind->keys};
    level->payload_left = kedge_le32(level->head + 12);
    level->protected_left = kedge_le16(level->head + 10);
    level->head_given = HEADER;
    level->phase = PAYLOAD;
    if (pipe->depth > 0) { /* it is not the last one any more: nobody keeps what it gives out */
        pipe->levels[pipe->depth - 1].env.out = (struct kedge_source_reader){0};
    }
    pipe->memory_used += size;
    pipe->depth++;
    pipe->levels[pipe->depth] = (struct kedge_pipe_level){.phase = HEAD, .whole = true};
    kedge_sha256.start(&pipe->levels[pipe->depth].hash);
    memset(level->state, 0, level->transform->state_size);
    const int error =
        level->transform->start == NULL ? 0 : level->transform->start(level->state, &level->env);

    return error == 0 ? 0 : fail(pipe, pipe->depth - 1u, error, NULL);
}

/* ---- input of one level ---------------------------------------------------------------------- */

static int take_head(struct kedge_pipe *pipe, struct kedge_pipe_level *level, struct kedge_bytes in,
                     size_t *taken)
{
    const struct kedge_pipe_kind *kind;

    *taken = least(in.size, sizeof(level->head) - level->head_size);
    memcpy(level->head + level->head_size, in.at, *taken);
    level->head_size = (uint8_t)(level->head_size + *taken);
    if (level->head_size < sizeof(level->head)) {
        return 0;
    }
    kind = kedge_pipe_find(pipe->config, level->head);
    if (kind != NULL) {
        return start_stage(pipe, kind);
    }
    level->phase = PASS;
    return 0;
}

static int take_payload(struct kedge_pipe *pipe, unsigned k, struct kedge_bytes in, size_t *taken)
{
    struct kedge_pipe_level *const level = &pipe->levels[k];
    const struct kedge_transform *const transform = level->transform;
    size_t pushed = 1;
    int error = 0;

    *taken = 0;
    /* the magic came with the head */
    while (error == 0 && pushed > 0 && level->head_given < level->head_size) {
        error = transform->push(level->state, &level->env,
                                kedge_bytes(level->head + level->head_given,
                                            (size_t)level->head_size - level->head_given),
                                &pushed);
        level->head_given = (uint8_t)(level->head_given + pushed);
        level->payload_left -= (uint32_t)pushed;
    }
    if (error == 0 && level->head_given == level->head_size && level->payload_left > 0) {
        error = transform->push(level->state, &level->env,
                                kedge_bytes(in.at, least(in.size, level->payload_left)), taken);
        level->payload_left -= (uint32_t)*taken;
    }
    return error == 0 ? 0 : fail(pipe, k, error, NULL);
}

/* A TLV's header, or the area's; what follows from it. */
static int take_tlv(struct kedge_pipe *pipe, unsigned k, struct kedge_bytes in, size_t *taken)
{
    struct kedge_pipe_level *const level = &pipe->levels[k];

    *taken = least(in.size, sizeof(level->tlv) - level->tlv_size);
    memcpy(level->tlv + level->tlv_size, in.at, *taken);
    level->tlv_size = (uint8_t)(level->tlv_size + *taken);
    if (level->tlv_size < sizeof(level->tlv)) {
        return 0;
    }
    const uint16_t type = kedge_le16(level->tlv);
    const uint16_t size = kedge_le16(level->tlv + 2);
    const bool info = level->phase == INFO;

    level->tlv_size = 0;
    if (info ? type != TLV_MAGIC || size < sizeof(level->tlv)
             : size > level->tlv_left - sizeof(level->tlv)) {
        return fail(pipe, k, KEDGE_E_FORMAT, "the envelope's TLV area is damaged");
    }
    if (info) {
        level->tlv_left = (uint16_t)(size - sizeof(level->tlv));
    } else {
        level->tlv_left = (uint16_t)(level->tlv_left - sizeof(level->tlv) - size);
        level->value_left = size;
    }
    level->phase = !info && size > 0 ? VALUE : level->tlv_left >= sizeof(level->tlv) ? ENTRY : END;
    return level->phase == END && level->tlv_left > 0
               ? fail(pipe, k, KEDGE_E_FORMAT, "the envelope's TLV area is damaged")
               : 0;
}

/* Of all TLVs only the hash counts. Who has not seen all (a seek) takes it as the file's name. */
static int take_value(struct kedge_pipe *pipe, unsigned k, struct kedge_bytes in, size_t *taken)
{
    struct kedge_pipe_level *const level = &pipe->levels[k];

    *taken = least(in.size, level->value_left);
    if (kedge_le16(level->tlv) == TLV_SHA256 &&
        kedge_le16(level->tlv + 2) == sizeof(level->digest)) {
        const size_t at = sizeof(level->digest) - level->value_left;

        if (!level->whole) {
            memcpy(level->digest + at, in.at, *taken);
        }
        if (memcmp(level->digest + at, in.at, *taken) != 0) {
            return fail(pipe, k, KEDGE_E_HASH, "the file was changed: its hash does not match");
        }
        level->checked = level->checked || at + *taken == sizeof(level->digest);
    }
    level->value_left = (uint16_t)(level->value_left - *taken);
    if (level->value_left == 0) {
        level->phase = level->tlv_left > 0 ? ENTRY : END;
    }
    return 0;
}

/* Bytes after a whole envelope, or a TLV area that a header does not fit into. */
static int take_none(struct kedge_pipe *pipe, unsigned k, size_t *taken)
{
    *taken = 0;
    return fail(pipe, k, KEDGE_E_FORMAT, "the file goes on behind its end");
}

static int take_phase(struct kedge_pipe *pipe, unsigned k, struct kedge_bytes in, size_t *taken)
{
    struct kedge_pipe_level *const level = &pipe->levels[k];

    switch ((enum phase)level->phase) {
    case HEAD:
        return take_head(pipe, level, in, taken);
    case PASS: /* the caller pulls it out of what is held */
        *taken = 0;
        return 0;
    case PAYLOAD:
        return take_payload(pipe, k, in, taken);
    case PROTECTED:
        *taken = least(in.size, level->protected_left);
        level->protected_left = (uint16_t)(level->protected_left - *taken);
        return 0;
    case INFO:
        return take_tlv(pipe, k, in, taken);
    case ENTRY:
        return level->tlv_left < sizeof(level->tlv) ? take_none(pipe, k, taken)
                                                    : take_tlv(pipe, k, in, taken);
    case VALUE:
        return take_value(pipe, k, in, taken);
    default:
        return take_none(pipe, k, taken);
    }
}

/* Bytes into level k. */
static int take(struct kedge_pipe *pipe, unsigned k, struct kedge_bytes in, size_t *taken)
{
    struct kedge_pipe_level *const level = &pipe->levels[k];
    int error;

    if (level->skip > 0) {
        *taken = least(in.size, level->skip);
        level->skip -= (uint32_t)*taken;
        return 0;
    }
    error = take_phase(pipe, k, in, taken);
    if (level->whole && *taken > 0) {
        kedge_sha256.update(&level->hash, kedge_bytes(in.at, *taken));
    }
    if (error == 0 && ((level->phase == PAYLOAD && level->payload_left == 0 &&
                        level->head_given == level->head_size) ||
                       (level->phase == PROTECTED && level->protected_left == 0))) {
        enter_tlvs(level);
    }
    return error;
}

/* ---- from level to level --------------------------------------------------------------------- */

/* What level k holds goes on, and (`out`) what its transform has to give is held behind it. */
static int step(struct kedge_pipe *pipe, unsigned k, bool out, bool *moved)
{
    struct kedge_pipe_level *const level = &pipe->levels[k];
    struct kedge_pipe_level *const next = level + 1;
    size_t n = 0;
    int error;

    if (level->held_size > 0 && level->phase != PASS) {
        error = take(pipe, k, kedge_bytes(level->held + level->held_at, level->held_size), &n);
        if (error != 0) {
            return error;
        }
        level->held_at = (uint8_t)(level->held_at + n);
        level->held_size = (uint8_t)(level->held_size - n);
        *moved = *moved || n > 0;
    }
    if (!out || k >= pipe->depth || next->held_size > 0) {
        return 0;
    }
    error = level->transform->pull(level->state, &level->env,
                                   kedge_buf(next->held, sizeof(next->held)), &n);
    if (error != 0) {
        return fail(pipe, k, error, NULL);
    }
    next->held_at = 0;
    next->held_size = (uint8_t)n;
    *moved = *moved || n > 0;
    return 0;
}

/* One round over the levels below `end`, the last one first. */
static int move(struct kedge_pipe *pipe, unsigned end, bool *moved)
{
    const unsigned from = pipe->depth < end ? pipe->depth : end - 1u;
    int error = 0;

    *moved = false;
    for (unsigned k = from + 1u; k-- > 0 && error == 0;) {
        error = step(pipe, k, k + 1u < end, moved);
    }
    return error;
}

/* Output of the last level: what told that it is none of ours, what is held, then straight from the
 * last transform. */
static int give(struct kedge_pipe *pipe, struct kedge_buf out, size_t *given)
{
    struct kedge_pipe_level *const level = &pipe->levels[pipe->depth];

    if (level->head_given < level->head_size) {
        *given = least(out.size, (size_t)level->head_size - level->head_given);
        memcpy(out.at, level->head + level->head_given, *given);
        level->head_given = (uint8_t)(level->head_given + *given);
        return 0;
    }
    if (level->held_size > 0) {
        *given = least(out.size, level->held_size);
        memcpy(out.at, level->held + level->held_at, *given);
        level->held_at = (uint8_t)(level->held_at + *given);
        level->held_size = (uint8_t)(level->held_size - *given);
        return 0;
    }
    if (pipe->depth == 0) {
        return 0;
    }
    const struct kedge_pipe_level *const last = level - 1;
    const int error = last->transform->pull(last->state, &last->env, out, given);

    return error == 0 ? 0 : fail(pipe, pipe->depth - 1u, error, NULL);
}

/* ---- public ---------------------------------------------------------------------------------- */

void kedge_pipe_start(struct kedge_pipe *pipe, const struct kedge_pipe_config *config)
{
    KEDGE_ASSERT(((uintptr_t)config->memory.at & 7u) == 0);
    *pipe = (struct kedge_pipe){.config = config};
    pipe->levels[0] = (struct kedge_pipe_level){.phase = HEAD, .whole = true};
    kedge_sha256.start(&pipe->levels[0].hash);
}

int kedge_pipe_push(struct kedge_pipe *pipe, struct kedge_bytes in, size_t *taken)
{
    struct kedge_pipe_level *const first = &pipe->levels[0];
    bool moved = false;
    int error = 0;

    *taken = 0;
    if (first->held_size > 0) {
        error = step(pipe, 0, false, &moved);
    }
    if (error != 0 || first->held_size > 0 || in.size == 0) {
        return error;
    }
    if (first->phase != PASS) {
        return take(pipe, 0, in, taken);
    }
    *taken = least(in.size, sizeof(first->held));
    memcpy(first->held, in.at, *taken);
    first->held_at = 0;
    first->held_size = (uint8_t)*taken;
    if (first->whole) {
        kedge_sha256.update(&first->hash, kedge_bytes(in.at, *taken));
    }
    return 0;
}

int kedge_pipe_pull(struct kedge_pipe *pipe, struct kedge_buf out, size_t *given)
{
    bool moved = true;
    int error = 0;

    *given = 0;
    for (unsigned i = 0; i < MOVES_MAX && moved && error == 0; i++) {
        if (pipe->levels[pipe->depth].phase == PASS) {
            error = give(pipe, out, given);
            if (error != 0 || *given > 0) {
                return error;
            }
        }
        error = move(pipe, pipe->depth + 1u, &moved);
    }
    return error;
}

int kedge_pipe_finish(struct kedge_pipe *pipe)
{
    for (unsigned k = 0; k < pipe->depth; k++) {
        const struct kedge_pipe_level *const level = &pipe->levels[k];
        const int error = level->phase == PAYLOAD
                              ? 0 /* cut short: the transform says it better */
                              : level->transform->finish(level->state, &level->env);

        if (error != 0) {
            return fail(pipe, k, error, NULL);
        }
        if (level->phase != END) {
            return fail(pipe, k, KEDGE_E_FORMAT, "the file ends too early");
        }
        if (level->whole && !level->checked) {
            return fail(pipe, k, KEDGE_E_HASH, "the envelope has no SHA-256");
        }
    }
    return pipe->levels[pipe->depth].phase == PASS
               ? 0
               : fail(pipe, pipe->depth, KEDGE_E_FORMAT, "there is no image in the file");
}

uint32_t kedge_pipe_size(const struct kedge_pipe *pipe)
{
    if (pipe->depth == 0) {
        return 0;
    }
    const struct kedge_pipe_level *const last = &pipe->levels[pipe->depth - 1];

    return last->transform->size(last->state);
}

uint32_t kedge_pipe_payload_left(const struct kedge_pipe *pipe)
{
    return pipe->depth == 0 ? UINT32_MAX : pipe->levels[0].payload_left;
}

bool kedge_pipe_digest(const struct kedge_pipe *pipe, uint8_t digest[32])
{
    struct kedge_hash_state copy = pipe->levels[0].hash;

    if (pipe->levels[0].whole) {
        kedge_sha256.finish(&copy, digest);
    }
    return pipe->levels[0].whole;
}

bool kedge_pipe_envelope(const struct kedge_pipe *pipe, uint8_t digest[32])
{
    if (pipe->levels[0].checked) {
        memcpy(digest, pipe->levels[0].digest, sizeof(pipe->levels[0].digest));
    }
    return pipe->levels[0].checked;
}

/* Level k goes on at `in` of its payload, with `skip` bytes of its input dropped first. */
static void reposition(struct kedge_pipe_level *level, uint32_t in)
{
    level->payload_left = kedge_le32(level->head + 12) - in;
    level->protected_left = kedge_le16(level->head + 10);
    level->head_given = level->head_size;
    level->held_size = 0;
    level->whole = false;
    level->phase = PAYLOAD;
    if (level->payload_left == 0) {
        enter_tlvs(level);
    }
}

static int seek_all(struct kedge_pipe *pipe, uint32_t *out, uint32_t *in)
{
    uint32_t want = *out;

    for (unsigned k = pipe->depth; k-- > 0;) {
        struct kedge_pipe_level *const level = &pipe->levels[k];
        uint32_t border = want;
        uint32_t from = 0;
        const int error = level->transform->seek(level->state, &level->env, &border, &from);

        if (error != 0) {
            return fail(pipe, k, error, NULL);
        }
        if (border > want || from > kedge_le32(level->head + 12)) {
            return fail(pipe, k, KEDGE_E_FORMAT, "there is nothing to go on from");
        }
        if (k + 1u == pipe->depth) {
            *out = border;
            level[1].phase = PASS;
            level[1].head_size = 0;
        } else {
            level[1].skip = want - border;
        }
        reposition(level, from);
        want = HEADER + from;
    }
    *in = want;
    return 0;
}

int kedge_pipe_seek(struct kedge_pipe *pipe, unsigned depth, uint32_t *out, uint32_t *in)
{
    bool moved = depth > 0;

    for (unsigned i = 0; i < MOVES_MAX && moved; i++) {
        const int error = move(pipe, depth, &moved);

        if (error != 0) {
            return error;
        }
    }
    if (depth == 0 || (pipe->depth < depth && pipe->levels[pipe->depth].phase == PASS)) {
        return KEDGE_E_UNSUPPORTED;
    }
    for (unsigned k = 0; k < pipe->depth; k++) {
        if (pipe->levels[k].transform->seek == NULL) {
            return KEDGE_E_UNSUPPORTED;
        }
    }
    return pipe->depth < depth || kedge_pipe_size(pipe) == 0 ? KEDGE_E_STATE
                                                             : seek_all(pipe, out, in);
}

const char *kedge_pipe_reason(const struct kedge_pipe *pipe, int error)
{
    const struct kedge_pipe_level *const level = &pipe->levels[pipe->failed_at];

    if (pipe->why != NULL) {
        return pipe->why;
    }
    return level->transform == NULL || level->transform->reason == NULL
               ? kedge_error_text(error)
               : level->transform->reason(level->state, error);
}
