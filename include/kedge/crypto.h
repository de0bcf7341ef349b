/* Crypto as const ops tables over well-kept libraries. A port names the tables it wants; the linker
 * drops the rest; a board may put its accelerator behind the same tables. */
#ifndef KEDGE_CRYPTO_H
#define KEDGE_CRYPTO_H

#include "kedge/base.h"

#define KEDGE_DIGEST_MAX 64

/* A running hash: memory of the caller, large enough for every table below. */
struct kedge_hash_state {
    uint64_t opaque[28];
};

struct kedge_hash {
    uint16_t tlv; /* image hash TLV: 0x10, 0x11, 0x12 */
    uint8_t size; /* digest bytes: 32, 48, 64 */
    void (*start)(struct kedge_hash_state *state);
    void (*update)(struct kedge_hash_state *state, struct kedge_bytes data);
    void (*finish)(struct kedge_hash_state *state, uint8_t *digest);
};

extern const struct kedge_hash kedge_sha256, kedge_sha384, kedge_sha512;

/* The digest of `of`, whose bytes are all here. */
void kedge_hash_once(const struct kedge_hash *hash, struct kedge_bytes of, uint8_t *digest);

/* A message too long to be in memory: a signature over the message itself asks for the digest of
 * `lead` and the message, by the hash of the signature type. 0, or KEDGE_E_IO when the message
 * could not be read. src/image/pure.c has it, for images; it is linked only with a table that has
 * verify_pure. */
int kedge_message_digest(const void *message, struct kedge_bytes lead, uint8_t *digest);

struct kedge_signature {
    /* signature TLV: 0x20 RSA-2048-PSS, 0x22 ECDSA, 0x23 RSA-3072-PSS, 0x24 Ed25519 */
    uint16_t tlv;
    const struct kedge_hash *hash; /* the image hash that goes with it */
    /* 0 when `signature` over `digest` was made by the public key `key` (DER as facts 7.2 gives
     * it), KEDGE_E_SIGNATURE otherwise, KEDGE_E_FORMAT when key or signature is malformed. Digest
     * and signature are hostile; the key is the board's own and of this type. */
    int (*verify)(struct kedge_bytes key, struct kedge_bytes digest, struct kedge_bytes signature);
    /* The same for a signature over the message itself (SIG_PURE); NULL: there is no such thing.
     * `signature` may lie in memory that kedge_message_digest() overwrites. */
    int (*verify_pure)(struct kedge_bytes key, struct kedge_bytes signature, const void *message);
};

/* Which library is behind which table, and why: docs/decisions/0001-crypto-libraries.md. For
 * Ed25519 the digest bytes are the message: kedge_ed25519 with SHA-256, kedge_ed25519_sha512 with
 * SHA-512 and pure. A loader that takes both lists its key twice. */
extern const struct kedge_signature kedge_ecdsa_p256, kedge_ecdsa_p384;
extern const struct kedge_signature kedge_ed25519, kedge_ed25519_sha512;
extern const struct kedge_signature kedge_rsa2048, kedge_rsa3072;

/* A key that the loader trusts. */
struct kedge_key {
    const struct kedge_signature *type;
    struct kedge_bytes der; /* SubjectPublicKeyInfo (EC, Ed25519) or PKCS#1 RSAPublicKey */
};

#endif
