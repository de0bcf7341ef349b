/* The keys that a device holds so that images and files can be encrypted for it.
 *
 * A content key (AES, 16 or 32 bytes, one per image or file) travels wrapped; the device unwraps it
 * with its own key, uses it, wipes it. A content key is never written to any flash: who needs it
 * again unwraps again.
 *
 * A board gives an array of device keys. One whose secret lies in a key store or accelerator brings
 * a `struct kedge_wrapping` of its own, with a handle instead of the secret: its unwrap() does the
 * one operation that needs the secret (say, the ECDH), and kedge_ecies_open() the rest. */
#ifndef KEDGE_DEVICE_KEY_H
#define KEDGE_DEVICE_KEY_H

#include "kedge/cipher.h"

/* TLV types of wrapped keys; also the kinds of device key. */
#define KEDGE_TLV_ENC_RSA           0x30
#define KEDGE_TLV_ENC_KW            0x31
#define KEDGE_TLV_ENC_P256          0x32
#define KEDGE_TLV_ENC_X25519        0x33
#define KEDGE_TLV_ENC_X25519_SHA512 0x34

/* The longest wrapped key (RSA-2048); the others: 24 or 40 (KW), 113 or 129, 80 or 96, 112 or 128.
 */
#define KEDGE_WRAPPED_MAX 256

struct kedge_device_key;

struct kedge_wrapping {
    uint16_t tlv;
    /* See kedge_key_unwrap(). Requires content.size 16 or 32; all of `wrapped` is hostile. */
    int (*unwrap)(const struct kedge_device_key *key, struct kedge_bytes info,
                  struct kedge_bytes wrapped, struct kedge_buf content);
    /* A key of the device's own that nobody else can make, never stored: out = a function of the
     * secret, `salt` (at most 64 bytes) and `info` (at most KEDGE_INFO_MAX). The same at every
     * call. 0 or the key store's error. NULL: it cannot; then an image without a key
     * may not leave where the policy wants everything confidential. */
    int (*derive)(const struct kedge_device_key *key, struct kedge_bytes salt,
                  struct kedge_bytes info, struct kedge_buf out);
};

/* Which library is behind which: docs/decisions/0001-crypto-libraries.md. */
extern const struct kedge_wrapping kedge_wrap_p256;          /* p256-m */
extern const struct kedge_wrapping kedge_wrap_x25519;        /* Monocypher */
extern const struct kedge_wrapping kedge_wrap_x25519_sha512; /* the same, HMAC-SHA-512 */
extern const struct kedge_wrapping kedge_wrap_rsa2048;       /* BearSSL */
extern const struct kedge_wrapping kedge_wrap_aes;           /* RFC 3394, BearSSL */

struct kedge_device_key {
    const struct kedge_wrapping *type;
    const struct kedge_cipher *cipher; /* opens what ECIES shut; kedge_aes does */
    /* P-256: the scalar, 32 bytes big endian. X25519: 32 bytes as RFC 7748 has them. RSA-2048:
     * p, q, dp, dq, iq, 128 bytes each, big endian. AES-KW: 16, 24 or 32 bytes. Of a board's own
     * table: whatever it takes for a handle. */
    struct kedge_bytes secret;
};
#define KEDGE_RSA2048_SECRET 640

/* All that a device has; what a transform finds at env->keys. An X25519 key that opens both kinds
 * is listed twice. */
struct kedge_device_keys {
    const struct kedge_device_key *at;
    size_t count;
};

/* The `info` of MCUboot's images; other uses of ECIES take another, so that a key wrapped for one
 * use cannot be presented for the other. RSA and AES-KW have no room for one and ignore it. */
extern const struct kedge_bytes kedge_info_image; /* "MCUBoot_ECIES_v1" */

/* Unwrap a content key: `wrapped` as in a TLV of type `tlv`, by the first device key of that type
 * that opens it. content.size tells how long the key must be: 16 or 32.
 * Ensures: content is the key with 0, and wiped otherwise. The MAC is checked before anything is
 * decrypted, in time that does not depend on where it differs.
 * Errors: KEDGE_E_NONE: no device key of that type; KEDGE_E_FORMAT: no wrapped key has that length
 * or shape; KEDGE_E_KEY: wrapped for another device or another use, or damaged; a key store's own.
 */
int kedge_key_unwrap(const struct kedge_device_keys *keys, uint16_t tlv, struct kedge_bytes info,
                     struct kedge_bytes wrapped, struct kedge_buf content);

/* A key of the device's own for `info` and `salt`, by its first device key (kedge_wrapping.derive).
 * KEDGE_E_NONE: it has none, or that cannot. */
int kedge_key_derive(const struct kedge_device_keys *keys, struct kedge_bytes salt,
                     struct kedge_bytes info, struct kedge_buf out);

/* ECIES behind the key agreement, for every curve: `shared` is the agreed secret (32 bytes),
 * `sealed` = MAC | encrypted key. HKDF(hash, no salt, shared, info) gives the AES key, as long as
 * content, and the MAC key, as long as the hash. KEDGE_E_FORMAT, KEDGE_E_KEY. */
int kedge_ecies_open(const struct kedge_hash *hash, const struct kedge_cipher *cipher,
                     const uint8_t *shared, struct kedge_bytes info, struct kedge_bytes sealed,
                     struct kedge_buf content);

#endif
