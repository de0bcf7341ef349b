/* An encrypted image (facts/mcuboot-format.md 7.3): its content key, and a plain view of it. Header
 * and TLVs are plain always; hash and signature are over the plain image. */
#ifndef KEDGE_ENCRYPTED_H
#define KEDGE_ENCRYPTED_H

#include "kedge/device_key.h"
#include "kedge/image.h"

/* A wrapped key as the journal keeps it (FORMAT.md "Key records"): u16 type, u16 size, data. */
#define KEDGE_KEY_RECORD (4u + KEDGE_WRAPPED_MAX)

static inline bool kedge_image_is_encrypted(const struct kedge_image *image)
{
    return (image->flags & (KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256)) != 0;
}

/* Bytes of the content key: 16 or 32. */
static inline size_t kedge_image_key_size(const struct kedge_image *image)
{
    return (image->flags & KEDGE_IMAGE_AES256) != 0 ? 32 : 16;
}

/* Unwrap the content key of a parsed image that is flagged as encrypted: the first of its key TLVs
 * that one of the device's keys opens, of at most 4 that are tried. -> its bytes in `content` (room
 * for KEDGE_CIPHER_KEY_MAX), the wrapped key in `record` (KEDGE_KEY_RECORD bytes).
 * Errors: KEDGE_E_KEY: none opens; KEDGE_E_FORMAT, a flash error. */
int kedge_image_unwrap(const struct kedge_source *source, const struct kedge_image *image,
                       const struct kedge_device_keys *keys, uint8_t *record,
                       struct kedge_buf *content);

/* How the payload of an image lies outside of the internal flash. */
enum kedge_lies {
    KEDGE_LIES_PLAIN,
    KEDGE_LIES_WRAPPED, /* masked with the key in its TLV */
    KEDGE_LIES_DERIVED /* masked with a key of the device's own: it came without one (SWAP.md 10) */
};

/* The plain view: reads `inner`, and unmasks what lies in the payload. */
struct kedge_plain_view {
    struct kedge_source inner;
    const struct kedge_cipher *cipher;
    struct kedge_cipher_state state; /* secret: wipe it */
    uint32_t from, to;               /* payload */
};

/* Take the key out of the parsed image in view->inner: WRAPPED, as kedge_image_unwrap(); DERIVED,
 * as kedge_image_derive() of its stored hash, the record then having type 0 and the hash for data.
 * Requires view->inner and view->cipher. Errors: of those; KEDGE_E_NONE: no hash. */
int kedge_plain_view_open(struct kedge_plain_view *view, const struct kedge_image *image,
                          const struct kedge_device_keys *keys, enum kedge_lies lies,
                          uint8_t *record);

/* The same by a record that was kept: whatever lies in view->inner now. from and to are left. */
int kedge_plain_view_reopen(struct kedge_plain_view *view, const uint8_t *record, size_t key_size,
                            const struct kedge_device_keys *keys);

/* Mask or unmask what of `data`, which lies `at` bytes into the image, is payload. */
void kedge_plain_view_crypt(const struct kedge_plain_view *view, uint32_t at,
                            struct kedge_buf data);

/* As a source for the image functions; `view` must outlive it. */
struct kedge_source kedge_plain_view_source(const struct kedge_plain_view *view);

/* The key for an image that has none, of 16 bytes: derived from the first device key and the
 * image's hash, info "kedge-old-image"; never stored. */
#define KEDGE_DERIVED_KEY 16
int kedge_image_derive(const struct kedge_device_keys *keys, struct kedge_bytes hash,
                       struct kedge_buf content);

#endif
