/* ChaCha20-Poly1305 by BearSSL: the portable code, which is constant time where 32x32 -> 64 bit
 * multiplication is (Cortex-M3 and up). */
#include <bearssl_block.h>

#include "kedge/aead.h"

static bool open(const uint8_t *key, const uint8_t *nonce, struct kedge_bytes also,
                 struct kedge_buf text, const uint8_t *tag)
{
    uint8_t right[KEDGE_AEAD_TAG];

    br_poly1305_ctmul_run(key, nonce, text.at, text.size, also.at, also.size, right,
                          br_chacha20_ct_run, 0);
    return kedge_equal(right, tag, sizeof(right));
}

static void seal(const uint8_t *key, const uint8_t *nonce, struct kedge_bytes also,
                 struct kedge_buf text, uint8_t *tag)
{
    br_poly1305_ctmul_run(key, nonce, text.at, text.size, also.at, also.size, tag,
                          br_chacha20_ct_run, 1);
}

const struct kedge_aead kedge_chacha20 = {.id = 1, .open = open, .seal = seal};
