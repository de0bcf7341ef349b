/* A signature that OpenSSL accepts is accepted and no other is: else a good image does not boot, or
 * a stranger's does. The walk that both scalars share is ours (ports/thirdparty/p256m_joint.c), so
 * its corners are made on purpose: digests above the order, scalars of zero, one and all ones, an x
 * that wraps, a sum at infinity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "kedge/crypto.h"

#define RANDOM_SIGNATURES 24

static EC_GROUP *group;
static const BIGNUM *order;
static BN_CTX *ctx;

static int set_up(void **state)
{
    (void)state;
    group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    ctx = BN_CTX_new();
    order = EC_GROUP_get0_order(group);
    return group == NULL || ctx == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    EC_GROUP_free(group);
    BN_CTX_free(ctx);
    return 0;
}

static size_t put_der(const EC_POINT *key, uint8_t der[91])
{
    static const uint8_t head[26] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                     0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                     0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
    memcpy(der, head, sizeof(head));
    return sizeof(head) + EC_POINT_point2oct(group, key, POINT_CONVERSION_UNCOMPRESSED,
                                             der + sizeof(head), 65, ctx);
}

static ECDSA_SIG *pair_of(const BIGNUM *r, const BIGNUM *s)
{
    ECDSA_SIG *const pair = ECDSA_SIG_new();
    assert_int_equal(ECDSA_SIG_set0(pair, BN_dup(r), BN_dup(s)), 1);
    return pair;
}

/* Our answer is OpenSSL's; returns it. */
static bool agree(const EC_POINT *key, const uint8_t digest[32], const BIGNUM *r, const BIGNUM *s)
{
    ECDSA_SIG *const pair = pair_of(r, s);
    uint8_t der[91];
    uint8_t signature[80];
    uint8_t *end = signature;
    const uint8_t *at = der;

    const size_t der_size = put_der(key, der);
    const int size = i2d_ECDSA_SIG(pair, &end);
    assert_int_equal(der_size, sizeof(der));
    assert_in_range(size, 1, sizeof(signature));
    EVP_PKEY *const theirs = d2i_PUBKEY(NULL, &at, sizeof(der));
    EVP_PKEY_CTX *const check = EVP_PKEY_CTX_new(theirs, NULL);
    assert_int_equal(EVP_PKEY_verify_init(check), 1);
    const bool good = EVP_PKEY_verify(check, signature, (size_t)size, digest, 32) == 1;
    const int ours = kedge_ecdsa_p256.verify(kedge_bytes(der, der_size), kedge_bytes(digest, 32),
                                             kedge_bytes(signature, (size_t)size));
    assert_int_equal(ours == 0, good);
    EVP_PKEY_CTX_free(check);
    EVP_PKEY_free(theirs);
    ECDSA_SIG_free(pair);
    return good;
}

/* A key and a signature whose walk is a * G + b * Q = R for the R, a and b given: Q = (R - a G) /
 * b, r = x of R mod n, s = r / b, digest = a s. No secret key is needed. -> whether a signature can
 * look so (r and s not 0) */
static bool made(const EC_POINT *sum, const BIGNUM *a, const BIGNUM *b, bool high_digest)
{
    BIGNUM *const r = BN_new(), *const s = BN_new(), *const e = BN_new(), *const x = BN_new();
    BIGNUM *const inverse = BN_mod_inverse(NULL, b, order, ctx);
    EC_POINT *const key = EC_POINT_new(group);
    uint8_t digest[32];
    bool good = false;

    EC_POINT_mul(group, key, a, NULL, NULL, ctx);
    EC_POINT_invert(group, key, ctx);
    EC_POINT_add(group, key, key, sum, ctx);
    EC_POINT_mul(group, key, NULL, key, inverse, ctx);
    EC_POINT_get_affine_coordinates(group, sum, x, NULL, ctx);
    BN_nnmod(r, x, order, ctx);
    BN_mod_mul(s, r, inverse, order, ctx);
    BN_mod_mul(e, a, s, order, ctx);
    if (high_digest) {
        BN_add(e, e, order);
    }
    if (BN_bn2binpad(e, digest, 32) == 32 && !EC_POINT_is_at_infinity(group, key)) {
        good = agree(key, digest, r, s);
        digest[31] ^= 1;
        assert_false(agree(key, digest, r, s));
        digest[31] ^= 1;
        BN_add_word(s, 1);
        assert_false(agree(key, digest, r, s));
    }
    BN_free(r), BN_free(s), BN_free(e), BN_free(x), BN_free(inverse);
    EC_POINT_free(key);
    return good;
}

static EC_POINT *multiple(unsigned long n)
{
    BIGNUM *const scalar = BN_new();
    EC_POINT *const point = EC_POINT_new(group);
    BN_set_word(scalar, n);
    EC_POINT_mul(group, point, scalar, NULL, NULL, ctx);
    BN_free(scalar);
    return point;
}

static void agrees_with_openssl_on_random_signatures(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RANDOM_SIGNATURES; i++) {
        BIGNUM *const a = BN_new(), *const b = BN_new();
        EC_POINT *const sum = multiple(1000003ul * (i + 1));
        BN_rand_range(a, order);
        BN_rand_range(b, order);
        assert_true(made(sum, a, b, false));
        BN_free(a), BN_free(b);
        EC_POINT_free(sum);
    }
}

/* Every pair of special scalars. */
static void agrees_on_scalars_at_the_edges(void **state)
{
    (void)state;
    BIGNUM *scalar[6];
    EC_POINT *const sum = multiple(77);
    unsigned good = 0;
    for (size_t i = 0; i < 6; i++) {
        scalar[i] = BN_new();
    }
    BN_set_word(scalar[1], 1);
    BN_set_word(scalar[2], 2);
    BN_set_bit(scalar[3], 255);
    BN_sub(scalar[4], order, scalar[1]);
    BN_rshift1(scalar[5], order);
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 1; k < 6; k++) {
            good += made(sum, scalar[i], scalar[k], false);
        }
    }
    assert_int_equal(good, 30);
    for (size_t i = 0; i < 6; i++) {
        BN_free(scalar[i]);
    }
    EC_POINT_free(sum);
}

/* A SHA-256 digest may be above n: chance 2^-32 for each image, so no random test meets it. e + n
 * fits into 32 bytes only for a small e: s is chosen so that e is 1. */
static void takes_digests_above_the_order(void **state)
{
    (void)state;
    EC_POINT *const sum = multiple(5);
    BIGNUM *const b = BN_new(), *const x = BN_new(), *const a = BN_new();
    BN_set_word(b, 3);
    EC_POINT_get_affine_coordinates(group, sum, x, NULL, ctx);
    /* a = e / s = b / r for e = 1 */
    BN_mod_inverse(a, x, order, ctx);
    BN_mod_mul(a, a, b, order, ctx);
    assert_true(made(sum, a, b, true));
    BN_free(a), BN_free(b), BN_free(x);
    EC_POINT_free(sum);
}

/* x of the sum between n and p: r is x - n. One point in 2^128 is such; the first is looked for. */
static void takes_an_x_that_wraps(void **state)
{
    (void)state;
    EC_POINT *const sum = EC_POINT_new(group);
    BIGNUM *const x = BN_dup(order), *const a = BN_new(), *const b = BN_new();
    do {
        BN_add_word(x, 1);
    } while (EC_POINT_set_compressed_coordinates(group, sum, x, 0, ctx) != 1);
    BN_set_word(a, 12345);
    BN_set_word(b, 999);
    assert_true(made(sum, a, b, false));
    BN_free(x), BN_free(a), BN_free(b);
    EC_POINT_free(sum);
}

/* a G + b Q = infinity, and on the way there: refused, not taken for some x. */
static void refuses_a_sum_at_infinity(void **state)
{
    (void)state;
    EC_POINT *const key = multiple(6);
    BIGNUM *const r = BN_new(), *const s = BN_new(), *const e = BN_new(), *const six = BN_new();
    uint8_t digest[32];
    BN_set_word(six, 6);
    for (unsigned long i = 1; i < 6; i++) { /* e = -6 r: e / s + 6 r / s = 0 */
        BN_set_word(r, i);
        BN_set_word(s, 1000 + i);
        BN_mod_mul(e, r, six, order, ctx);
        BN_sub(e, order, e);
        assert_int_equal(BN_bn2binpad(e, digest, 32), 32);
        assert_false(agree(key, digest, r, s));
    }
    BN_free(r), BN_free(s), BN_free(e), BN_free(six);
    EC_POINT_free(key);
}

static void refuses_r_and_s_out_of_range(void **state)
{
    (void)state;
    const uint8_t digest[32] = {1};
    EC_POINT *const key = multiple(6);
    BIGNUM *const zero = BN_new(), *const one = BN_new(), *const above = BN_dup(order);
    BN_set_word(one, 1);
    assert_false(agree(key, digest, zero, one));
    assert_false(agree(key, digest, one, zero));
    assert_false(agree(key, digest, order, one));
    assert_false(agree(key, digest, one, order));
    BN_add_word(above, 1);
    assert_false(agree(key, digest, above, one));
    assert_false(agree(key, digest, one, above));
    BN_free(zero), BN_free(one), BN_free(above);
    EC_POINT_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_openssl_on_random_signatures),
        cmocka_unit_test(agrees_on_scalars_at_the_edges),
        cmocka_unit_test(takes_digests_above_the_order),
        cmocka_unit_test(takes_an_x_that_wraps),
        cmocka_unit_test(refuses_a_sum_at_infinity),
        cmocka_unit_test(refuses_r_and_s_out_of_range),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
