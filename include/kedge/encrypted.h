/* An encrypted image (facts/mcuboot-format.md 7.3): its content key, and a plain view of it. Header
 * and TLVs are plain always; hash and signature are over the plain image. */
#ifndef KEDGE_ENCRYPTED_H
#define KEDGE_ENCRYPTED_H

#include "kedge/device_key.h"
#include "kedge/image.h"

/* What opens an image again, as the journal keeps it (FORMAT.md "Key records"):
 *
 *      0  u8 type       TLV type of data: a wrapped key, or the image's hash, from which to derive
 *      1  u8 key        bytes of the content key: 16, 32
 *      2  u16 size      of data
 *      4  u32 from, to  payload: bytes from the image's first
 *     12  data[256]
 * The content key itself is in none of it. */
#define KEDGE_KEY_RECORD      (KEDGE_KEY_RECORD_DATA + KEDGE_WRAPPED_MAX)
#define KEDGE_KEY_RECORD_DATA 12u

static inline bool kedge_image_is_encrypted(const struct kedge_image *image)
{
    return (image->flags & (KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256)) != 0;
}

/* How the payload of an image lies outside of the internal flash; the number is the type, divided
 * by 16, of the TLVs that its key comes from. */
enum kedge_lies {
    KEDGE_LIES_PLAIN = 0,
    KEDGE_LIES_DERIVED = 1, /* with a key of the device's own: it came without (SWAP.md 10) */
    KEDGE_LIES_WRAPPED = 3  /* with the key in its TLV */
};

/* The plain view: reads `inner`, and unmasks what lies in the payload. */
struct kedge_plain_view {
    struct kedge_source inner;
    const struct kedge_cipher *cipher;
    struct kedge_cipher_state state; /* secret: wipe it */
    uint32_t from, to;               /* payload */
};

/* Take the key of the parsed image in view->inner. WRAPPED: from the first of its key TLVs that one
 * of the device's keys opens, of at most 4 that are tried. DERIVED: from the first device key and
 * the first of the image's stored hashes, info "kedge-old-image". Requires view->inner and
 * view->cipher. Ensures with 0: the view is open, and `record` (KEDGE_KEY_RECORD bytes) opens it
 * again. Errors: KEDGE_E_KEY: there is no TLV that opens it; KEDGE_E_FORMAT; a flash error. */
int kedge_plain_view_open(struct kedge_plain_view *view, const struct kedge_image *image,
                          const struct kedge_device_keys *keys, enum kedge_lies lies,
                          uint8_t *record);

/* Open by a record, whatever lies in view->inner now. Errors as kedge_key_unwrap(). */
int kedge_plain_view_reopen(struct kedge_plain_view *view, const uint8_t *record,
                            const struct kedge_device_keys *keys);

/* Mask or unmask what of `data`, which lies `at` bytes into the image, is payload. */
void kedge_plain_view_crypt(const struct kedge_plain_view *view, uint32_t at,
                            struct kedge_buf data);

/* As a source for the image functions; `view` must outlive it. */
struct kedge_source kedge_plain_view_source(const struct kedge_plain_view *view);

#endif
