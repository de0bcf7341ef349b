/* What holds for every hash table. */
#include "kedge/crypto.h"

void kedge_hash_once(const struct kedge_hash *hash, struct kedge_bytes of, uint8_t *digest)
{
    struct kedge_hash_state state;

    hash->start(&state);
    hash->update(&state, of);
    hash->finish(&state, digest);
}
