/* bench_delta OLD|- NEW OLD_BASE NEW_BASE RAM_BASE RAM_SIZE [CHUNK_LOG [OUT]]: one patch between
 * raw images, by the encoder of `kedge delta`, as one line of JSON: bytes of the whole file that
 * the decoder takes, its mode, seconds of this process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "delta_make.h"
#include "file.h"

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 0);
}

int main(int argc, char **argv)
{
    struct file_data old = {0}, now;
    struct delta_bytes patch = {0};
    struct rusage usage;
    if (argc < 7 || (strcmp(argv[1], "-") != 0 && file_read(argv[1], &old) != 0) ||
        file_read(argv[2], &now) != 0) {
        return 2;
    }
    const struct delta_options options = {.old_base = number(argv[3]),
                                          .new_base = number(argv[4]),
                                          .ram_base = number(argv[5]),
                                          .ram_size = number(argv[6]),
                                          .chunk_log = argc > 7 ? number(argv[7]) : 0};
    const int error =
        delta_make(kedge_bytes(old.at, old.size), kedge_bytes(now.at, now.size), &options, &patch);
    if (error != 0) {
        fprintf(stderr, "bench_delta: error %d\n", error);
        return 1;
    }
    if (argc > 8 && file_write(argv[8], kedge_bytes(patch.at, patch.size), 0666) != 0) {
        return 1;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"bytes\": %zu, \"flags\": %u, \"seconds\": %.1f, \"megabytes\": %.0f}\n", patch.size,
           patch.at[KEDGE_DELTA_FLAGS_AT],
           (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6,
           (double)usage.ru_maxrss / 1024);
    free(patch.at);
    free(old.at);
    free(now.at);
    return 0;
}
