/* One reading of an image (parts.h). A file of its own for the stack's sake: the hash state is gone
 * when a signature is computed. */
#include <string.h>

#include "image/parts.h"

/* Read the next `size` bytes into the scratch buffer. */
static enum kedge_verdict take(struct kedge_pass *pass, uint32_t size)
{
    const struct kedge_verify *const v = pass->verify;
    const struct kedge_bytes data = kedge_bytes(v->scratch.at, size);

    if (pass->source->read(pass->source->ctx, pass->at, kedge_buf(v->scratch.at, size)) != 0) {
        return KEDGE_IMAGE_UNREADABLE;
    }
    if (pass->state != NULL) {
        pass->hash->update(pass->state, data);
    }
    if (v->tap != NULL && !pass->untapped && v->tap(v->tap_ctx, pass->at, data) < 0) {
        return KEDGE_IMAGE_UNREADABLE;
    }
    pass->at += size;
    return KEDGE_IMAGE_GOOD;
}

/* Read up to image offset `end`; the scratch buffer holds the last piece. */
static enum kedge_verdict take_until(struct kedge_pass *pass, uint32_t end)
{
    enum kedge_verdict verdict = KEDGE_IMAGE_GOOD;

    while (verdict == KEDGE_IMAGE_GOOD && pass->at < end) {
        const uint32_t left = end - pass->at;

        verdict = take(
            pass, left < pass->verify->scratch.size ? left : (uint32_t)pass->verify->scratch.size);
    }
    return verdict;
}

/* Read a pair of 16-bit words. */
static enum kedge_verdict take_head(struct kedge_pass *pass, uint16_t *first, uint16_t *second)
{
    const enum kedge_verdict verdict = take(pass, KEDGE_TLV_HEAD);

    *first = kedge_le16(pass->verify->scratch.at);
    *second = kedge_le16(pass->verify->scratch.at + 2);
    return verdict;
}

enum kedge_verdict kedge_pass_area(struct kedge_pass *pass, uint16_t magic, uint32_t total,
                                   kedge_pass_tlv on_tlv)
{
    const struct kedge_buf scratch = pass->verify->scratch;
    const uint32_t end = pass->at + total;
    uint16_t type, size;
    enum kedge_verdict verdict = take_head(pass, &type, &size);

    if (verdict == KEDGE_IMAGE_GOOD && (type != magic || size != total)) {
        return KEDGE_IMAGE_UNREADABLE; /* it was right when the image was parsed */
    }
    while (verdict == KEDGE_IMAGE_GOOD && pass->at < end) {
        if (end - pass->at < KEDGE_TLV_HEAD) {
            return KEDGE_IMAGE_BAD_TLV;
        }
        verdict = take_head(pass, &type, &size);
        if (verdict != KEDGE_IMAGE_GOOD) {
            break;
        }
        if (size > end - pass->at) {
            return KEDGE_IMAGE_BAD_TLV;
        }
        verdict = take_until(pass, pass->at + size);
        if (verdict == KEDGE_IMAGE_GOOD) {
            on_tlv(pass, type, kedge_bytes(scratch.at, size <= scratch.size ? size : 0));
        }
    }
    return verdict;
}

/* Major, minor, revision as one number: a dependency does not look at the build number. */
static uint32_t release(uint32_t major, uint32_t minor, uint32_t revision)
{
    return major << 24 | minor << 16 | revision;
}

/* u8 image, 3 bytes 0, version. There is one image, number 0; when this one is installed, it is it. */
static bool meets(const struct kedge_version *own, struct kedge_bytes data)
{
    return data.size == 12 && data.at[0] == 0 &&
           release(own->major, own->minor, own->revision) >=
               release(data.at[4], data.at[5], kedge_le16(data.at + 6));
}

static void note_protected(struct kedge_pass *pass, uint16_t type, struct kedge_bytes data)
{
    struct kedge_verify *const v = pass->verify;

    if (type == KEDGE_TLV_DEPENDENCY && !meets(&v->image.version, data)) {
        v->depends = true;
    }
    if (type == KEDGE_TLV_COUNTER && data.size == sizeof(v->counter) && !v->has_counter) {
        v->has_counter = true;
        v->counter = kedge_le32(data.at);
    }
}

/* Header, and that it is the one that was parsed. */
static enum kedge_verdict take_header(struct kedge_pass *pass)
{
    const struct kedge_verify *const v = pass->verify;
    struct kedge_image again;
    const enum kedge_verdict verdict = take(pass, KEDGE_HEADER_SIZE);

    if (verdict == KEDGE_IMAGE_GOOD) {
        kedge_header_decode(v->scratch.at, &again);
        if (memcmp(&again, &v->image, offsetof(struct kedge_image, tlv_at)) != 0) {
            return KEDGE_IMAGE_UNREADABLE;
        }
    }
    return verdict;
}

enum kedge_verdict kedge_pass_hashed(struct kedge_pass *pass, struct kedge_bytes lead,
                                     uint8_t *digest)
{
    const struct kedge_image *const image = &pass->verify->image;
    struct kedge_hash_state state;

    pass->at = 0;
    pass->state = &state;
    pass->hash->start(&state);
    pass->hash->update(&state, lead);
    enum kedge_verdict verdict = take_header(pass);

    if (verdict == KEDGE_IMAGE_GOOD) {
        verdict = take_until(pass, image->tlv_at);
    }
    if (verdict == KEDGE_IMAGE_GOOD && image->protected_size != 0) {
        verdict = kedge_pass_area(pass, KEDGE_TLV_PROTECTED, image->protected_size, note_protected);
    }
    pass->hash->finish(&state, digest);
    pass->state = NULL;
    return verdict;
}
