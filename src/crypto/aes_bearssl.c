/* AES-CTR by BearSSL, constant time: bit-sliced, two blocks at once. */
#include <bearssl_block.h>

#include "kedge/cipher.h"

_Static_assert(sizeof(br_aes_ct_ctr_keys) <= sizeof(struct kedge_cipher_state), "cipher state");

static void start(struct kedge_cipher_state *state, struct kedge_bytes key)
{
    br_aes_ct_ctr_init((br_aes_ct_ctr_keys *)(void *)state, key.at, key.size);
}

/* Their counter is the last 4 bytes of the block, big endian, behind 12 bytes of IV: 64 GiB. */
static void crypt(const struct kedge_cipher_state *state, uint32_t block, struct kedge_buf data)
{
    static const uint8_t zeros[12];

    br_aes_ct_ctr_run((const br_aes_ct_ctr_keys *)(const void *)state, zeros, block, data.at,
                      data.size);
}

const struct kedge_cipher kedge_aes = {.start = start, .crypt = crypt};
