#include "envelope.h"

#include <string.h>

#include "kedge/pipe.h"

#define HEADER      32u
#define PROTECTED   0x6908u
#define UNPROTECTED 0x6907u
#define SHA256      0x10u
#define SECTOR      4096u
#define OTHER_TLVS  40u /* bytes behind the payload in any case: info, SHA-256 */

static void put_le16(struct blob *file, uint16_t value)
{
    uint8_t raw[2];

    kedge_put_le16(raw, value);
    blob_put(file, kedge_bytes(raw, sizeof(raw)));
}

static void put_header(const struct envelope *e, uint16_t protected_size, struct blob *file)
{
    uint8_t header[HEADER] = {0};

    kedge_put_le32(header, KEDGE_IMAGE_MAGIC);
    kedge_put_le16(header + 8, HEADER);
    kedge_put_le16(header + 10, protected_size);
    kedge_put_le32(header + 12, (uint32_t)e->payload.size);
    kedge_put_le32(header + 16, KEDGE_IMAGE_NON_BOOTABLE);
    header[20] = e->version.major;
    header[21] = e->version.minor;
    kedge_put_le16(header + 22, e->version.revision);
    kedge_put_le32(header + 24, e->version.build);
    blob_put(file, kedge_bytes(header, sizeof(header)));
}

/* Bytes of filling in the kind's TLV. A device erases one sector a call, and while a few bytes of a
 * patch become many sectors it takes one byte of the file a call, so that its client sees it move.
 * The TLVs that are there anyway count, and so does a payload that is not small. */
static size_t filling(const struct envelope *e)
{
    const size_t calls = e->image_size / SECTOR + 4;
    const size_t there = OTHER_TLVS + e->payload.size / 16;

    return calls > there ? calls - there : 0;
}

void envelope_make(const struct envelope *e, struct blob *file)
{
    struct kedge_hash_state hash;
    struct blob kind = {0};
    uint8_t digest[32];

    blob_put(&kind, kedge_bytes(e->kind, strlen(e->kind) + 1));
    blob_fill(&kind, 0, filling(e));
    const uint16_t protected_size = (uint16_t)(4 + 4 + kind.size);

    put_header(e, protected_size, file);
    blob_put(file, e->payload);
    put_le16(file, PROTECTED);
    put_le16(file, protected_size);
    blob_tlv(file, KEDGE_ENVELOPE_TLV, blob_bytes(&kind));
    kedge_sha256.start(&hash);
    kedge_sha256.update(&hash, blob_bytes(file));
    kedge_sha256.finish(&hash, digest);
    put_le16(file, UNPROTECTED);
    put_le16(file, 4 + 4 + sizeof(digest));
    blob_tlv(file, SHA256, kedge_bytes(digest, sizeof(digest)));
    blob_free(&kind);
}

static int read_bytes(const void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct kedge_bytes *const file = ctx;

    memcpy(to.at, file->at + at, to.size);
    return 0;
}

bool envelope_open(struct kedge_bytes file, struct kedge_bytes *payload, struct kedge_image *image)
{
    const struct kedge_source source = {read_bytes, &file, (uint32_t)file.size};

    if (kedge_image_parse(&source, image) != KEDGE_IMAGE_GOOD || image->header_size != HEADER ||
        (image->flags & KEDGE_IMAGE_NON_BOOTABLE) == 0 || image->payload_size <= 4) {
        return false;
    }
    *payload = kedge_bytes(file.at + HEADER, image->payload_size);
    return true;
}

uint32_t envelope_grows_to(struct kedge_bytes plain)
{
    struct kedge_bytes payload;
    struct kedge_image image;

    return envelope_open(plain, &payload, &image) ? (image.protected_size + OTHER_TLVS) * SECTOR
                                                  : (uint32_t)plain.size;
}
