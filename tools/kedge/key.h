/* Keys of the host tool: what imgtool's key types are, and PEM files with and without passphrase.
 */
#ifndef KEDGE_TOOL_KEY_H
#define KEDGE_TOOL_KEY_H

#include <openssl/evp.h>

#include "kedge/base.h"

struct key_kind {
    const char *name;   /* of keygen -t */
    const char *c_name; /* imgtool's, in C arrays */
    uint16_t signature; /* TLV; 0: it cannot sign */
    const char *hashes; /* that an image signed by it may use: "256|512", the default first */
    size_t padded;      /* bytes of an ECDSA signature under --pad-sig */
};
/* NULL: there is no such kind. */
const struct key_kind *key_kind_by_name(const char *name);
#define KEY_KIND_NAMES "rsa-2048|rsa-3072|ecdsa-p256|ecdsa-p384|ed25519|x25519"

struct key {
    EVP_PKEY *pkey;
    const struct key_kind *kind;
    bool has_private;
};

/* Reads a PEM file, private or public, or a token's key by its pkcs11: URI; asks for the passphrase
 * if it has one. 0, or an exit code after saying why. */
int key_read(const char *path, struct key *key);
void key_free(struct key *key);

/* Makes a new one. 0 or EXIT_REFUSED. */
int key_make(const struct key_kind *kind, struct key *key);

/* PKCS#8 PEM; with a passphrase (NULL: none) it is encrypted. Mode 0600. 0 or EXIT_REFUSED. */
int key_write(const struct key *key, const char *path, const char *passphrase);

/* The public key as MCUboot embeds and hashes it: SubjectPublicKeyInfo, PKCS#1 for RSA. Allocated.
 */
uint8_t *key_public_der(const struct key *key, size_t *size);
/* SubjectPublicKeyInfo PEM. Allocated. */
uint8_t *key_public_pem(const struct key *key, size_t *size);

/* The signature over `message`: hashed inside with SHA-256 or SHA-384 (RSA-PSS, ECDSA), or as it
 * is (Ed25519). Allocated; NULL after saying why. */
uint8_t *key_sign(const struct key *key, struct kedge_bytes message, size_t *size);

/* Asks on the terminal, or reads a line of standard input where there is none. 0 or EXIT_REFUSED.
 */
#define PASSPHRASE_MAX 256
int passphrase_read(const char *prompt, char *to);

#endif
