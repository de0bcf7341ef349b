/* Public keys from PEM or DER files, as the loader wants them. Host code over OpenSSL 3. */
#ifndef KEDGE_LINUX_KEY_FILE_H
#define KEDGE_LINUX_KEY_FILE_H

#include "kedge/crypto.h"

#define KEY_FILE_DER 1024 /* bytes: RSA-3072's PKCS#1 form is 398 */
#define KEY_FILE_WHY 256

struct key_file {
    struct kedge_key key; /* points into der */
    uint8_t der[KEY_FILE_DER];
};

/* Reads a public key, or the public half of a private one (PEM). ECDSA P-256 and P-384, Ed25519,
 * RSA-2048 and -3072. -1 with the reason and what to do in `why`. `file` must not move afterwards.
 */
int key_file_read(const char *path, struct key_file *file, char *why);

/* Write the public half of the key in `from` to `to` as PEM: a state directory remembers which keys
 * its device trusts. */
int key_file_copy(const char *from, const char *to, char *why);

#endif
