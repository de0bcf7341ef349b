/* The content key of an image and a plain view of it. */
#include "kedge/encrypted.h"

/* Unwrapping costs a key agreement, and a hostile image may carry hundreds of key TLVs. */
#define TRIES 4

#define KEY   1
#define SIZE  2
#define FROM  4
#define TO    8

int kedge_plain_view_reopen(struct kedge_plain_view *view, const uint8_t *record,
                            const struct kedge_device_keys *keys)
{
    static const uint8_t own[] = {'k', 'e', 'd', 'g', 'e', '-', 'o', 'l',
                                  'd', '-', 'i', 'm', 'a', 'g', 'e'};
    uint8_t content[KEDGE_CIPHER_KEY_MAX];
    const struct kedge_buf key = kedge_buf(content, record[KEY] == 32 ? 32 : 16);
    const struct kedge_bytes data =
        kedge_bytes(record + KEDGE_KEY_RECORD_DATA, kedge_le16(record + SIZE));
    int error = KEDGE_E_FORMAT;

    if (record[0] >= KEDGE_TLV_ENC_RSA) {
        error = kedge_key_unwrap(keys, record[0], kedge_info_image, data, key);
    } else if (data.size <= KEDGE_DIGEST_MAX) {
        error = kedge_key_derive(keys, data, kedge_bytes(own, sizeof(own)), key);
    }

    view->from = kedge_le32(record + FROM);
    view->to = kedge_le32(record + TO);
    if (error == 0) {
        view->cipher->start(&view->state, kedge_bytes(content, key.size));
    }
    kedge_wipe(content, sizeof(content));
    return error;
}

int kedge_plain_view_open(struct kedge_plain_view *view, const struct kedge_image *image,
                          const struct kedge_device_keys *keys, enum kedge_lies lies,
                          uint8_t *record)
{
    const struct kedge_source *const source = &view->inner;
    struct kedge_tlv_walk walk;
    struct kedge_tlv tlv;
    unsigned tries = TRIES;
    int result;

    record[KEY] = (image->flags & KEDGE_IMAGE_AES256) != 0 ? 32 : 16;
    kedge_put_le32(record + FROM, image->header_size);
    kedge_put_le32(record + TO, image->tlv_at);
    kedge_tlv_start(&walk, source, image);
    while ((result = kedge_tlv_next(&walk, &tlv)) > 0 && tries != 0) {
        /* the hashes lie sixteen by sixteen below the wrapped keys: 0x1., 0x3. */
        if (tlv.type >> 4 != (uint16_t)lies || tlv.size > KEDGE_WRAPPED_MAX) {
            continue;
        }
        record[0] = (uint8_t)tlv.type;
        kedge_put_le16(record + SIZE, tlv.size);
        result =
            source->read(source->ctx, tlv.at, kedge_buf(record + KEDGE_KEY_RECORD_DATA, tlv.size));
        if (result != 0) {
            return result;
        }
        if (kedge_plain_view_reopen(view, record, keys) == 0) {
            return 0;
        }
        tries--;
    }
    return result < 0 ? result : KEDGE_E_KEY;
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
