/* The compression function of ports that have none of their own: BearSSL's. */
#include "crypto/sha256_round.h"

/* BearSSL's inner.h */
void br_sha2small_round(const unsigned char *block, uint32_t *value);

void kedge_sha256_round(const uint8_t *block, uint32_t *value)
{
    br_sha2small_round(block, value);
}
