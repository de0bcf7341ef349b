#include "sealed_file.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "envelope.h"
#include "image_key.h"
#include "report.h"

#define SECRET 32

static void put_head(const struct sealed_request *r, const uint8_t *id, struct kedge_bytes wrapped,
                     uint8_t wrap, const uint8_t *key_id, size_t plain_size, struct blob *payload)
{
    uint8_t head[KEDGE_SEALED_HEAD] = {0};

    kedge_put_le32(head, KEDGE_SEALED_MAGIC);
    head[KEDGE_SEALED_AEAD_AT] = kedge_chacha20.id;
    head[KEDGE_SEALED_WRAP_AT] = wrap;
    head[KEDGE_SEALED_LOG_AT] = r->segment_log;
    kedge_put_le32(head + KEDGE_SEALED_SIZE_AT, (uint32_t)plain_size);
    kedge_put_le16(head + KEDGE_SEALED_WRAPPED_AT, (uint16_t)wrapped.size);
    memcpy(head + KEDGE_SEALED_ID_AT, id, KEDGE_SEALED_ID);
    memcpy(head + KEDGE_SEALED_KEY_ID_AT, key_id, 8);
    blob_put(payload, kedge_bytes(head, sizeof(head)));
    blob_put(payload, wrapped);
}

void sealed_payload(const struct sealed_request *r, const uint8_t *id, struct kedge_bytes secret,
                    struct kedge_bytes wrapped, uint8_t wrap, const uint8_t *key_id,
                    struct kedge_bytes plain, struct blob *payload)
{
    const size_t segment = (size_t)1 << r->segment_log;
    struct kedge_sealed_also also;
    uint8_t key[KEDGE_AEAD_KEY];
    uint8_t tag[KEDGE_AEAD_TAG];
    uint32_t number = 0;

    put_head(r, id, wrapped, wrap, key_id, plain.size, payload);
    kedge_sealed_key(secret, id, key);
    kedge_sealed_also(&also, payload->at, KEDGE_SEALED_NUMBER_OF_HEAD);
    kedge_chacha20.seal(key, also.nonce, blob_bytes(payload), kedge_buf(tag, 0), tag);
    blob_put(payload, kedge_bytes(tag, sizeof(tag)));
    for (size_t at = 0; at < plain.size; at += segment) {
        const size_t n = plain.size - at < segment ? plain.size - at : segment;
        const size_t start = payload->size;

        blob_put(payload, kedge_bytes(plain.at + at, n));
        kedge_sealed_also(&also, payload->at, number);
        kedge_chacha20.seal(key, also.nonce, kedge_bytes(also.bytes, sizeof(also.bytes)),
                            kedge_buf(payload->at + start, n), tag);
        blob_put(payload, kedge_bytes(tag, sizeof(tag)));
        number++;
    }
    kedge_wipe(key, sizeof(key));
}

/* The first bytes of the hash by which imgtool, too, knows a key. */
static int key_id_of(const struct key *device, uint8_t *id)
{
    uint8_t digest[32];
    size_t size = 0;
    uint8_t *const der = key_public_der(device, &size);

    if (der == NULL) {
        return fail("the key has no public half");
    }
    kedge_hash_once(&kedge_sha256, kedge_bytes(der, size), digest);
    memcpy(id, digest, 8);
    free(der);
    return 0;
}

static int seal_payload(const struct sealed_request *r, struct kedge_bytes plain,
                        struct blob *payload)
{
    uint8_t id[KEDGE_SEALED_ID];
    uint8_t secret[SECRET];
    uint8_t key_id[8];
    struct blob wrapped = {0};
    uint16_t wrap = KEDGE_SEALED_SHARED;
    int result = 0;

    if (RAND_bytes(id, sizeof(id)) != 1 || RAND_bytes(secret, sizeof(secret)) != 1) {
        return fail("there are no random numbers for a key");
    }
    if (r->device == NULL) {
        kedge_sealed_shared_id(r->shared, key_id);
        sealed_payload(r, id, r->shared, kedge_bytes(NULL, 0), KEDGE_SEALED_SHARED, key_id, plain,
                       payload);
        return 0;
    }
    result = key_id_of(r->device, key_id);
    if (result == 0) {
        result = image_key_wrap(r->device, kedge_info_sealed, kedge_bytes(secret, sizeof(secret)),
                                false, &wrapped, &wrap);
    }
    if (result == 0) {
        sealed_payload(r, id, kedge_bytes(secret, sizeof(secret)), blob_bytes(&wrapped),
                       (uint8_t)wrap, key_id, plain, payload);
    }
    kedge_wipe(secret, sizeof(secret));
    blob_free(&wrapped);
    return result;
}

static int read_bytes(const void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct kedge_bytes *const file = ctx;

    memcpy(to.at, file->at + at, to.size);
    return 0;
}

int sealed_make(const struct sealed_request *r, struct kedge_bytes plain, struct blob *file)
{
    const struct kedge_source source = {read_bytes, &plain, (uint32_t)plain.size};
    struct kedge_image image;
    struct blob payload = {0};
    const enum kedge_verdict verdict = kedge_image_parse(&source, &image);

    if (verdict != KEDGE_IMAGE_GOOD) {
        return fail("only an image can be sealed, and this is none: %s: sign it first (kedge sign, "
                    "imgtool sign)",
                    kedge_verdict_text(verdict));
    }
    const int result = seal_payload(r, plain, &payload);

    if (result == 0) {
        const struct envelope envelope = {.kind = "sealed",
                                          .version = image.version,
                                          .payload = blob_bytes(&payload),
                                          .image_size = envelope_grows_to(plain)};
        envelope_make(&envelope, file);
    }
    blob_free(&payload);
    return result;
}

/* Everything that can be pulled now. */
static int pull_all(struct kedge_pipe *pipe, struct blob *plain)
{
    uint8_t out[4096];
    size_t given = 1;
    int error = 0;

    while (error == 0 && given > 0) {
        error = kedge_pipe_pull(pipe, kedge_buf(out, sizeof(out)), &given);
        blob_put(plain, kedge_bytes(out, error == 0 ? given : 0));
    }
    return error;
}

bool sealed_open(const struct kedge_pipe_kind *kinds, size_t kind_count, struct kedge_bytes file,
                 struct blob *plain, const char **why)
{
    static uint64_t memory[KEDGE_PIPE_STAGES * 2048];
    static struct kedge_pipe pipe;
    const struct kedge_pipe_config config = {
        .kinds = kinds, .kind_count = kind_count, .memory = kedge_buf(memory, sizeof(memory))};
    int error = 0;

    kedge_pipe_start(&pipe, &config);
    while (error == 0 && file.size > 0) {
        size_t taken = 0;

        error = kedge_pipe_push(&pipe, file, &taken);
        file = kedge_bytes(file.at + taken, file.size - taken);
        if (error == 0) {
            error = pull_all(&pipe, plain);
        }
        if (error == 0 && taken == 0) {
            error = KEDGE_E_FORMAT;
        }
    }
    if (error == 0) {
        error = kedge_pipe_finish(&pipe);
    }
    *why = error == 0 ? "" : kedge_pipe_reason(&pipe, error);
    return error == 0;
}
