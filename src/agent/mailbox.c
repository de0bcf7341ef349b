#include "agent/mailbox.h"

#include <string.h>

#include "agent/checked.h"
#include "agent/parts.h"

/* Record, 96 bytes at the sector's low end, little endian:
 *    0 magic "KUPL"   4 length   8 image   12 sha_size u8, depth u8, 6 bytes 0
 *   20 sha[32]       52 head[32]          84 slot_length, 4 bytes 0   92 crc32 of bytes 0..91 */
#define MAGIC       0x4c50554bu
#define RECORD_SIZE 96u
#define AT_SHA      20u
#define AT_HEAD     52u
#define AT_SLOT     84u
#define AT_CRC      92u
#define CELL_MAX    32u

/* The sector is the last erase sector of the mailbox unit. */
static uint32_t start(const struct kedge_agent *agent)
{
    return kedge_agent_slot_size(agent) - kedge_agent_geometry(agent)->erase_size;
}

static uint32_t cell_at(const struct kedge_agent *agent, uint32_t index)
{
    return start(agent) + RECORD_SIZE + index * kedge_agent_geometry(agent)->write_block;
}

/* Cells that fit below the trailer's block; sectors behind the last cell are not marked. */
static uint32_t cell_count(const struct kedge_agent *agent)
{
    const struct kedge_geometry *const geometry = kedge_agent_geometry(agent);

    return (geometry->erase_size - RECORD_SIZE - KEDGE_TRAILER_SIZE_MAX) / geometry->write_block;
}

static uint8_t marked_byte(const struct kedge_agent *agent)
{
    return (uint8_t)~kedge_agent_geometry(agent)->erased;
}

static bool cell_set(struct kedge_agent *agent, uint32_t index)
{
    uint8_t cell[CELL_MAX];
    const size_t size = kedge_agent_geometry(agent)->write_block;

    return index < cell_count(agent) &&
           kedge_checked_read(&kedge_agent_secondary(agent)->region, cell_at(agent, index),
                              kedge_buf(cell, size)) == 0 &&
           kedge_all(kedge_bytes(cell, size), marked_byte(agent));
}

static int set_cell(struct kedge_agent *agent, uint32_t index)
{
    uint8_t cell[CELL_MAX];

    if (index >= cell_count(agent)) {
        return 0;
    }
    memset(cell, marked_byte(agent), sizeof(cell));
    return kedge_checked_program(&kedge_agent_secondary(agent)->region, cell_at(agent, index),
                                 kedge_bytes(cell, kedge_agent_geometry(agent)->write_block),
                                 agent->config->scratch);
}

/* The record's bytes; one flipped bit on the bus must not make it vanish. */
static int read_record(struct kedge_agent *agent, uint8_t *raw)
{
    for (unsigned i = 0; i < KEDGE_CHECKED_TRIES; i++) {
        const int error = kedge_checked_read(&kedge_agent_secondary(agent)->region, start(agent),
                                             kedge_buf(raw, RECORD_SIZE));
        if (error != 0) {
            return error;
        }
        if (kedge_le32(raw) == MAGIC &&
            kedge_le32(raw + AT_CRC) == kedge_crc32(0, kedge_bytes(raw, AT_CRC))) {
            return 0;
        }
    }
    return KEDGE_E_NONE;
}

int kedge_mailbox_find(struct kedge_agent *agent, struct kedge_upload_record *record)
{
    const uint32_t sectors =
        kedge_agent_data_limit(agent) / kedge_agent_geometry(agent)->erase_size;
    uint8_t raw[RECORD_SIZE];
    const int error = read_record(agent, raw);

    if (error != 0) {
        return error;
    }
    *record = (struct kedge_upload_record){
        .length = kedge_le32(raw + 4),
        .image = kedge_le32(raw + 8),
        .sha_size = raw[12],
        .depth = raw[13],
        .slot_length = raw[13] > 0 ? kedge_le32(raw + AT_SLOT) : kedge_le32(raw + 4),
        .complete = cell_set(agent, 0),
    };
    if (record->sha_size > sizeof(record->sha)) {
        return KEDGE_E_NONE;
    }
    memcpy(record->sha, raw + AT_SHA, sizeof(record->sha));
    memcpy(record->head, raw + AT_HEAD, sizeof(record->head));
    while (record->marked < sectors && cell_set(agent, 1 + record->marked)) {
        record->marked++;
    }
    return 0;
}

/* An upload leaves sector 0 without its header until the end. Does a header lie there that is not
 * this upload's, not even a torn one of it (which has fewer bits programmed, never others)? */
static bool has_foreign_header(struct kedge_agent *agent, const uint8_t *own)
{
    const uint8_t erased = kedge_agent_geometry(agent)->erased;
    uint8_t head[KEDGE_UPLOAD_HEAD];
    uint8_t others = 0;

    if (kedge_checked_read(&kedge_agent_secondary(agent)->region, 0,
                           kedge_buf(head, sizeof(head))) != 0 ||
        kedge_le32(head) != KEDGE_IMAGE_MAGIC) {
        return false;
    }
    for (size_t i = 0; i < sizeof(head); i++) {
        others |= (uint8_t)((head[i] ^ erased) & ~(own[i] ^ erased));
    }
    return others != 0;
}

bool kedge_mailbox_half_way(struct kedge_agent *agent)
{
    struct kedge_upload_record record;

    if (kedge_mailbox_find(agent, &record) != 0 || record.complete) {
        return false;
    }
    /* Somebody else (a debugger) wrote an image since: the upload is void, the image is his. */
    return record.marked == 0 || !has_foreign_header(agent, record.head);
}

int kedge_mailbox_erase(struct kedge_agent *agent)
{
    const int error = kedge_checked_erase(&kedge_agent_secondary(agent)->region, start(agent),
                                          agent->config->scratch);

    agent->mailbox_own = error == 0;
    return error;
}

int kedge_mailbox_retire(struct kedge_agent *agent)
{
    struct kedge_upload_record record;
    struct kedge_trailer trailer;

    if (agent->mailbox_own || kedge_mailbox_find(agent, &record) != 0) {
        return 0;
    }
    /* a request is only written behind a record that was complete for good */
    const int error = kedge_slot_trailer(kedge_agent_secondary(agent), 3, &trailer);

    return error != 0 || !trailer.blank ? error : kedge_mailbox_erase(agent);
}

static int open_once(struct kedge_agent *agent, const struct kedge_upload_record *record)
{
    uint8_t raw[RECORD_SIZE] = {0};
    int error = kedge_mailbox_erase(agent);

    for (uint32_t i = 0; i < record->marked && error == 0; i++) {
        error = kedge_mailbox_mark(agent, i);
    }
    if (error != 0) {
        return error;
    }
    kedge_put_le32(raw, MAGIC);
    kedge_put_le32(raw + 4, record->length);
    kedge_put_le32(raw + 8, record->image);
    raw[12] = record->sha_size;
    raw[13] = record->depth;
    if (record->depth > 0) {
        kedge_put_le32(raw + AT_SLOT, record->slot_length);
    }
    memcpy(raw + AT_SHA, record->sha, record->sha_size);
    memcpy(raw + AT_HEAD, record->head, sizeof(record->head));
    kedge_put_le32(raw + AT_CRC, kedge_crc32(0, kedge_bytes(raw, AT_CRC)));
    /* the record last: it is what gives the cells a meaning */
    return kedge_checked_program(&kedge_agent_secondary(agent)->region, start(agent),
                                 kedge_bytes(raw, sizeof(raw)), agent->config->scratch);
}

int kedge_mailbox_open(struct kedge_agent *agent, const struct kedge_upload_record *record)
{
    int error = open_once(agent, record);

    for (unsigned i = 1; i < KEDGE_CHECKED_TRIES && error != 0; i++) {
        error = open_once(agent, record);
    }
    return error;
}

int kedge_mailbox_mark(struct kedge_agent *agent, uint32_t i)
{
    return set_cell(agent, 1 + i);
}

int kedge_mailbox_complete(struct kedge_agent *agent)
{
    return set_cell(agent, 0);
}

/* One field of the tail, `back` bytes before the slot's end; a field left erased is not written. */
static int put_field(struct kedge_agent *agent, const uint8_t *tail, uint32_t back, uint32_t size)
{
    const struct kedge_slot *const slot = kedge_agent_secondary(agent);
    const uint32_t tail_size = kedge_trailer_place(slot->max_align).size;
    const struct kedge_bytes field = kedge_bytes(tail + tail_size - back, size);

    return kedge_checked_program(&slot->region, kedge_agent_slot_size(agent) - back, field,
                                 agent->config->scratch);
}

int kedge_mailbox_request(struct kedge_agent *agent, const uint8_t *tail)
{
    const struct kedge_trailer_place place =
        kedge_trailer_place(kedge_agent_secondary(agent)->max_align);
    const uint32_t block = kedge_agent_geometry(agent)->write_block;
    const uint32_t magic = block > place.magic ? block : place.magic;
    int error = 0;

    /* What an earlier power-on left may be a request that reads as blank today (torn): start from a
     * sector that this one erased. */
    if (!agent->mailbox_own) {
        error = kedge_mailbox_erase(agent);
    }
    agent->mailbox_own = false;
    /* Magic first: a cut behind it leaves a test, never more than was asked; and image_ok never
     * stands alone, where a later magic (MCUboot's own call) would make a test permanent. */
    if (error == 0) {
        error = put_field(agent, tail, magic, magic);
    }
    if (error == 0) {
        error = put_field(agent, tail, place.image_ok, block);
    }
    if (error == 0) {
        error = put_field(agent, tail, place.copy_done, block);
    }
    if (error == 0) {
        error = put_field(agent, tail, place.swap_info, block);
    }
    return error;
}
