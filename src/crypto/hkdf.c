/* HMAC (RFC 2104) and HKDF (RFC 5869) over any hash table. */
#include <string.h>

#include "kedge/cipher.h"

#define BLOCK_MAX 128

/* Hash of key ^ pad, then the message. */
static void hash_behind(const struct kedge_hash *hash, struct kedge_bytes key, uint8_t pad,
                        struct kedge_bytes message, uint8_t *digest)
{
    const size_t block = hash->size > 32 ? BLOCK_MAX : BLOCK_MAX / 2;
    uint8_t padded[BLOCK_MAX];
    struct kedge_hash_state state;

    KEDGE_ASSERT(key.size <= block);
    memset(padded, pad, block);
    for (size_t i = 0; i < key.size; i++) {
        padded[i] ^= key.at[i];
    }
    hash->start(&state);
    hash->update(&state, kedge_bytes(padded, block));
    hash->update(&state, message);
    hash->finish(&state, digest);
    kedge_wipe(padded, sizeof(padded));
}

void kedge_hmac(const struct kedge_hash *hash, struct kedge_bytes key, struct kedge_bytes message,
                uint8_t *mac)
{
    uint8_t inner[KEDGE_DIGEST_MAX];

    hash_behind(hash, key, 0x36, message, inner);
    hash_behind(hash, key, 0x5c, kedge_bytes(inner, hash->size), mac);
}

void kedge_hkdf(const struct kedge_hash *hash, struct kedge_bytes salt, struct kedge_bytes secret,
                struct kedge_bytes info, struct kedge_buf out)
{
    uint8_t prk[KEDGE_DIGEST_MAX];
    uint8_t message[KEDGE_DIGEST_MAX + KEDGE_INFO_MAX + 1]; /* T(n-1) | info | n */
    uint8_t t[KEDGE_DIGEST_MAX];
    size_t last = 0;
    uint8_t n = 0;

    KEDGE_ASSERT(info.size <= KEDGE_INFO_MAX);
    kedge_hmac(hash, salt, secret,
               prk); /* an empty key is padded with zeros, as an absent salt is */
    while (out.size > 0) {
        const size_t take = out.size < hash->size ? out.size : hash->size;

        memcpy(message, t, last);
        if (info.size > 0) {
            memcpy(message + last, info.at, info.size);
        }
        message[last + info.size] = ++n;
        kedge_hmac(hash, kedge_bytes(prk, hash->size), kedge_bytes(message, last + info.size + 1),
                   t);
        memcpy(out.at, t, take);
        out = kedge_buf(out.at + take, out.size - take);
        last = hash->size;
    }
    kedge_wipe(prk, sizeof(prk));
    kedge_wipe(message, sizeof(message));
    kedge_wipe(t, sizeof(t));
}
