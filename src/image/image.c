/* MCUboot's image format (facts 7.1): header, payload, protected TLVs, unprotected TLVs. Offsets
 * are compared by what is left of the source, never by a sum, so that no hostile length can wrap.
 */
#include "kedge/image.h"

#include <string.h>

#include "image/parts.h"

#define MAGIC_V1 0x96f3b83cu

_Static_assert(offsetof(struct kedge_image, tlv_at) == 24, "the fields of a header, without gaps");

enum kedge_verdict kedge_header_decode(const uint8_t *header, uint32_t most,
                                       struct kedge_image *image)
{
    const uint32_t encrypted = KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256;
    const uint32_t magic = kedge_le32(header);

    if (magic != KEDGE_IMAGE_MAGIC) {
        return magic == MAGIC_V1 ? KEDGE_IMAGE_BAD_HEADER : KEDGE_IMAGE_ABSENT;
    }
    memcpy(image, header + 4, offsetof(struct kedge_image, tlv_at));
    if (!KEDGE_LITTLE_ENDIAN) {
        image->load_address = kedge_le32(header + 4);
        image->header_size = kedge_le16(header + 8);
        image->protected_size = kedge_le16(header + 10);
        image->payload_size = kedge_le32(header + 12);
        image->flags = kedge_le32(header + 16);
        image->version = kedge_version_get(header + 20);
    }
    image->tlv_at = image->header_size + image->payload_size;
    if (image->header_size < KEDGE_HEADER_SIZE || image->payload_size == 0 ||
        (image->flags & encrypted) == encrypted) {
        return KEDGE_IMAGE_BAD_HEADER;
    }
    return image->header_size > most || image->payload_size > most - image->header_size
               ? KEDGE_IMAGE_TOO_LARGE
               : KEDGE_IMAGE_GOOD;
}

/* Reads the info header at `at`: *total is the area's size, itself included, if its magic is right
 * and the area lies inside the source. */
static enum kedge_verdict read_info(const struct kedge_source *source, uint32_t at, uint16_t magic,
                                    uint32_t *total)
{
    uint8_t info[KEDGE_TLV_HEAD];

    if (source->size - at < sizeof(info)) {
        return KEDGE_IMAGE_BAD_TLV;
    }
    if (source->read(source->ctx, at, kedge_buf(info, sizeof(info))) != 0) {
        return KEDGE_IMAGE_UNREADABLE;
    }
    *total = kedge_le16(info + 2);
    if (kedge_le16(info) != magic || *total < sizeof(info) || *total > source->size - at) {
        return KEDGE_IMAGE_BAD_TLV;
    }
    return KEDGE_IMAGE_GOOD;
}

static enum kedge_verdict check_areas(const struct kedge_source *source, struct kedge_image *image)
{
    uint32_t total = 0;
    uint32_t at = image->tlv_at;

    if (image->protected_size != 0) {
        const enum kedge_verdict verdict = read_info(source, at, KEDGE_TLV_PROTECTED, &total);

        if (verdict != KEDGE_IMAGE_GOOD) {
            return verdict;
        }
        if (total != image->protected_size) {
            return KEDGE_IMAGE_BAD_TLV;
        }
        at += total;
    }
    const enum kedge_verdict verdict = read_info(source, at, KEDGE_TLV_UNPROTECTED, &total);

    image->size = at + total;
    return verdict;
}

enum kedge_verdict kedge_image_parse(const struct kedge_source *source, struct kedge_image *image)
{
    uint8_t header[KEDGE_HEADER_SIZE];

    if (source->size < sizeof(header)) {
        return KEDGE_IMAGE_ABSENT;
    }
    if (source->read(source->ctx, 0, kedge_buf(header, sizeof(header))) != 0) {
        return KEDGE_IMAGE_UNREADABLE;
    }
    const enum kedge_verdict verdict = kedge_header_decode(header, source->size, image);

    return verdict != KEDGE_IMAGE_GOOD ? verdict : check_areas(source, image);
}

void kedge_tlv_start(struct kedge_tlv_walk *walk, const struct kedge_source *source,
                     const struct kedge_image *image)
{
    walk->source = source;
    walk->image = image;
    walk->in_protected = image->protected_size != 0;
    walk->at = image->tlv_at + KEDGE_TLV_HEAD;
    walk->end = walk->in_protected ? image->tlv_at + image->protected_size : image->size;
}

int kedge_tlv_next(struct kedge_tlv_walk *walk, struct kedge_tlv *tlv)
{
    uint8_t head[KEDGE_TLV_HEAD];

    if (walk->at == walk->end && walk->in_protected) {
        walk->in_protected = false;
        walk->at = walk->end + KEDGE_TLV_HEAD;
        walk->end = walk->image->size;
    }
    if (walk->at == walk->end) {
        return 0;
    }
    if (walk->end - walk->at < sizeof(head)) {
        return KEDGE_E_FORMAT;
    }
    const int error =
        walk->source->read(walk->source->ctx, walk->at, kedge_buf(head, sizeof(head)));

    if (error != 0) {
        return error < 0 ? error : KEDGE_E_IO; /* what is positive says that there is one */
    }
    tlv->type = kedge_le16(head);
    tlv->size = kedge_le16(head + 2);
    tlv->at = walk->at + KEDGE_TLV_HEAD;
    tlv->is_protected = walk->in_protected;
    if (tlv->size > walk->end - tlv->at) {
        return KEDGE_E_FORMAT;
    }
    walk->at = tlv->at + tlv->size;
    return 1;
}

int kedge_tlv_find(const struct kedge_source *source, const struct kedge_image *image,
                   uint16_t type, struct kedge_buf to, struct kedge_tlv *tlv)
{
    struct kedge_tlv_walk walk;
    int more;

    kedge_tlv_start(&walk, source, image);
    while ((more = kedge_tlv_next(&walk, tlv)) > 0) {
        if (tlv->type == type) {
            if (to.size > tlv->size) {
                to.size = tlv->size;
            }
            const int error = source->read(source->ctx, tlv->at, to);

            return error != 0 ? error : tlv->size;
        }
    }
    return more < 0 ? more : KEDGE_E_NONE;
}

int kedge_image_hash(const struct kedge_source *source, const struct kedge_image *image,
                     uint8_t *digest)
{
    static const uint8_t sizes[] = {32, 48, 64};

    for (size_t i = 0; i < sizeof(sizes); i++) {
        struct kedge_tlv tlv;
        const int size = kedge_tlv_find(source, image, (uint16_t)(KEDGE_TLV_SHA256 + i),
                                        kedge_buf(digest, sizes[i]), &tlv);

        if (size == sizes[i]) {
            return size;
        }
        if (size != KEDGE_E_NONE) {
            return size < 0 ? size : KEDGE_E_FORMAT;
        }
    }
    return KEDGE_E_NONE;
}
