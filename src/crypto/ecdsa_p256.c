/* ECDSA on P-256 by p256-m: the smallest, no heap (facts/cortex-m4.md). */
#include <p256m_joint.h>

#include "crypto/ecdsa_der.h"

static int verify(struct kedge_bytes key, struct kedge_bytes digest, struct kedge_bytes signature)
{
    uint8_t raw[64];
    const uint8_t *const point =
        kedge_ecdsa_unpack(KEDGE_P256_SIZE, KEDGE_P256_KEY_SIZE, key, signature, raw);

    if (point == NULL) {
        return KEDGE_E_FORMAT;
    }
    return p256m_verify_joint(raw, point, digest.at) == 0 ? 0 : KEDGE_E_SIGNATURE;
}

const struct kedge_signature kedge_ecdsa_p256 = {
    .tlv = 0x22,
    .hash = &kedge_sha256,
    .verify = verify,
};
