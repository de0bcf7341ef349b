/* SHA-256 by BearSSL: 39.8 instructions a byte on Cortex-M4, half of what the smallest one costs
 * and the larger part of a boot (facts/cortex-m4.md). */
#include <bearssl_hash.h>

#include "kedge/crypto.h"

_Static_assert(sizeof(br_sha256_context) <= sizeof(struct kedge_hash_state), "hash state");

/* FIPS 180-4, 5.3.3. br_sha256_init() would link the library's own table of functions. */
static const uint8_t initial[32] = {
    0x6a, 0x09, 0xe6, 0x67, 0xbb, 0x67, 0xae, 0x85, 0x3c, 0x6e, 0xf3, 0x72, 0xa5, 0x4f, 0xf5, 0x3a,
    0x51, 0x0e, 0x52, 0x7f, 0x9b, 0x05, 0x68, 0x8c, 0x1f, 0x83, 0xd9, 0xab, 0x5b, 0xe0, 0xcd, 0x19,
};

static void start(struct kedge_hash_state *state)
{
    br_sha256_set_state((br_sha256_context *)(void *)state, initial, 0);
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
