/* Key files. The signature table is chosen by the key itself, so a wrong kind is named at once. */
#include "key_file.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* An answer instead of a prompt: an encrypted private key is not asked for its password here. */
static int no_password(char *buf, int size, int rwflag, void *ctx)
{
    (void)buf, (void)size, (void)rwflag, (void)ctx;
    return -1;
}

static EVP_PKEY *read_any(FILE *f)
{
    EVP_PKEY *key = PEM_read_PUBKEY(f, NULL, no_password, NULL);
    if (key == NULL) {
        rewind(f);
        key = PEM_read_PrivateKey(f, NULL, no_password, NULL);
    }
    return key;
}

static const struct kedge_signature *type_of(EVP_PKEY *key)
{
    char group[32] = "";
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519:
        return &kedge_ed25519;
    case EVP_PKEY_EC:
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
        return strcmp(group, "prime256v1") == 0  ? &kedge_ecdsa_p256
               : strcmp(group, "secp384r1") == 0 ? &kedge_ecdsa_p384
                                                 : NULL;
    case EVP_PKEY_RSA:
        return EVP_PKEY_get_bits(key) == 2048   ? &kedge_rsa2048
               : EVP_PKEY_get_bits(key) == 3072 ? &kedge_rsa3072
                                                : NULL;
    default:
        return NULL;
    }
}

static int encode(EVP_PKEY *key, struct key_file *file)
{
    uint8_t *der = NULL;
    const int size = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? i2d_PublicKey(key, &der)
                                                               : i2d_PUBKEY(key, &der);
    const bool fits = size > 0 && size <= KEY_FILE_DER;
    if (fits) {
        memcpy(file->der, der, (size_t)size);
        file->key.der = kedge_bytes(file->der, (size_t)size);
    }
    OPENSSL_free(der);
    return fits ? 0 : -1;
}

static EVP_PKEY *open_key(const char *path, char *why)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        snprintf(why, KEY_FILE_WHY, "cannot read key %.160s: %s", path, strerror(errno));
        return NULL;
    }
    EVP_PKEY *key = read_any(f);
    fclose(f);
    if (key == NULL) {
        snprintf(
            why, KEY_FILE_WHY,
            "%.120s holds no readable PEM key: give a public key (kedge getpub -k KEY.pem -e pem)",
            path);
    }
    return key;
}

int key_file_copy(const char *from, const char *to, char *why)
{
    EVP_PKEY *key = open_key(from, why);
    if (key == NULL) {
        return -1;
    }
    FILE *f = fopen(to, "wb");
    const bool written = f != NULL && PEM_write_PUBKEY(f, key) == 1;
    if (f == NULL || fclose(f) != 0 || !written) {
        snprintf(why, KEY_FILE_WHY, "cannot write %.160s: %s", to, strerror(errno));
    }
    EVP_PKEY_free(key);
    return written ? 0 : -1;
}

int key_file_read(const char *path, struct key_file *file, char *why)
{
    EVP_PKEY *key = open_key(path, why);
    if (key == NULL) {
        return -1;
    }
    file->key.type = type_of(key);
    const int result = file->key.type == NULL ? -1 : encode(key, file);
    if (result != 0) {
        snprintf(
            why, KEY_FILE_WHY,
            "%.120s is no signing key that Kedge verifies: use ecdsa-p256, ecdsa-p384, ed25519, "
            "rsa-2048 or rsa-3072",
            path);
    }
    EVP_PKEY_free(key);
    return result;
}
