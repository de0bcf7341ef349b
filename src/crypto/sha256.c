/* SHA-256: blocks and padding (FIPS 180-4, 5.1.1). A library's would serve SHA-224 as well and take
 * 230 bytes more. */
#include <string.h>

#include "crypto/sha256_round.h"
#include "kedge/crypto.h"

#define BLOCK 64

struct sha256 {
    uint32_t value[8];
    uint32_t size; /* so far, bytes: enough for any flash */
    uint8_t block[BLOCK];
};

_Static_assert(sizeof(struct sha256) <= sizeof(struct kedge_hash_state), "hash state");

static void start(struct kedge_hash_state *state)
{
    /* FIPS 180-4, 5.3.3 */
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    struct sha256 *s = (struct sha256 *)state;
    memcpy(s->value, initial, sizeof(initial));
    s->size = 0;
}

static void update(struct kedge_hash_state *state, struct kedge_bytes data)
{
    struct sha256 *s = (struct sha256 *)state;
    while (data.size != 0) {
        const uint32_t at = s->size % BLOCK;
        const uint32_t left = BLOCK - at;
        const uint32_t n = data.size < left ? (uint32_t)data.size : left;
        const uint8_t *block = data.at;
        if (n != BLOCK) {
            block = s->block;
            memcpy(s->block + at, data.at, n);
        }
        s->size += n;
        data = kedge_bytes(data.at + n, data.size - n);
        if (n == left)
            kedge_sha256_round(block, s->value);
    }
}

static void finish(struct kedge_hash_state *state, uint8_t *digest)
{
    struct sha256 *s = (struct sha256 *)state;
    uint8_t end[BLOCK + 8] = {0x80};
    const uint32_t pad = 1 + (BLOCK - 9 - s->size) % BLOCK;
    kedge_put_be32(end + pad, s->size >> 29);
    kedge_put_be32(end + pad + 4, s->size << 3);
    update(state, kedge_bytes(end, pad + 8));
    for (unsigned i = 0; i < 8; i++)
        kedge_put_be32(digest + 4 * (size_t)i, s->value[i]);
}

const struct kedge_hash kedge_sha256 = {
    .tlv = 0x10,
    .size = 32,
    .start = start,
    .update = update,
    .finish = finish,
};
