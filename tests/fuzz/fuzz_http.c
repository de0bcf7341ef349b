/* Any text where a server writes something: Content-Range, a .sha256, a .manifest. What breaks in
 * the field if it fails: a server, or who answers in its place, crashes the device or makes it
 * believe in bytes that it did not get. The first byte says which. */
#include <stdlib.h>
#include <string.h>

#include "pull_transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void content_range(const uint8_t *data, size_t size)
{
    uint32_t from, to, whole;
    char *const text = malloc(size + 1); /* just as long: ASan sees a byte too many */

    memcpy(text, data, size);
    text[size] = '\0';
    if (pull_content_range(text, &from, &to, &whole)) {
        must(from <= to && (whole == 0 || to < whole));
    }
    free(text);
}

static void manifest(const uint8_t *data, size_t size)
{
    struct kedge_manifest read;
    uint8_t *const bytes = malloc(size);

    memcpy(bytes, data, size);
    /* else nothing would get past its CRC */
    if (size >= KEDGE_STAGE_RECORD) {
        kedge_put_le32(bytes + 60, kedge_crc32(0, kedge_bytes(bytes, 60)));
    }
    if (pull_manifest_parse(kedge_bytes(bytes, size), &read) == 0) {
        must(read.chunk > 0 && read.chunk <= KEDGE_STAGE_CHUNK_MAX && read.check_size <= 32);
        must(size == KEDGE_STAGE_RECORD +
                         ((uint64_t)read.size + read.chunk - 1) / read.chunk * read.check_size);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t sha[32];

    if (size < 1) {
        return 0;
    }
    switch (data[0] % 3) {
    case 0:
        content_range(data + 1, size - 1);
        break;
    case 1:
        (void)pull_sha256_text(kedge_bytes(data + 1, size - 1), sha);
        break;
    default:
        manifest(data + 1, size - 1);
        break;
    }
    return 0;
}
