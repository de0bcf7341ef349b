/* What holds for every cipher table. */
#include "kedge/cipher.h"

#include <string.h>

void kedge_wipe(void *at, size_t size)
{
    volatile uint8_t *const bytes = at;

    for (size_t i = 0; i < size; i++) {
        bytes[i] = 0;
    }
}

void kedge_cipher_crypt(const struct kedge_cipher *cipher, const struct kedge_cipher_state *state,
                        uint32_t at, struct kedge_buf data)
{
    const uint32_t skip = at % KEDGE_CIPHER_BLOCK;
    uint32_t block = at / KEDGE_CIPHER_BLOCK;

    if (skip != 0) {
        uint8_t whole[KEDGE_CIPHER_BLOCK];
        const size_t left = KEDGE_CIPHER_BLOCK - skip;
        const size_t n = data.size < left ? data.size : left;

        memcpy(whole + skip, data.at, n);
        cipher->crypt(state, block, kedge_buf(whole, skip + n));
        memcpy(data.at, whole + skip, n);
        data = kedge_buf(data.at + n, data.size - n);
        block++;
    }
    cipher->crypt(state, block, data);
}
