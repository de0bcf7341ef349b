/* Two heads take turns: a new file's record is written into the sector that does not count, so a
 * cut inside its erase or its program leaves the old head as it was.
 *
 * Record, 64 bytes, little endian:
 *    0 "KSTG"   4 rank   8 size   12 chunk   16 check, check_size, transform, rounds
 *   20 origin  24 id[32]   56 4 bytes 0   60 crc32 of bytes 0..59 */
#include <string.h>

#include "stage/store.h"

#define MAGIC     0x4754534bu
#define AT_ORIGIN 20u
#define AT_ID     24u
#define AT_CRC    60u

uint32_t kedge_stage_record_parse(const uint8_t *record, struct kedge_manifest *manifest,
                                  uint8_t *rounds)
{
    if (kedge_le32(record) != MAGIC ||
        kedge_le32(record + AT_CRC) != kedge_crc32(0, kedge_bytes(record, AT_CRC))) {
        return 0;
    }
    *manifest = (struct kedge_manifest){
        .size = kedge_le32(record + 8),
        .chunk = kedge_le32(record + 12),
        .check = record[16],
        .check_size = record[17],
        .transform = record[18],
        .origin = kedge_le32(record + AT_ORIGIN),
    };
    memcpy(manifest->id, record + AT_ID, sizeof(manifest->id));
    *rounds = record[19];
    const uint32_t rank = kedge_le32(record + 4);

    return rank == UINT32_MAX ? 0 : rank; /* none comes behind that one: not ours */
}

void kedge_stage_record_make(uint8_t *record, const struct kedge_manifest *manifest, uint32_t rank,
                             uint8_t rounds)
{
    memset(record, 0, KEDGE_STAGE_RECORD);
    kedge_put_le32(record, MAGIC);
    kedge_put_le32(record + 4, rank);
    kedge_put_le32(record + 8, manifest->size);
    kedge_put_le32(record + 12, manifest->chunk);
    record[16] = manifest->check;
    record[17] = manifest->check_size;
    record[18] = manifest->transform;
    record[19] = rounds;
    kedge_put_le32(record + AT_ORIGIN, manifest->origin);
    memcpy(record + AT_ID, manifest->id, sizeof(manifest->id));
    kedge_put_le32(record + AT_CRC, kedge_crc32(0, kedge_bytes(record, AT_CRC)));
}

static uint32_t head_at(const struct kedge_stage *stage, uint8_t head)
{
    return head * kedge_stage_geometry(stage)->erase_size;
}

static uint32_t cell_at(const struct kedge_stage *stage, uint32_t cell)
{
    return head_at(stage, stage->head) + KEDGE_STAGE_RECORD +
           cell * kedge_stage_geometry(stage)->write_block;
}

bool kedge_stage_cell(struct kedge_stage *stage, uint32_t cell)
{
    return kedge_stage_is_set(stage, cell_at(stage, cell));
}

int kedge_stage_set_cell(struct kedge_stage *stage, uint32_t cell)
{
    return kedge_stage_set(stage, cell_at(stage, cell));
}

int kedge_stage_set_flag(struct kedge_stage *stage, enum kedge_stage_flag flag)
{
    const int error = kedge_stage_set_cell(stage, flag);

    if (error == 0) {
        stage->flags = (uint8_t)(stage->flags | 1u << flag);
    }
    return error;
}

/* The attempts so far. One whose cell was torn may be missing: it is begun again. */
static void read_attempts(struct kedge_stage *stage)
{
    while (stage->attempts < KEDGE_STAGE_ATTEMPTS &&
           kedge_stage_cell(stage, KEDGE_STAGE_CELL_ATTEMPT(stage->attempts))) {
        const bool brought =
            kedge_stage_cell(stage, KEDGE_STAGE_CELL_ATTEMPT(stage->attempts) + 1u);

        stage->idle = brought ? 0 : (uint8_t)(stage->idle + 1);
        stage->attempts++;
    }
}

/* One flipped bit on the bus must not make a head vanish. */
static uint32_t read_record(struct kedge_stage *stage, uint8_t head,
                            struct kedge_manifest *manifest, uint8_t *rounds)
{
    uint8_t record[KEDGE_STAGE_RECORD];
    uint32_t rank = 0;

    for (unsigned i = 0; i < KEDGE_CHECKED_TRIES && rank == 0; i++) {
        if (kedge_checked_read(kedge_stage_region(stage), head_at(stage, head),
                               kedge_buf(record, sizeof(record))) == 0) {
            rank = kedge_stage_record_parse(record, manifest, rounds);
        }
    }
    /* the chip is not ours alone: what is written there may be anybody's idea of a manifest */
    return rank != 0 && kedge_stage_check_manifest(stage, manifest, NULL) == KEDGE_STAGE_OK ? rank
                                                                                            : 0;
}

void kedge_stage_find_head(struct kedge_stage *stage)
{
    for (uint8_t head = 0; head < KEDGE_STAGE_HEADS; head++) {
        struct kedge_manifest manifest;
        uint8_t rounds;
        const uint32_t rank = read_record(stage, head, &manifest, &rounds);

        if (rank > stage->rank) {
            stage->rank = rank;
            stage->head = head;
            stage->manifest = manifest;
            stage->rounds = rounds;
        }
    }
    if (stage->rank == 0) {
        return;
    }
    stage->chunks = kedge_parts_of(stage->manifest.size, stage->manifest.chunk);
    for (unsigned flag = 0; flag < KEDGE_STAGE_FLAGS; flag++) {
        if (kedge_stage_cell(stage, flag)) {
            stage->flags = (uint8_t)(stage->flags | 1u << flag);
        }
    }
    read_attempts(stage);
}

static int write_record(struct kedge_stage *stage, uint8_t head,
                        const struct kedge_manifest *manifest, uint32_t rank, uint8_t rounds)
{
    uint8_t record[KEDGE_STAGE_RECORD];

    kedge_stage_record_make(record, manifest, rank, rounds);
    return kedge_checked_program(kedge_stage_region(stage), head_at(stage, head),
                                 kedge_bytes(record, sizeof(record)),
                                 stage->agent->config->scratch);
}

int kedge_stage_affirm(struct kedge_stage *stage)
{
    int error = 0;

    if (!stage->affirmed) {
        error = write_record(stage, stage->head, &stage->manifest, stage->rank, stage->rounds);
        stage->affirmed = error == 0;
    }
    return error;
}

/* With no head that counts, a torn one may lie in either sector and read well tomorrow: both go. */
static int erase_head(struct kedge_stage *stage, uint8_t head)
{
    const struct kedge_buf scratch = stage->agent->config->scratch;
    int error = 0;

    if (stage->rank == 0) {
        error = kedge_checked_erase(kedge_stage_region(stage), head_at(stage, 1), scratch);
    }
    if (error == 0) {
        error = kedge_checked_erase(kedge_stage_region(stage), head_at(stage, head), scratch);
    }
    return error;
}

int kedge_stage_new_head(struct kedge_stage *stage, const struct kedge_manifest *manifest,
                         uint8_t rounds)
{
    const uint8_t head = stage->rank == 0 ? 0 : (uint8_t)(1u - stage->head);
    const uint32_t rank = stage->rank + 1;
    int error = stage->rank == 0 ? 0 : kedge_stage_affirm(stage);

    if (error == 0) {
        error = erase_head(stage, head);
    }
    if (error == 0) {
        error = write_record(stage, head, manifest, rank, rounds);
    }
    if (error != 0) {
        return error;
    }
    *stage = (struct kedge_stage){
        .agent = stage->agent,
        .buffer = stage->buffer,
        .manifest = *manifest,
        .rank = rank,
        .head = head,
        .rounds = rounds,
        .affirmed = true,
        .state = KEDGE_STAGE_RECEIVING,
        .chunks = kedge_parts_of(manifest->size, manifest->chunk),
    };
    return 0;
}
