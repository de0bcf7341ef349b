/* DER of ECDSA signatures and public keys; every byte hostile. A key has one possible encoding per
 * curve, so its head is compared, not parsed. */
#include "crypto/ecdsa_der.h"

#include <string.h>

#define TAG_INTEGER  0x02
#define TAG_SEQUENCE 0x30

/* SEQUENCE { SEQUENCE { OID ecPublicKey, OID curve }, BIT STRING { 00 04 X Y } } */
const struct kedge_ecdsa_curve kedge_curve_p256 = {
    .size = 32,
    .prefix_size = 27,
    .prefix = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
               0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04},
};
const struct kedge_ecdsa_curve kedge_curve_p384 = {
    .size = 48,
    .prefix_size = 24,
    .prefix = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
               0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04},
};

/* Takes an INTEGER off `from` and writes it as `size` bytes, big endian. */
static bool take_integer(struct kedge_bytes *from, size_t size, uint8_t *to)
{
    if (from->size < 3 || from->at[0] != TAG_INTEGER) {
        return false;
    }
    size_t count = from->at[1];
    const uint8_t *digits = from->at + 2;

    if (count == 0 || count > from->size - 2 || (digits[0] & 0x80) != 0) {
        return false; /* empty, cut short, or negative */
    }
    *from = kedge_bytes(digits + count, from->size - 2 - count);
    if (digits[0] == 0 && count > 1) {
        digits++;
        count--;
        if ((digits[0] & 0x80) == 0) {
            return false; /* not minimal */
        }
    }
    if (count > size) {
        return false;
    }
    memset(to, 0, size - count);
    memcpy(to + size - count, digits, count);
    return true;
}

const uint8_t *kedge_ecdsa_unpack(const struct kedge_ecdsa_curve *curve, struct kedge_bytes key,
                                  struct kedge_bytes signature, uint8_t *raw)
{
    const size_t head = curve->prefix_size;
    const size_t size = curve->size;

    if (key.size != head + 2 * size || memcmp(key.at, curve->prefix, head) != 0) {
        return NULL;
    }
    /* a length in long form (0x80 and up) is more than two integers can fill */
    if (signature.size < 2 || signature.at[0] != TAG_SEQUENCE ||
        signature.at[1] > signature.size - 2) {
        return NULL;
    }
    struct kedge_bytes inside = kedge_bytes(signature.at + 2, signature.at[1]);
    const struct kedge_bytes behind =
        kedge_bytes(inside.at + inside.size, signature.size - 2 - inside.size);

    if (!take_integer(&inside, size, raw) || !take_integer(&inside, size, raw + size) ||
        inside.size != 0 || !kedge_all(behind, 0)) {
        return NULL;
    }
    return key.at + head;
}
