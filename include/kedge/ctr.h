/* AES-CTR with a key of the user's: the smallest transform that undoes a "local encryption". It
 * hides what an image is; that nobody changed it, the image's own signature tells at the end. A
 * sealed file (sealed.h) finds a changed byte before it is written: prefer it.
 *
 *   | "KCT1" | u32 size, little endian | nonce 16 B | size bytes, masked |
 *
 * The mask is AES-CTR from block 0 (cipher.h) under the file's key: HKDF-SHA256 of the user's key
 * with the nonce as salt and "kedge ctr" as info, as many bytes as the user's key has. A nonce must
 * never come twice. */
#ifndef KEDGE_CTR_H
#define KEDGE_CTR_H

#include "kedge/cipher.h"
#include "kedge/transform.h"

#define KEDGE_CTR_MAGIC 0x3154434bu /* "KCT1" */
#define KEDGE_CTR_HEAD  24u
#define KEDGE_CTR_INFO  "kedge ctr"

/* env->keys. */
struct kedge_ctr_keys {
    const struct kedge_cipher *cipher;
    struct kedge_bytes key; /* 16 or 32 bytes; size 0: this device has none */
};

/* State of the transform: private to src/transform/ctr.c but for its size. Holds the file's key. */
struct kedge_ctr {
    struct kedge_cipher_state cipher;
    uint8_t head[KEDGE_CTR_HEAD];
    uint32_t at; /* bytes of the image that are out */
    uint8_t head_size, held_at, held_size;
    uint8_t held[64];
};

/* push(): KEDGE_E_NONE: this device has no such key; KEDGE_E_FORMAT: more bytes than the head says.
 * finish(): KEDGE_E_FORMAT when some are missing. seek(): to any byte. */
extern const struct kedge_transform kedge_ctr;

#endif
