/* The content key of an image and a plain view of it. */
#include "kedge/encrypted.h"

#include <string.h>

/* Unwrapping costs a key agreement, and a hostile image may carry hundreds of key TLVs. */
#define TRIES 4

int kedge_image_unwrap(const struct kedge_source *source, const struct kedge_image *image,
                       const struct kedge_device_keys *keys, uint8_t *record,
                       struct kedge_buf *content)
{
    struct kedge_tlv_walk walk;
    struct kedge_tlv tlv;
    unsigned tries = TRIES;
    int more;

    content->size = kedge_image_key_size(image);
    kedge_tlv_start(&walk, source, image);
    while ((more = kedge_tlv_next(&walk, &tlv)) > 0 && tries != 0) {
        if (tlv.type < KEDGE_TLV_ENC_RSA || tlv.type > KEDGE_TLV_ENC_X25519_SHA512 ||
            tlv.size > KEDGE_WRAPPED_MAX) {
            continue;
        }
        const int error = source->read(source->ctx, tlv.at, kedge_buf(record + 4, tlv.size));

        if (error != 0) {
            return error;
        }
        kedge_put_le16(record, tlv.type);
        kedge_put_le16(record + 2, tlv.size);
        if (kedge_key_unwrap(keys, tlv.type, kedge_info_image, kedge_bytes(record + 4, tlv.size),
                             *content) == 0) {
            return 0;
        }
        tries--;
    }
    return more < 0 ? more : KEDGE_E_KEY;
}

int kedge_plain_view_open(struct kedge_plain_view *view, const struct kedge_image *image,
                          const struct kedge_device_keys *keys, enum kedge_lies lies,
                          uint8_t *record)
{
    uint8_t content[KEDGE_CIPHER_KEY_MAX];
    struct kedge_buf key = kedge_buf(content, KEDGE_DERIVED_KEY);
    int error;

    if (lies == KEDGE_LIES_WRAPPED) {
        error = kedge_image_unwrap(&view->inner, image, keys, record, &key);
    } else {
        error = kedge_image_hash(&view->inner, image, record + 4);
        if (error >= 0) {
            kedge_put_le16(record, 0);
            kedge_put_le16(record + 2, (uint16_t)error);
            error = kedge_image_derive(keys, kedge_bytes(record + 4, (size_t)error), key);
        }
    }
    view->from = image->header_size;
    view->to = image->tlv_at;
    if (error == 0) {
        view->cipher->start(&view->state, kedge_bytes(content, key.size));
    }
    kedge_wipe(content, sizeof(content));
    return error;
}

int kedge_plain_view_reopen(struct kedge_plain_view *view, const uint8_t *record, size_t key_size,
                            const struct kedge_device_keys *keys)
{
    uint8_t content[KEDGE_CIPHER_KEY_MAX];
    const uint16_t type = kedge_le16(record);
    const struct kedge_bytes data = kedge_bytes(record + 4, kedge_le16(record + 2));
    const struct kedge_buf key = kedge_buf(content, type != 0 ? key_size : KEDGE_DERIVED_KEY);
    const int error = type != 0 ? kedge_key_unwrap(keys, type, kedge_info_image, data, key)
                                : kedge_image_derive(keys, data, key);

    if (error == 0) {
        view->cipher->start(&view->state, kedge_bytes(content, key.size));
    }
    kedge_wipe(content, sizeof(content));
    return error;
}

void kedge_plain_view_crypt(const struct kedge_plain_view *view, uint32_t at, struct kedge_buf data)
{
    if (at < view->from) {
        const size_t skip = view->from - at;

        if (data.size <= skip) {
            return;
        }
        data = kedge_buf(data.at + skip, data.size - skip);
        at = view->from;
    }
    if (at >= view->to) {
        return;
    }
    if (data.size > view->to - at) {
        data.size = view->to - at;
    }
    kedge_cipher_crypt(view->cipher, &view->state, at - view->from, data);
}

static int read_plain(const void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct kedge_plain_view *const view = ctx;
    const int error = view->inner.read(view->inner.ctx, at, to);

    if (error == 0) {
        kedge_plain_view_crypt(view, at, to);
    }
    return error;
}

struct kedge_source kedge_plain_view_source(const struct kedge_plain_view *view)
{
    return (struct kedge_source){.read = read_plain, .ctx = view, .size = view->inner.size};
}

int kedge_image_derive(const struct kedge_device_keys *keys, struct kedge_bytes hash,
                       struct kedge_buf content)
{
    static const uint8_t label[] = {'k', 'e', 'd', 'g', 'e', '-', 'o', 'l',
                                    'd', '-', 'i', 'm', 'a', 'g', 'e'};

    return kedge_key_derive(keys, hash, kedge_bytes(label, sizeof(label)), content);
}
