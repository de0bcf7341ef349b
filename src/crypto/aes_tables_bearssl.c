/* AES-CTR by BearSSL, with tables. A lookup takes the same time wherever it goes on a processor
 * without a data cache; elsewhere its time may tell the key: use kedge_aes there. */
#include <bearssl_block.h>

#include "kedge/cipher.h"

_Static_assert(sizeof(br_aes_big_ctr_keys) <= sizeof(struct kedge_cipher_state), "cipher state");

static void start(struct kedge_cipher_state *state, struct kedge_bytes key)
{
    br_aes_big_ctr_init((br_aes_big_ctr_keys *)(void *)state, key.at, key.size);
}

static void crypt(const struct kedge_cipher_state *state, uint32_t block, struct kedge_buf data)
{
    static const uint8_t zeros[12];

    br_aes_big_ctr_run((const br_aes_big_ctr_keys *)(const void *)state, zeros, block, data.at,
                       data.size);
}

const struct kedge_cipher kedge_aes_tables = {.start = start, .crypt = crypt};
