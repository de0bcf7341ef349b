/* ECIES on X25519 by Monocypher. */
#include <monocypher.h>

#include "crypto/wrapping.h"

#define POINT 32

static int open_with(const struct kedge_hash *hash, const struct kedge_device_key *key,
                     struct kedge_bytes info, struct kedge_bytes wrapped, struct kedge_buf content)
{
    uint8_t shared[32];

    KEDGE_ASSERT(key->secret.size == 32);
    if (wrapped.size < POINT) {
        return KEDGE_E_FORMAT;
    }
    crypto_x25519(shared, key->secret.at, wrapped.at);
    if (kedge_all(kedge_bytes(shared, sizeof(shared)), 0)) {
        return KEDGE_E_FORMAT; /* a point of low order: the secret has no part in it */
    }
    const int error =
        kedge_ecies_open(hash, key->cipher, shared, info,
                         kedge_bytes(wrapped.at + POINT, wrapped.size - POINT), content);

    kedge_wipe(shared, sizeof(shared));
    return error;
}

static int unwrap(const struct kedge_device_key *key, struct kedge_bytes info,
                  struct kedge_bytes wrapped, struct kedge_buf content)
{
    return open_with(&kedge_sha256, key, info, wrapped, content);
}

static int unwrap_sha512(const struct kedge_device_key *key, struct kedge_bytes info,
                         struct kedge_bytes wrapped, struct kedge_buf content)
{
    return open_with(&kedge_sha512, key, info, wrapped, content);
}

const struct kedge_wrapping kedge_wrap_x25519 = {
    .tlv = KEDGE_TLV_ENC_X25519,
    .unwrap = unwrap,
    .derive = kedge_derive_from_secret,
};

const struct kedge_wrapping kedge_wrap_x25519_sha512 = {
    .tlv = KEDGE_TLV_ENC_X25519_SHA512,
    .unwrap = unwrap_sha512,
    .derive = kedge_derive_from_secret,
};
