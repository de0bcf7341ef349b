/* The kind of key chooses the table. */
#include "enc_key_file.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 4096
#define HALF     128

/* An answer instead of a prompt: a device is not asked for a passphrase. */
static int no_password(char *buf, int size, int rwflag, void *ctx)
{
    (void)buf, (void)size, (void)rwflag, (void)ctx;
    return -1;
}

static bool take_number(EVP_PKEY *key, const char *name, uint8_t *to, int size)
{
    BIGNUM *number = NULL;
    const bool good =
        EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_bn2binpad(number, to, size) == size;

    BN_clear_free(number);
    return good;
}

static bool take_rsa(EVP_PKEY *key, struct enc_key_file *file)
{
    static const char *const names[] = {
        OSSL_PKEY_PARAM_RSA_FACTOR1,      OSSL_PKEY_PARAM_RSA_FACTOR2,
        OSSL_PKEY_PARAM_RSA_EXPONENT1,    OSSL_PKEY_PARAM_RSA_EXPONENT2,
        OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    bool good = EVP_PKEY_get_bits(key) == 2048;

    for (size_t i = 0; i < 5 && good; i++) {
        good = take_number(key, names[i], file->secret + i * HALF, HALF);
    }
    return good;
}

static bool take_p256(EVP_PKEY *key, struct enc_key_file *file)
{
    char group[32] = "";

    EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
    return strcmp(group, "prime256v1") == 0 &&
           take_number(key, OSSL_PKEY_PARAM_PRIV_KEY, file->secret, 32);
}

static void put(struct enc_key_file *file, const struct kedge_wrapping *type, size_t size)
{
    file->key[file->keys.count++] = (struct kedge_device_key){
        .type = type, .cipher = &kedge_aes, .secret = kedge_bytes(file->secret, size)};
}

/* False: it is of no kind that a device can have. */
static bool take_private(EVP_PKEY *key, struct enc_key_file *file)
{
    size_t size = 32;

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
        if (!take_p256(key, file)) {
            return false;
        }
        put(file, &kedge_wrap_p256, 32);
        return true;
    case EVP_PKEY_X25519:
        if (EVP_PKEY_get_raw_private_key(key, file->secret, &size) != 1 || size != 32) {
            return false;
        }
        put(file, &kedge_wrap_x25519, 32);
        put(file, &kedge_wrap_x25519_sha512, 32);
        return true;
    case EVP_PKEY_RSA:
        if (!take_rsa(key, file)) {
            return false;
        }
        put(file, &kedge_wrap_rsa2048, KEDGE_RSA2048_SECRET);
        return true;
    default:
        return false;
    }
}

static bool is_key_size(size_t size)
{
    return size == 16 || size == 24 || size == 32;
}

size_t enc_key_shared(struct kedge_bytes text, uint8_t *key)
{
    uint8_t bytes[64];
    size_t size = text.size;

    if (is_key_size(size)) {
        memcpy(key, text.at, size);
        return size;
    }
    while (size > 0 && (text.at[size - 1] == '\n' || text.at[size - 1] == '\r')) {
        size--;
    }
    if (size == 0 || size % 4 != 0 || size > 44) {
        return 0;
    }
    const int got = EVP_DecodeBlock(bytes, text.at, (int)size);
    const size_t pad = (text.at[size - 1] == '=') + (size_t)(text.at[size - 2] == '=');

    if (got < 0 || !is_key_size((size_t)got - pad)) {
        return 0;
    }
    memcpy(key, bytes, (size_t)got - pad);
    return (size_t)got - pad;
}

static int refuse(char *why, const char *path, const char *words)
{
    snprintf(why, ENC_KEY_WHY, "%.120s %s", path, words);
    return -1;
}

static int take(const char *path, struct kedge_bytes text, struct enc_key_file *file, char *why)
{
    BIO *const bio = BIO_new_mem_buf(text.at, (int)text.size);
    EVP_PKEY *const key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    const bool is_public = key == NULL && memmem(text.at, text.size, "PUBLIC KEY", 10) != NULL;
    const bool is_locked = key == NULL && memmem(text.at, text.size, "ENCRYPTED", 9) != NULL;

    BIO_free(bio);
    ERR_clear_error();
    if (is_public) {
        return refuse(why, path, "holds a public key: a device needs the private one");
    }
    if (is_locked) {
        return refuse(why, path, "is locked by a passphrase: give the device an unlocked copy");
    }
    if (key != NULL) {
        const bool good = take_private(key, file);

        EVP_PKEY_free(key);
        return good ? 0
                    : refuse(why, path,
                             "is no key that images are encrypted for: use ecdsa-p256, x25519 or "
                             "rsa-2048");
    }
    const size_t size = enc_key_shared(text, file->secret);

    if (size == 0) {
        return refuse(why, path,
                      "holds neither a private key (PEM) nor a shared AES key (16, 24 or 32 "
                      "bytes, bare or base64)");
    }
    put(file, &kedge_wrap_aes, size);
    return 0;
}

int enc_key_read(const char *path, struct enc_key_file *file, char *why)
{
    uint8_t text[TEXT_MAX];
    FILE *const f = fopen(path, "rb");

    memset(file, 0, sizeof(*file));
    file->keys.at = file->key;
    if (f == NULL) {
        snprintf(why, ENC_KEY_WHY, "cannot read key %.160s: %s", path, strerror(errno));
        return -1;
    }
    const size_t size = fread(text, 1, sizeof(text), f);

    fclose(f);
    const int result = take(path, kedge_bytes(text, size), file, why);

    OPENSSL_cleanse(text, sizeof(text));
    return result;
}
