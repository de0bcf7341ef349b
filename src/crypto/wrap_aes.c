/* AES key wrap (RFC 3394) with a key that maker and device share, over BearSSL's AES. */
#include <bearssl_block.h>
#include <string.h>

#include "crypto/wrapping.h"

#define HALF 8 /* bytes: it works on halves of a block */

/* One block: CBC with an IV of zeros is the bare cipher. */
static void decrypt(const br_aes_ct_cbcdec_keys *keys, uint8_t *block)
{
    uint8_t iv[2 * HALF] = {0};

    br_aes_ct_cbcdec_run(keys, iv, block, 2 * HALF);
}

/* RFC 3394, 2.2.2: 6 rounds backwards over the halves of `content`. */
static void unwind(const br_aes_ct_cbcdec_keys *keys, uint8_t *check, struct kedge_buf content)
{
    const uint8_t count = (uint8_t)(content.size / HALF);
    uint8_t block[2 * HALF];

    memcpy(block, check, HALF);
    for (uint8_t t = (uint8_t)(6 * count); t > 0; t--) {
        uint8_t *const half = content.at + (size_t)((t - 1) % count) * HALF;

        block[HALF - 1] ^= t;
        memcpy(block + HALF, half, HALF);
        decrypt(keys, block);
        memcpy(half, block + HALF, HALF);
    }
    memcpy(check, block, HALF);
    kedge_wipe(block, sizeof(block));
}

static int unwrap(const struct kedge_device_key *key, struct kedge_bytes info,
                  struct kedge_bytes wrapped, struct kedge_buf content)
{
    br_aes_ct_cbcdec_keys keys;
    uint8_t check[HALF];

    (void)info;
    if (wrapped.size != HALF + content.size) {
        return KEDGE_E_FORMAT;
    }
    memcpy(check, wrapped.at, HALF);
    memcpy(content.at, wrapped.at + HALF, content.size);
    br_aes_ct_cbcdec_init(&keys, key->secret.at, key->secret.size);
    unwind(&keys, check, content);
    kedge_wipe(&keys, sizeof(keys));
    for (unsigned i = 0; i < HALF; i++) {
        check[i] ^= 0xa6;
    }
    return kedge_all(kedge_bytes(check, HALF), 0) ? 0 : KEDGE_E_KEY;
}

const struct kedge_wrapping kedge_wrap_aes = {
    .tlv = KEDGE_TLV_ENC_KW,
    .unwrap = unwrap,
    .derive = kedge_derive_from_secret,
};
