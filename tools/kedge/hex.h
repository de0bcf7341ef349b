/* Intel HEX files: firmware as build systems write it. */
#ifndef KEDGE_TOOL_HEX_H
#define KEDGE_TOOL_HEX_H

#include "kedge/base.h"

#define HEX_WHY 200

struct hex_data {
    uint8_t *at; /* allocated; free() it */
    size_t size;
    uint32_t address; /* of the first byte */
};

/* Does it begin with a whole, correct record? */
bool hex_like(struct kedge_bytes text);

/* Reads `text`: from its lowest to its highest address, gaps filled with 0xFF (as imgtool does).
 * Every checksum is verified, overlaps and a missing end record are errors. `span`: most bytes
 * that lowest to highest may be; the segment that lies beyond is named.
 * 0 and *data; or KEDGE_E_FORMAT or KEDGE_E_SPACE with the reason in `why` (HEX_WHY chars). */
int hex_read(struct kedge_bytes text, uint32_t span, struct hex_data *data, char *why);

/* Writes the segments, in ascending order of address, 16 bytes a record, and the end record; the
 * bytes are those that imgtool writes. Returns allocated text and its size. */
struct hex_segment {
    uint32_t address;
    struct kedge_bytes data;
};
char *hex_write(const struct hex_segment *segments, size_t count, size_t *size);

#endif
