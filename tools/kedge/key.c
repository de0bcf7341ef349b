/* Keys over OpenSSL 3. */
#include "key.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "file.h"
#include "key_token.h"
#include "report.h"

static const struct key_kind kinds[] = {
    {"rsa-2048", "rsa", 0x20, "256", 0},        {"rsa-3072", "rsa", 0x23, "256", 0},
    {"ecdsa-p256", "ecdsa", 0x22, "256", 72},   {"ecdsa-p384", "ecdsap384", 0x22, "384", 103},
    {"ed25519", "ed25519", 0x24, "256|512", 0}, {"x25519", "x25519", 0, "256|512", 0},
};

const struct key_kind *key_kind_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static const struct key_kind *kind_of(EVP_PKEY *pkey)
{
    char group[32] = "";

    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        return EVP_PKEY_get_bits(pkey) == 2048   ? key_kind_by_name("rsa-2048")
               : EVP_PKEY_get_bits(pkey) == 3072 ? key_kind_by_name("rsa-3072")
                                                 : NULL;
    case EVP_PKEY_EC:
        EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL);
        return strcmp(group, "prime256v1") == 0  ? key_kind_by_name("ecdsa-p256")
               : strcmp(group, "secp384r1") == 0 ? key_kind_by_name("ecdsa-p384")
                                                 : NULL;
    case EVP_PKEY_ED25519:
        return key_kind_by_name("ed25519");
    case EVP_PKEY_X25519:
        return key_kind_by_name("x25519");
    default:
        return NULL;
    }
}

/* OpenSSL asks once for each decoder that it tries; a person is asked once. */
struct asking {
    bool asked, failed;
    char passphrase[PASSPHRASE_MAX];
};

static int answer(char *to, int room, int for_writing, void *ctx)
{
    struct asking *const asking = ctx;

    (void)for_writing;
    if (!asking->asked) {
        asking->asked = true;
        asking->failed = passphrase_read("Enter key passphrase: ", asking->passphrase) != 0;
    }
    const size_t size = strlen(asking->passphrase);

    if (asking->failed || size > (size_t)room) {
        return -1;
    }
    memcpy(to, asking->passphrase, size);
    return (int)size;
}

static EVP_PKEY *decode(struct kedge_bytes pem, struct asking *asking, bool *has_private)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.size);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, answer, asking);

    BIO_free(bio);
    *has_private = pkey != NULL;
    if (pkey == NULL && !asking->asked) {
        bio = BIO_new_mem_buf(pem.at, (int)pem.size);
        pkey = PEM_read_bio_PUBKEY(bio, NULL, answer, asking);
        BIO_free(bio);
    }
    ERR_clear_error();
    return pkey;
}

/* The key's kind, which must be one that images use. */
static int classify(const char *path, struct key *key)
{
    key->kind = kind_of(key->pkey);
    if (key->kind == NULL) {
        key_free(key);
        return fail("%s is a key of a kind that images cannot use: take one of " KEY_KIND_NAMES,
                    path);
    }
    return 0;
}

static int read_pem(const char *path, struct key *key, struct asking *asking)
{
    struct file_data file;
    const int result = file_read(path, &file);

    if (result != 0) {
        return result;
    }
    key->pkey = decode(kedge_bytes(file.at, file.size), asking, &key->has_private);
    OPENSSL_cleanse(file.at, file.size);
    free(file.at);
    if (key->pkey != NULL) {
        return 0;
    }
    return asking->failed  ? EXIT_REFUSED
           : asking->asked ? fail("%s: the passphrase is wrong", path)
                           : fail("%s holds no PEM key: make one with kedge keygen", path);
}

static int read_token(const char *uri, struct key *key, struct asking *asking)
{
    key->pkey = key_token_load(uri, answer, asking);
    key->has_private = true;
    return key->pkey != NULL ? 0 : EXIT_REFUSED;
}

int key_read(const char *path, struct key *key)
{
    struct asking asking = {0};

    *key = (struct key){0};
    const int result =
        key_token_is_uri(path) ? read_token(path, key, &asking) : read_pem(path, key, &asking);

    OPENSSL_cleanse(asking.passphrase, sizeof(asking.passphrase));
    return result != 0 ? result : classify(path, key);
}

void key_free(struct key *key)
{
    EVP_PKEY_free(key->pkey);
    key->pkey = NULL;
}

int key_make(const struct key_kind *kind, struct key *key)
{
    const char *const name = kind->name;

    *key = (struct key){.kind = kind, .has_private = true};
    if (strncmp(name, "rsa-", 4) == 0) {
        key->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)atoi(name + 4));
    } else if (strncmp(name, "ecdsa-", 6) == 0) {
        key->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC",
                                      strcmp(name, "ecdsa-p256") == 0 ? "P-256" : "P-384");
    } else {
        key->pkey =
            EVP_PKEY_Q_keygen(NULL, NULL, strcmp(name, "ed25519") == 0 ? "ED25519" : "X25519");
    }
    return key->pkey != NULL ? 0 : fail("OpenSSL cannot make a %s key", name);
}

/* The bytes of a memory BIO, which is freed. */
static uint8_t *drain(BIO *bio, size_t *size)
{
    char *at = NULL;
    const long count = BIO_get_mem_data(bio, &at);

    *size = count > 0 ? (size_t)count : 0;
    uint8_t *const copy = grab(*size);

    if (*size > 0) {
        memcpy(copy, at, *size);
    }
    BIO_free(bio);
    return copy;
}

int key_write(const struct key *key, const char *path, const char *passphrase)
{
    BIO *const bio = BIO_new(BIO_s_mem());
    const int size = passphrase == NULL ? 0 : (int)strlen(passphrase);
    const EVP_CIPHER *const cipher = passphrase == NULL ? NULL : EVP_aes_256_cbc();
    size_t count = 0;

    if (PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, cipher, passphrase, size, NULL, NULL) != 1) {
        BIO_free(bio);
        return fail("OpenSSL cannot write the key");
    }
    uint8_t *const pem = drain(bio, &count);
    const int result = file_write(path, kedge_bytes(pem, count), 0600);

    OPENSSL_cleanse(pem, count);
    free(pem);
    return result;
}

uint8_t *key_public_der(const struct key *key, size_t *size)
{
    uint8_t *der = NULL;
    const int count = EVP_PKEY_get_base_id(key->pkey) == EVP_PKEY_RSA
                          ? i2d_PublicKey(key->pkey, &der)
                          : i2d_PUBKEY(key->pkey, &der);
    *size = count > 0 ? (size_t)count : 0;
    uint8_t *const copy = grab(*size);

    if (*size > 0) {
        memcpy(copy, der, *size);
    }
    OPENSSL_free(der);
    return copy;
}

uint8_t *key_public_pem(const struct key *key, size_t *size)
{
    BIO *const bio = BIO_new(BIO_s_mem());

    PEM_write_bio_PUBKEY(bio, key->pkey);
    return drain(bio, size);
}

static const EVP_MD *digest_of(const struct key *key)
{
    return key->kind->signature == 0x24  ? NULL
           : key->kind->hashes[0] == '3' ? EVP_sha384()
                                         : EVP_sha256();
}

/* MCUboot's bootloader accepts a salt of 32 bytes only. */
static bool set_padding(const struct key *key, EVP_PKEY_CTX *ctx)
{
    return EVP_PKEY_get_base_id(key->pkey) != EVP_PKEY_RSA ||
           (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32) == 1);
}

uint8_t *key_sign(const struct key *key, struct kedge_bytes message, size_t *size)
{
    EVP_MD_CTX *const md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *ctx = NULL;
    uint8_t *signature = NULL;

    *size = 0;
    const bool started = EVP_DigestSignInit(md, &ctx, digest_of(key), NULL, key->pkey) == 1 &&
                         set_padding(key, ctx) &&
                         EVP_DigestSign(md, NULL, size, message.at, message.size) == 1;

    if (started) {
        signature = grab(*size);
        if (EVP_DigestSign(md, signature, size, message.at, message.size) != 1) {
            free(signature);
            signature = NULL;
        }
    }
    EVP_MD_CTX_free(md);
    if (signature == NULL) {
        fail("signing failed: %s", ERR_reason_error_string(ERR_peek_last_error()));
    }
    return signature;
}
