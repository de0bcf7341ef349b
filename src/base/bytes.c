/* Two questions about runs of bytes. The rest of base.h is inline. */
#include "kedge/base.h"

bool kedge_all_of(const uint8_t *at, size_t size, uint8_t value)
{
    for (; size > 0; size--) {
        if (*at++ != value) {
            return false;
        }
    }
    return true;
}

bool kedge_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint8_t differ = 0;

    for (size_t i = 0; i < size; i++) {
        differ = (uint8_t)(differ | (a[i] ^ b[i]));
    }
    return differ == 0;
}
