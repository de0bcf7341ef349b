/* Ed25519 by Monocypher. In an image the digest bytes are the message, or, with a pure signature,
 * the image itself: then the image is streamed through SHA-512 behind R and the key, which is what
 * Ed25519 (RFC 8032, 5.1.7) asks for, and only the equation is left to check. */
#include <monocypher-ed25519.h>
#include <monocypher.h>
#include <string.h>

#include "kedge/crypto.h"

#define KEY_SIZE       32
#define SIGNATURE_SIZE 64

/* SubjectPublicKeyInfo of an Ed25519 key has one possible head. NULL: it is something else. */
static const uint8_t *unpack(struct kedge_bytes key)
{
    static const uint8_t head[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                   0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

    if (key.size != sizeof(head) + KEY_SIZE || memcmp(key.at, head, sizeof(head)) != 0) {
        return NULL;
    }
    return key.at + sizeof(head);
}

static int verify(struct kedge_bytes key, struct kedge_bytes digest, struct kedge_bytes signature)
{
    const uint8_t *const point = unpack(key);

    if (point == NULL || signature.size != SIGNATURE_SIZE) {
        return KEDGE_E_FORMAT;
    }
    return crypto_ed25519_check(signature.at, point, digest.at, digest.size) == 0
               ? 0
               : KEDGE_E_SIGNATURE;
}

static int verify_pure(struct kedge_bytes key, struct kedge_bytes signature, const void *message)
{
    const uint8_t *const point = unpack(key);
    uint8_t kept[SIGNATURE_SIZE];
    uint8_t lead[SIGNATURE_SIZE / 2 + KEY_SIZE]; /* R || A */
    uint8_t digest[64];
    uint8_t reduced[32];

    if (point == NULL || signature.size != SIGNATURE_SIZE) {
        return KEDGE_E_FORMAT;
    }
    memcpy(kept, signature.at, sizeof(kept));
    memcpy(lead, kept, SIGNATURE_SIZE / 2);
    memcpy(lead + SIGNATURE_SIZE / 2, point, KEY_SIZE);
    const int error = kedge_message_digest(message, kedge_bytes(lead, sizeof(lead)), digest);

    if (error != 0) {
        return error;
    }
    crypto_eddsa_reduce(reduced, digest);
    return crypto_eddsa_check_equation(kept, point, reduced) == 0 ? 0 : KEDGE_E_SIGNATURE;
}

const struct kedge_signature kedge_ed25519 = {
    .tlv = 0x24,
    .hash = &kedge_sha256,
    .verify = verify,
};

const struct kedge_signature kedge_ed25519_sha512 = {
    .tlv = 0x24,
    .hash = &kedge_sha512,
    .verify = verify,
    .verify_pure = verify_pure,
};
