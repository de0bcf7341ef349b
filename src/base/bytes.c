/* Two questions about runs of bytes. The rest of base.h is inline. */
#include "kedge/base.h"

bool kedge_all(struct kedge_bytes of, uint8_t value)
{
    const uint8_t *at = of.at;

    for (size_t left = of.size; left > 0; left--) {
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
