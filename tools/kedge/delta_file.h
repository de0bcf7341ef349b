/* Patches and compressed images as files: a DLT1 payload in an envelope. */
#ifndef KEDGE_TOOL_DELTA_FILE_H
#define KEDGE_TOOL_DELTA_FILE_H

#include "blob.h"
#include "image_file.h"

/* Link addresses that the caller knows; what is not given is guessed. */
struct delta_known {
    bool has_base, has_ram, has_chunk;
    uint32_t base, ram_base, ram_size;
    uint32_t chunk_log; /* 0: one chunk */
};

/* What came out, for people. */
struct delta_facts {
    uint32_t old_size, new_size, payload, file;
    uint32_t old_base, new_base;
    unsigned flags, chunk_log;
};

/* From `old` (NULL: none, plain compression) to `now`. 0, or EXIT_REFUSED after saying why. The
 * progress bar is shown. */
int delta_file_make(const struct image_file *old, const struct image_file *now,
                    const struct delta_known *known, struct blob *file, struct delta_facts *facts);

/* What the decoder will make of it: "branches and words", "words", ... Static. */
const char *delta_mode_text(unsigned flags);

#endif
