/* The crypto tables against published vectors, and against malformed keys and signatures. If this
 * fails, forged firmware is accepted, or no firmware at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "fixture.h"

struct blob {
    uint8_t at[512];
    size_t size;
};

/* Appends hex digits. */
static void add(struct blob *blob, const char *hex)
{
    for (; *hex != '\0'; hex += 2) {
        unsigned value = 0;

        assert_int_equal(sscanf(hex, "%2x", &value), 1);
        assert_in_range(blob->size, 0, sizeof(blob->at) - 1);
        blob->at[blob->size++] = (uint8_t)value;
    }
}

static struct blob from(const char *hex)
{
    struct blob blob = {.size = 0};

    add(&blob, hex);
    return blob;
}

static struct kedge_bytes all(const struct blob *blob)
{
    return kedge_bytes(blob->at, blob->size);
}

/* ---- vectors: RFC 6979 A.2.5 and A.2.6 ("sample"), RFC 8032 7.1 test 3 ----------------------- */

#define P256_HEAD "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
#define P256_POINT                                                                                 \
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"                             \
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define P256_R         "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
#define P256_S         "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
#define P256_N         "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
#define P256_SIGNATURE "3046022100" P256_R "022100" P256_S

#define P384_HEAD      "3076301006072a8648ce3d020106052b8104002203620004"
#define P384_POINT                                                                                 \
    "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480" \
    "bc138015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd25" \
    "33264720"
#define P384_SIGNATURE                                                                             \
    "306602310094edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e" \
    "36dd1e80fabe4602310099ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145" \
    "786e679e7b82c71a38628ac8"

#define ED_HEAD  "302a300506032b6570032100"
#define ED_POINT "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
#define ED_SIGNATURE                                                                               \
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d" \
    "c6594a7c15e9716ed28dc027beceea1ec40a"

/* A hash of the message "sample" by this table. */
static struct blob sample(const struct kedge_hash *hash)
{
    struct blob digest = {.size = hash->size};

    kedge_hash_once(hash, kedge_bytes("sample", 6), digest.at);
    return digest;
}

/* Hashes that differ from everybody else's: every image is refused. */
static void hashes_as_published(void **state)
{
    static const struct {
        const struct kedge_hash *hash;
        const char *abc, *million; /* FIPS 180-4's examples */
    } cases[] = {
        {&kedge_sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
        {&kedge_sha384,
         "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca1"
         "34c825a7",
         "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97ddd8"
         "7f3d8985"},
        {&kedge_sha512,
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23"
         "a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
         "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432c"
         "e577c31beb009c5c2c49aa2e4eadb217ad8cc09b"},
    };
    static uint8_t as[1000];

    (void)state;
    memset(as, 'a', sizeof(as));
    for (size_t i = 0; i < 3; i++) {
        const struct kedge_hash *const hash = cases[i].hash;
        const struct blob abc = from(cases[i].abc);
        const struct blob million = from(cases[i].million);
        struct kedge_hash_state running;
        uint8_t digest[KEDGE_DIGEST_MAX + 1];

        assert_int_equal(hash->tlv, 0x10 + i);
        assert_int_equal(hash->size, abc.size);
        digest[hash->size] = 0x5a;
        kedge_hash_once(hash, kedge_bytes("abc", 3), digest);
        assert_memory_equal(digest, abc.at, abc.size);
        assert_int_equal(digest[hash->size], 0x5a);
        hash->start(&running);
        for (size_t n = 0; n < 1000; n++) { /* in uneven pieces, an empty one among them */
            hash->update(&running, kedge_bytes(as, n % 128));
            hash->update(&running, kedge_bytes(NULL, 0));
            hash->update(&running, kedge_bytes(as, 1000 - n % 128));
        }
        hash->finish(&running, digest);
        assert_memory_equal(digest, million.at, million.size);
    }
}

/* Signatures of other people's tools are refused, or a changed digest, key or signature accepted.
 */
static void check_vector(const struct kedge_signature *type, const struct blob *key,
                         const struct blob *digest, const struct blob *signature)
{
    struct blob changed;

    assert_int_equal(type->verify(all(key), all(digest), all(signature)), 0);
    changed = *digest;
    changed.at[0] ^= 0x80;
    assert_int_equal(type->verify(all(key), all(&changed), all(signature)), KEDGE_E_SIGNATURE);
    /* of a P-256 or P-384 key, which is the board's own, the point alone matters */
    const size_t first = type->tlv == 0x22 ? key->size - 2u * type->hash->size : 0;

    for (size_t i = first; i < key->size; i++) {
        changed = *key;
        changed.at[i] ^= 0x04;
        assert_true(type->verify(all(&changed), all(digest), all(signature)) < 0);
    }
    for (size_t i = 0; i < signature->size; i++) {
        changed = *signature;
        changed.at[i] ^= 0x01;
        assert_true(type->verify(all(key), all(digest), all(&changed)) < 0);
    }
    for (size_t n = 0; n < key->size; n++) {
        assert_int_equal(type->verify(kedge_bytes(key->at, n), all(digest), all(signature)),
                         KEDGE_E_FORMAT);
    }
    for (size_t n = 0; n < signature->size; n++) {
        assert_int_equal(type->verify(all(key), all(digest), kedge_bytes(signature->at, n)),
                         KEDGE_E_FORMAT);
    }
    changed = *key;
    changed.size++;
    assert_int_equal(type->verify(all(&changed), all(digest), all(signature)), KEDGE_E_FORMAT);
}

/* Every length around the blocks, each in two pieces at every place. */
static void hashes_any_length_in_any_pieces(void **state)
{
    static const struct {
        const struct kedge_hash *ours;
        const char *name;
        size_t most;
    } hash[] = {{&kedge_sha256, "SHA256", 200},
                {&kedge_sha384, "SHA384", 270},
                {&kedge_sha512, "SHA512", 270}};
    uint8_t data[270];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(7 * i);
    }
    for (size_t h = 0; h < 3; h++) {
        for (size_t size = 0; size <= hash[h].most; size++) {
            uint8_t want[KEDGE_DIGEST_MAX];
            assert_int_equal(EVP_Q_digest(NULL, hash[h].name, NULL, data, size, want, NULL), 1);
            for (size_t cut = 0; cut <= size; cut += size < 140 ? 1 : 13) {
                struct kedge_hash_state running;
                uint8_t got[KEDGE_DIGEST_MAX];
                hash[h].ours->start(&running);
                hash[h].ours->update(&running, kedge_bytes(data, cut));
                hash[h].ours->update(&running, kedge_bytes(data + cut, size - cut));
                hash[h].ours->finish(&running, got);
                assert_memory_equal(got, want, hash[h].ours->size);
            }
        }
    }
}

static void verifies_ecdsa_p256(void **state)
{
    const struct blob key = from(P256_HEAD P256_POINT);
    const struct blob digest = sample(&kedge_sha256);
    const struct blob signature = from(P256_SIGNATURE);

    (void)state;
    check_vector(&kedge_ecdsa_p256, &key, &digest, &signature);
}

static void verifies_ecdsa_p384(void **state)
{
    const struct blob key = from(P384_HEAD P384_POINT);
    const struct blob digest = sample(&kedge_sha384);
    const struct blob signature = from(P384_SIGNATURE);

    (void)state;
    check_vector(&kedge_ecdsa_p384, &key, &digest, &signature);
}

static void verifies_ed25519(void **state)
{
    const struct blob key = from(ED_HEAD ED_POINT);
    const struct blob message = from("af82");
    const struct blob signature = from(ED_SIGNATURE);

    (void)state;
    check_vector(&kedge_ed25519, &key, &message, &signature);
    check_vector(&kedge_ed25519_sha512, &key, &message, &signature);
}

/* RSA: published PSS vectors have other salts; imgtool's signature over its image hash instead. */
static void verifies_rsa(void **state)
{
    static const struct {
        const char *name;
        const struct kedge_signature *type;
    } cases[] = {{"rsa2048", &kedge_rsa2048}, {"rsa3072", &kedge_rsa3072}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        static uint8_t image_bytes[FIXTURE_MAX];
        struct kedge_key keys[FIXTURE_KEYS];
        char name[32];
        struct blob key, digest, signature;
        struct kedge_image image;
        struct kedge_tlv tlv;

        (void)snprintf(name, sizeof(name), "%s.img", cases[i].name);
        const struct fixture_source memory = {.at = image_bytes,
                                              .size = (uint32_t)fixture_load(name, image_bytes)};
        const struct kedge_source source = fixture_source(&memory);

        assert_int_equal(fixture_keys(cases[i].name, keys), 1);
        key.size = keys[0].der.size;
        memcpy(key.at, keys[0].der.at, key.size);
        assert_int_equal(kedge_image_parse(&source, &image), KEDGE_IMAGE_GOOD);
        digest.size = (size_t)kedge_image_hash(&source, &image, digest.at);
        signature.size = (size_t)kedge_tlv_find(&source, &image, cases[i].type->tlv,
                                                kedge_buf(signature.at, 512), &tlv);
        check_vector(cases[i].type, &key, &digest, &signature);

        /* a signature that is not below the modulus: the same residue, another number */
        memset(signature.at, 0xff, signature.size);
        assert_int_equal(cases[i].type->verify(all(&key), all(&digest), all(&signature)),
                         KEDGE_E_SIGNATURE);
        memset(signature.at, 0, signature.size);
        assert_int_equal(cases[i].type->verify(all(&key), all(&digest), all(&signature)),
                         KEDGE_E_SIGNATURE);
    }
}

/* A forged padding passes: these were made with the private key, each wrong in one place. */
static void refuses_wrong_pss_padding(void **state)
{
    static const char *const wrong[] = {"trailer", "top_bit", "separator", "zeros", "salt"};
    struct kedge_key keys[FIXTURE_KEYS];
    static uint8_t signature[FIXTURE_MAX];
    const struct blob digest = sample(&kedge_sha256);

    (void)state;
    assert_int_equal(fixture_keys("rsa2048", keys), 1);
    assert_int_equal(fixture_load("pss/right.sig", signature), 256);
    assert_int_equal(kedge_rsa2048.verify(keys[0].der, all(&digest), kedge_bytes(signature, 256)),
                     0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "pss/%s.sig", wrong[i]);
        assert_int_equal(fixture_load(name, signature), 256);
        assert_int_equal(
            kedge_rsa2048.verify(keys[0].der, all(&digest), kedge_bytes(signature, 256)),
            KEDGE_E_SIGNATURE);
    }
}

/* A sloppy parser lets one signature have many forms, or reads past its end. */
static void refuses_malformed_ecdsa_signatures(void **state)
{
    static const struct {
        const char *hex;
        int result;
    } cases[] = {
        {P256_SIGNATURE, 0},
        {P256_SIGNATURE "0000", 0}, /* imgtool --pad-sig */
        {P256_SIGNATURE "0001", KEDGE_E_FORMAT},
        {"3146022100" P256_R "022100" P256_S, KEDGE_E_FORMAT},
        {"3045022100" P256_R "022100" P256_S, KEDGE_E_FORMAT},
        {"3047022100" P256_R "022100" P256_S, KEDGE_E_FORMAT},
        {"308146022100" P256_R "022100" P256_S, KEDGE_E_FORMAT}, /* long form of a short length */
        {"3080022100" P256_R "022100" P256_S, KEDGE_E_FORMAT},
        {"30ff022100" P256_R "022100" P256_S, KEDGE_E_FORMAT},
        {"3046032100" P256_R "022100" P256_S, KEDGE_E_FORMAT},
        {"3044"
         "0220" P256_R "0220" P256_S,
         KEDGE_E_FORMAT}, /* both negative */
        {"3047"
         "02220000" P256_R "022100" P256_S,
         KEDGE_E_FORMAT}, /* not minimal */
        {"3047"
         "02220100" P256_R "022100" P256_S,
         KEDGE_E_FORMAT}, /* too long */
        {"3048"
         "022100" P256_R "022100" P256_S "0200",
         KEDGE_E_FORMAT},
        {"3027"
         "02020001"
         "022100" P256_S,
         KEDGE_E_FORMAT}, /* not minimal, and short enough */
        {"3023"
         "022100" P256_R,
         KEDGE_E_FORMAT},
        {"3025"
         "0200"
         "022100" P256_S,
         KEDGE_E_FORMAT},
        {"3046"
         "02ff00" P256_R "022100" P256_S,
         KEDGE_E_FORMAT},
        {"3046"
         "022100" P256_R "022200" P256_S,
         KEDGE_E_FORMAT},
        {"3000", KEDGE_E_FORMAT},
        {"3002"
         "0200",
         KEDGE_E_FORMAT},
        {"3004"
         "02000200",
         KEDGE_E_FORMAT},
        {"3006"
         "020100020100",
         KEDGE_E_SIGNATURE}, /* r = s = 0 */
        {"3026"
         "020100"
         "022100" P256_S,
         KEDGE_E_SIGNATURE},
        {"3026"
         "022100" P256_R "020100",
         KEDGE_E_SIGNATURE},
        {"3026"
         "020101"
         "022100" P256_S,
         KEDGE_E_SIGNATURE},
        {"3046"
         "022100" P256_N "022100" P256_S,
         KEDGE_E_SIGNATURE}, /* r = n */
        {"3046"
         "022100" P256_R "022100" P256_N,
         KEDGE_E_SIGNATURE},
    };
    const struct blob key = from(P256_HEAD P256_POINT);
    const struct blob digest = sample(&kedge_sha256);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct blob signature = from(cases[i].hex);
        const int result = kedge_ecdsa_p256.verify(all(&key), all(&digest), all(&signature));

        if (result != cases[i].result) {
            fail_msg("%s: %d", cases[i].hex, result);
        }
    }
}

/* A key of another curve, compressed, or not on the curve is computed with. */
static void refuses_other_keys(void **state)
{
    const struct blob digest = sample(&kedge_sha256);
    const struct blob signature = from(P256_SIGNATURE);
    const struct blob other_curve = from(P384_HEAD P384_POINT);
    struct blob key = from(P256_HEAD P256_POINT);

    (void)state;
    assert_int_equal(kedge_ecdsa_p256.verify(all(&other_curve), all(&digest), all(&signature)),
                     KEDGE_E_FORMAT);
    key.size = 27 + 32;
    assert_int_equal(kedge_ecdsa_p256.verify(all(&key), all(&digest), all(&signature)),
                     KEDGE_E_FORMAT);
    key.size = 27 + 64;
    key.at[key.size - 1] ^= 1;
    assert_int_equal(kedge_ecdsa_p256.verify(all(&key), all(&digest), all(&signature)),
                     KEDGE_E_SIGNATURE);
    memset(key.at + 27, 0, 64);
    assert_int_equal(kedge_ecdsa_p256.verify(all(&key), all(&digest), all(&signature)),
                     KEDGE_E_SIGNATURE);
}

/* Here the message is a blob, not an image. NULL: it cannot be read. */
int kedge_message_digest(const void *message, struct kedge_bytes lead, uint8_t *digest)
{
    struct kedge_hash_state running;

    if (message == NULL) {
        return KEDGE_E_IO;
    }
    kedge_sha512.start(&running);
    kedge_sha512.update(&running, lead);
    kedge_sha512.update(&running, all(message));
    kedge_sha512.finish(&running, digest);
    return 0;
}

/* Pure signatures are accepted for another message, or a failed read counts as a forgery. */
static void verifies_pure_ed25519(void **state)
{
    const struct blob key = from(ED_HEAD ED_POINT);
    const struct blob right = from("af82");
    const struct blob wrong = from("af83");
    struct blob signature = from(ED_SIGNATURE);
    const struct kedge_signature *const type = &kedge_ed25519_sha512;

    (void)state;
    assert_int_equal(type->verify_pure(all(&key), all(&signature), &right), 0);
    assert_int_equal(type->verify_pure(all(&key), all(&signature), &wrong), KEDGE_E_SIGNATURE);
    assert_int_equal(type->verify_pure(all(&key), all(&signature), NULL), KEDGE_E_IO);
    assert_int_equal(type->verify_pure(all(&key), kedge_bytes(signature.at, 63), &right),
                     KEDGE_E_FORMAT);
    for (size_t bit = 0; bit < signature.size * 8; bit++) {
        signature.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(type->verify_pure(all(&key), all(&signature), &right), KEDGE_E_SIGNATURE);
        signature.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_as_published),
        cmocka_unit_test(hashes_any_length_in_any_pieces),
        cmocka_unit_test(verifies_ecdsa_p256),
        cmocka_unit_test(verifies_ecdsa_p384),
        cmocka_unit_test(verifies_ed25519),
        cmocka_unit_test(verifies_rsa),
        cmocka_unit_test(refuses_wrong_pss_padding),
        cmocka_unit_test(refuses_malformed_ecdsa_signatures),
        cmocka_unit_test(refuses_other_keys),
        cmocka_unit_test(verifies_pure_ed25519),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
