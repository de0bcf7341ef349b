/* For the tables of wrappings. */
#ifndef KEDGE_WRAPPING_H
#define KEDGE_WRAPPING_H

#include "kedge/device_key.h"

/* derive() of every key whose secret is in memory: HKDF-SHA-256. */
int kedge_derive_from_secret(const struct kedge_device_key *key, struct kedge_bytes salt,
                             struct kedge_bytes info, struct kedge_buf out);

/* ECIES on P-256 by any library: agree() gives the x coordinate (32 bytes) of secret times the
 * point X | Y, or false when that is not on the curve. */
typedef bool (*kedge_agree_p256)(uint8_t *shared, const uint8_t *secret, const uint8_t *point);
#define KEDGE_P256_POINT 65 /* 04 | X | Y */

KEDGE_INLINE int kedge_unwrap_by_p256(kedge_agree_p256 agree, const struct kedge_device_key *key,
                                      struct kedge_bytes info, struct kedge_bytes wrapped,
                                      struct kedge_buf content)
{
    uint8_t shared[32];

    KEDGE_ASSERT(key->secret.size == 32);
    if (wrapped.size < KEDGE_P256_POINT || wrapped.at[0] != 0x04 ||
        !agree(shared, key->secret.at, wrapped.at + 1)) {
        return KEDGE_E_FORMAT;
    }
    const int error = kedge_ecies_open(
        &kedge_sha256, key->cipher, shared, info,
        kedge_bytes(wrapped.at + KEDGE_P256_POINT, wrapped.size - KEDGE_P256_POINT), content);

    kedge_wipe(shared, sizeof(shared));
    return error;
}

#endif
