#include "kedge/ctr.h"

#include <string.h>

static const uint8_t info[] = KEDGE_CTR_INFO;

static uint32_t size(const void *state)
{
    const struct kedge_ctr *const ctr = state;

    return ctr->head_size == KEDGE_CTR_HEAD ? kedge_le32(ctr->head + 4) : 0;
}

/* The head is whole: the key of this file. */
static int open(struct kedge_ctr *ctr, const struct kedge_ctr_keys *keys)
{
    uint8_t key[KEDGE_CIPHER_KEY_MAX];

    if (keys == NULL || (keys->key.size != 16 && keys->key.size != sizeof(key))) {
        return KEDGE_E_NONE;
    }
    kedge_hkdf(&kedge_sha256, kedge_bytes(ctr->head + 8, 16), keys->key,
               kedge_bytes(info, sizeof(info) - 1), kedge_buf(key, keys->key.size));
    keys->cipher->start(&ctr->cipher, kedge_bytes(key, keys->key.size));
    kedge_wipe(key, sizeof(key));
    return 0;
}

static int push(void *state, const struct kedge_transform_env *env, struct kedge_bytes in,
                size_t *taken)
{
    struct kedge_ctr *const ctr = state;
    const bool head = ctr->head_size < KEDGE_CTR_HEAD;
    const uint32_t left = head ? KEDGE_CTR_HEAD - ctr->head_size : size(ctr) - ctr->at;
    const uint32_t room = head ? left : sizeof(ctr->held);
    size_t n = left < room ? left : room;

    *taken = 0;
    if (ctr->held_size > 0 || in.size == 0) {
        return 0; /* to be pulled first */
    }
    n = n < in.size ? n : in.size;
    *taken = n;
    if (!head) {
        memcpy(ctr->held, in.at, n);
        ctr->held_at = 0;
        ctr->held_size = (uint8_t)n;
        return n > 0 ? 0 : KEDGE_E_FORMAT;
    }
    memcpy(ctr->head + ctr->head_size, in.at, n);
    ctr->head_size = (uint8_t)(ctr->head_size + n);
    return ctr->head_size == KEDGE_CTR_HEAD ? open(ctr, env->keys) : 0;
}

static int pull(void *state, const struct kedge_transform_env *env, struct kedge_buf out,
                size_t *given)
{
    struct kedge_ctr *const ctr = state;
    const struct kedge_ctr_keys *const keys = env->keys;
    const size_t n = out.size < ctr->held_size ? out.size : ctr->held_size;

    *given = n;
    if (n > 0) {
        memcpy(out.at, ctr->held + ctr->held_at, n);
        kedge_cipher_crypt(keys->cipher, &ctr->cipher, ctr->at, kedge_buf(out.at, n));
    }
    ctr->at += (uint32_t)n;
    ctr->held_at = (uint8_t)(ctr->held_at + n);
    ctr->held_size = (uint8_t)(ctr->held_size - n);
    return 0;
}

static int finish(void *state, const struct kedge_transform_env *env)
{
    const struct kedge_ctr *const ctr = state;

    (void)env;
    return ctr->head_size == KEDGE_CTR_HEAD && ctr->at == size(ctr) ? 0 : KEDGE_E_FORMAT;
}

static int seek(void *state, const struct kedge_transform_env *env, uint32_t *out, uint32_t *in)
{
    struct kedge_ctr *const ctr = state;

    (void)env;
    ctr->at = *out = *out < size(ctr) ? *out : size(ctr);
    ctr->held_size = 0;
    *in = KEDGE_CTR_HEAD + *out;
    return 0;
}

static const char *reason(const void *state, int error)
{
    const struct kedge_ctr *const ctr = state;

    return error == KEDGE_E_NONE     ? "encrypted with a local key, and this device has none"
           : error != KEDGE_E_FORMAT ? kedge_error_text(error)
           : ctr->head_size == KEDGE_CTR_HEAD && ctr->at == size(ctr)
               ? "the encrypted file goes on behind its end"
               : "the encrypted file ends too early";
}

const struct kedge_transform kedge_ctr = {
    .name = "encrypted with AES-CTR",
    .state_size = sizeof(struct kedge_ctr),
    .push = push,
    .pull = pull,
    .finish = finish,
    .size = size,
    .seek = seek,
    .reason = reason,
};
