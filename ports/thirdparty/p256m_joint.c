/* ECDSA and a key agreement over p256-m's numbers, which are static in its file: hence the
 * #include.
 *
 * A formula on points is a list of field operations on registers, two bytes each where calls of
 * functions take twelve. A register is a number mod p in Montgomery form. */
#include <stdbool.h>

#include <p256-m.c>

#include "p256m_joint.h"

#if defined(__ARM_FEATURE_DSP)
/* x y + sum + *carry: the low half, *carry gets the high one. It cannot overflow. */
static inline uint32_t multiply_add(uint32_t x, uint32_t y, uint32_t sum, uint32_t *carry)
{
    __asm("umaal %0, %1, %2, %3" : "+r"(sum), "+r"(*carry) : "r"(x), "r"(y));
    return sum;
}
#else
static inline uint32_t multiply_add(uint32_t x, uint32_t y, uint32_t sum, uint32_t *carry)
{
    const uint64_t all = (uint64_t)x * y + sum + *carry;
    *carry = (uint32_t)(all >> 32);
    return (uint32_t)all;
}
#endif

/* Loops over words: rolled up, or as a faster build wants them. */
#ifndef P256M_UNROLL
#define P256M_UNROLL
#endif

/* z = x - y; -> 1 when that is below 0, and z then 2^256 too large. Time does not depend on the
 * numbers, here and in what follows. */
static uint32_t subtract(uint32_t z[8], const uint32_t x[8], const uint32_t y[8])
{
    uint32_t less = 0;

    P256M_UNROLL
    for (unsigned i = 0; i < 8; i++) {
        const uint64_t word = (uint64_t)x[i] - y[i] - less;
        z[i] = (uint32_t)word;
        less = (uint32_t)(word >> 32) & 1;
    }
    return less;
}

/* z = x - y mod m, of x below 2 m and its top 257th bit, and y up to m. */
static void reduce(uint32_t z[8], const uint32_t x[8], const uint32_t y[8], uint32_t top,
                   const uint32_t m[8])
{
    const uint32_t mask = top - subtract(z, x, y); /* top = 1: not below 0 */
    uint32_t carry = 0;

    P256M_UNROLL
    for (unsigned i = 0; i < 8; i++) {
        const uint64_t word = (uint64_t)z[i] + (m[i] & mask) + carry;
        z[i] = (uint32_t)word;
        carry = (uint32_t)(word >> 32);
    }
}

/* z = x y / 2^256 mod m, as m256_mul(), which walks over the sum twice where this does once (HAC
 * 14.36 with its two steps in one loop). */
static void multiply(uint32_t z[8], const uint32_t x[8], const uint32_t y[8], const m256_mod *mod)
{
    uint32_t sum[10] = {0}; /* behind a word that is always 0 */
    uint32_t top = 0;

    for (unsigned i = 0; i < 8; i++) {
        const uint32_t u = (sum[1] + x[i] * y[0]) * mod->ni;
        uint32_t carry = 0, carry_m = 0;
        uint32_t *at = sum;

        P256M_UNROLL
        for (unsigned j = 0; j < 8; j++) {
            const uint32_t word = multiply_add(x[i], y[j], at[1], &carry);
            *at++ = multiply_add(u, mod->m[j], word, &carry_m);
        }
        const uint64_t end = (uint64_t)carry + carry_m + top;
        *at = (uint32_t)end;
        top = (uint32_t)(end >> 32);
    }
    reduce(z, sum + 1, mod->m, top, mod->m);
}

/* z = 1 / z, 0 of 0, in Montgomery form: z^(m - 2). No secret is the modulus; its top bit is set.
 */
static void invert(uint32_t z[8], const m256_mod *mod)
{
    uint32_t x[8];

    memcpy(x, z, sizeof(x));
    for (unsigned i = 255; i-- > 0;) {
        const uint32_t word = mod->m[i / 32] - (i < 32 ? 2 : 0);

        multiply(z, z, z, mod);
        if ((word >> i % 32 & 1) != 0) {
            multiply(z, z, x, mod);
        }
    }
}

enum number {
    X, /* the sum, jacobian; Z = 0: infinity */
    Y,
    Z,
    PX, /* the point that is added, affine; with 1 behind it it is a sum, too */
    PY,
    ONE,
    T0,
    T1,
    T2,
    GX, /* the base point */
    GY,
    UNIT,
    QX, /* the key */
    QY,
    NUMBERS,
    S = T0, /* before the walk: what scalars are divided by */
    R2 = T1 /* makes a number Montgomery's */
};

#define MUL                       0x0000
#define ADD                       0x1000
#define SUB                       0x2000
#define LAST                      0x8000
#define STEP(to, a, operation, b) (operation | (to) << 8 | (a) << 4 | (b))

/* [CMO98] 6, as p256-m's point_double() */
static const uint16_t doubling[] = {
    STEP(T1, Z, MUL, Z),   STEP(T0, X, ADD, T1),
    STEP(T2, X, SUB, T1),  STEP(T1, T0, MUL, T2),
    STEP(T0, T1, ADD, T1), STEP(T0, T0, ADD, T1), /* T0 = 3 (x + z^2) (x - z^2) */
    STEP(T2, Y, MUL, Y),   STEP(T2, T2, ADD, T2),
    STEP(T1, X, MUL, T2),  STEP(T1, T1, ADD, T1), /* T1 = 4 x y^2 */
    STEP(T2, T2, MUL, T2), STEP(T2, T2, ADD, T2), /* T2 = 8 y^4 */
    STEP(X, T0, MUL, T0),  STEP(X, X, SUB, T1),
    STEP(X, X, SUB, T1),   STEP(Z, Y, MUL, Z),
    STEP(Z, Z, ADD, Z),    STEP(Y, T1, SUB, X),
    STEP(Y, Y, MUL, T0),   LAST | STEP(Y, Y, SUB, T2),
};

/* [CMO98] 5 with z2 = 1, as p256-m's point_add(); the sum is not infinity, and not the point */
static const uint16_t addition[] = {
    STEP(T0, Z, MUL, Z),  STEP(T1, T0, MUL, Z),  STEP(T0, T0, MUL, PX), STEP(T1, T1, MUL, PY),
    STEP(T0, T0, SUB, X),                                               /* T0 = h */
    STEP(T1, T1, SUB, Y),                                               /* T1 = r */
    STEP(Z, Z, MUL, T0),  STEP(T2, T0, MUL, T0), STEP(T0, T2, MUL, T0), /* T0 = h^3 */
    STEP(T2, T2, MUL, X),                                               /* T2 = x h^2 */
    STEP(X, T1, MUL, T1), STEP(X, X, SUB, T2),   STEP(X, X, SUB, T2),   STEP(X, X, SUB, T0),
    STEP(T2, T2, SUB, X), STEP(T2, T2, MUL, T1), STEP(T0, T0, MUL, Y),  LAST | STEP(Y, T2, SUB, T0),
};

static const uint16_t beginning[] = {
    STEP(ONE, UNIT, MUL, R2),
    STEP(QX, QX, MUL, R2),
    LAST | STEP(QY, QY, MUL, R2),
};

/* X = x / z^2, an integer, of Z = 1 / z */
static const uint16_t ending[] = {
    STEP(Z, Z, MUL, Z),
    STEP(X, X, MUL, Z),
    LAST | STEP(X, X, MUL, UNIT),
};

/* Of a point that should lie on the curve: T0 = y^2 - (x^3 - 3 x + b), with b in GX. Then -y. */
static const uint16_t checking[] = {
    STEP(T0, QY, MUL, QY), STEP(T1, QX, MUL, QX), STEP(T1, T1, MUL, QX),
    STEP(T1, T1, SUB, QX), STEP(T1, T1, SUB, QX), STEP(T1, T1, SUB, QX),
    STEP(T1, T1, ADD, GX), STEP(T0, T0, SUB, T1), LAST | STEP(GY, X, SUB, QY),
};

static void run(uint32_t number[NUMBERS][8], const uint16_t *step)
{
    unsigned now;
    uint32_t minus[8];

    do {
        now = *step++;
        uint32_t *const to = number[now >> 8 & 15];
        const uint32_t *const a = number[now >> 4 & 15];
        const uint32_t *b = number[now & 15];

        if ((now & ADD) != 0) {
            (void)subtract(minus, p256_p.m, b);
            b = minus;
        }
        if ((now & (ADD | SUB)) != 0) {
            reduce(to, a, b, 0, p256_p.m);
        } else {
            multiply(to, a, b, &p256_p);
        }
    } while ((now & LAST) == 0);
}

/* The scalar at `from`; false: not in [1, n - 1]. */
static bool take_scalar(uint32_t scalar[8], const uint8_t from[32])
{
    uint32_t rest[8];

    u256_from_bytes(scalar, from);
    return u256_diff0(scalar) != 0 && subtract(rest, scalar, p256_n.m) != 0;
}

/* x of the sum; 0 at infinity */
static uint32_t *affine_x(uint32_t number[NUMBERS][8])
{
    invert(number[Z], &p256_p);
    run(number, ending);
    return number[X];
}

/* SEC 1, 4.1.4. In (r, s) / s only s is in Montgomery form, so the quotients come out of it. */
int p256m_verify_joint(const uint8_t signature[64], const uint8_t key[64], const uint8_t digest[32])
{
    uint32_t number[NUMBERS][8] = {0};
    uint32_t scalar[2][8]; /* of G and of the key */
    uint32_t r[8];
    uint32_t *const s = number[S];

    if (!take_scalar(r, signature) || !take_scalar(s, signature + 32)) {
        return P256_INVALID_SIGNATURE;
    }
    multiply(s, s, p256_n.R2, &p256_n);
    invert(s, &p256_n);
    u256_from_bytes(scalar[0], digest);
    multiply(scalar[0], scalar[0], s, &p256_n);
    multiply(scalar[1], r, s, &p256_n);
    u256_from_bytes(number[QX], key);
    u256_from_bytes(number[QY], key + 32);
    memcpy(number[GX], p256_gx, 32);
    memcpy(number[GY], p256_gy, 32);
    memcpy(number[R2], p256_p.R2, 32);
    number[UNIT][0] = 1;
    run(number, beginning);
    for (unsigned i = 256; i-- > 0;) {
        run(number, doubling);
        for (unsigned j = 0; j < 2; j++) {
            if ((scalar[j][i / 32] >> i % 32 & 1) == 0) {
                continue;
            }
            memcpy(number[PX], number[GX + (QX - GX) * j], 64);
            /* Two sums of G and the key are equal only when their scalars are, unless somebody
             * knows the secret key; of equal ones the formula would make infinity. */
            if (u256_diff0(number[Z]) != 0) {
                run(number, addition);
            } else {
                memcpy(number[X], number[PX], 96);
            }
        }
    }
    uint32_t *const x = affine_x(number); /* at infinity: 0, which no r equals */

    reduce(x, x, p256_n.m, 0, p256_n.m);
    return memcmp(x, r, 32) == 0 ? P256_SUCCESS : P256_INVALID_SIGNATURE;
}

/* p256-m's ladder: what is done does not depend on the secret, nor where it is done. */
int p256m_agree(uint8_t shared[32], const uint8_t secret[32], const uint8_t point[64])
{
    uint32_t number[NUMBERS][8] = {0};
    uint32_t s[8], odd[8];
    int result = P256_INVALID_PUBKEY;

    if (!take_scalar(s, secret)) {
        return P256_INVALID_PRIVKEY;
    }
    number[UNIT][0] = 1;
    memcpy(number[R2], p256_p.R2, 32);
    memcpy(number[GX], p256_b, 32);
    u256_from_bytes(number[QX], point);
    u256_from_bytes(number[QY], point + 32);
    if (subtract(odd, number[QX], p256_p.m) == 0 || subtract(odd, number[QY], p256_p.m) == 0) {
        goto out;
    }
    run(number, beginning);
    run(number, checking);
    if (u256_diff0(number[T0]) != 0) {
        goto out;
    }
    /* odd P' = s P with P' = P, or odd = n - s and P' = -P */
    const uint32_t negate = ~s[0] & 1;

    (void)subtract(odd, p256_n.m, s);
    u256_cmov(odd, s, 1 - negate);
    memcpy(number[PX], number[QX], 64);
    u256_cmov(number[PY], number[GY], negate);
    memcpy(number[X], number[PX], 96);
    for (unsigned i = 255; i > 0; i--) {
        const uint32_t minus = (~(odd[i / 32] >> i % 32) & 1) ^ negate;

        u256_cmov(number[PY], number[QY], 1 - minus);
        u256_cmov(number[PY], number[GY], minus);
        run(number, doubling);
        run(number, addition);
    }
    u256_to_bytes(shared, affine_x(number));
    result = P256_SUCCESS;
out:
    zeroize(s, sizeof(s));
    zeroize(odd, sizeof(odd));
    return result;
}
