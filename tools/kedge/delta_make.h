/* Makes patches, and plain compressed files, which are patches without an old image. */
#ifndef KEDGE_TOOL_DELTA_MAKE_H
#define KEDGE_TOOL_DELTA_MAKE_H

#include "delta_code.h"

struct delta_options {
    uint32_t old_base, new_base, ram_base, ram_size; /* link addresses */
    uint32_t chunk_log;                              /* 0: one chunk */
    /* Called now and then with thousandths done; NULL: nobody looks. */
    void (*progress)(void *ctx, uint32_t done);
    void *ctx;
};

/* The smallest patch that was found, decoded by the device's decoder and compared; *out is to be
 * freed. 0, KEDGE_E_SPACE for lack of memory, KEDGE_E_BOUNDS for sizes that no patch can have. */
int delta_make(struct kedge_bytes old, struct kedge_bytes now, const struct delta_options *options,
               struct delta_bytes *out);

/* Decodes with the device's decoder: `to` is the whole result. 0 or the decoder's error, with its
 * words in *reason when that is not NULL. */
int delta_apply(struct kedge_bytes old, struct kedge_bytes patch, struct delta_bytes *to,
                char reason[128]);

#endif
