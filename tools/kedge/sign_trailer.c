/* magic at the very end; image_ok before it when the image is confirmed. */
#include "sign_trailer.h"

#include <string.h>

#include "hex.h"
#include "kedge/trailer.h"

#define MAGIC_SIZE 16u
#define FLAG_SET   1

static uint32_t align_up(uint32_t value, uint32_t align)
{
    return (value + align - 1) / align * align;
}

uint32_t sign_trailer_size(const struct sign_request *r, size_t enctlv_size)
{
    const uint32_t magic = align_up(MAGIC_SIZE, r->max_align);
    /* imgtool counts 16 bytes for a key also when it has 32; so do we, the files must agree. */
    const uint32_t key = align_up(r->save_enctlv ? (uint32_t)enctlv_size : 16, r->max_align);

    if (r->overwrite_only) {
        return 2 * r->max_align + magic;
    }
    return r->max_sectors * 3 * r->align + (r->encrypt_for != NULL ? 2 * key : 0) +
           4 * r->max_align + magic;
}

/* image_ok counts where something is swapped. */
static bool has_flag(const struct sign_request *r)
{
    return (r->test || r->confirm) && !r->overwrite_only;
}

static uint32_t flag_from_end(const struct sign_request *r)
{
    return align_up(MAGIC_SIZE, r->max_align) + r->max_align;
}

void sign_pad(const struct sign_request *r, struct signed_image *image)
{
    struct blob *const b = &image->bytes;

    blob_fill(b, r->erased, r->slot_size - b->size);
    kedge_trailer_magic((uint8_t)r->max_align, b->at + b->size - MAGIC_SIZE);
    if (has_flag(r) && r->confirm) {
        b->at[b->size - flag_from_end(r)] = FLAG_SET;
    }
}

char *sign_hex(const struct sign_request *r, const struct signed_image *image, uint32_t address,
               size_t *size)
{
    const uint32_t end = address + r->slot_size;
    uint8_t tail[KEDGE_TRAILER_SIZE_MAX];
    struct hex_segment segments[3] = {{address, blob_bytes(&image->bytes)}};
    size_t count = 1;

    if (!r->pad) {
        return hex_write(segments, count, size);
    }
    const uint32_t from_end = has_flag(r) ? flag_from_end(r) : MAGIC_SIZE;
    const bool one_piece = from_end <= MAGIC_SIZE + r->max_align;

    memset(tail, r->erased, sizeof(tail));
    kedge_trailer_magic((uint8_t)r->max_align, tail + from_end - MAGIC_SIZE);
    tail[0] = has_flag(r) && r->confirm ? FLAG_SET : tail[0];
    if (one_piece) {
        segments[count++] = (struct hex_segment){end - from_end, kedge_bytes(tail, from_end)};
    } else {
        segments[count++] = (struct hex_segment){end - from_end, kedge_bytes(tail, r->max_align)};
        segments[count++] = (struct hex_segment){
            end - MAGIC_SIZE, kedge_bytes(tail + from_end - MAGIC_SIZE, MAGIC_SIZE)};
    }
    return hex_write(segments, count, size);
}
