/* SHA-512 by Monocypher: images signed with Ed25519 are the ones that use it, and Ed25519 brings
 * this code along. */
#include <monocypher-ed25519.h>

#include "kedge/crypto.h"

_Static_assert(sizeof(crypto_sha512_ctx) <= sizeof(struct kedge_hash_state), "hash state");

static void start(struct kedge_hash_state *state)
{
    crypto_sha512_init((crypto_sha512_ctx *)(void *)state);
}

static void update(struct kedge_hash_state *state, struct kedge_bytes data)
{
    crypto_sha512_update((crypto_sha512_ctx *)(void *)state, data.at, data.size);
}

static void finish(struct kedge_hash_state *state, uint8_t *digest)
{
    crypto_sha512_final((crypto_sha512_ctx *)(void *)state, digest);
}

const struct kedge_hash kedge_sha512 = {
    .tlv = 0x12,
    .size = 64,
    .start = start,
    .update = update,
    .finish = finish,
};
