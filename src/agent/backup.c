/* The running image is copied to the backup while nothing else is to do, so that an update needs no
 * erase of it (strategy `backup`). Only the external chip is written. What was copied is said by
 * cells in a sector of the same power-on (kedge/backup.h, FORMAT.md "Backup record"): the loader
 * trusts a unit that has its cell and reads right, and copies the others itself. */
#include "kedge/backup.h"

#include <string.h>

#include "agent/checked.h"
#include "agent/parts.h"

#define FAILURES 3u /* steps that failed; then the loader shall do it */

static const struct kedge_slot *slot_of(const struct kedge_agent *agent)
{
    return &kedge_agent_pair(agent)->backup;
}

static bool has(const struct kedge_backup_copy *copy, unsigned i)
{
    return (copy->have[i / 8] >> (i % 8) & 1) != 0;
}

static void set(struct kedge_backup_copy *copy, unsigned i)
{
    copy->have[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* Never during a trial: the backup is the image to revert to. Nothing in plain where the policy
 * says so: the loader encrypts what it saves. */
static bool may_copy(const struct kedge_agent *agent)
{
    const struct kedge_boot_report *const boot = agent->config->boot;

    return agent->config->keeps_backup && boot->boots != 0 && boot->settled != 0 &&
           slot_of(agent)->region.flash != NULL &&
           agent->policy.value[KEDGE_POLICY_CONFIDENTIAL] == 0;
}

static int erase_unit(struct kedge_agent *agent, uint32_t at)
{
    const struct kedge_slot *const slot = slot_of(agent);
    const uint32_t sector = slot->region.flash->geometry.erase_size;
    int error = 0;

    for (uint32_t o = 0; o < slot->unit && error == 0; o += sector) {
        error = kedge_checked_erase(&slot->region, at + o, agent->config->scratch);
    }
    return error;
}

static int set_cell(struct kedge_agent *agent, unsigned i)
{
    const struct kedge_slot *const slot = slot_of(agent);
    const struct kedge_geometry *const geometry = &slot->region.flash->geometry;
    uint8_t cell[KEDGE_BACKUP_CELL];

    memset(cell, (uint8_t)~geometry->erased, sizeof(cell));
    return kedge_checked_program(
        &slot->region, kedge_backup_record(slot, agent->backup.units) + kedge_backup_cell(slot, i),
        kedge_bytes(cell, geometry->write_block), agent->config->scratch);
}

/* Cells that an earlier power-on left, when the record is of this image. */
static void read_cells(struct kedge_agent *agent, uint32_t record)
{
    const struct kedge_slot *const slot = slot_of(agent);
    const struct kedge_geometry *const geometry = &slot->region.flash->geometry;
    uint8_t head[KEDGE_BACKUP_HEAD], cell[KEDGE_BACKUP_CELL];

    if (kedge_checked_read(&slot->region, record, kedge_buf(head, sizeof(head))) != 0 ||
        !kedge_backup_is(head, agent->config->boot->hash)) {
        return;
    }
    for (unsigned i = 0; i < agent->backup.units; i++) {
        if (kedge_checked_read(&slot->region, record + kedge_backup_cell(slot, i),
                               kedge_buf(cell, geometry->write_block)) == 0 &&
            kedge_all(kedge_bytes(cell, geometry->write_block), (uint8_t)~geometry->erased)) {
            set(&agent->backup, i);
        }
    }
}

/* A record of this power-on: what has its cell keeps it. The head last: it gives cells a meaning.
 */
static int open_record(struct kedge_agent *agent, uint32_t record)
{
    const struct kedge_slot *const slot = slot_of(agent);
    uint8_t head[KEDGE_BACKUP_CELL];
    int error = erase_unit(agent, record);

    for (unsigned i = 0; i < agent->backup.units && error == 0; i++) {
        if (has(&agent->backup, i)) {
            error = set_cell(agent, i);
        }
    }
    if (error != 0) {
        return error;
    }
    memset(head, slot->region.flash->geometry.erased, sizeof(head));
    kedge_put_le32(head, KEDGE_BACKUP_MAGIC);
    memcpy(head + 4, agent->config->boot->hash, KEDGE_BACKUP_ID);
    kedge_put_le32(head + 12, kedge_crc32(0, kedge_bytes(head, 12)));
    return kedge_checked_program(&slot->region, record, kedge_bytes(head, sizeof(head)),
                                 agent->config->scratch);
}

static void advance(struct kedge_backup_copy *copy)
{
    while (copy->next < copy->units && has(copy, copy->next)) {
        copy->next++;
    }
    if (copy->next == copy->units) {
        copy->state = KEDGE_BACKUP_OVER;
    }
}

/* What is to be copied, and what is there already. */
static int begin(struct kedge_agent *agent)
{
    struct kedge_backup_copy *const copy = &agent->backup;
    const struct kedge_slot *const primary = &kedge_agent_pair(agent)->primary;
    struct kedge_image image;

    copy->state = KEDGE_BACKUP_OVER;
    if (kedge_slot_find(primary, 0, &image) != 0) {
        return KEDGE_E_NONE;
    }
    copy->size = image.size;
    copy->units = (uint16_t)((image.size + primary->unit - 1) / primary->unit);
    const uint32_t record = kedge_backup_record(slot_of(agent), copy->units);

    if (record == 0 || slot_of(agent)->region.flash->geometry.write_block > KEDGE_BACKUP_CELL) {
        return KEDGE_E_SPACE;
    }
    read_cells(agent, record);
    copy->state = KEDGE_BACKUP_COPYING;
    advance(copy);
    const int error = copy->state == KEDGE_BACKUP_OVER ? 0 : open_record(agent, record);

    if (error != 0) {
        copy->state = KEDGE_BACKUP_UNKNOWN; /* no cell without a record of this power-on [B-2] */
    }
    return error;
}

/* Erase, program, read back; then the cell [B-1]. */
static int copy_unit(struct kedge_agent *agent, unsigned i)
{
    const struct kedge_slot *const slot = slot_of(agent);
    const struct kedge_region *const primary = &kedge_agent_pair(agent)->primary.region;
    const uint32_t block = slot->region.flash->geometry.write_block;
    const uint32_t from = i * slot->unit, to = kedge_slot_unit_at(slot, i);
    const uint32_t left = agent->backup.size - from;
    const uint32_t size = left < slot->unit ? left : slot->unit;
    const size_t half = agent->config->scratch.size / 2 & ~(size_t)255;
    uint8_t *const data = agent->config->scratch.at;
    int error = erase_unit(agent, to);

    for (uint32_t o = 0; o < size && error == 0; o += (uint32_t)half) {
        const size_t part = size - o < half ? size - o : half;
        const size_t whole = (part + block - 1) & ~(size_t)(block - 1);

        memset(data, slot->region.flash->geometry.erased, half);
        error = kedge_checked_read(primary, from + o, kedge_buf(data, part));
        if (error == 0) {
            error = kedge_checked_program(&slot->region, to + o, kedge_bytes(data, whole),
                                          kedge_buf(data + half, half));
        }
    }
    return error == 0 ? set_cell(agent, i) : error;
}

static int step(struct kedge_agent *agent)
{
    struct kedge_backup_copy *const copy = &agent->backup;

    if (copy->state == KEDGE_BACKUP_UNKNOWN) {
        return begin(agent);
    }
    const int error = copy_unit(agent, copy->next);

    if (error == 0) {
        set(copy, copy->next);
        advance(copy);
    }
    return error;
}

bool kedge_backup_idle(struct kedge_agent *agent)
{
    if (agent->backup.state == KEDGE_BACKUP_OVER || !may_copy(agent)) {
        return false;
    }
    const uint8_t before = kedge_agent_enter(agent, KEDGE_PHASE_IDLE);

    if (step(agent) != 0 && ++agent->backup.failures == FAILURES) {
        agent->backup.state = KEDGE_BACKUP_OVER;
    }
    (void)kedge_agent_enter(agent, before);
    return true;
}
