/* ECIES on P-256 by micro-ecc with its ARM assembly, as ecdsa_p256_fast.h. */
#ifndef KEDGE_WRAP_P256_FAST_H
#define KEDGE_WRAP_P256_FAST_H

#include "kedge/device_key.h"

extern const struct kedge_wrapping kedge_wrap_p256_fast;

#endif
