/* DER of ECDSA signatures; every byte hostile. A key is the board's own and of one possible form,
 * so only its length is looked at. */
#include "crypto/ecdsa_der.h"

#include <string.h>

#define TAG_INTEGER  0x02
#define TAG_SEQUENCE 0x30

/* The INTEGER at `at` as `size` bytes, big endian -> what is behind it; NULL: there is none. */
static const uint8_t *take_integer(const uint8_t *at, const uint8_t *end, size_t size, uint8_t *to)
{
    if (end - at < 3 || *at++ != TAG_INTEGER) {
        return NULL;
    }
    size_t count = *at++;

    if (count == 0 || count > (size_t)(end - at) || (at[0] & 0x80) != 0) {
        return NULL; /* empty, cut short, or negative */
    }
    if (at[0] == 0 && count > 1) {
        at++;
        count--;
        if ((at[0] & 0x80) == 0) {
            return NULL; /* not minimal */
        }
    }
    if (count > size) {
        return NULL;
    }
    memset(to, 0, size - count);
    memcpy(to + size - count, at, count);
    return at + count;
}

const uint8_t *kedge_ecdsa_unpack(size_t size, size_t key_size, struct kedge_bytes key,
                                  struct kedge_bytes signature, uint8_t *raw)
{
    const uint8_t *at = signature.at;

    /* a length in long form (0x80 and up) is more than two integers can fill */
    if (key.size != key_size || signature.size < 2 || at[0] != TAG_SEQUENCE ||
        at[1] > signature.size - 2) {
        return NULL;
    }
    const uint8_t *const end = at + 2 + at[1];

    at = take_integer(at + 2, end, size, raw);
    if (at != NULL) {
        at = take_integer(at, end, size, raw + size);
    }
    if (at != end ||
        !kedge_all(kedge_bytes(end, (size_t)(signature.at + signature.size - end)), 0)) {
        return NULL;
    }
    return key.at + key_size - 2 * size;
}
