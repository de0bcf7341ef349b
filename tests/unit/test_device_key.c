/* Device keys against published vectors, against OpenSSL, and against imgtool's encrypted images of
 * every kind. If this fails, no encrypted update can be opened, or a forged key is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "enc_key_file.h"
#include "fixture.h"
#include "kedge/encrypted.h"

struct text {
    uint8_t at[256];
    size_t size;
};

static struct text from_hex(const char *hex)
{
    struct text t = {.size = strlen(hex) / 2};

    for (size_t i = 0; i < t.size; i++) {
        unsigned byte = 0;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        t.at[i] = (uint8_t)byte;
    }
    return t;
}

static struct kedge_bytes bytes(const struct text *t)
{
    return kedge_bytes(t->at, t->size);
}

static void assert_hex(const uint8_t *at, const char *hex)
{
    const struct text want = from_hex(hex);

    assert_memory_equal(at, want.at, want.size);
}

/* RFC 4231 (1, 2, 3) and RFC 5869 (A.1, A.2 would need a longer info, A.3): a wrong byte here and
 * no image key ever opens. */
static void hmac_and_hkdf_as_published(void **state)
{
    uint8_t mac[KEDGE_DIGEST_MAX];
    uint8_t okm[42];
    const struct text key = from_hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    const struct text ikm = from_hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    const struct text salt = from_hex("000102030405060708090a0b0c");
    const struct text info = from_hex("f0f1f2f3f4f5f6f7f8f9");

    (void)state;
    kedge_hmac(&kedge_sha256, bytes(&key), kedge_bytes("Hi There", 8), mac);
    assert_hex(mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    kedge_hmac(&kedge_sha512, bytes(&key), kedge_bytes("Hi There", 8), mac);
    assert_hex(mac, "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                    "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854");
    kedge_hmac(&kedge_sha384, kedge_bytes("Jefe", 4),
               kedge_bytes("what do ya want for nothing?", 28), mac);
    assert_hex(mac, "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                    "8e2240ca5e69e2c78b3239ecfab21649");
    kedge_hkdf(&kedge_sha256, bytes(&salt), bytes(&ikm), bytes(&info), kedge_buf(okm, sizeof(okm)));
    assert_hex(okm, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                    "34007208d5b887185865");
    kedge_hkdf(&kedge_sha256, kedge_bytes(NULL, 0), bytes(&ikm), kedge_bytes(NULL, 0),
               kedge_buf(okm, sizeof(okm)));
    assert_hex(okm, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                    "9d201395faa4b61a96c8");
}

/* Both tables, from any byte on, in any pieces, equal OpenSSL's AES-CTR: one wrong block and the
 * image that is swapped out cannot be read back in. */
static void counter_mode_as_openssl(void **state)
{
    static const struct kedge_cipher *const tables[] = {&kedge_aes, &kedge_aes_tables};
    uint8_t key[32];
    uint8_t want[700];
    const uint8_t iv[16] = {0};

    (void)state;
    srand(1);
    for (unsigned i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)rand();
    }
    for (unsigned run = 0; run < 400; run++) {
        const size_t key_size = run % 2 != 0 ? 16 : 32;
        const struct kedge_cipher *const cipher = tables[run / 2 % 2];
        const uint32_t at = (uint32_t)rand() % 300;
        const size_t size = (size_t)rand() % 300;
        EVP_CIPHER_CTX *const ctx = EVP_CIPHER_CTX_new();
        struct kedge_cipher_state keyed;
        uint8_t data[700];
        int n = 0;

        for (size_t i = 0; i < sizeof(data); i++) {
            want[i] = data[i] = (uint8_t)rand();
        }
        assert_int_equal(EVP_EncryptInit_ex(ctx,
                                            key_size == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr(),
                                            NULL, key, iv),
                         1);
        assert_int_equal(EVP_EncryptUpdate(ctx, want, &n, want, sizeof(want)), 1);
        EVP_CIPHER_CTX_free(ctx);
        cipher->start(&keyed, kedge_bytes(key, key_size));
        const uint8_t before = data[at + size];

        kedge_cipher_crypt(cipher, &keyed, at, kedge_buf(data + at, size));
        assert_memory_equal(data + at, want + at, size);
        assert_int_equal(data[at + size], before);
    }
}

/* RFC 3394 4.1, 4.3, 4.6, and one flipped bit anywhere. */
static void key_wrap_as_published(void **state)
{
    static const struct {
        const char *kek, *content, *wrapped;
    } cases[] = {
        {"000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
         "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
        {"000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF",
         "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
        {"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
         "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
         "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
    };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        const struct text kek = from_hex(cases[i].kek);
        struct text wrapped = from_hex(cases[i].wrapped);
        const struct kedge_device_key key = {.type = &kedge_wrap_aes, .secret = bytes(&kek)};
        const struct kedge_device_keys keys = {&key, 1};
        uint8_t content[32];
        const size_t size = wrapped.size - 8;

        assert_int_equal(kedge_key_unwrap(&keys, KEDGE_TLV_ENC_KW, kedge_info_image,
                                          bytes(&wrapped), kedge_buf(content, size)),
                         0);
        assert_hex(content, cases[i].content);
        for (size_t bit = 0; bit < 8 * wrapped.size; bit++) {
            wrapped.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(kedge_key_unwrap(&keys, KEDGE_TLV_ENC_KW, kedge_info_image,
                                              bytes(&wrapped), kedge_buf(content, size)),
                             KEDGE_E_KEY);
            assert_true(kedge_all(kedge_bytes(content, size), 0));
            wrapped.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* ---- imgtool's images ------------------------------------------------------------------------ */

static const struct {
    const char *image, *device, *signer;
} images[] = {
    {"enc/p256_128.img", "enc.pem", "p256"},
    {"enc/p256_256.img", "enc.pem", "p256"},
    {"enc/x25519_128.img", "enc_x25519.pem", "ed25519"},
    {"enc/x25519_256.img", "enc_x25519.pem", "ed25519"},
    {"enc/x25519_sha512_128.img", "enc_x25519.pem", "ed25519"},
    {"enc/x25519_sha512_256.img", "enc_x25519.pem", "ed25519"},
    {"enc/rsa_128.img", "enc_rsa.pem", "rsa2048"},
    {"enc/rsa_256.img", "enc_rsa.pem", "rsa2048"},
    {"enc/kw_128.img", "enc_kw.b64", "p256"},
    {"enc/kw_256.img", "enc_kw.b64", "p256"},
};
#define IMAGES (sizeof(images) / sizeof(images[0]))

static void load_device(const char *name, struct enc_key_file *file)
{
    char path[1024];
    char why[ENC_KEY_WHY] = "";

    (void)snprintf(path, sizeof(path), "%s/tests/fixtures/keys/%s", KEDGE_SOURCE_DIR, name);
    if (enc_key_read(path, file, why) != 0) {
        fail_msg("%s", why);
    }
}

/* Parse, unwrap, verify through the plain view. */
static int open_image(const struct kedge_source *source, const struct kedge_device_keys *keys,
                      struct kedge_plain_view *view)
{
    struct kedge_image image;
    uint8_t record[KEDGE_KEY_RECORD];

    assert_int_equal(kedge_image_parse(source, &image), KEDGE_IMAGE_GOOD);
    assert_true(kedge_image_is_encrypted(&image));
    *view = (struct kedge_plain_view){.inner = *source, .cipher = &kedge_aes_tables};
    const int error = kedge_plain_view_open(view, &image, keys, KEDGE_LIES_WRAPPED, record);

    if (error == 0) { /* and again by what the journal keeps of it */
        kedge_wipe(&view->state, sizeof(view->state));
        assert_int_equal(kedge_plain_view_reopen(view, record, keys), 0);
    }
    return error;
}

/* The device opens what imgtool encrypted for it, whatever the kind, and finds the maker's
 * signature over the plain image good; a device with other keys says so. */
static void opens_imgtools_images(void **state)
{
    static uint8_t scratch[512];
    uint8_t content[FIXTURE_MAX];

    (void)state;
    for (size_t i = 0; i < IMAGES; i++) {
        const size_t size = fixture_load(images[i].image, content);
        const struct fixture_source memory = {.at = content, .size = (uint32_t)size};
        const struct kedge_source source = fixture_source(&memory);
        struct kedge_key keys[FIXTURE_KEYS];
        struct kedge_verify v = {.keys = keys,
                                 .key_count = fixture_keys(images[i].signer, keys),
                                 .scratch = kedge_buf(scratch, sizeof(scratch))};
        struct enc_key_file device;
        struct kedge_plain_view view;

        load_device(images[i].device, &device);
        assert_int_equal(open_image(&source, &device.keys, &view), 0);
        const struct kedge_source plain = kedge_plain_view_source(&view);

        assert_int_equal(kedge_image_verify(&source, &v), KEDGE_IMAGE_ENCRYPTED);
        assert_int_equal(kedge_image_verify(&plain, &v), KEDGE_IMAGE_GOOD);
        for (size_t j = 0; j < IMAGES; j++) {
            struct enc_key_file other;

            load_device(images[j].device, &other);
            if (strcmp(images[j].device, images[i].device) != 0) {
                assert_int_equal(open_image(&source, &other.keys, &view), KEDGE_E_KEY);
            }
        }
    }
}

/* The view gives the same bytes in any pieces: the loader reads by units, the hash by its buffer.
 */
static void plain_view_in_any_pieces(void **state)
{
    uint8_t content[FIXTURE_MAX];
    uint8_t whole[FIXTURE_MAX];
    const size_t size = fixture_load("enc/p256_256.img", content);
    const struct fixture_source memory = {.at = content, .size = (uint32_t)size};
    const struct kedge_source source = fixture_source(&memory);
    struct enc_key_file device;
    struct kedge_plain_view view;

    (void)state;
    load_device("enc.pem", &device);
    assert_int_equal(open_image(&source, &device.keys, &view), 0);
    const struct kedge_source plain = kedge_plain_view_source(&view);

    assert_int_equal(plain.read(plain.ctx, 0, kedge_buf(whole, size)), 0);
    assert_memory_equal(whole, content, 32);                                 /* header */
    assert_memory_equal(whole + view.to, content + view.to, size - view.to); /* TLVs */
    assert_memory_not_equal(whole + view.from, content + view.from, 16);
    srand(2);
    for (unsigned i = 0; i < 2000; i++) {
        const uint32_t at = (uint32_t)rand() % (uint32_t)size;
        const size_t n = (size_t)rand() % (size - at) + 1;
        uint8_t part[FIXTURE_MAX];

        assert_int_equal(plain.read(plain.ctx, at, kedge_buf(part, n)), 0);
        assert_memory_equal(part, whole + at, n);
    }
}

/* Hostile key TLVs: every flipped bit, every length, a use that it was not made for. None may give
 * a key, and none may leave a part of one behind. */
static void hostile_wrapped_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < IMAGES; i++) {
        uint8_t content[FIXTURE_MAX];
        uint8_t record[KEDGE_KEY_RECORD + 1];
        uint8_t key[KEDGE_CIPHER_KEY_MAX];
        const size_t size = fixture_load(images[i].image, content);
        const struct fixture_source memory = {.at = content, .size = (uint32_t)size};
        const struct kedge_source source = fixture_source(&memory);
        struct kedge_image image;
        struct enc_key_file device;

        load_device(images[i].device, &device);
        assert_int_equal(kedge_image_parse(&source, &image), KEDGE_IMAGE_GOOD);
        struct kedge_plain_view view = {.inner = source, .cipher = &kedge_aes};

        assert_int_equal(
            kedge_plain_view_open(&view, &image, &device.keys, KEDGE_LIES_WRAPPED, record), 0);
        const uint16_t type = record[0];
        const struct kedge_buf out = kedge_buf(key, record[1]);
        const size_t wrapped = kedge_le16(record + 2);
        uint8_t *const data = record + KEDGE_KEY_RECORD_DATA;

        /* every bit where it is cheap, some where each costs a key agreement */
        for (size_t bit = 0; bit < 8 * wrapped; bit += type == KEDGE_TLV_ENC_KW ? 1 : 37) {
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            const int error =
                kedge_key_unwrap(&device.keys, type, kedge_info_image, kedge_bytes(data, wrapped),
                                 kedge_buf(key, out.size));

            /* the top bit of an X25519 point is ignored (RFC 7748, 5) */
            const bool ignored = type >= KEDGE_TLV_ENC_X25519 && bit == 255;

            assert_true(ignored || error == KEDGE_E_KEY || error == KEDGE_E_FORMAT);
            assert_true(ignored || kedge_all(kedge_bytes(key, out.size), 0));
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t n = 0; n <= KEDGE_WRAPPED_MAX; n++) {
            if (n != wrapped) {
                assert_int_equal(kedge_key_unwrap(&device.keys, type, kedge_info_image,
                                                  kedge_bytes(data, n), kedge_buf(key, out.size)),
                                 KEDGE_E_FORMAT);
            }
        }
        if (type >= KEDGE_TLV_ENC_P256) {
            assert_int_equal(kedge_key_unwrap(&device.keys, type, kedge_bytes("sealed file", 11),
                                              kedge_bytes(data, wrapped), kedge_buf(key, out.size)),
                             KEDGE_E_KEY);
        }
        /* the other length of key: not of this one's */
        assert_true(kedge_key_unwrap(&device.keys, type, kedge_info_image,
                                     kedge_bytes(data, wrapped),
                                     kedge_buf(key, 48 - out.size)) < 0);
    }
}

/* A point that is no secret's (RFC 7748, 6.1; off the curve): the shared secret would be known. */
static void refuses_points_of_no_use(void **state)
{
    struct enc_key_file device;
    uint8_t wrapped[129] = {0};
    uint8_t key[16];

    (void)state;
    load_device("enc_x25519.pem", &device);
    assert_int_equal(kedge_key_unwrap(&device.keys, KEDGE_TLV_ENC_X25519, kedge_info_image,
                                      kedge_bytes(wrapped, 80), kedge_buf(key, 16)),
                     KEDGE_E_FORMAT);
    load_device("enc.pem", &device);
    wrapped[0] = 4;
    assert_int_equal(kedge_key_unwrap(&device.keys, KEDGE_TLV_ENC_P256, kedge_info_image,
                                      kedge_bytes(wrapped, 113), kedge_buf(key, 16)),
                     KEDGE_E_FORMAT);
}

/* The key for an image without one: the same each time, another one for another image, another
 * device, another use; else one device's chip could be read with another's. */
static void derived_keys_differ(void **state)
{
    static const char *const devices[] = {"enc.pem", "enc_x25519.pem", "enc_rsa.pem", "enc_kw.b64"};
    uint8_t seen[8][16];
    const struct kedge_device_keys none = {NULL, 0};
    const struct kedge_bytes use = kedge_bytes("kedge-old-image", 15);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct enc_key_file device;
        uint8_t hash[64] = {1};
        uint8_t again[16];

        load_device(devices[i], &device);
        assert_int_equal(
            kedge_key_derive(&device.keys, kedge_bytes(hash, 32), use, kedge_buf(seen[2 * i], 16)),
            0);
        assert_int_equal(
            kedge_key_derive(&device.keys, kedge_bytes(hash, 32), use, kedge_buf(again, 16)), 0);
        assert_memory_equal(seen[2 * i], again, 16);
        hash[31] = 1;
        assert_int_equal(kedge_key_derive(&device.keys, kedge_bytes(hash, 64), use,
                                          kedge_buf(seen[2 * i + 1], 16)),
                         0);
    }
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(seen[i], seen[j], 16);
        }
    }
    assert_int_equal(kedge_key_derive(&none, kedge_bytes(seen, 32), use, kedge_buf(seen[0], 16)),
                     KEDGE_E_NONE);
}

/* A hash TLV longer than any hash: no key is derived from it, and no promise of ours is broken. */
static void a_hash_of_no_length(void **state)
{
    uint8_t content[FIXTURE_MAX];
    uint8_t record[KEDGE_KEY_RECORD];
    const size_t size = fixture_load("p256.img", content);
    const struct fixture_source memory = {.at = content, .size = (uint32_t)size};
    const struct kedge_source source = fixture_source(&memory);
    struct kedge_plain_view view = {.inner = source, .cipher = &kedge_aes};
    struct kedge_image image;
    struct enc_key_file device;

    (void)state;
    load_device("enc.pem", &device);
    assert_int_equal(kedge_image_parse(&source, &image), KEDGE_IMAGE_GOOD);
    assert_int_equal(kedge_plain_view_open(&view, &image, &device.keys, KEDGE_LIES_DERIVED, record),
                     0);
    kedge_put_le16(record + 2, 65);
    assert_int_equal(kedge_plain_view_reopen(&view, record, &device.keys), KEDGE_E_FORMAT);
    kedge_put_le16(content + image.tlv_at + 4 + 2, 97); /* over the next TLV, as hostile ones may */
    assert_true(kedge_plain_view_open(&view, &image, &device.keys, KEDGE_LIES_DERIVED, record) < 0);
}

/* A key store: its own table does the agreement, the core the rest. */
static int store_unwrap(const struct kedge_device_key *key, struct kedge_bytes info,
                        struct kedge_bytes wrapped, struct kedge_buf content)
{
    const struct kedge_device_key *const inside = (const void *)key->secret.at; /* the handle */

    return kedge_wrap_p256.unwrap(inside, info, wrapped, content);
}

static void a_key_store_keeps_its_secret(void **state)
{
    static const struct kedge_wrapping store = {.tlv = KEDGE_TLV_ENC_P256, .unwrap = store_unwrap};
    uint8_t content[FIXTURE_MAX];
    const size_t size = fixture_load("enc/p256_128.img", content);
    const struct fixture_source memory = {.at = content, .size = (uint32_t)size};
    const struct kedge_source source = fixture_source(&memory);
    struct kedge_plain_view view;
    struct enc_key_file device;

    (void)state;
    load_device("enc.pem", &device);
    const struct kedge_device_key key = {
        .type = &store, .cipher = &kedge_aes, .secret = kedge_bytes(device.key, 0)};
    const struct kedge_device_keys keys = {&key, 1};

    assert_int_equal(open_image(&source, &keys, &view), 0);
    /* it cannot derive: said, not called */
    assert_int_equal(
        kedge_key_derive(&keys, kedge_bytes(content, 32), kedge_info_image, kedge_buf(content, 16)),
        KEDGE_E_NONE);
}

/* A board is given a file that is no device key: it must be named, with what to do. */
static void names_a_wrong_key_file(void **state)
{
    static const struct {
        const char *name, *words;
    } cases[] = {
        {"nothing.pem", "cannot read"},
        {"p384.pem", "use ecdsa-p256, x25519 or rsa-2048"},
        {"ed25519.pem", "use ecdsa-p256, x25519 or rsa-2048"},
        {"rsa3072.pem", "use ecdsa-p256, x25519 or rsa-2048"},
        {"p256.der", "neither a private key (PEM) nor a shared AES key"},
        {"../payload.bin", "neither a private key (PEM) nor a shared AES key"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct enc_key_file file;
        char path[1024];
        char why[ENC_KEY_WHY] = "";

        (void)snprintf(path, sizeof(path), "%s/tests/fixtures/keys/%s", KEDGE_SOURCE_DIR,
                       cases[i].name);
        assert_int_equal(enc_key_read(path, &file, why), -1);
        if (strstr(why, cases[i].words) == NULL) {
            fail_msg("%s: %s", cases[i].name, why);
        }
        assert_int_equal(file.keys.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_and_hkdf_as_published),
        cmocka_unit_test(counter_mode_as_openssl),
        cmocka_unit_test(key_wrap_as_published),
        cmocka_unit_test(opens_imgtools_images),
        cmocka_unit_test(plain_view_in_any_pieces),
        cmocka_unit_test(hostile_wrapped_keys),
        cmocka_unit_test(refuses_points_of_no_use),
        cmocka_unit_test(derived_keys_differ),
        cmocka_unit_test(a_hash_of_no_length),
        cmocka_unit_test(a_key_store_keeps_its_secret),
        cmocka_unit_test(names_a_wrong_key_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
