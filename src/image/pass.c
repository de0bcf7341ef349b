/* One reading of an image (parts.h). A file of its own for the stack's sake: the hash state is gone
 * when a signature is computed. */
#include <string.h>

#include "image/parts.h"

/* Read the next `size` bytes, of which nothing is known: into the scratch buffer, one behind the
 * other where all of them fit. No piece crosses a multiple of the buffer's size. */
static enum kedge_verdict take(struct kedge_pass *pass, uint32_t size)
{
    const struct kedge_verify *const v = pass->verify;
    const struct kedge_source *const source = pass->source;
    const uint32_t room = (uint32_t)v->scratch.size;
    const bool fits = size <= room;
    uint8_t *to = v->scratch.at;

    if (size > source->size - pass->at) {
        return KEDGE_IMAGE_BAD_TLV;
    }
    while (size != 0) {
        const uint32_t left = room - pass->at % room;
        const uint32_t n = size < left ? size : left;

        if (source->read(source->ctx, pass->at, kedge_buf(to, n)) != 0) {
            return KEDGE_IMAGE_UNREADABLE;
        }
        if (pass->state != NULL) {
            pass->hash->update(pass->state, kedge_bytes(to, n));
        }
        if (v->tap != NULL && v->tap(v->tap_ctx, pass->at, kedge_bytes(to, n)) < 0) {
            return KEDGE_IMAGE_UNREADABLE;
        }
        pass->at += n;
        size -= n;
        to += fits ? n : 0;
    }
    return KEDGE_IMAGE_GOOD;
}

/* Read a pair of 16-bit words: they lie in the scratch buffer. */
static enum kedge_verdict take_head(struct kedge_pass *pass)
{
    return take(pass, KEDGE_TLV_HEAD);
}

enum kedge_verdict kedge_pass_area(struct kedge_pass *pass, uint16_t magic, uint32_t total,
                                   kedge_pass_tlv on_tlv)
{
    const struct kedge_buf scratch = pass->verify->scratch;
    const uint32_t start = pass->at;
    enum kedge_verdict verdict = take_head(pass);
    const uint32_t said = kedge_le16(scratch.at + 2);
    const uint32_t end = start + said;

    if (verdict == KEDGE_IMAGE_GOOD && (kedge_le16(scratch.at) != magic ||
                                        (total != 0 && total != said) || said < KEDGE_TLV_HEAD)) {
        return KEDGE_IMAGE_BAD_TLV;
    }
    while (verdict == KEDGE_IMAGE_GOOD && pass->at != end) {
        if (end - pass->at < KEDGE_TLV_HEAD) {
            return KEDGE_IMAGE_BAD_TLV;
        }
        verdict = take_head(pass);
        if (verdict != KEDGE_IMAGE_GOOD) {
            break;
        }
        const uint16_t type = kedge_le16(scratch.at);
        const uint16_t size = kedge_le16(scratch.at + 2);

        if (size > end - pass->at) {
            return KEDGE_IMAGE_BAD_TLV;
        }
        verdict = take(pass, size);
        if (verdict == KEDGE_IMAGE_GOOD) {
            on_tlv(pass, type, scratch.at, size <= scratch.size ? size : 0);
        }
    }
    pass->verify->image.size = end;
    return verdict;
}

/* Major, minor, revision as one number: a dependency does not look at the build number. */
static uint32_t release(uint32_t major, uint32_t minor, uint32_t revision)
{
    return major << 24 | minor << 16 | revision;
}

/* u8 image, 3 bytes 0, version. There is one image, number 0; when this one is installed, it is it.
 */
static bool meets(const struct kedge_version *own, const uint8_t *at, size_t size)
{
    return size == 12 && at[0] == 0 &&
           release(own->major, own->minor, own->revision) >=
               release(at[4], at[5], kedge_le16(at + 6));
}

static void note_protected(struct kedge_pass *pass, uint16_t type, const uint8_t *at, size_t size)
{
    struct kedge_verify *const v = pass->verify;

    if (type == KEDGE_TLV_DEPENDENCY && !meets(&v->image.version, at, size)) {
        v->depends = true;
    }
    if (type == KEDGE_TLV_COUNTER && size == sizeof(v->counter) && v->counter == 0) {
        v->counter = kedge_le32(at);
    }
}

KEDGE_APART enum kedge_verdict kedge_pass_hashed(struct kedge_pass *pass, const uint8_t *lead,
                                                 size_t lead_size, uint8_t *digest)
{
    struct kedge_image *const image = &pass->verify->image;
    const uint32_t most = pass->source->size;
    struct kedge_hash_state state;

    pass->at = 0;
    /* cppcheck-suppress uninitvar ; start() fills it */
    pass->state = pass->verify->look_only ? NULL : &state;
    pass->hash->start(&state);
    if (lead_size != 0) {
        pass->hash->update(&state, kedge_bytes(lead, lead_size));
    }
    enum kedge_verdict verdict =
        most < KEDGE_HEADER_SIZE ? KEDGE_IMAGE_ABSENT : take(pass, KEDGE_HEADER_SIZE);

    if (verdict == KEDGE_IMAGE_GOOD) {
        verdict = kedge_header_decode(pass->verify->scratch.at, most, image);
    }
    if (verdict == KEDGE_IMAGE_GOOD) {
        verdict = take(pass, image->tlv_at - KEDGE_HEADER_SIZE);
    }
    if (verdict == KEDGE_IMAGE_GOOD && image->protected_size != 0) {
        verdict = kedge_pass_area(pass, KEDGE_TLV_PROTECTED, image->protected_size, note_protected);
    }
    pass->hash->finish(&state, digest);
    pass->state = NULL;
    return verdict;
}
