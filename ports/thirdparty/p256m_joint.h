/* ECDSA verification with p256-m's arithmetic and one common walk for both scalars.
 *
 * p256-m multiplies twice, each time as if the scalar were a secret: 255 doublings and 255
 * additions. All that a verification handles is public, so both scalars can share the doublings
 * (Shamir's trick, HAC 14.88): 256 doublings and on average 191 additions in all, 43 % of the work,
 * and less code. `make size` prints what it costs on Cortex-M4. */
#ifndef KEDGE_P256M_JOINT_H
#define KEDGE_P256M_JOINT_H

#include <stdint.h>

/* signature: r and s, key: x and y, each 32 bytes big endian. -> 0 valid. Requires a key that lies
 * on the curve, which whoever made or read it has seen, and whose secret is not 1 or n - 1. Public
 * data only: time depends on it. */
int p256m_verify_joint(const uint8_t signature[64], const uint8_t key[64],
                       const uint8_t digest[32]);

#endif
