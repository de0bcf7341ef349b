/* Any bytes as an image: parse, walk, find, verify with keys of every type. What breaks in the
 * field if it fails: a hostile or decayed slot crashes or hangs the loader, at every boot. The
 * source traps on a read outside of the image. Nothing that libFuzzer makes up can carry a
 * signature; GOOD must come from the corpus (tests/fixtures) unaltered in its signed part, so a
 * GOOD image is verified once more and must give the same digest. */
#include <stdlib.h>
#include <string.h>

#include "enc_key_file.h"
#include "fixture.h"
#include "kedge/encrypted.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kedge_bytes input;

static int read_input(const void *ctx, uint32_t at, struct kedge_buf to)
{
    (void)ctx;
    if (at > input.size || to.size > input.size - at) {
        abort();
    }
    if (to.size > 0) {
        memcpy(to.at, input.at + at, to.size);
    }
    return 0;
}

static int watch(void *ctx, uint32_t at, struct kedge_bytes data)
{
    uint32_t *const next = ctx;

    if (at == 0) {
        *next = 0; /* read again, for a key with another hash */
    }
    if (at != *next || (data.size > 0 && memcmp(input.at + at, data.at, data.size) != 0)) {
        abort();
    }
    *next += (uint32_t)data.size;
    return 0;
}

static void walk(const struct kedge_source *source)
{
    uint8_t data[KEDGE_DIGEST_MAX];
    struct kedge_image image;
    struct kedge_tlv tlv;

    if (kedge_image_parse(source, &image) != KEDGE_IMAGE_GOOD) {
        return;
    }
    if (image.size > source->size || image.tlv_at >= image.size) {
        abort();
    }
    (void)kedge_tlv_find(source, &image, 0x40, kedge_buf(data, sizeof(data)), &tlv);
    (void)kedge_image_hash(source, &image, data);
}

/* The same bytes as an encrypted image, for a device with a shared key: unwrapped, opened, verified
 * through the plain view; and opened again by the record, whatever is in it. */
static void open_it(const struct kedge_source *source, struct kedge_verify *v)
{
    static struct enc_key_file own;
    static const enum kedge_lies ways[] = {KEDGE_LIES_WRAPPED, KEDGE_LIES_DERIVED};
    char why[ENC_KEY_WHY];
    struct kedge_image image;

    if (own.keys.count == 0 &&
        enc_key_read(KEDGE_SOURCE_DIR "/tests/fixtures/keys/enc_kw.b64", &own, why) != 0) {
        abort();
    }
    if (kedge_image_parse(source, &image) != KEDGE_IMAGE_GOOD) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct kedge_plain_view view = {.inner = *source, .cipher = &kedge_aes};
        uint8_t record[KEDGE_KEY_RECORD] = {0};

        if (kedge_plain_view_open(&view, &image, &own.keys, ways[i], record) == 0) {
            const struct kedge_source plain = kedge_plain_view_source(&view);

            (void)kedge_image_verify(&plain, v);
            if (kedge_plain_view_reopen(&view, record, &own.keys) != 0) {
                abort();
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kedge_key keys[FIXTURE_KEYS];
    static size_t key_count;
    uint8_t scratch[512];
    uint8_t digest[KEDGE_DIGEST_MAX];
    uint32_t next = 0;

    if (key_count == 0) {
        key_count = fixture_keys("all", keys);
    }
    input = kedge_bytes(data, size);
    const struct kedge_source source = {.read = read_input, .size = (uint32_t)size};
    struct kedge_verify v = {
        .keys = keys,
        .key_count = key_count,
        .scratch = kedge_buf(scratch, size % 2 == 0 ? 256 : sizeof(scratch)),
        .tap = watch,
        .tap_ctx = &next,
    };

    walk(&source);
    if (kedge_image_verify(&source, &v) == KEDGE_IMAGE_GOOD) {
        if (next != v.image.size) {
            abort();
        }
        memcpy(digest, v.digest, v.digest_size);
        next = 0;
        if (kedge_image_verify(&source, &v) != KEDGE_IMAGE_GOOD ||
            memcmp(digest, v.digest, v.digest_size) != 0) {
            abort();
        }
    }
    v.tap = NULL;
    open_it(&source, &v);
    return 0;
}
