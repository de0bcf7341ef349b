#include "wrapped_file.h"

#include <stdlib.h>
#include <string.h>

#include "delta_make.h"
#include "envelope.h"
#include "kedge/ctr.h"
#include "own_cipher.h"
#include "sealed_file.h"

static const uint8_t shared[32] = "the devices here share this";
static const uint8_t foreign[32] = "somebody else's";
static const struct kedge_sealed_keys keys = {.aead = &kedge_chacha20, .shared = {shared, 32}};
const uint8_t wrapped_local[32] = "of this product alone";
static const uint32_t own_key[4] = {1, 2, 3, 4};
static const struct kedge_ctr_keys local_keys = {&kedge_aes, {wrapped_local, 32}};
static const struct kedge_pipe_kind kinds[] = {
    {KEDGE_SEALED_MAGIC, &kedge_sealed, &keys}, {WRAPPED_GROW_MAGIC, &wrapped_growing, NULL},
    {KEDGE_DELTA_MAGIC, &kedge_delta, NULL},    {KEDGE_CTR_MAGIC, &kedge_ctr, &local_keys},
    {OWN_CIPHER_MAGIC, &own_cipher, own_key},
};
static struct kedge_pipe pipe;
static uint64_t memory[3 * 1300];

void wrapped_use(struct agent_device *device)
{
    device->config.kinds = kinds;
    device->config.kind_count = sizeof(kinds) / sizeof(kinds[0]);
    device->config.pipe = &pipe;
    device->config.pipe_memory = kedge_buf(memory, sizeof(memory));
}

void wrapped_hash(struct wrapped_file *file)
{
    struct kedge_bytes payload;
    struct kedge_image image;

    kedge_hash_once(&kedge_sha256, kedge_bytes(file->bytes, file->size), file->sha);
    if (envelope_open(kedge_bytes(file->bytes, file->size), &payload, &image)) {
        kedge_hash_once(&kedge_sha256,
                        kedge_bytes(file->bytes, image.tlv_at + image.protected_size), file->hash);
    }
}

void wrapped_rehash(struct wrapped_file *file)
{
    /* behind what it covers: the area's head, the TLV's head, the hash */
    kedge_hash_once(&kedge_sha256, kedge_bytes(file->bytes, file->size - 40),
                    file->bytes + file->size - 32);
    wrapped_hash(file);
}

void wrapped_any(struct wrapped_file *file, const char *kind, struct kedge_bytes payload,
                 struct kedge_bytes plain)
{
    const struct envelope envelope = {
        .kind = kind,
        .version = {plain.at[20], plain.at[21], kedge_le16(plain.at + 22), 0},
        .payload = payload,
        .image_size = envelope_grows_to(plain)};
    struct blob out = {0};

    envelope_make(&envelope, &out);
    *file = (struct wrapped_file){.bytes = out.at, .size = (uint32_t)out.size};
    wrapped_hash(file);
}

static void seal(struct wrapped_file *file, struct kedge_bytes plain, uint8_t segment_log,
                 const uint8_t *key)
{
    const struct sealed_request request = {.shared = kedge_bytes(key, 32),
                                           .segment_log = segment_log};
    static uint8_t id[KEDGE_SEALED_ID];
    struct blob payload = {0};
    uint8_t key_id[8];

    id[0]++;
    kedge_sealed_shared_id(request.shared, key_id);
    sealed_payload(&request, id, request.shared, kedge_bytes(NULL, 0), KEDGE_SEALED_SHARED, key_id,
                   plain, &payload);
    wrapped_any(file, "sealed", blob_bytes(&payload), plain);
    blob_free(&payload);
}

void wrapped_seal(struct wrapped_file *file, struct kedge_bytes plain, uint8_t segment_log)
{
    seal(file, plain, segment_log, shared);
}

void wrapped_seal_foreign(struct wrapped_file *file, struct kedge_bytes plain)
{
    seal(file, plain, KEDGE_SEALED_SEGMENT_LOG, foreign);
}

void wrapped_grow(struct wrapped_file *file, struct kedge_bytes plain)
{
    struct blob payload = {0};

    blob_put(&payload, kedge_bytes("GROW", 4));
    blob_le32(&payload, (uint32_t)plain.size);
    for (size_t at = 0; at < plain.size;) {
        size_t n = 1;

        while (n < 255 && at + n < plain.size && plain.at[at + n] == plain.at[at]) {
            n++;
        }
        blob_byte(&payload, (uint8_t)n);
        blob_byte(&payload, plain.at[at]);
        at += n;
    }
    wrapped_any(file, "grown", blob_bytes(&payload), plain);
    blob_free(&payload);
}

void wrapped_ctr(struct wrapped_file *file, struct kedge_bytes plain)
{
    struct kedge_cipher_state cipher;
    struct blob payload = {0};
    uint8_t head[KEDGE_CTR_HEAD], key[32];

    kedge_put_le32(head, KEDGE_CTR_MAGIC);
    kedge_put_le32(head + 4, (uint32_t)plain.size);
    memset(head + 8, 0x5a, 16);
    blob_put(&payload, kedge_bytes(head, sizeof(head)));
    blob_put(&payload, plain);
    kedge_hkdf(&kedge_sha256, kedge_bytes(head + 8, 16), kedge_bytes(wrapped_local, 32),
               kedge_bytes(KEDGE_CTR_INFO, sizeof(KEDGE_CTR_INFO) - 1), kedge_buf(key, 32));
    kedge_aes.start(&cipher, kedge_bytes(key, 32));
    kedge_aes.crypt(&cipher, 0, kedge_buf(payload.at + KEDGE_CTR_HEAD, plain.size));
    wrapped_any(file, "own", blob_bytes(&payload), plain);
    blob_free(&payload);
}

void wrapped_delta(struct wrapped_file *file, struct kedge_bytes old, struct kedge_bytes plain,
                   uint32_t chunk_log)
{
    const struct delta_options options = {.old_base = 0x8000,
                                          .new_base = 0x8000,
                                          .ram_base = 0x20000000,
                                          .ram_size = 0x10000,
                                          .chunk_log = chunk_log};
    struct delta_bytes patch = {0};

    if (delta_make(old, plain, &options, &patch) != 0) {
        abort();
    }
    const struct blob payload = {.at = patch.at, .size = patch.size};

    wrapped_any(file, "delta", blob_bytes(&payload), plain);
    free(patch.at);
}

void wrapped_free(struct wrapped_file *file)
{
    free(file->bytes);
    file->bytes = NULL;
}

int wrapped_chunk(struct agent_device *device, const struct wrapped_file *file, uint32_t off,
                  uint32_t size, bool with_sha, struct kedge_upload_reply *reply)
{
    const uint32_t left = file->size - off;
    struct kedge_upload_request request = {
        .peer = 1,
        .has_off = true,
        .off = off,
        .data = kedge_bytes(file->bytes + off, size < left ? size : left),
    };

    if (off == 0) {
        request.has_len = true;
        request.len = file->size;
        request.sha = kedge_bytes(file->sha, with_sha ? sizeof(file->sha) : 0);
    }
    return kedge_agent_upload(&device->agent, &request, reply);
}

int wrapped_upload(struct agent_device *device, const struct wrapped_file *file, uint32_t chunk,
                   bool with_sha, unsigned *calls, struct kedge_upload_reply *reply)
{
    const unsigned most = 4 * file->size / chunk + 100;
    unsigned n = 0;
    int status;

    *reply = (struct kedge_upload_reply){0};
    do {
        status = wrapped_chunk(device, file, reply->off, chunk, with_sha, reply);
        n++;
    } while (status == KEDGE_AGENT_OK && reply->off < file->size && n < most);
    if (calls != NULL) {
        *calls = n;
    }
    return status;
}

/* ---- a transform that grows ------------------------------------------------------------------ */

struct growing {
    uint8_t head[8];
    uint8_t pair[2];
    uint8_t head_size, pair_size;
    uint32_t left;
};

static int start(void *state, const struct kedge_transform_env *env)
{
    (void)env;
    memset(state, 0, sizeof(struct growing));
    return 0;
}

static int push(void *state, const struct kedge_transform_env *env, struct kedge_bytes in,
                size_t *taken)
{
    struct growing *const g = state;

    (void)env;
    for (*taken = 0; *taken < in.size; (*taken)++) {
        if (g->head_size < sizeof(g->head)) {
            g->head[g->head_size++] = in.at[*taken];
            g->left = kedge_le32(g->head + 4);
        } else if (g->left == 0) {
            return KEDGE_E_FORMAT;
        } else if (g->pair_size < 2) {
            g->pair[g->pair_size++] = in.at[*taken];
        } else {
            break;
        }
    }
    return 0;
}

static int pull(void *state, const struct kedge_transform_env *env, struct kedge_buf out,
                size_t *given)
{
    struct growing *const g = state;

    (void)env;
    *given = 0;
    if (g->pair_size == 2) {
        *given = out.size < g->pair[0] ? out.size : g->pair[0];
        *given = *given < g->left ? *given : g->left;
        memset(out.at, g->pair[1], *given);
        g->pair[0] = (uint8_t)(g->pair[0] - *given);
        g->left -= (uint32_t)*given;
        g->pair_size = g->pair[0] == 0 ? 0 : 2;
    }
    return 0;
}

static int finish(void *state, const struct kedge_transform_env *env)
{
    (void)env;
    return ((struct growing *)state)->left == 0 ? 0 : KEDGE_E_FORMAT;
}

static uint32_t size(const void *state)
{
    const struct growing *const g = state;

    return g->head_size == sizeof(g->head) ? kedge_le32(g->head + 4) : 0;
}

static const char *reason(const void *state, int error)
{
    (void)state;
    return error == KEDGE_E_FORMAT ? "it does not grow" : "something else";
}

const struct kedge_transform wrapped_growing = {
    .name = "grown",
    .state_size = sizeof(struct growing),
    .start = start,
    .push = push,
    .pull = pull,
    .finish = finish,
    .size = size,
    .reason = reason,
};
