/* Bytes of an upload into sectors: erase, program, read back, mark. */
#include <string.h>

#include "agent/checked.h"
#include "agent/mailbox.h"
#include "agent/session.h"

/* How far the file may be taken before the next erase; its size when all is prepared. The last
 * bytes wait for the old headers at higher bases: one byte for each, so that every call makes some
 * progress. */
static uint32_t limit_of(const struct kedge_agent *agent)
{
    const struct kedge_upload *const upload = &agent->upload;
    const uint32_t bases = kedge_agent_secondary(agent)->last_base;

    if (upload->erased_to < kedge_upload_data_end(agent, upload->size)) {
        return kedge_least(upload->erased_to, upload->size - bases);
    }
    return upload->size - (bases - upload->stale_done);
}

bool kedge_upload_unprepared(const struct kedge_agent *agent)
{
    const struct kedge_upload *const upload = &agent->upload;

    return upload->erased_to < kedge_upload_data_end(agent, upload->size) ||
           upload->stale_done < kedge_agent_secondary(agent)->last_base;
}

int kedge_upload_prepare(struct kedge_agent *agent, bool *erased)
{
    const struct kedge_slot *const slot = kedge_agent_secondary(agent);
    struct kedge_upload *const upload = &agent->upload;
    const bool linear = upload->erased_to < kedge_upload_data_end(agent, upload->size);
    const uint32_t at =
        linear ? upload->erased_to : kedge_slot_unit_at(slot, upload->stale_done + 1u);
    uint8_t magic[4];

    *erased = linear;
    if (!linear && at >= upload->erased_to) {
        const int error = kedge_checked_read(&slot->region, at, kedge_buf(magic, sizeof(magic)));

        if (error != 0) {
            return kedge_upload_fail(agent, KEDGE_AGENT_READ_FAILED, error);
        }
        *erased = kedge_le32(magic) == KEDGE_IMAGE_MAGIC;
    }
    if (*erased) {
        const int error = kedge_checked_erase(&slot->region, at, agent->config->scratch);

        if (error != 0) {
            return kedge_upload_fail(agent, KEDGE_AGENT_ERASE_FAILED, error);
        }
    }
    if (linear) {
        upload->erased_to += kedge_agent_sector(agent);
    } else {
        upload->stale_done++;
    }
    return KEDGE_AGENT_OK;
}

/* A sector that does not hold its bytes is begun anew: the client is told to send it again. */
static int begin_sector_anew(struct kedge_agent *agent, int error)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t written = upload->off - upload->pending_size;
    const uint32_t at = written - written % kedge_agent_sector(agent);

    upload->tries++;
    if (upload->tries >= KEDGE_CHECKED_TRIES) {
        return kedge_upload_fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
    }
    upload->erased_to = at;
    upload->off = at == 0 ? KEDGE_UPLOAD_HEAD : at;
    upload->pending_size = 0;
    return KEDGE_AGENT_OK;
}

/* Program what has been held back, filled up with erased bytes. */
static int flush(struct kedge_agent *agent)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t block = kedge_agent_geometry(agent)->write_block;
    int error;

    if (upload->pending_size == 0) {
        return 0;
    }
    memset(upload->pending + upload->pending_size, kedge_agent_geometry(agent)->erased,
           block - upload->pending_size);
    error = kedge_checked_program(&kedge_agent_secondary(agent)->region,
                                  upload->off - upload->pending_size,
                                  kedge_bytes(upload->pending, block), agent->config->scratch);
    if (error == 0) {
        upload->pending_size = 0;
    }
    return error;
}

/* Write the first bytes of `data` at off: whole blocks go to flash, the rest is held back. Advances
 * off by what it took. */
static int put(struct kedge_agent *agent, struct kedge_bytes data)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t block = kedge_agent_geometry(agent)->write_block;
    uint32_t n = (uint32_t)data.size;

    if (upload->pending_size == 0 && n >= block) {
        n -= n % block;
        const int error = kedge_checked_program(&kedge_agent_secondary(agent)->region, upload->off,
                                                kedge_bytes(data.at, n), agent->config->scratch);
        if (error == 0) {
            upload->off += n;
        }
        return error;
    }
    n = kedge_least(n, block - upload->pending_size);
    memcpy(upload->pending + upload->pending_size, data.at, n);
    upload->pending_size = (uint8_t)(upload->pending_size + n);
    upload->off += n;
    return upload->pending_size == block ? flush(agent) : 0;
}

/* Image bytes up to the end of one sector. */
static int take_data(struct kedge_agent *agent, struct kedge_bytes data, uint32_t end)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t sector = kedge_agent_sector(agent);
    const uint32_t sector_end = kedge_least(upload->off - upload->off % sector + sector, end);
    const uint32_t n = kedge_least((uint32_t)data.size, sector_end - upload->off);
    int error = put(agent, kedge_bytes(data.at, n));

    if (error == 0 && upload->off == sector_end) {
        error = flush(agent);
    }
    if (error != 0) {
        return begin_sector_anew(agent, error);
    }
    if (upload->off < sector_end) {
        return KEDGE_AGENT_OK;
    }
    /* the sector is written and read back: only now may its cell say so */
    upload->tries = 0;
    error = kedge_mailbox_mark(agent, (sector_end - 1) / sector);
    return error == 0 ? KEDGE_AGENT_OK : kedge_upload_fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
}

/* Bytes of the trailer's sector: kept in RAM, for the sector is the record's until the end. */
static int take_tail(struct kedge_agent *agent, struct kedge_bytes data)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t start = upload->size - kedge_upload_tail_size(agent);
    const uint32_t before =
        upload->off < start ? kedge_least((uint32_t)data.size, start - upload->off) : 0;

    if (!kedge_all(kedge_bytes(data.at, before), kedge_agent_geometry(agent)->erased)) {
        *upload = (struct kedge_upload){0};
        return kedge_agent_refuse(agent, KEDGE_AGENT_TOO_LARGE,
                                  "the file has data where the slot's trailer sector lies");
    }
    if (data.size > before) {
        memcpy(upload->tail + (upload->off + before - start), data.at + before, data.size - before);
    }
    upload->off += (uint32_t)data.size;
    return KEDGE_AGENT_OK;
}

int kedge_upload_take(struct kedge_agent *agent, struct kedge_bytes data)
{
    struct kedge_upload *const upload = &agent->upload;
    int status = KEDGE_AGENT_OK;
    bool may_erase = true;

    while (data.size > 0 && status == KEDGE_AGENT_OK) {
        const uint32_t from = upload->off;
        const uint32_t limit = limit_of(agent);
        const uint32_t end = kedge_upload_data_end(agent, upload->size);

        if (may_erase && from + data.size > limit) {
            bool erased = false;

            status = kedge_upload_prepare(agent, &erased);
            may_erase = !erased;
            continue;
        }
        if (from >= limit) {
            break;
        }
        const uint32_t n = kedge_least((uint32_t)data.size, limit - from);
        const struct kedge_bytes now = kedge_bytes(data.at, n);

        status = from < end ? take_data(agent, now, end) : take_tail(agent, now);
        if (status != KEDGE_AGENT_OK || upload->off <= from) {
            break; /* failed, or a sector is begun anew */
        }
        const uint32_t taken = upload->off - from;

        data = kedge_bytes(data.at + taken, data.size - taken);
    }
    return status;
}
