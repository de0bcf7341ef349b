/* DLT1: a patch against the running image, or (with no old image) plain compression; one streaming
 * decoder for both, as a transform. Bytes and rules: FORMAT.md, "Patches". The result is built
 * beside the running image, never in it.
 *
 * The old image is read through env.old, what was given out so far through env.out: there is no
 * window in memory. Nothing is given out before env.old was hashed and is the image that the patch
 * is for. A reference to code or data in the old image is carried over to where its target lies in
 * the new one, by a list of address shifts (the map) that the patch brings along. */
#ifndef KEDGE_DELTA_H
#define KEDGE_DELTA_H

#include "kedge/transform.h"

#define KEDGE_DELTA_MAGIC           0x31544C44u /* "DLT1" */
#define KEDGE_DELTA_HEADER          48u
#define KEDGE_DELTA_SIZE_MOST       (1u << 23) /* bytes of an image, old or new */
#define KEDGE_DELTA_RAM_MOST        (1u << 22) /* bytes of RAM that the map may cover */
#define KEDGE_DELTA_MAP_MOST        448u       /* entries of the map */
#define KEDGE_DELTA_CHUNK_LOG_LEAST 12u
#define KEDGE_DELTA_CHUNK_LOG_MOST  24u
#define KEDGE_DELTA_BRANCHES        1u /* flag: Thumb branches are re-targeted */
#define KEDGE_DELTA_WORDS           2u /* flag: words that hold addresses are re-targeted */

/* Offsets of the header's fields, little endian. */
enum kedge_delta_field {
    KEDGE_DELTA_VERSION_AT = 4, /* 1 */
    KEDGE_DELTA_FLAGS_AT = 5,
    KEDGE_DELTA_CHUNK_LOG_AT = 6, /* log2 of a chunk's bytes; 0: one chunk */
    KEDGE_DELTA_WORDS_AT = 7,     /* header length / 4 */
    KEDGE_DELTA_OLD_SIZE_AT = 8,
    KEDGE_DELTA_NEW_SIZE_AT = 12,
    KEDGE_DELTA_OLD_BASE_AT = 16, /* link address of the old image's first byte */
    KEDGE_DELTA_NEW_BASE_AT = 20,
    KEDGE_DELTA_RAM_BASE_AT = 24,
    KEDGE_DELTA_RAM_SIZE_AT = 28,
    KEDGE_DELTA_OLD_HASH_AT = 32, /* first 8 bytes of SHA-256 of the old image */
    KEDGE_DELTA_NEW_HASH_AT = 40
};

/* The entropy coder's cells, by what they predict: both sides must agree. Trees of four bits take
 * 16 cells. */
enum kedge_delta_cell {
    KEDGE_DELTA_HIGH = 0,           /* 32 trees: upper nibble of a high byte, by the last one */
    KEDGE_DELTA_HIGH_LOWER = 512,   /* 32: its lower nibble, by half and upper nibble */
    KEDGE_DELTA_LOW = 1024,         /* 64: upper nibble of a low byte, by the high byte */
    KEDGE_DELTA_LOW_LOWER = 2048,   /* 32: its lower nibble */
    KEDGE_DELTA_EQUAL = 2560,       /* 3 x 16: the high byte is the predicted one */
    KEDGE_DELTA_DIFFERENCE = 2608,  /* 2 trees: the low byte less the predicted one */
    KEDGE_DELTA_MATCH = 2640,       /* 8 x 2: a copy, by history and position */
    KEDGE_DELTA_REPEAT = 2656,      /* 8 each: from a recent distance, */
    KEDGE_DELTA_RECENT_0 = 2664,    /*    not the latest, */
    KEDGE_DELTA_RECENT_1 = 2672,    /*    but the one before that; */
    KEDGE_DELTA_OLD = 2680,         /*    from the old image */
    KEDGE_DELTA_NUMBER = 2688,      /* five kinds of numbers, 136 each: */
    KEDGE_DELTA_NUMBER_CELLS = 136, /*    32 length, 32 + 4 n first bits, 132 last bits */
    KEDGE_DELTA_CELLS = 3368
};

/* Kinds of numbers in chunks; the map uses 0, 1 and 2 for its own. */
enum kedge_delta_number {
    KEDGE_DELTA_REPEAT_LENGTH,
    KEDGE_DELTA_OLD_LENGTH,
    KEDGE_DELTA_NEW_LENGTH,
    KEDGE_DELTA_NEW_DISTANCE,
    KEDGE_DELTA_OLD_MISS
};

/* State of the decoder, 9.9 KB, no pointers: private to src/transform/delta.c but for its size. */
struct kedge_delta {
    uint8_t head[KEDGE_DELTA_HEADER];
    uint32_t range, code;  /* of the range decoder */
    uint32_t pos;          /* of the output: bytes decoded or skipped */
    uint32_t given;        /* bytes given out, or stored before a resume */
    uint32_t end;          /* of the present chunk */
    uint32_t left;         /* bytes of the present section that did not arrive yet */
    uint32_t copy;         /* halfwords of the present copy still to be made */
    uint32_t recent[3];    /* distances */
    uint32_t cached;       /* place of the cache: bit 31 own output, else old image */
    uint16_t last;         /* halfword */
    uint16_t map_count;    /* entries that are there */
    uint16_t map_total;    /* entries announced */
    uint8_t phase;         /* enum in delta.c */
    uint8_t history;       /* of the last three tokens: 1 is a copy */
    uint8_t head_have;     /* bytes */
    uint8_t in_at, in_end; /* of `in` */
    uint8_t cache_size;    /* bytes that hold */
    int8_t failed;         /* enum kedge_error of a read */
    uint8_t why;           /* enum in delta.c: for reason() */
    uint8_t in[64];
    uint8_t cache[36];
    uint8_t page[256]; /* the output from the last multiple of 256 on */
    char words[96];    /* reason() with the hash of the old image that is needed */
    uint16_t cells[KEDGE_DELTA_CELLS];
    uint32_t map_start[KEDGE_DELTA_MAP_MOST]; /* bits 0..23 start, 24..31 shift's upper bits */
    uint16_t map_shift[KEDGE_DELTA_MAP_MOST]; /* shift's lower bits */
};

/* The decoder. push() of the header: KEDGE_E_SOURCE when env.old is not the old image,
 * KEDGE_E_SPACE when env.out is too small, KEDGE_E_UNSUPPORTED for another version of the format.
 * Later: KEDGE_E_FORMAT for what does not follow the format, or what a reader of env failed with.
 * finish(): KEDGE_E_HASH when what lies in env.out is not the new image; reads all of it. seek():
 * any *out, *in is right behind the header: chunks that are stored are skipped, the chunk at *out
 * is decoded from its start and what is stored of it is not given out. */
extern const struct kedge_transform kedge_delta;

#endif
