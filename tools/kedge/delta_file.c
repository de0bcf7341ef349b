#include "delta_file.h"

#include <stdlib.h>
#include <string.h>

#include "delta_base.h"
#include "delta_make.h"
#include "envelope.h"
#include "progress.h"
#include "report.h"

#define SMALL     4096u /* bytes of a patch that is not worth cutting: sent again it costs nothing */
#define CHUNK_LOG 14u
#define RAM_BASE  0x20000000u
#define RAM_SIZE  0x40000u

/* Header, payload and TLVs; what a slot's padding adds is not sent. */
static struct kedge_bytes image_of(const struct image_file *file, struct kedge_image *image)
{
    if (kedge_image_parse(&file->source, image) != KEDGE_IMAGE_GOOD) {
        return kedge_bytes(NULL, 0);
    }
    return kedge_bytes(file->data.at, image->size);
}

static void show(void *ctx, uint32_t done)
{
    (void)ctx;
    progress_show(done);
}

static int make(struct kedge_bytes old, struct kedge_bytes now, const struct delta_known *known,
                uint32_t chunk_log, struct delta_bytes *patch)
{
    struct delta_options options = {
        .old_base = known->has_base ? known->base : delta_base_of(old),
        .new_base = known->has_base ? known->base : delta_base_of(now),
        .ram_base = known->has_ram ? known->ram_base : RAM_BASE,
        .ram_size = known->has_ram ? known->ram_size : RAM_SIZE,
        .chunk_log = chunk_log,
        .progress = show,
    };
    if (options.old_base == 0 || options.new_base == 0) { /* one of them tells, or none does */
        options.old_base = options.new_base =
            options.old_base != 0 ? options.old_base : options.new_base;
    }
    if (old.size == 0) {
        options.old_base = options.new_base = options.ram_base = options.ram_size = 0;
    }
    progress_start(1000, 0);
    const int error = delta_make(old, now, &options, patch);
    progress_end();
    return error;
}

/* One chunk while the patch is small; else chunks, so that a cut costs no more than one of them. */
static int make_best(struct kedge_bytes old, struct kedge_bytes now,
                     const struct delta_known *known, struct delta_bytes *patch)
{
    int error = make(old, now, known, known->has_chunk ? known->chunk_log : 0, patch);
    if (error == 0 && !known->has_chunk && patch->size > SMALL && now.size > 1u << CHUNK_LOG) {
        free(patch->at);
        *patch = (struct delta_bytes){0};
        error = make(old, now, known, CHUNK_LOG, patch);
    }
    return error;
}

int delta_file_make(const struct image_file *old, const struct image_file *now,
                    const struct delta_known *known, struct blob *file, struct delta_facts *facts)
{
    struct kedge_image old_image, new_image;
    const struct kedge_bytes from = old != NULL ? image_of(old, &old_image) : kedge_bytes(NULL, 0);
    const struct kedge_bytes to = image_of(now, &new_image);
    struct delta_bytes patch = {0};

    if (to.size == 0 || (old != NULL && from.size == 0)) {
        return fail("the %s file is no signed image: sign it first (kedge sign, imgtool sign)",
                    to.size == 0 ? "new" : "old");
    }
    if (from.size == to.size && memcmp(from.at, to.at, to.size) == 0) {
        return fail("both files are the same image: there is nothing to send");
    }
    const int error = make_best(from, to, known, &patch);
    if (error != 0) {
        free(patch.at);
        return fail("no patch: %s",
                    error == KEDGE_E_BOUNDS ? "an image may have 8 MiB at most"
                    : error == KEDGE_E_SPACE
                        ? "not enough memory"
                        : "the device's decoder does not agree: report this, please");
    }
    const struct envelope envelope = {.kind = old != NULL ? "delta" : "compressed",
                                      .version = new_image.version,
                                      .payload = kedge_bytes(patch.at, patch.size),
                                      .image_size = (uint32_t)to.size};
    envelope_make(&envelope, file);
    *facts = (struct delta_facts){
        .old_size = (uint32_t)from.size,
        .new_size = (uint32_t)to.size,
        .payload = (uint32_t)patch.size,
        .file = (uint32_t)file->size,
        .old_base = kedge_le32(patch.at + KEDGE_DELTA_OLD_BASE_AT),
        .new_base = kedge_le32(patch.at + KEDGE_DELTA_NEW_BASE_AT),
        .flags = patch.at[KEDGE_DELTA_FLAGS_AT],
        .chunk_log = patch.at[KEDGE_DELTA_CHUNK_LOG_AT],
    };
    free(patch.at);
    return 0;
}

const char *delta_mode_text(unsigned flags)
{
    static const char *const words[] = {"as data", "branches", "address words",
                                        "branches and address words"};
    return words[flags & 3u];
}
