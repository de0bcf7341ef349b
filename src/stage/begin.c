/* Start, manifests, attempts, abort. */
#include <string.h>

#include "stage/store.h"

#define SHOWS_KIND     512u /* policy confidential: a first chunk of so much shows what a file is */
#define WAIT_FIRST_MS  1000u
#define WAIT_DOUBLINGS 9u /* 512 s */
#define WAIT_MOST_MS   600000u

int kedge_stage_refuse(struct kedge_stage *stage, enum kedge_stage_status status, const char *words)
{
    (void)kedge_agent_refuse(stage->agent, KEDGE_AGENT_UNKNOWN, words);
    return (int)status;
}

int kedge_stage_flash_failed(struct kedge_stage *stage, int error)
{
    return kedge_stage_refuse(stage, KEDGE_STAGE_FLASH_FAILED, kedge_error_text(error));
}

/* Sectors of the region that a head has cells for. */
static uint32_t sectors(const struct kedge_stage *stage)
{
    const struct kedge_geometry *const geometry = kedge_stage_geometry(stage);
    const uint32_t cells = (geometry->erase_size - KEDGE_STAGE_RECORD) / geometry->write_block;
    const uint32_t all = kedge_stage_region(stage)->size / geometry->erase_size;
    const uint32_t others = KEDGE_STAGE_CELL_SECTOR(KEDGE_STAGE_HEADS);

    return cells <= others                            ? 0
           : all < cells - others + KEDGE_STAGE_HEADS ? all
                                                      : cells - others + KEDGE_STAGE_HEADS;
}

/* The file that fits when the map takes `map` sectors. */
static uint64_t fits(const struct kedge_stage *stage, uint32_t chunk, uint64_t map)
{
    const struct kedge_geometry *const geometry = kedge_stage_geometry(stage);
    const uint64_t left = (uint64_t)sectors(stage) - KEDGE_STAGE_HEADS;
    const uint64_t named = map * (geometry->erase_size / geometry->write_block) * chunk;

    if (map >= left) {
        return 0;
    }
    return named < (left - map) * geometry->erase_size ? named
                                                       : (left - map) * geometry->erase_size;
}

uint32_t kedge_stage_capacity(const struct kedge_stage *stage, uint32_t chunk)
{
    if (kedge_stage_region(stage)->flash == NULL) {
        return 0;
    }
    const struct kedge_geometry *const geometry = kedge_stage_geometry(stage);

    if (chunk == 0 || chunk > KEDGE_STAGE_CHUNK_MAX || chunk % geometry->write_block != 0 ||
        geometry->write_block > KEDGE_CELL_MAX || sectors(stage) <= KEDGE_STAGE_HEADS + 1u) {
        return 0;
    }
    const uint64_t named = (uint64_t)(geometry->erase_size / geometry->write_block) * chunk;
    const uint64_t left = sectors(stage) - KEDGE_STAGE_HEADS;
    const uint64_t map = left * geometry->erase_size / (named + geometry->erase_size);
    const uint64_t less = fits(stage, chunk, map);
    const uint64_t more = fits(stage, chunk, map + 1);

    return (uint32_t)(more > less ? more : less);
}

static const char *form_of(const struct kedge_stage *stage, const struct kedge_manifest *manifest)
{
    static const uint8_t least[] = {0, 4, 4}, most[] = {0, 4, 32};

    if (manifest->size == 0) {
        return "an empty file cannot be staged";
    }
    if (manifest->chunk == 0 || manifest->chunk > KEDGE_STAGE_CHUNK_MAX) {
        return "a chunk has 1 to 65536 bytes";
    }
    if (manifest->chunk % kedge_stage_geometry(stage)->write_block != 0) {
        return "the chunk size must be a multiple of the flash's write block";
    }
    if (manifest->check >= KEDGE_STAGE_CHECKS) {
        return "no such check of chunks: 0 none, 1 crc32, 2 sha256";
    }
    if (manifest->check_size < least[manifest->check] ||
        manifest->check_size > most[manifest->check]) {
        return "the check's size: none 0, crc32 4, sha256 4 to 32 bytes";
    }
    return manifest->transform < KEDGE_STAGE_KINDS
               ? NULL
               : "no such kind of file: any, plain, encrypted, sealed, delta";
}

int kedge_stage_check_manifest(const struct kedge_stage *stage,
                               const struct kedge_manifest *manifest, const char **words)
{
    const char *const form = form_of(stage, manifest);
    const bool large =
        form == NULL && manifest->size > kedge_stage_capacity(stage, manifest->chunk);

    if (words != NULL) {
        *words = large ? "larger than the staging region holds with chunks of this size" : form;
    }
    return large ? KEDGE_STAGE_TOO_LARGE : form != NULL ? KEDGE_STAGE_INVALID : KEDGE_STAGE_OK;
}

static bool is_confidential(const struct kedge_stage *stage)
{
    return stage->agent->policy.value[KEDGE_POLICY_CONFIDENTIAL] != 0;
}

/* May such a file lie on the external flash at all? What the manifest tells already. */
static int check_confidential(struct kedge_stage *stage, const struct kedge_manifest *manifest)
{
    if (!is_confidential(stage)) {
        return KEDGE_STAGE_OK;
    }
    if (manifest->transform == KEDGE_STAGE_PLAIN || manifest->transform == KEDGE_STAGE_DELTA) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_PLAINTEXT,
                                  "policy confidential takes sealed or encrypted files only");
    }
    if (manifest->chunk < SHOWS_KIND && manifest->chunk < manifest->size) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_INVALID,
                                  "policy confidential needs chunks of 512 bytes or more");
    }
    return KEDGE_STAGE_OK;
}

static int begin_new(struct kedge_stage *stage, const struct kedge_manifest *manifest,
                     uint8_t rounds)
{
    const int status = check_confidential(stage, manifest);

    if (status != KEDGE_STAGE_OK) {
        return status;
    }
    const int error = kedge_stage_new_head(stage, manifest, rounds);

    return error == 0 ? KEDGE_STAGE_OK : kedge_stage_flash_failed(stage, error);
}

/* The same file again, with the head that it has. */
static int go_on(struct kedge_stage *stage, const struct kedge_manifest *manifest)
{
    const struct kedge_manifest *const mine = &stage->manifest;

    if (mine->size != manifest->size || mine->chunk != manifest->chunk ||
        mine->check != manifest->check || mine->check_size != manifest->check_size) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_OTHER_FILE,
                                  "this file is staged with another size, chunk or check: abort");
    }
    if (!kedge_stage_has(stage, KEDGE_STAGE_BAD)) {
        return KEDGE_STAGE_OK;
    }
    if (stage->rounds + 1u >= KEDGE_STAGE_ROUNDS) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_GIVEN_UP,
                                  "the whole file had a wrong hash 3 times: check it, then abort");
    }
    return begin_new(stage, manifest, (uint8_t)(stage->rounds + 1));
}

static int begin(struct kedge_stage *stage, const struct kedge_manifest *manifest)
{
    const char *words;

    if (kedge_stage_region(stage)->flash == NULL) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_UNSUPPORTED,
                                  "this device has no staging region");
    }
    const int status = kedge_stage_check_manifest(stage, manifest, &words);

    if (status != KEDGE_STAGE_OK) {
        return kedge_stage_refuse(stage, (enum kedge_stage_status)status, words);
    }
    if (!kedge_stage_is_open(stage)) {
        return begin_new(stage, manifest, 0);
    }
    if (memcmp(stage->manifest.id, manifest->id, sizeof(manifest->id)) == 0) {
        return go_on(stage, manifest);
    }
    if (!kedge_stage_has(stage, KEDGE_STAGE_CLOSED) || kedge_stage_works(stage)) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_OTHER_FILE,
                                  "another file is staged: finish it or abort it first");
    }
    return begin_new(stage, manifest, 0);
}

int kedge_stage_begin(struct kedge_stage *stage, const struct kedge_manifest *manifest)
{
    const uint8_t before = kedge_agent_enter(stage->agent, KEDGE_PHASE_DOWNLOAD);

    stage->agent->detail[0] = '\0';
    const int status = begin(stage, manifest);

    (void)kedge_agent_enter(stage->agent, before);
    return status;
}

static uint32_t count(struct kedge_stage *stage)
{
    uint32_t received = 0;

    for (uint32_t index = 0; index < stage->chunks;) {
        const uint32_t from = kedge_stage_next_present(stage, index);
        const uint32_t to = kedge_stage_next_missing(stage, from);

        received += to - from;
        index = to;
    }
    return received;
}

static void read_kind(struct kedge_stage *stage)
{
    uint8_t head[64];
    const uint32_t size = kedge_stage_chunk_size(stage, 0);
    const size_t n = size < sizeof(head) ? size : sizeof(head);

    if (kedge_stage_chunk_there(stage, 0) &&
        kedge_checked_read(kedge_stage_region(stage), kedge_stage_file_at(stage),
                           kedge_buf(head, n)) == 0) {
        stage->kind = (uint8_t)kedge_stage_kind_of(kedge_bytes(head, n));
    }
}

void kedge_stage_start(struct kedge_stage *stage, struct kedge_agent *agent,
                       struct kedge_buf buffer)
{
    KEDGE_ASSERT(buffer.size >= 128);
    *stage = (struct kedge_stage){.agent = agent, .buffer = buffer};
    if (kedge_stage_region(stage)->flash == NULL) {
        return;
    }
    kedge_stage_find_head(stage);
    if (!kedge_stage_is_open(stage)) {
        return;
    }
    stage->state = kedge_stage_has(stage, KEDGE_STAGE_BAD)      ? KEDGE_STAGE_SPOILT
                   : kedge_stage_has(stage, KEDGE_STAGE_CLOSED) ? KEDGE_STAGE_DECODED
                                                                : KEDGE_STAGE_RECEIVING;
    stage->received = count(stage);
    read_kind(stage);
}

uint32_t kedge_stage_chunk_size(const struct kedge_stage *stage, uint32_t index)
{
    const uint32_t left = stage->manifest.size - index * stage->manifest.chunk;

    return left < stage->manifest.chunk ? left : stage->manifest.chunk;
}

/* ---- attempts -------------------------------------------------------------------------------- */

static uint32_t wait_of(uint8_t idle)
{
    if (idle == 0) {
        return 0;
    }
    const uint32_t doublings = idle - 1u < WAIT_DOUBLINGS ? idle - 1u : WAIT_DOUBLINGS;
    const uint32_t wait = WAIT_FIRST_MS << doublings;

    return wait < WAIT_MOST_MS ? wait : WAIT_MOST_MS;
}

static int attempt(struct kedge_stage *stage, uint32_t *wait_ms)
{
    if (!kedge_stage_is_open(stage)) {
        return kedge_stage_refuse(stage, KEDGE_STAGE_NO_FILE, "nothing is staged: begin first");
    }
    if (stage->idle >= KEDGE_STAGE_IDLE_MAX || stage->attempts >= KEDGE_STAGE_ATTEMPTS) {
        return kedge_stage_refuse(
            stage, KEDGE_STAGE_GIVEN_UP,
            stage->idle >= KEDGE_STAGE_IDLE_MAX
                ? "given up: 8 attempts in a row brought nothing; abort first"
                : "given up: 64 attempts were made for this file; abort first");
    }
    int error = kedge_stage_affirm(stage);

    if (error == 0) {
        error = kedge_stage_set_cell(stage, KEDGE_STAGE_CELL_ATTEMPT(stage->attempts));
    }
    if (error != 0) {
        return kedge_stage_flash_failed(stage, error);
    }
    *wait_ms = wait_of(stage->idle);
    stage->attempts++;
    stage->idle++;
    stage->attempting = true;
    return KEDGE_STAGE_OK;
}

int kedge_stage_attempt(struct kedge_stage *stage, uint32_t *wait_ms)
{
    const uint8_t before = kedge_agent_enter(stage->agent, KEDGE_PHASE_DOWNLOAD);

    stage->agent->detail[0] = '\0';
    *wait_ms = 0;
    const int status = attempt(stage, wait_ms);

    (void)kedge_agent_enter(stage->agent, before);
    return status;
}

/* ---- abort ----------------------------------------------------------------------------------- */

int kedge_stage_abort(struct kedge_stage *stage)
{
    const uint8_t before = kedge_agent_enter(stage->agent, KEDGE_PHASE_DOWNLOAD);
    int status = KEDGE_STAGE_OK;

    stage->agent->detail[0] = '\0';
    if (kedge_stage_is_open(stage)) {
        int error = kedge_stage_affirm(stage);

        if (error == 0) {
            error = kedge_stage_set_flag(stage, KEDGE_STAGE_ABORTED);
        }
        if (error == 0) {
            stage->state = KEDGE_STAGE_EMPTY;
            stage->received = 0;
        } else {
            status = kedge_stage_flash_failed(stage, error);
        }
    }
    (void)kedge_agent_enter(stage->agent, before);
    return status;
}
