/* SHA-256's compression function, the larger part of a boot: a port may link its own. */
#ifndef KEDGE_SHA256_ROUND_H
#define KEDGE_SHA256_ROUND_H

#include <stdint.h>

/* value, 8 words: the hash so far -> with this block, 64 bytes at any address. Here it is
 * BearSSL's; ports/cortex-m4 has it as short as it is quick. */
void kedge_sha256_round(const uint8_t *block, uint32_t *value);

#endif
