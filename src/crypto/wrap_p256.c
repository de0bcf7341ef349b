/* ECIES on P-256 by p256-m, which checks that the sender's point lies on the curve. */
#include <p256-m.h>

#include "crypto/wrapping.h"

#define POINT 65 /* 04 | X | Y */

static int unwrap(const struct kedge_device_key *key, struct kedge_bytes info,
                  struct kedge_bytes wrapped, struct kedge_buf content)
{
    uint8_t shared[32];

    KEDGE_ASSERT(key->secret.size == 32);
    if (wrapped.size < POINT || wrapped.at[0] != 0x04 ||
        p256_ecdh_shared_secret(shared, key->secret.at, wrapped.at + 1) != P256_SUCCESS) {
        return KEDGE_E_FORMAT;
    }
    const int error =
        kedge_ecies_open(&kedge_sha256, key->cipher, shared, info,
                         kedge_bytes(wrapped.at + POINT, wrapped.size - POINT), content);

    kedge_wipe(shared, sizeof(shared));
    return error;
}

const struct kedge_wrapping kedge_wrap_p256 = {
    .tlv = KEDGE_TLV_ENC_P256,
    .unwrap = unwrap,
    .derive = kedge_derive_from_secret,
};
