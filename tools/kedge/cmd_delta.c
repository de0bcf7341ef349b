/* kedge delta */
#include <jansson.h>
#include <stdio.h>

#include "command.h"
#include "delta_file.h"
#include "file.h"
#include "options.h"
#include "report.h"

static struct {
    bool compress, json;
    struct option_number base, ram, ram_size, chunk;
} given;

static const struct option options[] = {
    {0, "compress", NULL, "no old image: the new one compressed", OPTION_FLAG, &given.compress},
    {0, "base", "ADDR", "link address of the images' first byte [guessed from their pointers]",
     OPTION_NUMBER, &given.base},
    {0, "ram", "ADDR", "where RAM begins [0x20000000]", OPTION_NUMBER, &given.ram},
    {0, "ram-size", "BYTES", "and its size, at most 4 MiB [0x40000]", OPTION_NUMBER,
     &given.ram_size},
    {0, "chunk", "BYTES",
     "independent chunks of this size, a power of two from 4096 on; 0: one [one for a patch\n"
     "                             below 4096 bytes, else 16384]",
     OPTION_NUMBER, &given.chunk},
    {0, "json", NULL, "print facts as JSON", OPTION_FLAG, &given.json},
};

static const struct syntax syntax = {
    .command = "delta",
    .operands = "OLD NEW OUT | --compress NEW OUT",
    .about =
        "Makes a patch that turns the signed image OLD, which the device runs, into NEW; or, with\n"
        "--compress, a smaller form of NEW. Either travels through every SMP client like an\n"
        "image; the device builds NEW in its secondary slot. `kedge seal` encrypts it.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .operands_min = 2,
    .operands_max = 3,
};

static int chunk_log(struct delta_known *known)
{
    known->has_chunk = given.chunk.given;
    if (!given.chunk.given || given.chunk.value == 0) {
        return OPTIONS_GO;
    }
    for (known->chunk_log = 12; known->chunk_log <= 24; known->chunk_log++) {
        if (given.chunk.value == 1u << known->chunk_log) {
            return OPTIONS_GO;
        }
    }
    return misuse("delta", "--chunk must be 0, or a power of two from 4096 to 16777216");
}

static int take_options(const struct operands *operands, struct delta_known *known)
{
    if (operands->count != (given.compress ? 2 : 3)) {
        return misuse("delta", given.compress
                                   ? "--compress takes NEW and OUT"
                                   : "it takes OLD, NEW and OUT (or --compress NEW OUT)");
    }
    if (given.ram_size.given && given.ram_size.value > 1u << 22) {
        return misuse("delta", "--ram-size is at most 0x400000");
    }
    if (given.base.value % 4 != 0) {
        return misuse("delta", "--base must be a multiple of 4");
    }
    *known = (struct delta_known){
        .has_base = given.base.given,
        .base = given.base.value,
        .has_ram = given.ram.given || given.ram_size.given,
        .ram_base = given.ram.given ? given.ram.value : 0x20000000u,
        .ram_size = given.ram_size.given ? given.ram_size.value : 0x40000u,
    };
    return chunk_log(known);
}

static int tell(const struct delta_facts *facts)
{
    const double share = 100.0 * facts->file / facts->new_size;
    if (!given.json) {
        printf("%u bytes instead of %u (%.2f %%): %s%s\n", facts->file, facts->new_size, share,
               delta_mode_text(facts->flags), facts->chunk_log == 0 ? "" : ", in chunks");
        return EXIT_DONE;
    }
    json_t *const all = json_pack(
        "{s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I}", "old_size", (json_int_t)facts->old_size,
        "new_size", (json_int_t)facts->new_size, "patch", (json_int_t)facts->payload, "file",
        (json_int_t)facts->file, "mode", delta_mode_text(facts->flags), "chunk",
        (json_int_t)(facts->chunk_log == 0 ? 0 : 1u << facts->chunk_log), "old_base",
        (json_int_t)facts->old_base, "new_base", (json_int_t)facts->new_base);
    const bool done = all != NULL && json_dumpf(all, stdout, JSON_INDENT(2)) == 0;
    json_decref(all);
    puts("");
    return done ? EXIT_DONE : fail("cannot write JSON to standard output");
}

int run_delta(int argc, char **argv)
{
    struct operands operands;
    struct delta_known known;
    struct image_file old, now;
    struct delta_facts facts;
    struct blob file = {0};
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result == OPTIONS_GO) {
        result = take_options(&operands, &known);
    }
    if (result != OPTIONS_GO) {
        return result;
    }
    const char *const new_path = operands.at[operands.count - 2];
    const char *const out = operands.at[operands.count - 1];
    if ((result = image_file_open(new_path, &now)) != 0) {
        return result;
    }
    if (!given.compress) {
        result = image_file_open(operands.at[0], &old);
    }
    if (result == 0) {
        result = delta_file_make(given.compress ? NULL : &old, &now, &known, &file, &facts);
        if (!given.compress) {
            image_file_close(&old);
        }
    }
    image_file_close(&now);
    if (result == 0) {
        result = file_write(out, blob_bytes(&file), 0666);
    }
    blob_free(&file);
    return result != 0 ? result : tell(&facts);
}
