/* Base64 by groups, for the console's lines. */
#ifndef KEDGE_TRANSPORT_BASE64_H
#define KEDGE_TRANSPORT_BASE64_H

#include "kedge/base.h"

/* 0..63, or -1 when `c` is no digit of base64. */
int kedge_base64_digit(uint8_t c);

/* Encode 1..3 bytes as one group of four characters, '=' where bytes are missing. */
void kedge_base64_group(const uint8_t *from, size_t size, uint8_t *to);

#endif
