/* The wrapping of ECDSA keys and signatures, for every implementation of a curve. */
#ifndef KEDGE_ECDSA_DER_H
#define KEDGE_ECDSA_DER_H

#include "kedge/crypto.h"

/* Bytes of a coordinate, and of a SubjectPublicKeyInfo:
 * SEQUENCE { SEQUENCE { OID ecPublicKey, OID curve }, BIT STRING { 00 04 X Y } } */
#define KEDGE_P256_SIZE     32
#define KEDGE_P256_KEY_SIZE 91
#define KEDGE_P384_SIZE     48
#define KEDGE_P384_KEY_SIZE 120

/* Strict DER: SEQUENCE of two positive, minimal INTEGERs of at most `size` bytes; zeros behind it
 * are allowed (imgtool --pad-sig). Ensures: raw = r || s, 2 * size bytes, big endian (range is the
 * curve's to check). Returns the point's X || Y inside `key`; NULL when the key has another length
 * or the signature is malformed. */
const uint8_t *kedge_ecdsa_unpack(size_t size, size_t key_size, struct kedge_bytes key,
                                  struct kedge_bytes signature, uint8_t *raw);

#endif
