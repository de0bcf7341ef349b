/* ECDSA on P-384 by BearSSL: no heap. */
#include <bearssl_ec.h>

#include "crypto/ecdsa_der.h"

static int verify(struct kedge_bytes key, struct kedge_bytes digest, struct kedge_bytes signature)
{
    uint8_t raw[96];
    const uint8_t *const point =
        kedge_ecdsa_unpack(KEDGE_P384_SIZE, KEDGE_P384_KEY_SIZE, key, signature, raw);

    if (point == NULL) {
        return KEDGE_E_FORMAT;
    }
    uint8_t uncompressed[97] = {0x04}; /* BearSSL's structure wants it writable */

    for (size_t i = 0; i < sizeof(raw); i++) {
        uncompressed[1 + i] = point[i];
    }
    const br_ec_public_key public_key = {
        .curve = BR_EC_secp384r1,
        .q = uncompressed,
        .qlen = sizeof(uncompressed),
    };

    return br_ecdsa_i31_vrfy_raw(&br_ec_prime_i31, digest.at, digest.size, &public_key, raw,
                                 sizeof(raw)) == 1
               ? 0
               : KEDGE_E_SIGNATURE;
}

const struct kedge_signature kedge_ecdsa_p384 = {
    .tlv = 0x22,
    .hash = &kedge_sha384,
    .verify = verify,
};
