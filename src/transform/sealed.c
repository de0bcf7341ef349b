/* The state is one segment. It is filled by push, opened when its last byte is there, emptied by
 * pull; the head comes first, through the same buffer. */
#include "kedge/sealed.h"

#include <string.h>

#define SECRET 32u

enum phase { FIXED, WRAPPED, SEGMENTS, DONE };

static const uint8_t info_file[] = "Kedge sealed v1";
static const uint8_t info_id[] = "Kedge shared key";
const struct kedge_bytes kedge_info_sealed = {info_file, sizeof(info_file) - 1};

void kedge_sealed_key(struct kedge_bytes secret, const uint8_t *id, uint8_t key[KEDGE_AEAD_KEY])
{
    kedge_hkdf(&kedge_sha256, kedge_bytes(id, KEDGE_SEALED_ID), secret, kedge_info_sealed,
               kedge_buf(key, KEDGE_AEAD_KEY));
}

void kedge_sealed_shared_id(struct kedge_bytes shared, uint8_t id[8])
{
    kedge_hkdf(&kedge_sha256, kedge_bytes(NULL, 0), shared,
               kedge_bytes(info_id, sizeof(info_id) - 1), kedge_buf(id, 8));
}

void kedge_sealed_also(struct kedge_sealed_also *also, const uint8_t *head, uint32_t number)
{
    memcpy(also->bytes, head, KEDGE_SEALED_HEAD);
    kedge_put_le32(also->bytes + KEDGE_SEALED_HEAD, number);
    memset(also->nonce, 0, sizeof(also->nonce));
    kedge_put_le32(also->nonce, number);
}

static uint32_t plain_size(const struct kedge_sealed *sealed)
{
    return kedge_le32(sealed->head + KEDGE_SEALED_SIZE_AT);
}

static uint32_t segment_size(const struct kedge_sealed *sealed)
{
    return 1u << sealed->head[KEDGE_SEALED_LOG_AT];
}

/* Plain bytes before segment `number`; plain_size() when there are no so many. */
static uint32_t start_of(const struct kedge_sealed *sealed, uint32_t number)
{
    const uint64_t at = (uint64_t)number << sealed->head[KEDGE_SEALED_LOG_AT];

    return at < plain_size(sealed) ? (uint32_t)at : plain_size(sealed);
}

/* Get ready for segment sealed->number, or for the end. */
static void begin_segment(struct kedge_sealed *sealed)
{
    const uint32_t left = plain_size(sealed) - start_of(sealed, sealed->number);
    const uint32_t size = left < segment_size(sealed) ? left : segment_size(sealed);

    sealed->filled = 0;
    sealed->ready = 0;
    sealed->given = 0;
    sealed->want = (uint16_t)(size + KEDGE_AEAD_TAG);
    sealed->phase = left > 0 ? SEGMENTS : DONE;
}

/* ---- head ------------------------------------------------------------------------------------ */

static int read_fixed(struct kedge_sealed *sealed, const struct kedge_sealed_keys *keys)
{
    const uint8_t *const head = sealed->segment;
    const uint16_t wrapped = kedge_le16(head + KEDGE_SEALED_WRAPPED_AT);
    const bool shared = head[KEDGE_SEALED_WRAP_AT] == KEDGE_SEALED_SHARED;

    if (kedge_le32(head) != KEDGE_SEALED_MAGIC || head[KEDGE_SEALED_RESERVED_AT] != 0 ||
        kedge_le16(head + KEDGE_SEALED_ZERO_AT) != 0 ||
        kedge_le32(head + KEDGE_SEALED_SIZE_AT) == 0 || wrapped > KEDGE_WRAPPED_MAX ||
        (wrapped == 0) != shared || head[KEDGE_SEALED_LOG_AT] < KEDGE_SEALED_LOG_LEAST) {
        return KEDGE_E_FORMAT;
    }
    if (head[KEDGE_SEALED_AEAD_AT] != keys->aead->id ||
        head[KEDGE_SEALED_LOG_AT] > KEDGE_SEALED_SEGMENT_LOG) {
        return KEDGE_E_UNSUPPORTED;
    }
    memcpy(sealed->head, head, KEDGE_SEALED_HEAD);
    sealed->head_size = (uint16_t)(KEDGE_SEALED_HEAD + wrapped + KEDGE_AEAD_TAG);
    sealed->want = sealed->head_size;
    sealed->phase = WRAPPED;
    return 0;
}

static int use_shared(struct kedge_sealed *sealed, struct kedge_bytes shared)
{
    uint8_t id[8];

    if (shared.size == 0) {
        return KEDGE_E_NONE;
    }
    kedge_sealed_shared_id(shared, id);
    if (memcmp(id, sealed->head + KEDGE_SEALED_KEY_ID_AT, sizeof(id)) != 0) {
        return KEDGE_E_KEY;
    }
    kedge_sealed_key(shared, sealed->head + KEDGE_SEALED_ID_AT, sealed->key);
    return 0;
}

static int use_wrapped(struct kedge_sealed *sealed, const struct kedge_device_keys *device,
                       struct kedge_bytes wrapped)
{
    uint8_t secret[SECRET];
    int error;

    if (device == NULL) {
        return KEDGE_E_NONE;
    }
    error = kedge_key_unwrap(device, sealed->head[KEDGE_SEALED_WRAP_AT], kedge_info_sealed, wrapped,
                             kedge_buf(secret, sizeof(secret)));
    if (error == 0) {
        kedge_sealed_key(kedge_bytes(secret, sizeof(secret)), sealed->head + KEDGE_SEALED_ID_AT,
                         sealed->key);
    }
    kedge_wipe(secret, sizeof(secret));
    return error;
}

/* The whole head is in sealed->segment; its tag is over the wrapped key too. */
static int open_head(struct kedge_sealed *sealed, const struct kedge_sealed_keys *keys)
{
    const size_t size = (size_t)sealed->head_size - KEDGE_AEAD_TAG;
    const struct kedge_bytes wrapped =
        kedge_bytes(sealed->segment + KEDGE_SEALED_HEAD, size - KEDGE_SEALED_HEAD);
    struct kedge_sealed_also also;
    int error = wrapped.size == 0 ? use_shared(sealed, keys->shared)
                                  : use_wrapped(sealed, keys->device, wrapped);

    if (error != 0) {
        return error;
    }
    kedge_sealed_also(&also, sealed->head, KEDGE_SEALED_NUMBER_OF_HEAD);
    if (!keys->aead->open(sealed->key, also.nonce, kedge_bytes(sealed->segment, size),
                          kedge_buf(sealed->segment + size, 0), sealed->segment + size)) {
        return KEDGE_E_HASH;
    }
    begin_segment(sealed);
    return 0;
}

/* ---- segments -------------------------------------------------------------------------------- */

static void say_number(struct kedge_sealed *sealed)
{
    static const char front[] = "segment ";
    static const char rest[] = " was changed on its way, or belongs elsewhere";
    char digits[10];
    size_t n = 0;
    size_t at = sizeof(front) - 1;
    uint32_t number = sealed->number;

    do {
        digits[n++] = (char)('0' + number % 10u);
        number /= 10u;
    } while (number > 0);
    memcpy(sealed->words, front, at);
    while (n > 0) {
        sealed->words[at++] = digits[--n];
    }
    for (n = 0; n < sizeof(rest) - 1 && at + 1 < sizeof(sealed->words); n++) {
        sealed->words[at++] = rest[n];
    }
    sealed->words[at] = '\0';
}

static int open_segment(struct kedge_sealed *sealed, const struct kedge_sealed_keys *keys)
{
    const size_t size = (size_t)sealed->want - KEDGE_AEAD_TAG;
    struct kedge_sealed_also also;

    kedge_sealed_also(&also, sealed->head, sealed->number);
    if (!keys->aead->open(sealed->key, also.nonce, kedge_bytes(also.bytes, sizeof(also.bytes)),
                          kedge_buf(sealed->segment, size), sealed->segment + size)) {
        kedge_wipe(sealed->segment, sizeof(sealed->segment));
        say_number(sealed);
        return KEDGE_E_HASH;
    }
    sealed->ready = (uint16_t)size;
    sealed->given = 0;
    return 0;
}

/* ---- the transform --------------------------------------------------------------------------- */

static int start(void *state, const struct kedge_transform_env *env)
{
    struct kedge_sealed *const sealed = state;

    (void)env;
    *sealed = (struct kedge_sealed){.want = KEDGE_SEALED_HEAD, .phase = FIXED};
    return 0;
}

/* What was waited for is all there. */
static int complete(struct kedge_sealed *sealed, const struct kedge_sealed_keys *keys)
{
    switch ((enum phase)sealed->phase) {
    case FIXED:
        return read_fixed(sealed, keys);
    case WRAPPED:
        return open_head(sealed, keys);
    default:
        return open_segment(sealed, keys);
    }
}

static int push(void *state, const struct kedge_transform_env *env, struct kedge_bytes in,
                size_t *taken)
{
    struct kedge_sealed *const sealed = state;

    *taken = 0;
    if (sealed->phase == DONE) {
        return in.size == 0 ? 0 : KEDGE_E_FORMAT;
    }
    if (sealed->ready > 0) {
        return 0; /* to be pulled first */
    }
    *taken = (size_t)(sealed->want - sealed->filled);
    *taken = *taken < in.size ? *taken : in.size;
    memcpy(sealed->segment + sealed->filled, in.at, *taken);
    sealed->filled = (uint16_t)(sealed->filled + *taken);
    return sealed->filled == sealed->want ? complete(sealed, env->keys) : 0;
}

static int pull(void *state, const struct kedge_transform_env *env, struct kedge_buf out,
                size_t *given)
{
    struct kedge_sealed *const sealed = state;

    (void)env;
    *given = (size_t)(sealed->ready - sealed->given);
    *given = *given < out.size ? *given : out.size;
    memcpy(out.at, sealed->segment + sealed->given, *given);
    sealed->given = (uint16_t)(sealed->given + *given);
    if (sealed->ready > 0 && sealed->given == sealed->ready) {
        sealed->number++;
        begin_segment(sealed);
    }
    return 0;
}

static int finish(void *state, const struct kedge_transform_env *env)
{
    const struct kedge_sealed *const sealed = state;

    (void)env;
    return sealed->phase == DONE ? 0 : KEDGE_E_FORMAT;
}

static uint32_t size(const void *state)
{
    const struct kedge_sealed *const sealed = state;

    return sealed->phase >= SEGMENTS ? plain_size(sealed) : 0;
}

static int seek(void *state, const struct kedge_transform_env *env, uint32_t *out, uint32_t *in)
{
    struct kedge_sealed *const sealed = state;

    (void)env;
    if (sealed->phase < SEGMENTS) {
        return KEDGE_E_STATE;
    }
    sealed->number = *out / segment_size(sealed);
    *out = start_of(sealed, sealed->number);
    *in = sealed->head_size + *out + sealed->number * KEDGE_AEAD_TAG;
    begin_segment(sealed);
    return 0;
}

static const char *reason(const void *state, int error)
{
    const struct kedge_sealed *const sealed = state;

    switch (error) {
    case KEDGE_E_NONE:
        return sealed->head[KEDGE_SEALED_WRAP_AT] == KEDGE_SEALED_SHARED
                   ? "sealed with a shared key, and this device has none"
                   : "sealed for a device key of a kind that this device has not";
    case KEDGE_E_KEY:
        return sealed->head[KEDGE_SEALED_WRAP_AT] == KEDGE_SEALED_SHARED
                   ? "sealed with another shared key than this device's"
                   : "sealed for another device (or its wrapped key was changed)";
    case KEDGE_E_HASH:
        return sealed->words[0] != '\0' ? sealed->words : "the sealed file's head was changed";
    case KEDGE_E_UNSUPPORTED:
        return "sealed in a way that this device does not know: larger segments or another cipher";
    case KEDGE_E_FORMAT:
        return sealed->phase == FIXED  ? "the sealed file's head makes no sense"
               : sealed->phase == DONE ? "the sealed file goes on behind its end"
                                       : "the sealed file ends too early";
    default:
        return kedge_error_text(error);
    }
}

const struct kedge_transform kedge_sealed = {
    .name = "sealed",
    .state_size = sizeof(struct kedge_sealed),
    .start = start,
    .push = push,
    .pull = pull,
    .finish = finish,
    .size = size,
    .seek = seek,
    .reason = reason,
};
