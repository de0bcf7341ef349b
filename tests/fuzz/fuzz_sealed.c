/* Any bytes as a sealed file, through the pipe that opens envelopes. What breaks in the field if it
 * fails: a hostile file makes the device read or write outside, hang, or give out a byte that was
 * not authenticated: with a key that nobody knows only the bytes of the one genuine file may come
 * out, each at its place. The first byte: how large the pieces are. */
#include <stdlib.h>
#include <string.h>

#include "kedge/ctr.h"
#include "kedge/pipe.h"
#include "wrapped_file.h"

#define ROOM 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[32] = "the devices here share this";
static const struct kedge_sealed_keys keys = {.aead = &kedge_chacha20, .shared = {key, 32}};
static const struct kedge_ctr_keys no_key;
static const struct kedge_pipe_kind kinds[] = {{KEDGE_SEALED_MAGIC, &kedge_sealed, &keys},
                                               {KEDGE_CTR_MAGIC, &kedge_ctr, &no_key}};
static uint64_t memory[3 * 1200];
static uint8_t plain[700];

/* tests/fuzz/corpus/sealed/genuine was made of this, in segments of 256. */
static void fill(void)
{
    for (uint32_t i = 0; i < sizeof(plain); i++) {
        plain[i] = (uint8_t)(i * 7 + (i >> 5));
    }
    kedge_put_le32(plain, KEDGE_IMAGE_MAGIC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kedge_pipe pipe;
    const struct kedge_pipe_config config = {
        .kinds = kinds, .kind_count = 2, .memory = kedge_buf(memory, sizeof(memory))};
    uint32_t out_at = 0;
    int error = 0;

    if (size < 1 + KEDGE_ENVELOPE_HEAD) {
        return 0;
    }
    fill();
    const size_t piece = 1 + data[0];
    const bool wrapped = kedge_pipe_find(&config, data + 1) != NULL;

    kedge_pipe_start(&pipe, &config);
    for (size_t at = 1; at < size && error == 0;) {
        uint8_t out[100];
        size_t taken = 0, given = 1, came = 0;

        error = kedge_pipe_push(
            &pipe, kedge_bytes(data + at, size - at < piece ? size - at : piece), &taken);
        at += taken;
        while (error == 0 && given > 0) {
            error = kedge_pipe_pull(&pipe, kedge_buf(out, sizeof(out)), &given);
            came += given;
            if (error == 0 && wrapped && given > 0 &&
                (out_at + given > sizeof(plain) || memcmp(plain + out_at, out, given) != 0)) {
                abort(); /* a byte that nobody sealed */
            }
            out_at += (uint32_t)given;
        }
        if (error == 0 && taken == 0 && came == 0) {
            break; /* the caller refuses what goes on behind the end */
        }
    }
    if (error == 0) {
        error = kedge_pipe_finish(&pipe);
    }
    if (error == 0 && wrapped && out_at != sizeof(plain)) {
        abort(); /* whole, it says, and it is not */
    }
    if (kedge_pipe_reason(&pipe, error)[0] == '\0') {
        abort();
    }
    return 0;
}
