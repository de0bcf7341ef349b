/* Any bytes as a patch, against an old image or none. What breaks in the field if it fails: a
 * hostile patch makes the device read or write outside of its memory, or hang, while it is decoded.
 * The first byte says whether there is an old image, and how large the pieces are; the header's
 * hash of it is put right, else nothing would get past it. */
#include <stdlib.h>
#include <string.h>

#include "kedge/crypto.h"
#include "kedge/delta.h"

#define OLD  2048u
#define ROOM 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t old_image[OLD], result[ROOM], patch[1u << 16];
static uint32_t given_out;

static int read_old(void *ctx, uint32_t at, struct kedge_buf to)
{
    (void)ctx;
    if (at > OLD || to.size > OLD - at) {
        return KEDGE_E_BOUNDS;
    }
    memcpy(to.at, old_image + at, to.size);
    return 0;
}

static int read_result(void *ctx, uint32_t at, struct kedge_buf to)
{
    (void)ctx;
    if (at > given_out || to.size > given_out - at) {
        return KEDGE_E_BOUNDS; /* nothing that was not given out yet */
    }
    memcpy(to.at, result + at, to.size);
    return 0;
}

/* As tests/fuzz/corpus/delta was made for: words that look like code, by a fixed rule. */
static void fill(void)
{
    for (uint32_t i = 0; i < OLD; i++) {
        old_image[i] = (uint8_t)(i * i / 7 + i % 13 * (i >> 8));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kedge_delta delta;
    uint8_t digest[32];

    if (size < 1 + KEDGE_DELTA_HEADER || size > sizeof(patch)) {
        return 0;
    }
    fill();
    given_out = 0;
    const bool has_old = (data[0] & 1) != 0;
    const size_t piece = 1 + data[0] / 2;
    const struct kedge_transform_env env = {.old = {read_old, NULL, has_old ? OLD : 0},
                                            .out = {read_result, NULL, ROOM}};
    size--;
    memcpy(patch, data + 1, size);
    if (has_old) {
        kedge_hash_once(&kedge_sha256, kedge_bytes(old_image, OLD), digest);
        memcpy(patch + KEDGE_DELTA_OLD_HASH_AT, digest, 8);
        kedge_put_le32(patch + KEDGE_DELTA_OLD_SIZE_AT, OLD);
    }
    int error = kedge_delta.start(&delta, &env);

    for (size_t at = 0; error == 0 && at < size;) {
        size_t taken = 0, given = 1;

        error = kedge_delta.push(
            &delta, &env, kedge_bytes(patch + at, size - at < piece ? size - at : piece), &taken);
        at += taken;
        const bool stuck = error == 0 && taken == 0;

        for (bool first = true; error == 0 && given > 0; first = false) {
            error = kedge_delta.pull(&delta, &env, kedge_buf(result + given_out, ROOM - given_out),
                                     &given);
            given_out += (uint32_t)given;
            if (stuck && first && error == 0 && given == 0) {
                abort(); /* takes nothing and gives nothing: for ever */
            }
        }
    }
    if (error == 0) {
        error = kedge_delta.finish(&delta, &env);
    }
    if (error != 0 && kedge_delta.reason(&delta, error)[0] == '\0') {
        abort();
    }
    return 0;
}
