/* A device's own key from a file, as the core wants it. Host code over OpenSSL 3. */
#ifndef KEDGE_LINUX_ENC_KEY_FILE_H
#define KEDGE_LINUX_ENC_KEY_FILE_H

#include "kedge/device_key.h"

#define ENC_KEY_WHY 256

struct enc_key_file {
    struct kedge_device_keys keys; /* of `key`, which point into `secret` */
    struct kedge_device_key key[2];
    uint8_t secret[KEDGE_RSA2048_SECRET];
};

/* Reads a private key (PEM: ECDSA P-256, X25519, RSA-2048), or a shared AES key: 16, 24 or 32
 * bytes, bare or as base64. -1 with the reason and what to do in `why`. `file` must not move
 * afterwards. */
int enc_key_read(const char *path, struct enc_key_file *file, char *why);

/* A shared AES key in the text of a file: its size, 16, 24 or 32, with its bytes in `key` (32); 0:
 * it is something else. */
size_t enc_key_shared(struct kedge_bytes text, uint8_t *key);

#endif
