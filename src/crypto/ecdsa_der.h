/* The wrapping of ECDSA keys and signatures, for every implementation of a curve. */
#ifndef KEDGE_ECDSA_DER_H
#define KEDGE_ECDSA_DER_H

#include "kedge/crypto.h"

struct kedge_ecdsa_curve {
    uint8_t size;        /* bytes of a coordinate, and of the group order */
    uint8_t prefix_size; /* of a SubjectPublicKeyInfo, up to and with the 0x04 of the point */
    uint8_t prefix[27];
};
extern const struct kedge_ecdsa_curve kedge_curve_p256, kedge_curve_p384;

/* Strict DER: SEQUENCE of two positive, minimal INTEGERs of at most `size` bytes; zeros behind it
 * are allowed (imgtool --pad-sig). Ensures with 0: raw = r || s, 2 * size bytes, big endian (range
 * is the curve's to check). Returns the point's X || Y inside `key`; NULL when key or signature is
 * malformed. */
const uint8_t *kedge_ecdsa_unpack(const struct kedge_ecdsa_curve *curve, struct kedge_bytes key,
                                  struct kedge_bytes signature, uint8_t *raw);

#endif
