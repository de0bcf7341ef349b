/* Authenticated encryption as a const ops table over a kept library; a board may put its
 * accelerator behind the same table. */
#ifndef KEDGE_AEAD_H
#define KEDGE_AEAD_H

#include "kedge/base.h"

#define KEDGE_AEAD_KEY   32
#define KEDGE_AEAD_NONCE 12
#define KEDGE_AEAD_TAG   16

struct kedge_aead {
    uint8_t id; /* of sealed files: 1 ChaCha20-Poly1305 */
    /* Decrypts `text` in place; `also` was authenticated with it. True: the tag is right. False:
     * `text` holds nothing of use and must not be used. A nonce serves one key and text only. */
    bool (*open)(const uint8_t *key, const uint8_t *nonce, struct kedge_bytes also,
                 struct kedge_buf text, const uint8_t *tag);
    /* Encrypts `text` in place and gives the tag: for the host. */
    void (*seal)(const uint8_t *key, const uint8_t *nonce, struct kedge_bytes also,
                 struct kedge_buf text, uint8_t *tag);
};

/* RFC 8439, BearSSL, constant time. Why not AES-GCM: docs/decisions. */
extern const struct kedge_aead kedge_chacha20;

#endif
