/* Bytes of an image into sectors: erase, program, read back, mark. */
#include <string.h>

#include "agent/checked.h"
#include "agent/mailbox.h"
#include "agent/session.h"

/* How far the image may be taken before the next erase; its length when all is prepared. The last
 * bytes wait for the old headers at higher bases: one byte for each, so that every call makes some
 * progress. */
uint32_t kedge_upload_limit(const struct kedge_agent *agent)
{
    const struct kedge_upload *const upload = &agent->upload;
    const uint32_t bases = kedge_agent_secondary(agent)->last_base;

    if (upload->erased_to < kedge_upload_data_end(agent, upload->length)) {
        return kedge_least(upload->erased_to, upload->length - bases);
    }
    return upload->length - (bases - upload->stale_done);
}

bool kedge_upload_unprepared(const struct kedge_agent *agent)
{
    const struct kedge_upload *const upload = &agent->upload;

    return upload->erased_to < kedge_upload_data_end(agent, upload->length) ||
           upload->stale_done < kedge_agent_secondary(agent)->last_base;
}

int kedge_upload_prepare(struct kedge_agent *agent, bool *erased)
{
    const struct kedge_slot *const slot = kedge_agent_secondary(agent);
    struct kedge_upload *const upload = &agent->upload;
    const bool linear = upload->erased_to < kedge_upload_data_end(agent, upload->length);
    const uint32_t at =
        linear ? upload->erased_to : kedge_slot_unit_at(slot, upload->stale_done + 1u);
    bool fresh = linear && at < upload->fresh_to;
    uint8_t magic[4];

    /* erased by us in this power-on; somebody else may have written there since */
    if (fresh && kedge_region_blank(&slot->region, at, kedge_agent_sector(agent),
                                    agent->config->scratch, &fresh) != 0) {
        fresh = false;
    }
    *erased = linear && !fresh;
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

/* A sector that does not hold its bytes is begun anew: the client is told to send it again. What
 * came through a pipe cannot be asked for again in the middle. */
static int begin_sector_anew(struct kedge_agent *agent, int error)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t written = upload->at - upload->pending_size;
    const uint32_t at = written - written % kedge_agent_sector(agent);

    upload->tries++;
    if (upload->tries >= KEDGE_CHECKED_TRIES || upload->way != KEDGE_UPLOAD_PLAIN) {
        return kedge_upload_fail(agent, KEDGE_AGENT_WRITE_FAILED, error);
    }
    upload->erased_to = at;
    upload->fresh_to = 0;
    upload->at = at == 0 ? KEDGE_UPLOAD_HEAD : at;
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
                                  upload->at - upload->pending_size,
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
        const int error = kedge_checked_program(&kedge_agent_secondary(agent)->region, upload->at,
                                                kedge_bytes(data.at, n), agent->config->scratch);
        if (error == 0) {
            upload->at += n;
        }
        return error;
    }
    n = kedge_least(n, block - upload->pending_size);
    memcpy(upload->pending + upload->pending_size, data.at, n);
    upload->pending_size = (uint8_t)(upload->pending_size + n);
    upload->at += n;
    return upload->pending_size == block ? flush(agent) : 0;
}

/* Image bytes up to the end of one sector. */
static int take_data(struct kedge_agent *agent, struct kedge_bytes data, uint32_t end)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t sector = kedge_agent_sector(agent);
    const uint32_t sector_end = kedge_least(upload->at - upload->at % sector + sector, end);
    const uint32_t n = kedge_least((uint32_t)data.size, sector_end - upload->at);
    int error = put(agent, kedge_bytes(data.at, n));

    if (error == 0 && upload->at == sector_end) {
        error = flush(agent);
    }
    if (error != 0) {
        return begin_sector_anew(agent, error);
    }
    if (upload->at < sector_end) {
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
    const uint32_t start = upload->length - kedge_upload_tail_size(agent);
    const uint32_t before =
        upload->at < start ? kedge_least((uint32_t)data.size, start - upload->at) : 0;

    if (!kedge_all(kedge_bytes(data.at, before), kedge_agent_geometry(agent)->erased)) {
        *upload = (struct kedge_upload){0};
        return kedge_agent_refuse(agent, KEDGE_AGENT_TOO_LARGE,
                                  "the image has data where the slot's trailer sector lies");
    }
    if (data.size > before) {
        memcpy(upload->tail + (upload->at + before - start), data.at + before, data.size - before);
    }
    upload->at += (uint32_t)data.size;
    return KEDGE_AGENT_OK;
}

int kedge_upload_put(struct kedge_agent *agent, struct kedge_bytes data, bool *may_erase)
{
    struct kedge_upload *const upload = &agent->upload;
    int status = KEDGE_AGENT_OK;

    while (data.size > 0 && status == KEDGE_AGENT_OK) {
        const uint32_t from = upload->at;
        const uint32_t limit = kedge_upload_limit(agent);
        const uint32_t end = kedge_upload_data_end(agent, upload->length);

        if (*may_erase && from + data.size > limit) {
            bool erased = false;

            status = kedge_upload_prepare(agent, &erased);
            *may_erase = !erased;
            continue;
        }
        if (from >= limit) {
            break;
        }
        const uint32_t n = kedge_least((uint32_t)data.size, limit - from);
        const struct kedge_bytes now = kedge_bytes(data.at, n);

        status = from < end ? take_data(agent, now, end) : take_tail(agent, now);
        if (status != KEDGE_AGENT_OK || upload->at <= from) {
            break; /* failed, or a sector is begun anew */
        }
        const uint32_t taken = upload->at - from;

        data = kedge_bytes(data.at + taken, data.size - taken);
    }
    return status;
}
