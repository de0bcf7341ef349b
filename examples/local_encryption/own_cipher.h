/* A file that only this product's devices can read: examples/local_encryption/README.md. */
#ifndef OWN_CIPHER_H
#define OWN_CIPHER_H

#include "kedge/transform.h"

#define OWN_CIPHER_MAGIC 0x314e574fu /* "OWN1" */
#define OWN_CIPHER_HEAD  12

/* What it has to remember between two calls. */
struct own_cipher {
    uint8_t head[OWN_CIPHER_HEAD], head_size;
    uint8_t byte; /* came in and is not out yet, when full */
    bool full;
    uint32_t at; /* bytes that are out */
};

extern const struct kedge_transform own_cipher; /* its keys: uint32_t[4] */

#endif
