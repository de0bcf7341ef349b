/* RSA-PSS, 2048 and 3072 bits: the power by BearSSL (no heap), the padding here (RFC 8017, 9.1.2:
 * SHA-256, MGF1 with SHA-256, salt of 32 bytes), since BearSSL 0.6 has no PSS. */
#include <bearssl_rsa.h>
#include <string.h>

#include "kedge/crypto.h"

#define HASH_SIZE   32
#define SALT_SIZE   32
#define MODULUS_MAX 384

/* RSAPublicKey: SEQUENCE { INTEGER 00 n, INTEGER 65537 }: one possible head per size, one tail. */
static const uint8_t tail[] = {0x02, 0x03, 0x01, 0x00, 0x01};

/* data ^= MGF1(seed) */
static void unmask(uint8_t *data, size_t size, const uint8_t *seed)
{
    uint8_t block[HASH_SIZE + 4];
    uint8_t mask[HASH_SIZE];

    memcpy(block, seed, HASH_SIZE);
    memset(block + HASH_SIZE, 0, 4);
    for (size_t i = 0; i < size; i++) {
        if (i % HASH_SIZE == 0) {
            block[sizeof(block) - 1] = (uint8_t)(i / HASH_SIZE); /* at most 12 blocks */
            kedge_hash_once(&kedge_sha256, kedge_bytes(block, sizeof(block)), mask);
        }
        data[i] ^= mask[i % HASH_SIZE];
    }
}

/* em, as long as the modulus, is: masked { zeros, 01, salt } | hash | bc; top bit clear. */
static bool check_padding(uint8_t *em, size_t size, const uint8_t *digest)
{
    const size_t db_size = size - HASH_SIZE - 1;
    uint8_t *const hash = em + db_size;
    uint8_t *const salt = hash - SALT_SIZE;
    uint8_t message[8 + HASH_SIZE + SALT_SIZE] = {0};
    uint8_t expected[HASH_SIZE];

    if (em[size - 1] != 0xbc || (em[0] & 0x80) != 0) {
        return false;
    }
    unmask(em, db_size, hash);
    em[0] &= 0x7f;
    if (salt[-1] != 0x01 || !kedge_all(kedge_bytes(em, db_size - SALT_SIZE - 1), 0)) {
        return false;
    }
    memcpy(message + 8, digest, HASH_SIZE);
    memcpy(message + 8 + HASH_SIZE, salt, SALT_SIZE);
    kedge_hash_once(&kedge_sha256, kedge_bytes(message, sizeof(message)), expected);
    return kedge_equal(expected, hash, HASH_SIZE);
}

static int verify(const uint8_t *head, size_t size, struct kedge_bytes key,
                  struct kedge_bytes digest, struct kedge_bytes signature)
{
    const size_t head_size = 9;
    uint8_t modulus[MODULUS_MAX];
    uint8_t exponent[] = {0x01, 0x00, 0x01};
    uint8_t em[MODULUS_MAX];

    if (key.size != head_size + size + sizeof(tail) || memcmp(key.at, head, head_size) != 0 ||
        memcmp(key.at + head_size + size, tail, sizeof(tail)) != 0 ||
        (key.at[head_size] & 0x80) == 0 || signature.size != size || digest.size != HASH_SIZE) {
        return KEDGE_E_FORMAT;
    }
    memcpy(modulus, key.at + head_size, size); /* BearSSL's structure wants it writable */
    memcpy(em, signature.at, size);
    const br_rsa_public_key public_key = {
        .n = modulus,
        .nlen = size,
        .e = exponent,
        .elen = sizeof(exponent),
    };

    return br_rsa_i31_public(em, size, &public_key) == 1 && check_padding(em, size, digest.at)
               ? 0
               : KEDGE_E_SIGNATURE;
}

static int verify_2048(struct kedge_bytes key, struct kedge_bytes digest,
                       struct kedge_bytes signature)
{
    static const uint8_t head[] = {0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00};

    return verify(head, 256, key, digest, signature);
}

static int verify_3072(struct kedge_bytes key, struct kedge_bytes digest,
                       struct kedge_bytes signature)
{
    static const uint8_t head[] = {0x30, 0x82, 0x01, 0x8a, 0x02, 0x82, 0x01, 0x81, 0x00};

    return verify(head, 384, key, digest, signature);
}

const struct kedge_signature kedge_rsa2048 = {
    .tlv = 0x20,
    .hash = &kedge_sha256,
    .verify = verify_2048,
};

const struct kedge_signature kedge_rsa3072 = {
    .tlv = 0x23,
    .hash = &kedge_sha256,
    .verify = verify_3072,
};
