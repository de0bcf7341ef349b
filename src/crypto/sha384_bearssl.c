/* SHA-384 by BearSSL. A file of its own: SHA-512 is Monocypher's, which Ed25519 brings along. */
#include <bearssl_hash.h>

#include "kedge/crypto.h"

_Static_assert(sizeof(br_sha384_context) <= sizeof(struct kedge_hash_state), "hash state");

static void start(struct kedge_hash_state *state)
{
    br_sha384_init((br_sha384_context *)(void *)state);
}

static void update(struct kedge_hash_state *state, struct kedge_bytes data)
{
    br_sha384_update((br_sha384_context *)(void *)state, data.at, data.size);
}

static void finish(struct kedge_hash_state *state, uint8_t *digest)
{
    br_sha384_out((const br_sha384_context *)(const void *)state, digest);
}

const struct kedge_hash kedge_sha384 = {
    .tlv = 0x11,
    .size = 48,
    .start = start,
    .update = update,
    .finish = finish,
};
