/* The key that a measured loader trusts, one of tests/fixtures/keys as `kedge getpub -e lang-c`
 * prints it. A product puts its own here. Which signature library comes with it, the build says by
 * the file it links: p256.c or ed25519.c. */
#ifndef KEDGE_LOADER_KEY_H
#define KEDGE_LOADER_KEY_H

#include "kedge/crypto.h"

extern const struct kedge_key loader_key;

#endif
