/* AES-CTR as const ops tables over kept libraries, and the key derivation that goes with it. A port
 * names the table it wants; a board may put its accelerator behind the same table. */
#ifndef KEDGE_CIPHER_H
#define KEDGE_CIPHER_H

#include "kedge/crypto.h"

#define KEDGE_CIPHER_BLOCK   16
#define KEDGE_CIPHER_KEY_MAX 32

/* A cipher with its key: memory of the caller. It is as secret as the key: never on flash; wipe it.
 */
struct kedge_cipher_state {
    uint64_t opaque[34];
};

/* AES in counter mode as MCUboot counts: block n of a message, from 0, is masked by AES(n), n as 16
 * bytes big endian (facts/mcuboot-format.md 7.3). Encrypting and decrypting are the same. */
struct kedge_cipher {
    /* Requires key.size 16 or 32 (checked by whoever takes a key from outside). */
    void (*start)(struct kedge_cipher_state *state, struct kedge_bytes key);
    /* Mask `data`, in place, which lies `block` blocks behind the message's first byte. Any length;
     * a last part of a block is masked by that block's first bytes. */
    void (*crypt)(const struct kedge_cipher_state *state, uint32_t block, struct kedge_buf data);
};

/* BearSSL, constant time, two blocks at once: 168 instructions a byte on Cortex-M4. */
extern const struct kedge_cipher kedge_aes;
/* BearSSL with tables: a third of that. For processors without a data cache, where a table lookup
 * takes the same time wherever it goes (Cortex-M0 to M4); docs/decisions says more. */
extern const struct kedge_cipher kedge_aes_tables;

/* The same from any byte `at` of the message: what does not begin with a block is masked apart. */
void kedge_cipher_crypt(const struct kedge_cipher *cipher, const struct kedge_cipher_state *state,
                        uint32_t at, struct kedge_buf data);

/* HMAC (RFC 2104) by any hash table: mac gets hash->size bytes. key.size at most the hash's block
 * (64 bytes for SHA-256, 128 for the others). */
void kedge_hmac(const struct kedge_hash *hash, struct kedge_bytes key, struct kedge_bytes message,
                uint8_t *mac);

/* HKDF (RFC 5869): extract with `salt` (empty: zeros), expand with `info` to all of `out`.
 * salt.size as the key above; info.size at most KEDGE_INFO_MAX; out.size at most 255 * hash->size.
 */
#define KEDGE_INFO_MAX 32
void kedge_hkdf(const struct kedge_hash *hash, struct kedge_bytes salt, struct kedge_bytes secret,
                struct kedge_bytes info, struct kedge_buf out);

/* Zeros that no compiler takes away: secrets leave the memory when they are done. */
void kedge_wipe(void *at, size_t size);

#endif
