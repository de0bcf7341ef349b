/* Sectors that are made ready, and the cells of chunks. */
#include <string.h>

#include "stage/store.h"

#define SETTLED_READS 8u

static uint8_t marked_byte(const struct kedge_stage *stage)
{
    return (uint8_t)~kedge_stage_geometry(stage)->erased;
}

/* One reading of a cell. */
static bool reads_set(struct kedge_stage *stage, uint32_t at)
{
    const size_t size = kedge_stage_geometry(stage)->write_block;
    uint8_t cell[KEDGE_CELL_MAX];

    return kedge_checked_read(kedge_stage_region(stage), at, kedge_buf(cell, size)) == 0 &&
           kedge_all(kedge_bytes(cell, size), marked_byte(stage));
}

bool kedge_stage_is_set(struct kedge_stage *stage, uint32_t at)
{
    bool set = false;

    for (unsigned i = 0; i < KEDGE_CHECKED_TRIES && !set; i++) {
        set = reads_set(stage, at);
    }
    return set;
}

int kedge_stage_set(struct kedge_stage *stage, uint32_t at)
{
    uint8_t cell[KEDGE_CELL_MAX];

    memset(cell, marked_byte(stage), sizeof(cell));
    return kedge_checked_program(kedge_stage_region(stage), at,
                                 kedge_bytes(cell, kedge_stage_geometry(stage)->write_block),
                                 stage->agent->config->scratch);
}

static uint32_t cells_a_sector(const struct kedge_stage *stage)
{
    const struct kedge_geometry *const geometry = kedge_stage_geometry(stage);

    return geometry->erase_size / geometry->write_block;
}

uint32_t kedge_stage_map_sectors(const struct kedge_stage *stage, uint32_t chunks)
{
    return kedge_parts_of(chunks, cells_a_sector(stage));
}

uint32_t kedge_stage_file_at(const struct kedge_stage *stage)
{
    return (KEDGE_STAGE_HEADS + kedge_stage_map_sectors(stage, stage->chunks)) *
           kedge_stage_geometry(stage)->erase_size;
}

/* A cell that reads as set may be one that a cut tore: today the sector counts as erased, tomorrow
 * it would be erased again, with chunks in it. So it is set again before anybody relies on it; a
 * cell that was set twice is set. */
int kedge_stage_make_ready(struct kedge_stage *stage, enum kedge_stage_part part, uint32_t sector)
{
    const uint32_t cell = KEDGE_STAGE_CELL_SECTOR(sector);
    int error = 0;

    if (stage->ready[part] == sector) {
        return 0;
    }
    if (!kedge_stage_cell(stage, cell)) {
        error = kedge_checked_erase(kedge_stage_region(stage),
                                    sector * kedge_stage_geometry(stage)->erase_size,
                                    stage->agent->config->scratch);
    }
    /* only now: a cut before this erases the sector once more, and nothing is in it */
    if (error == 0) {
        error = kedge_stage_set_cell(stage, cell);
    }
    if (error == 0) {
        stage->ready[part] = sector;
    }
    return error;
}

static uint32_t map_sector(const struct kedge_stage *stage, uint32_t index)
{
    return KEDGE_STAGE_HEADS + index / cells_a_sector(stage);
}

static uint32_t cell_at(const struct kedge_stage *stage, uint32_t index)
{
    const struct kedge_geometry *const geometry = kedge_stage_geometry(stage);

    return KEDGE_STAGE_HEADS * geometry->erase_size + index * geometry->write_block;
}

/* A map sector that was never erased holds whatever was there before. */
static bool map_is_ready(struct kedge_stage *stage, uint32_t sector)
{
    return stage->ready[KEDGE_STAGE_MAP] == sector ||
           kedge_stage_cell(stage, KEDGE_STAGE_CELL_SECTOR(sector));
}

bool kedge_stage_chunk_there(struct kedge_stage *stage, uint32_t index)
{
    return map_is_ready(stage, map_sector(stage, index)) &&
           kedge_stage_is_set(stage, cell_at(stage, index));
}

/* What a cut tore may read as set now and as missing later, and the chunk would come again and
 * again: one that does not read the same so many times is set once more. */
int kedge_stage_settle_chunk(struct kedge_stage *stage, uint32_t index)
{
    bool set = true;

    for (unsigned i = 0; i < SETTLED_READS && set; i++) {
        set = reads_set(stage, cell_at(stage, index));
    }
    if (set) {
        return 0;
    }
    const int error = kedge_stage_affirm(stage);

    return error == 0 ? kedge_stage_mark_chunk(stage, index) : error;
}

int kedge_stage_mark_chunk(struct kedge_stage *stage, uint32_t index)
{
    int error = kedge_stage_make_ready(stage, KEDGE_STAGE_MAP, map_sector(stage, index));

    if (error == 0) {
        error = kedge_stage_set(stage, cell_at(stage, index));
    }
    return error;
}

/* The first chunk in [index, end) of one map sector whose cell reads as `there`; end: none. */
static uint32_t find_in_sector(struct kedge_stage *stage, uint32_t index, uint32_t end, bool there)
{
    const uint32_t block = kedge_stage_geometry(stage)->write_block;
    uint8_t cells[64];

    if (!map_is_ready(stage, map_sector(stage, index))) {
        return there ? end : index;
    }
    while (index < end) {
        const uint32_t most = (uint32_t)sizeof(cells) / block;
        const uint32_t n = end - index < most ? end - index : most;

        if (kedge_checked_read(kedge_stage_region(stage), cell_at(stage, index),
                               kedge_buf(cells, (size_t)n * block)) != 0) {
            return there ? end : index;
        }
        for (uint32_t i = 0; i < n; i++) {
            /* before a chunk counts as missing, its cell is read again: a bit may have flipped */
            const bool set =
                kedge_all(kedge_bytes(cells + (size_t)i * block, block), marked_byte(stage)) ||
                (!there && kedge_stage_is_set(stage, cell_at(stage, index + i)));

            if (set == there) {
                return index + i;
            }
        }
        index += n;
    }
    return end;
}

static uint32_t find(struct kedge_stage *stage, uint32_t index, bool there)
{
    while (index < stage->chunks) {
        const uint32_t a_sector = cells_a_sector(stage);
        const uint32_t border = index - index % a_sector + a_sector;
        const uint32_t end = border < stage->chunks ? border : stage->chunks;
        const uint32_t found = find_in_sector(stage, index, end, there);

        if (found < end) {
            return found;
        }
        index = end;
    }
    return stage->chunks;
}

uint32_t kedge_stage_next_missing(struct kedge_stage *stage, uint32_t index)
{
    return kedge_stage_is_open(stage) ? find(stage, index, false) : stage->chunks;
}

uint32_t kedge_stage_next_present(struct kedge_stage *stage, uint32_t index)
{
    return kedge_stage_is_open(stage) ? find(stage, index, true) : stage->chunks;
}
