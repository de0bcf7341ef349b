/* See wrap_p256_fast.h. */
#include "wrap_p256_fast.h"

#include <uECC.h>

#include "crypto/wrapping.h"

#define POINT 65 /* 04 | X | Y */

static int unwrap(const struct kedge_device_key *key, struct kedge_bytes info,
                  struct kedge_bytes wrapped, struct kedge_buf content)
{
    uint8_t shared[32];
    const uECC_Curve curve = uECC_secp256r1();

    /* the library trusts the point; one that is not on the curve would tell the secret bit by bit
     */
    if (wrapped.size < POINT || wrapped.at[0] != 0x04 ||
        !uECC_valid_public_key(wrapped.at + 1, curve) ||
        !uECC_shared_secret(wrapped.at + 1, key->secret.at, shared, curve)) {
        return KEDGE_E_FORMAT;
    }
    const int error =
        kedge_ecies_open(&kedge_sha256, key->cipher, shared, info,
                         kedge_bytes(wrapped.at + POINT, wrapped.size - POINT), content);

    kedge_wipe(shared, sizeof(shared));
    return error;
}

const struct kedge_wrapping kedge_wrap_p256_fast = {
    .tlv = KEDGE_TLV_ENC_P256,
    .unwrap = unwrap,
    .derive = kedge_derive_from_secret,
};
