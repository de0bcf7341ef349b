/* bench_stages STAGE BYTES: so many bytes of an image through one stage of the receive path, on a
 * pipe without flash; for bench/stages.py, which counts the instructions. STAGE: plain, ctr,
 * sealed, delta, compressed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kedge/pipe.h"
#include "wrapped_file.h"

#define OUT_MOST (1u << 20)

static struct agent_device device; /* for its table of kinds only */
static uint8_t out[OUT_MOST], old[OUT_MOST];
static uint32_t out_size, old_size;

static int read_old(void *ctx, uint32_t at, struct kedge_buf to)
{
    (void)ctx;
    memcpy(to.at, old + at, to.size);
    return 0;
}

static int read_out(void *ctx, uint32_t at, struct kedge_buf to)
{
    (void)ctx;
    memcpy(to.at, out + at, to.size);
    return 0;
}

/* callgrind counts what happens in here, and nothing else (--toggle-collect). */
__attribute__((noinline)) void bench_stage_run(struct kedge_bytes file);
void bench_stage_run(struct kedge_bytes file)
{
    static struct kedge_pipe pipe;
    const struct kedge_pipe_config config = {.kinds = device.config.kinds,
                                             .kind_count = device.config.kind_count,
                                             .memory = device.config.pipe_memory,
                                             .old = {read_old, NULL, old_size},
                                             .out = {read_out, NULL, OUT_MOST}};
    size_t taken = 1, given = 1;
    int error = 0;

    kedge_pipe_start(&pipe, &config);
    while (error == 0 && file.size > 0 && (taken > 0 || given > 0)) {
        error =
            kedge_pipe_push(&pipe, kedge_bytes(file.at, file.size < 512 ? file.size : 512), &taken);
        file = kedge_bytes(file.at + taken, file.size - taken);
        for (given = 1; error == 0 && given > 0;) {
            error = kedge_pipe_pull(&pipe, kedge_buf(out + out_size, 512), &given);
            out_size += (uint32_t)given;
        }
    }
    if (error == 0) {
        error = kedge_pipe_finish(&pipe);
    }
    if (error != 0) {
        fprintf(stderr, "bench_stages: %s\n", kedge_pipe_reason(&pipe, error));
        exit(1);
    }
}

/* Words that look like code: most of them come again, some do not. */
static void fill(uint8_t *image, uint32_t size, uint32_t seed)
{
    memset(image, 0, size);
    for (uint32_t i = 32; i + 4 <= size; i += 4) {
        kedge_put_le32(image + i,
                       (i % 7 < 4 ? 0x46004770u : i * 2654435761u) ^ (i % 4096 == seed ? 1u : 0u));
    }
    kedge_put_le32(image, KEDGE_IMAGE_MAGIC);
    kedge_put_le16(image + 8, 32);
    kedge_put_le32(image + 12, size - 32);
}

int main(int argc, char **argv)
{
    static uint8_t image[OUT_MOST / 2];
    struct wrapped_file file = {0};
    const uint32_t size = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0;

    if (size < 64 || size > sizeof(image)) {
        fprintf(stderr, "usage: bench_stages STAGE BYTES (64 to %zu)\n", sizeof(image));
        return 2;
    }
    const struct kedge_bytes plain = kedge_bytes(image, size);

    wrapped_use(&device);
    fill(image, size, 64);
    if (strcmp(argv[1], "sealed") == 0) {
        wrapped_seal(&file, plain, KEDGE_SEALED_SEGMENT_LOG);
    } else if (strcmp(argv[1], "ctr") == 0) {
        wrapped_ctr(&file, plain);
    } else if (strcmp(argv[1], "delta") == 0) {
        fill(old, size, 128);
        old_size = size;
        wrapped_delta(&file, kedge_bytes(old, size), plain, 14);
    } else if (strcmp(argv[1], "compressed") == 0) {
        wrapped_delta(&file, kedge_bytes(NULL, 0), plain, 14);
    }
    bench_stage_run(file.bytes != NULL ? kedge_bytes(file.bytes, file.size) : plain);
    if (out_size != size || memcmp(out, image, size) != 0) {
        fprintf(stderr, "bench_stages: another image came out\n");
        return 1;
    }
    wrapped_free(&file);
    return 0;
}
