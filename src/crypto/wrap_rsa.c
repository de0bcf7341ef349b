/* RSA-2048 OAEP (SHA-256, MGF1 with SHA-256, no label) by BearSSL. */
#include <bearssl_rsa.h>
#include <string.h>

#include "crypto/wrapping.h"

#define HALF 128 /* bytes of each number of the secret */

/* BearSSL's structure wants it writable, and does not write. */
static unsigned char *number(const struct kedge_device_key *key, size_t i)
{
    return (unsigned char *)(uintptr_t)(key->secret.at + i * HALF);
}

static int unwrap(const struct kedge_device_key *key, struct kedge_bytes info,
                  struct kedge_bytes wrapped, struct kedge_buf content)
{
    uint8_t data[KEDGE_WRAPPED_MAX];
    size_t size = sizeof(data);
    const br_rsa_private_key secret = {
        .n_bitlen = 2048,
        .p = number(key, 0),
        .plen = HALF,
        .q = number(key, 1),
        .qlen = HALF,
        .dp = number(key, 2),
        .dplen = HALF,
        .dq = number(key, 3),
        .dqlen = HALF,
        .iq = number(key, 4),
        .iqlen = HALF,
    };

    (void)info;
    KEDGE_ASSERT(key->secret.size == KEDGE_RSA2048_SECRET);
    if (wrapped.size != sizeof(data)) {
        return KEDGE_E_FORMAT;
    }
    memcpy(data, wrapped.at, sizeof(data));
    const bool good =
        br_rsa_i31_oaep_decrypt(&br_sha256_vtable, NULL, 0, &secret, data, &size) == 1 &&
        size == content.size;

    if (good) {
        memcpy(content.at, data, size);
    }
    kedge_wipe(data, sizeof(data));
    return good ? 0 : KEDGE_E_KEY;
}

const struct kedge_wrapping kedge_wrap_rsa2048 = {
    .tlv = KEDGE_TLV_ENC_RSA,
    .unwrap = unwrap,
    .derive = kedge_derive_from_secret,
};
