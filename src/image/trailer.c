/* MCUboot's slot trailer as bytes (facts 7.5). */
#include "kedge/trailer.h"

#include <string.h>

#define MAGIC_SIZE     16
#define FLAG_SET       0x01
#define SWAP_TYPE_LAST KEDGE_SWAP_REVERT

struct kedge_trailer_place kedge_trailer_place(uint8_t max_align)
{
    const unsigned align = max_align;
    /* the flags lie at multiples of the alignment: 16 + align, rounded up */
    const unsigned image_ok = align > MAGIC_SIZE ? 2 * align : MAGIC_SIZE + align;

    return (struct kedge_trailer_place){
        .magic = MAGIC_SIZE,
        .image_ok = (uint8_t)image_ok,
        .copy_done = (uint8_t)(image_ok + align),
        .swap_info = (uint8_t)(image_ok + 2 * align),
        .block = max_align,
        .size = (uint8_t)(image_ok + 2 * align),
    };
}

void kedge_trailer_magic(uint8_t max_align, uint8_t *magic)
{
    static const uint8_t align8[MAGIC_SIZE] = {0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f,
                                               0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80};
    static const uint8_t other[MAGIC_SIZE - 2] = {0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d,
                                                  0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a};

    if (max_align == 8) {
        memcpy(magic, align8, sizeof(align8));
        return;
    }
    kedge_put_le16(magic, max_align);
    memcpy(magic + 2, other, sizeof(other));
}

static enum kedge_magic parse_magic(const uint8_t *at, uint8_t max_align, uint8_t erased)
{
    uint8_t good[MAGIC_SIZE];

    kedge_trailer_magic(max_align, good);
    if (memcmp(at, good, sizeof(good)) == 0) {
        return KEDGE_MAGIC_GOOD;
    }
    return kedge_all(kedge_bytes(at, MAGIC_SIZE), erased) ? KEDGE_MAGIC_UNSET : KEDGE_MAGIC_BAD;
}

static enum kedge_flag parse_flag(uint8_t value, uint8_t erased)
{
    if (value == FLAG_SET) {
        return KEDGE_FLAG_SET;
    }
    return value == erased ? KEDGE_FLAG_UNSET : KEDGE_FLAG_BAD;
}

struct kedge_trailer kedge_trailer_parse(struct kedge_bytes tail, uint8_t max_align, uint8_t erased)
{
    const struct kedge_trailer_place place = kedge_trailer_place(max_align);

    KEDGE_ASSERT(tail.size == place.size);
    const uint8_t *const end = tail.at + tail.size;
    struct kedge_trailer trailer = {
        .magic = parse_magic(end - place.magic, max_align, erased),
        .image_ok = parse_flag(*(end - place.image_ok), erased),
        .copy_done = parse_flag(*(end - place.copy_done), erased),
        .blank = kedge_all(tail, erased),
    };
    const uint8_t info = *(end - place.swap_info);

    if (info != erased && (info & 0x0f) <= SWAP_TYPE_LAST) {
        trailer.swap_type = info & 0x0f;
        trailer.image_number = (uint8_t)(info >> 4);
    }
    return trailer;
}

enum kedge_request kedge_trailer_request(const struct kedge_trailer *trailer)
{
    if (trailer->blank) {
        return KEDGE_REQUEST_NONE;
    }
    if (trailer->magic != KEDGE_MAGIC_GOOD || trailer->image_ok == KEDGE_FLAG_BAD) {
        return KEDGE_REQUEST_TORN;
    }
    return trailer->image_ok == KEDGE_FLAG_SET ? KEDGE_REQUEST_PERMANENT : KEDGE_REQUEST_TEST;
}
