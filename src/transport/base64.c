/* Base64 (RFC 4648, section 4), without tables of values: comparisons are smaller than 256 bytes.
 */
#include "transport/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int kedge_base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+' || c == '/') {
        return c == '+' ? 62 : 63;
    }
    return -1;
}

void kedge_base64_group(const uint8_t *from, size_t size, uint8_t *to)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 3; i++) {
        bits = (bits << 8) | (i < size ? from[i] : 0u);
    }
    for (size_t i = 0; i < 4; i++) {
        to[i] = (uint8_t)(i <= size ? digits[(bits >> (18 - 6 * i)) & 63] : '=');
    }
}
