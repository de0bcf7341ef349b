/* See ecdsa_p256_fast.h. */
#include "ecdsa_p256_fast.h"

#include <uECC.h>

#include "crypto/ecdsa_der.h"

static int verify(struct kedge_bytes key, struct kedge_bytes digest, struct kedge_bytes signature)
{
    uint8_t raw[64];
    const uECC_Curve curve = uECC_secp256r1();
    const uint8_t *const point =
        kedge_ecdsa_unpack(KEDGE_P256_SIZE, KEDGE_P256_KEY_SIZE, key, signature, raw);

    if (point == NULL) {
        return KEDGE_E_FORMAT;
    }
    /* the library trusts the key; a point that is not on the curve is no key */
    return uECC_valid_public_key(point, curve) &&
                   uECC_verify(point, digest.at, (unsigned)digest.size, raw, curve)
               ? 0
               : KEDGE_E_SIGNATURE;
}

const struct kedge_signature kedge_ecdsa_p256_fast = {
    .tlv = 0x22,
    .hash = &kedge_sha256,
    .verify = verify,
};
