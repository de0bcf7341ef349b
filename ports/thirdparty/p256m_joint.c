/* p256-m and the joint verification in one translation unit: field and points are static there. */
#include <p256-m.c>

#include "p256m_joint.h"

/* Points are x, y and, of a sum, z behind each other, in Montgomery form; z = 0 is infinity. */
#define Y 8
#define Z 16

static void double_it(uint32_t sum[24])
{
    point_double(sum, sum + Y, sum + Z);
}

/* p256-m's addition knows no equal points: they give infinity, wrongly. Two sums of G and the key
 * are equal only when their scalars are, unless somebody knows the secret key. */
static void add(uint32_t sum[24], const uint32_t point[16])
{
    if (u256_diff0(sum + Z) != 0) {
        point_add(sum, sum + Y, sum + Z, point, point + Y);
        return;
    }
    memcpy(sum, point, 64);
    m256_set32(sum + Z, 1, &p256_p);
}

/* -> x and y of the sum; both 0 at infinity */
static void normalise(uint32_t sum[24])
{
    point_to_affine(sum, sum + Y, sum + Z);
}

/* SEC 1, 4.1.4. In (r, s) / s only s is in Montgomery form, so the quotients come out of it. */
int p256m_verify_joint(const uint8_t signature[64], const uint8_t key[64], const uint8_t digest[32])
{
    uint32_t r[8], s[8], a[8], b[8], sum[24] = {0};
    uint32_t point[3][16]; /* G, the key, and both */

    if (scalar_from_bytes(r, signature) != 0 || scalar_from_bytes(s, signature + 32) != 0 ||
        m256_from_bytes(point[1], key, &p256_p) != 0 ||
        m256_from_bytes(point[1] + Y, key + 32, &p256_p) != 0) {
        return P256_INVALID_SIGNATURE;
    }
    u256_from_bytes(a, digest);
    m256_prep(s, &p256_n);
    m256_inv(s, s, &p256_n);
    m256_mul(a, a, s, &p256_n);
    m256_mul(b, r, s, &p256_n);
    u256_cmov(point[0], p256_gx, 1);
    u256_cmov(point[0] + Y, p256_gy, 1);
    add(sum, point[0]);
    add(sum, point[1]);
    normalise(sum);
    memcpy(point[2], sum, sizeof(point[2]));
    u256_set32(sum + Z, 0);
    for (unsigned i = 256; i-- > 0;) {
        const uint32_t in_a = a[i / 32] >> i % 32 & 1;
        const uint32_t in_b = b[i / 32] >> i % 32 & 1;

        double_it(sum);
        if ((in_a | in_b) != 0) {
            add(sum, point[in_a + 2 * in_b - 1]);
        }
    }
    normalise(sum); /* infinity: x = 0, which no r equals */
    m256_done(sum, &p256_p);
    ecdsa_m256_mod_n(sum);
    return u256_diff(sum, r) == 0 ? P256_SUCCESS : P256_INVALID_SIGNATURE;
}
