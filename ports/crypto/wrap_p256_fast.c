/* See wrap_p256_fast.h. */
#include "wrap_p256_fast.h"

#include <uECC.h>

#include "crypto/wrapping.h"

static bool agree(uint8_t *shared, const uint8_t *secret, const uint8_t *point)
{
    const uECC_Curve curve = uECC_secp256r1();

    /* the library trusts the point; one that is not on the curve would tell the secret bit by bit
     */
    return uECC_valid_public_key(point, curve) && uECC_shared_secret(point, secret, shared, curve);
}

static int unwrap(const struct kedge_device_key *key, struct kedge_bytes info,
                  struct kedge_bytes wrapped, struct kedge_buf content)
{
    return kedge_unwrap_by_p256(agree, key, info, wrapped, content);
}

const struct kedge_wrapping kedge_wrap_p256_fast = {
    .tlv = KEDGE_TLV_ENC_P256,
    .unwrap = unwrap,
    .derive = kedge_derive_from_secret,
};
