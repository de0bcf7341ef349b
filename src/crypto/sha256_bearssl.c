/* SHA-256 by BearSSL: 39.8 instructions a byte on Cortex-M4, half of what the smallest one costs
 * and the larger part of a boot (facts/cortex-m4.md). */
#include <bearssl_hash.h>

#include "kedge/crypto.h"

_Static_assert(sizeof(br_sha256_context) <= sizeof(struct kedge_hash_state), "hash state");

static void start(struct kedge_hash_state *state)
{
    br_sha256_init((br_sha256_context *)(void *)state);
}

static void update(struct kedge_hash_state *state, struct kedge_bytes data)
{
    br_sha256_update((br_sha256_context *)(void *)state, data.at, data.size);
}

static void finish(struct kedge_hash_state *state, uint8_t *digest)
{
    br_sha256_out((const br_sha256_context *)(const void *)state, digest);
}

const struct kedge_hash kedge_sha256 = {
    .tlv = 0x10,
    .size = 32,
    .start = start,
    .update = update,
    .finish = finish,
};
