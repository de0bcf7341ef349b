/* One chunk: checked, compared, programmed, read back, then marked. */
#include <string.h>

#include "stage/store.h"

static uint32_t place_of(const struct kedge_stage *stage, uint32_t index)
{
    return kedge_stage_file_at(stage) + index * stage->manifest.chunk;
}

static int check_form(struct kedge_stage *stage, uint32_t off, size_t size)
{
    if (!kedge_stage_is_open(stage)) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_NO_FILE, "nothing is staged: begin first");
    }
    if (kedge_stage_works(stage)) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_BUSY, "the file is being hashed or decoded");
    }
    if (kedge_stage_has(stage, KEDGE_STAGE_BAD)) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_BAD_HASH,
                                  "the whole file had a wrong hash: begin again");
    }
    if (off >= stage->manifest.size) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_INVALID,
                                  "the offset is behind the file's end");
    }
    if (off % stage->manifest.chunk != 0) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_INVALID,
                                  "the offset is not a multiple of the chunk size");
    }
    if (size != kedge_stage_chunk_size(stage, off / stage->manifest.chunk)) {
        return kedge_stage_refuse(
            stage, KEDGE_STAGE_INVALID,
            "not a whole chunk: all have the chunk size, the last what is left");
    }
    return KEDGE_STAGE_OK;
}

static bool holds(const struct kedge_manifest *manifest, struct kedge_bytes data,
                  const uint8_t *check)
{
    uint8_t digest[KEDGE_DIGEST_MAX];

    switch (manifest->check) {
    case KEDGE_STAGE_CHECK_CRC32:
        kedge_put_le32(digest, kedge_crc32(0, data));
        break;
    case KEDGE_STAGE_CHECK_SHA256:
        kedge_hash_once(&kedge_sha256, data, digest);
        break;
    default:
        return true;
    }
    return memcmp(digest, check, manifest->check_size) == 0;
}

static int check_bytes(struct kedge_stage *stage, struct kedge_bytes data, struct kedge_bytes check)
{
    if (check.size != stage->manifest.check_size) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_INVALID,
                                  "the check is not as long as the manifest says");
    }
    return holds(&stage->manifest, data, check.at)
               ? KEDGE_STAGE_OK
               : kedge_stage_refuse(stage, KEDGE_STAGE_BAD_CHECK,
                                    "the chunk is not what its check says: send it again");
}

/* The first chunk tells what the file is: whether it may lie here, and is what was announced. */
static int check_first(struct kedge_stage *stage, struct kedge_bytes data)
{
    const enum kedge_stage_kind kind = kedge_stage_kind_of(data);
    const uint8_t expected = stage->manifest.transform;
    const bool readable = kind != KEDGE_STAGE_SEALED && kind != KEDGE_STAGE_ENCRYPTED;

    if (data.size >= KEDGE_UPLOAD_HEAD && kedge_le32(data.at) != KEDGE_IMAGE_MAGIC) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_INVALID,
                                  "not a signed image: sign it first (kedge sign, imgtool)");
    }
    if (stage->agent->policy.value[KEDGE_POLICY_CONFIDENTIAL] != 0 && readable) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_PLAINTEXT,
                                  "policy confidential takes sealed or encrypted files only");
    }
    if (expected != KEDGE_STAGE_ANY && kind != KEDGE_STAGE_ANY && kind != expected) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_INVALID,
                                  "the file is not of the kind that its manifest says");
    }
    return KEDGE_STAGE_OK;
}

static int check_kind(struct kedge_stage *stage, uint32_t index, struct kedge_bytes data)
{
    if (index == 0) {
        return check_first(stage, data);
    }
    if (stage->agent->policy.value[KEDGE_POLICY_CONFIDENTIAL] != 0 &&
        stage->kind != KEDGE_STAGE_SEALED && stage->kind != KEDGE_STAGE_ENCRYPTED) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_PLAINTEXT,
                                  "policy confidential: send the first chunk first");
    }
    return KEDGE_STAGE_OK;
}

/* What lies at the chunk's place, against what shall lie there. */
enum likeness { SAME, PROGRAMMABLE, DIFFERENT };

static int compare(struct kedge_stage *stage, uint32_t at, struct kedge_bytes data,
                   enum likeness *likeness)
{
    const uint8_t erased = kedge_stage_geometry(stage)->erased;
    const struct kedge_buf scratch = stage->agent->config->scratch;

    *likeness = SAME;
    while (data.size > 0) {
        const size_t n = data.size < scratch.size ? data.size : scratch.size;
        const int error =
            kedge_checked_read(kedge_stage_region(stage), at, kedge_buf(scratch.at, n));

        if (error != 0) {
            return error;
        }
        for (size_t i = 0; i < n; i++) {
            const uint8_t there = scratch.at[i] ^ erased, wanted = data.at[i] ^ erased;

            if ((there & ~wanted) != 0) {
                *likeness = DIFFERENT;
                return 0;
            }
            *likeness = there != wanted ? PROGRAMMABLE : *likeness;
        }
        at += (uint32_t)n;
        data = kedge_bytes(data.at + n, data.size - n);
    }
    return 0;
}

/* One flipped bit on the bus must not make a conflict of a repetition. */
static int compare_again(struct kedge_stage *stage, uint32_t at, struct kedge_bytes data,
                         enum likeness good, enum likeness *likeness)
{
    int error = 0;

    for (unsigned i = 0; i < KEDGE_CHECKED_TRIES; i++) {
        error = compare(stage, at, data, likeness);
        if (error == 0 && *likeness <= good) {
            break;
        }
    }
    return error;
}

static int repeat(struct kedge_stage *stage, uint32_t index, struct kedge_bytes data)
{
    enum likeness likeness;
    int error = compare_again(stage, place_of(stage, index), data, SAME, &likeness);

    if (error == 0 && likeness == SAME) {
        error = kedge_stage_settle_chunk(stage, index);
    }
    if (error != 0) {
        return kedge_stage_flash_failed(stage, error);
    }
    return likeness == SAME
               ? KEDGE_STAGE_OK
               : kedge_stage_refuse(stage, KEDGE_STAGE_CONFLICT,
                                    "this chunk came before with other bytes: abort to begin anew");
}

static int make_ready(struct kedge_stage *stage, uint32_t at, uint32_t size)
{
    const uint32_t sector = kedge_stage_geometry(stage)->erase_size;
    int error = kedge_stage_affirm(stage);

    for (uint32_t s = at / sector; s <= (at + size - 1) / sector && error == 0; s++) {
        error = kedge_stage_make_ready(stage, KEDGE_STAGE_FILE, s);
    }
    return error;
}

/* Whole write blocks, then the rest filled up with erased bytes: only the last chunk has one. */
static int program(struct kedge_stage *stage, uint32_t at, struct kedge_bytes data)
{
    const struct kedge_buf scratch = stage->agent->config->scratch;
    const uint32_t block = kedge_stage_geometry(stage)->write_block;
    const size_t rest = data.size % block;
    const size_t whole = data.size - rest;
    uint8_t last[KEDGE_CELL_MAX];
    int error = 0;

    if (whole > 0) {
        error = kedge_checked_program(kedge_stage_region(stage), at, kedge_bytes(data.at, whole),
                                      scratch);
    }
    if (error == 0 && rest > 0) {
        memset(last, kedge_stage_geometry(stage)->erased, sizeof(last));
        memcpy(last, data.at + whole, rest);
        error = kedge_checked_program(kedge_stage_region(stage), at + (uint32_t)whole,
                                      kedge_bytes(last, block), scratch);
    }
    return error;
}

/* The chunk is there: the present attempt of its source was worth something. */
static int arrived(struct kedge_stage *stage, uint32_t index, struct kedge_bytes data)
{
    stage->received++;
    if (index == 0) {
        stage->kind = (uint8_t)kedge_stage_kind_of(data);
    }
    if (!stage->attempting) {
        return 0;
    }
    stage->attempting = false;
    stage->idle = 0;
    return kedge_stage_set_cell(stage, KEDGE_STAGE_CELL_ATTEMPT(stage->attempts - 1u) + 1u);
}

/* Where a cut tore the same bytes they are programmed again, the same bits at the same place; other
 * bytes cannot go there without an erase, which would cost the chunks around them. */
static int store(struct kedge_stage *stage, uint32_t index, struct kedge_bytes data)
{
    const uint32_t at = place_of(stage, index);
    enum likeness likeness;
    int error = make_ready(stage, at, (uint32_t)data.size);

    if (error == 0) {
        error = compare_again(stage, at, data, PROGRAMMABLE, &likeness);
    }
    if (error == 0 && likeness == DIFFERENT) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_CONFLICT,
                                  "other bytes were being written here: abort to begin anew");
    }
    if (error == 0) {
        error = program(stage, at, data);
    }
    /* programmed and read back: only now may the map say so */
    if (error == 0) {
        error = kedge_stage_mark_chunk(stage, index);
    }
    if (error == 0) {
        error = arrived(stage, index, data);
    }
    return error == 0 ? KEDGE_STAGE_OK : kedge_stage_flash_failed(stage, error);
}

static int put(struct kedge_stage *stage, uint32_t off, struct kedge_bytes data,
               struct kedge_bytes check)
{
    int status = check_form(stage, off, data.size);

    if (status != KEDGE_STAGE_OK) {
        return status;
    }
    const uint32_t index = off / stage->manifest.chunk;

    status = check_bytes(stage, data, check);
    if (status == KEDGE_STAGE_OK) {
        status = check_kind(stage, index, data);
    }
    if (status != KEDGE_STAGE_OK) {
        return status;
    }
    return kedge_stage_chunk_there(stage, index) ? repeat(stage, index, data)
                                                 : store(stage, index, data);
}

int kedge_stage_put(struct kedge_stage *stage, uint32_t off, struct kedge_bytes data,
                    struct kedge_bytes check)
{
    const uint8_t before = kedge_agent_enter(stage->agent, KEDGE_PHASE_DOWNLOAD);

    stage->agent->detail[0] = '\0';
    const int status = put(stage, off, data, check);

    (void)kedge_agent_enter(stage->agent, before);
    return status;
}
