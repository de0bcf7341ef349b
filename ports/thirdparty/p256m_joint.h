/* P-256 with p256-m's field: ECDSA verification and key agreement.
 *
 * p256-m multiplies twice to verify, each time as if the scalar were a secret: 255 doublings and
 * 255 additions. All that a verification handles is public, so both scalars can share the doublings
 * (Shamir's trick, HAC 14.88): 256 doublings and 256 additions on average. The formulas on points
 * are p256-m's, as data instead of calls, which takes less code. `make size` prints what it costs
 * on Cortex-M4. */
#ifndef KEDGE_P256M_JOINT_H
#define KEDGE_P256M_JOINT_H

#include <stdint.h>

/* signature: r and s, key: x and y, each 32 bytes big endian. -> 0 valid. Requires a key that lies
 * on the curve, which whoever made or read it has seen, and whose secret is not 1 or n - 1. Public
 * data only: time depends on it. */
int p256m_verify_joint(const uint8_t signature[64], const uint8_t key[64],
                       const uint8_t digest[32]);

/* shared: x of secret times point (x and y). -> 0; else the secret is not in [1, n - 1], or the
 * point not on the curve. Time depends on neither of them. */
int p256m_agree(uint8_t shared[32], const uint8_t secret[32], const uint8_t point[64]);

#endif
