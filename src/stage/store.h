/* The staging region as the files of this room share it (FORMAT.md, Chunk store):
 *
 *   sector 0, 1      heads: record 64 B | flags | attempts | cells of sectors 2, 3, ...
 *   from 2           map: one cell a chunk
 *   behind the map   the file
 *
 *   head.c     which head counts, its record and cells; a new one
 *   map.c      sectors made ready, cells of chunks
 *   begin.c    start, manifests, attempts, abort
 *   put.c      one chunk
 *   finish.c   hash, decode, ask
 *   kind.c     what kind of file it is; words
 *
 * A cell is one write block with all bits opposite to erased, set once, never anything else: so a
 * torn one is mended by setting it again, and one that reads as set tells the truth, for it is only
 * begun after what it says has come true for good. */
#ifndef KEDGE_STAGE_STORE_H
#define KEDGE_STAGE_STORE_H

#include "agent/checked.h"
#include "agent/parts.h"
#include "kedge/stage.h"

#define KEDGE_STAGE_HEADS 2u /* sectors 0 and 1 */
#define KEDGE_CELL_MAX    32u

/* Cells of a head, by number. */
enum kedge_stage_flag {
    KEDGE_STAGE_WHOLE,   /* every chunk is there and the hash of the whole was right */
    KEDGE_STAGE_CLOSED,  /* decoded: another file may take its place */
    KEDGE_STAGE_BAD,     /* every chunk is there and the hash of the whole was wrong */
    KEDGE_STAGE_ABORTED, /* forgotten */
    KEDGE_STAGE_FLAGS
};
#define KEDGE_STAGE_CELL_ATTEMPT(n)                                                                \
    (KEDGE_STAGE_FLAGS + 2u * (n)) /* begun; next: brought a chunk */
#define KEDGE_STAGE_CELL_SECTOR(n)                                                                 \
    (KEDGE_STAGE_FLAGS + 2u * KEDGE_STAGE_ATTEMPTS + (n)-KEDGE_STAGE_HEADS)

enum kedge_stage_part { KEDGE_STAGE_MAP, KEDGE_STAGE_FILE };

static inline const struct kedge_region *kedge_stage_region(const struct kedge_stage *stage)
{
    return &stage->agent->config->layout->staging;
}

static inline const struct kedge_geometry *kedge_stage_geometry(const struct kedge_stage *stage)
{
    return &kedge_stage_region(stage)->flash->geometry;
}

static inline bool kedge_stage_has(const struct kedge_stage *stage, enum kedge_stage_flag flag)
{
    return (stage->flags >> flag & 1u) != 0;
}

/* A file is staged: begun, and not aborted. */
static inline bool kedge_stage_is_open(const struct kedge_stage *stage)
{
    return stage->rank != 0 && !kedge_stage_has(stage, KEDGE_STAGE_ABORTED);
}

static inline bool kedge_stage_works(const struct kedge_stage *stage)
{
    return stage->state == KEDGE_STAGE_HASHING || stage->state == KEDGE_STAGE_DECODING;
}

static inline uint32_t kedge_parts_of(uint32_t size, uint32_t part)
{
    return size / part + (size % part != 0);
}

/* Words into agent->detail; returns `status`. */
int kedge_stage_refuse(struct kedge_stage *stage, enum kedge_stage_status status,
                       const char *words);
int kedge_stage_flash_failed(struct kedge_stage *stage, int error);

/* ---- begin.c ---- */

/* KEDGE_STAGE_OK, or which rule of form it breaks, in words to *words (NULL: nobody asks). */
int kedge_stage_check_manifest(const struct kedge_stage *stage,
                               const struct kedge_manifest *manifest, const char **words);

/* ---- head.c ---- */

/* Find the head that counts and read it. */
void kedge_stage_find_head(struct kedge_stage *stage);
/* A fresh head for `manifest`, in the sector that does not count; then it counts. A flash error:
 * the old one stands. */
int kedge_stage_new_head(struct kedge_stage *stage, const struct kedge_manifest *manifest,
                         uint8_t rounds);
/* Before the first write of a power-on: write the record again, for an earlier one may have torn
 * it, and it happens to read well today. */
int kedge_stage_affirm(struct kedge_stage *stage);
/* A cell of the head. */
bool kedge_stage_cell(struct kedge_stage *stage, uint32_t cell);
int kedge_stage_set_cell(struct kedge_stage *stage, uint32_t cell);
int kedge_stage_set_flag(struct kedge_stage *stage, enum kedge_stage_flag flag);

/* ---- map.c ---- */

/* Cells at region offset `at`: is it set; set it. */
bool kedge_stage_is_set(struct kedge_stage *stage, uint32_t at);
int kedge_stage_set(struct kedge_stage *stage, uint32_t at);

uint32_t kedge_stage_map_sectors(const struct kedge_stage *stage, uint32_t chunks);
/* Region offset of the file's first byte. */
uint32_t kedge_stage_file_at(const struct kedge_stage *stage);
/* Erase a sector unless its cell says that it was; then its cell is set for sure. */
int kedge_stage_make_ready(struct kedge_stage *stage, enum kedge_stage_part part, uint32_t sector);
bool kedge_stage_chunk_there(struct kedge_stage *stage, uint32_t index);
int kedge_stage_mark_chunk(struct kedge_stage *stage, uint32_t index);
/* The chunk came again and is the same: a cell that is not sure is made so. */
int kedge_stage_settle_chunk(struct kedge_stage *stage, uint32_t index);

#endif
