/* ECDSA on P-256 by micro-ecc with its ARM assembly: half the instructions of the walk over p256-m
 * for about 2 KiB more. In a port, not in the core: only a port that has the library names it. */
#ifndef KEDGE_ECDSA_P256_FAST_H
#define KEDGE_ECDSA_P256_FAST_H

#include "kedge/crypto.h"

extern const struct kedge_signature kedge_ecdsa_p256_fast;

#endif
