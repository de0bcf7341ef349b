/* ECIES as MCUboot has it: ephemeral key, ECDH, HKDF with an empty salt, then AES-CTR and HMAC. */
#include "image_key.h"

#include "enc_key_file.h"
#include "file.h"
#include "key_token.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define POINT_MAX 65
#define MAC_MAX   64

/* One row for each ECIES TLV. */
struct scheme {
    uint16_t type;
    const char *kind;
    size_t point; /* bytes of a public key */
    const char *hash;
    size_t mac;
};

static const struct scheme schemes[] = {
    {0x32, "ecdsa-p256", 65, "SHA256", 32},
    {0x33, "x25519", 32, "SHA256", 32},
    {0x34, "x25519", 32, "SHA512", 64},
};
#define SCHEME_COUNT (sizeof(schemes) / sizeof(schemes[0]))

void image_key_crypt(struct kedge_bytes key, struct kedge_buf payload)
{
    static const uint8_t zero[16];
    EVP_CIPHER_CTX *const ctx = EVP_CIPHER_CTX_new();
    int done = 0;

    if (EVP_EncryptInit_ex(ctx, key.size == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr(), NULL,
                           key.at, zero) != 1 ||
        EVP_EncryptUpdate(ctx, payload.at, &done, payload.at, (int)payload.size) != 1) {
        exit(fail("OpenSSL has no AES-CTR"));
    }
    EVP_CIPHER_CTX_free(ctx);
}

static bool agree(EVP_PKEY *own, EVP_PKEY *other, uint8_t *shared)
{
    EVP_PKEY_CTX *const ctx = EVP_PKEY_CTX_new(own, NULL);
    size_t size = 32;
    const bool good = EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, other) == 1 &&
                      EVP_PKEY_derive(ctx, shared, &size) == 1 && size == 32;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

/* AES key, then MAC key, out of the shared secret. */
static bool expand(const struct scheme *scheme, const uint8_t *shared, struct kedge_bytes info,
                   struct kedge_buf out)
{
    EVP_KDF *const kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *const ctx = EVP_KDF_CTX_new(kdf);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)scheme->hash, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)shared, 32),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.at,
                                          info.size),
        OSSL_PARAM_construct_end(),
    };
    const bool good = EVP_KDF_derive(ctx, out.at, out.size, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good;
}

static bool mac_of(const struct scheme *scheme, const uint8_t *mac_key, struct kedge_bytes data,
                   uint8_t *mac)
{
    size_t size = 0;

    return EVP_Q_mac(NULL, "HMAC", NULL, scheme->hash, NULL, mac_key, scheme->mac, data.at,
                     data.size, mac, MAC_MAX, &size) != NULL &&
           size == scheme->mac;
}

static bool public_point(const struct scheme *scheme, EVP_PKEY *key, uint8_t *point)
{
    size_t size = POINT_MAX;

    if (scheme->type == 0x32) {
        return EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, size, &size) ==
                   1 &&
               size == scheme->point;
    }
    return EVP_PKEY_get_raw_public_key(key, point, &size) == 1 && size == scheme->point;
}

/* The sender's ephemeral key, of the kind of `like`. */
static EVP_PKEY *peer_of(const struct scheme *scheme, EVP_PKEY *like, const uint8_t *point)
{
    EVP_PKEY *peer = NULL;

    if (scheme->type != 0x32) {
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point, scheme->point);
    }
    peer = EVP_PKEY_new();
    if (EVP_PKEY_copy_parameters(peer, like) != 1 ||
        EVP_PKEY_set1_encoded_public_key(peer, point, scheme->point) != 1) {
        EVP_PKEY_free(peer);
        return NULL;
    }
    return peer;
}

static bool wrap_ecies(const struct scheme *scheme, const struct key *device,
                       struct kedge_bytes key, struct kedge_bytes info, struct blob *tlv)
{
    struct key ephemeral;
    uint8_t point[POINT_MAX];
    uint8_t shared[32];
    uint8_t keys[IMAGE_KEY_MAX + MAC_MAX];
    uint8_t wrapped[IMAGE_KEY_MAX];
    uint8_t mac[MAC_MAX];

    if (key_make(device->kind, &ephemeral) != 0) {
        return false;
    }
    bool good = agree(ephemeral.pkey, device->pkey, shared) &&
                expand(scheme, shared, info, kedge_buf(keys, key.size + scheme->mac)) &&
                public_point(scheme, ephemeral.pkey, point);

    key_free(&ephemeral);
    if (good) {
        memcpy(wrapped, key.at, key.size);
        image_key_crypt(kedge_bytes(keys, key.size), kedge_buf(wrapped, key.size));
        good = mac_of(scheme, keys + key.size, kedge_bytes(wrapped, key.size), mac);
        blob_put(tlv, kedge_bytes(point, scheme->point));
        blob_put(tlv, kedge_bytes(mac, scheme->mac));
        blob_put(tlv, kedge_bytes(wrapped, key.size));
    }
    OPENSSL_cleanse(keys, sizeof(keys));
    OPENSSL_cleanse(shared, sizeof(shared));
    return good;
}

static bool unwrap_ecies(const struct scheme *scheme, const struct key *device,
                         struct kedge_bytes info, struct kedge_bytes tlv, struct kedge_buf key)
{
    uint8_t shared[32];
    uint8_t keys[IMAGE_KEY_MAX + MAC_MAX];
    uint8_t mac[MAC_MAX];
    const uint8_t *const sent_mac = tlv.at + scheme->point;
    const uint8_t *const wrapped = sent_mac + scheme->mac;

    if (tlv.size != scheme->point + scheme->mac + key.size) {
        return false;
    }
    EVP_PKEY *const peer = peer_of(scheme, device->pkey, tlv.at);
    const bool good = peer != NULL && agree(device->pkey, peer, shared) &&
                      expand(scheme, shared, info, kedge_buf(keys, key.size + scheme->mac)) &&
                      mac_of(scheme, keys + key.size, kedge_bytes(wrapped, key.size), mac) &&
                      kedge_equal(mac, sent_mac, scheme->mac);

    EVP_PKEY_free(peer);
    if (good) {
        memcpy(key.at, wrapped, key.size);
        image_key_crypt(kedge_bytes(keys, key.size), key);
    }
    OPENSSL_cleanse(keys, sizeof(keys));
    return good;
}

static bool set_oaep(EVP_PKEY_CTX *ctx)
{
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
}

static bool wrap_rsa(const struct key *device, struct kedge_bytes key, struct blob *tlv)
{
    EVP_PKEY_CTX *const ctx = EVP_PKEY_CTX_new(device->pkey, NULL);
    uint8_t out[256];
    size_t size = sizeof(out);
    const bool good = EVP_PKEY_encrypt_init(ctx) == 1 && set_oaep(ctx) &&
                      EVP_PKEY_encrypt(ctx, out, &size, key.at, key.size) == 1;

    EVP_PKEY_CTX_free(ctx);
    blob_put(tlv, kedge_bytes(out, good ? size : 0));
    return good;
}

static bool unwrap_rsa(const struct key *device, struct kedge_bytes tlv, struct kedge_buf key)
{
    EVP_PKEY_CTX *const ctx = EVP_PKEY_CTX_new(device->pkey, NULL);
    uint8_t out[256];
    size_t size = sizeof(out);
    const bool good = EVP_PKEY_decrypt_init(ctx) == 1 && set_oaep(ctx) &&
                      EVP_PKEY_decrypt(ctx, out, &size, tlv.at, tlv.size) == 1 && size == key.size;

    EVP_PKEY_CTX_free(ctx);
    if (good) {
        memcpy(key.at, out, size);
    }
    OPENSSL_cleanse(out, sizeof(out));
    return good;
}

/* ---- AES key wrap (RFC 3394) ----------------------------------------------------------------- */

/* A shared key is kept where OpenSSL keeps bare secrets. */
static const struct key_kind shared_kind = {.name = "aes"};

int image_key_read(const char *path, struct key *key)
{
    struct file_data file;
    uint8_t shared[32];

    if (key_token_is_uri(path)) {
        return key_read(path, key);
    }
    const int result = file_read(path, &file);

    if (result != 0) {
        return result;
    }
    const size_t size = enc_key_shared(kedge_bytes(file.at, file.size), shared);

    OPENSSL_cleanse(file.at, file.size);
    free(file.at);
    if (size == 0) {
        return key_read(path, key);
    }
    *key = (struct key){
        .pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, shared, size),
        .kind = &shared_kind,
        .has_private = true,
    };
    OPENSSL_cleanse(shared, sizeof(shared));
    return 0;
}

/* Both directions: `out` gets in.size + 8 or in.size - 8 bytes. */
static bool crypt_aes(const struct key *device, bool wrap, struct kedge_bytes in, uint8_t *out)
{
    EVP_CIPHER_CTX *const ctx = EVP_CIPHER_CTX_new();
    uint8_t shared[32];
    size_t size = sizeof(shared);
    int done = 0;

    bool good = EVP_PKEY_get_raw_private_key(device->pkey, shared, &size) == 1;
    const EVP_CIPHER *const cipher = size == 16   ? EVP_aes_128_wrap()
                                     : size == 24 ? EVP_aes_192_wrap()
                                                  : EVP_aes_256_wrap();

    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    good = good && EVP_CipherInit_ex(ctx, cipher, NULL, shared, NULL, wrap) == 1 &&
           EVP_CipherUpdate(ctx, out, &done, in.at, (int)in.size) == 1;
    EVP_CIPHER_CTX_free(ctx);
    OPENSSL_cleanse(shared, sizeof(shared));
    return good;
}

static bool wrap_aes(const struct key *device, struct kedge_bytes key, struct blob *tlv)
{
    uint8_t out[IMAGE_KEY_MAX + 16];
    const bool good = crypt_aes(device, true, key, out);

    blob_put(tlv, kedge_bytes(out, good ? key.size + 8 : 0));
    return good;
}

static bool unwrap_aes(const struct key *device, struct kedge_bytes tlv, struct kedge_buf key)
{
    uint8_t out[IMAGE_KEY_MAX + 16];
    const bool good = tlv.size == key.size + 8 && crypt_aes(device, false, tlv, out);

    if (good) {
        memcpy(key.at, out, key.size);
    }
    OPENSSL_cleanse(out, sizeof(out));
    return good;
}

int image_key_wrap(const struct key *device, struct kedge_bytes info, struct kedge_bytes key,
                   bool sha512, struct blob *tlv, uint16_t *type)
{
    bool good = false;

    if (sha512 && strcmp(device->kind->name, "x25519") != 0) {
        return misuse("sign", "--hmac-sha 512 goes with an x25519 key only");
    }
    *type = 0;
    if (strcmp(device->kind->name, "rsa-2048") == 0) {
        *type = 0x30;
        good = wrap_rsa(device, key, tlv);
    }
    if (device->kind == &shared_kind) {
        *type = 0x31;
        good = wrap_aes(device, key, tlv);
    }
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (strcmp(schemes[i].kind, device->kind->name) == 0 &&
            (schemes[i].mac == MAC_MAX) == sha512) {
            *type = schemes[i].type;
            good = wrap_ecies(&schemes[i], device, key, info, tlv);
        }
    }
    if (*type == 0) {
        return fail("nothing can be encrypted for a key of type %s: use ecdsa-p256, x25519, "
                    "rsa-2048 or a shared AES key",
                    device->kind->name);
    }
    return good ? 0
                : fail("encrypting the key failed: %s",
                       ERR_reason_error_string(ERR_peek_last_error()));
}

bool image_key_unwrap(const struct key *device, uint16_t type, struct kedge_bytes info,
                      struct kedge_bytes tlv, struct kedge_buf key)
{
    bool good = false;

    if (type == 0x30 && strcmp(device->kind->name, "rsa-2048") == 0) {
        good = unwrap_rsa(device, tlv, key);
    }
    if (type == 0x31 && device->kind == &shared_kind) {
        good = unwrap_aes(device, tlv, key);
    }
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (schemes[i].type == type && strcmp(schemes[i].kind, device->kind->name) == 0) {
            good = unwrap_ecies(&schemes[i], device, info, tlv, key);
        }
    }
    ERR_clear_error();
    return good;
}
