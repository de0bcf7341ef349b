/* Strategy `backup`: the old image goes to a region of its own first. The candidate stays. What the
 * agent copied there before the reboot is not copied again. */
#include <string.h>

#include "kedge/backup.h"
#include "kedge/swap.h"

/* The agent says that it finished this unit of this very image. A wrong bit on the bus costs time,
 * not safety: the unit is then copied. */
static bool prepared(const struct kedge_engine *engine, uint32_t at)
{
    const struct kedge_slot *slot = &engine->pair->backup;
    const uint8_t *plan = engine->plan;
    const uint8_t erased = slot->region.flash->geometry.erased;
    const size_t size = slot->region.flash->geometry.write_block;
    const uint32_t record = kedge_backup_record(slot, plan[KEDGE_PLAN_K_OLD]);
    uint8_t *head = engine->page;
    uint8_t *cell = engine->page + KEDGE_BACKUP_HEAD;
    return record != 0 && size <= KEDGE_BACKUP_CELL &&
           kedge_region_read(&slot->region, record, kedge_buf(head, KEDGE_BACKUP_HEAD)) == 0 &&
           kedge_backup_is(head, plan + KEDGE_PLAN_ID_OLD) &&
           kedge_region_read(&slot->region, record + kedge_backup_cell(slot, at / slot->unit),
                             kedge_buf(cell, size)) == 0 &&
           kedge_all(kedge_bytes(cell, size), (uint8_t)~erased);
}

/* The first copy after a resume is one that a cut may have left to look right: always done anew. */
static int store(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at,
                 uint32_t piece)
{
    const bool fresh = !engine->resumed || engine->ahead;
    engine->ahead = true;
    if (slot == &engine->pair->backup && fresh && prepared(engine, at) &&
        kedge_engine_holds(engine, slot, at))
        return 0;
    return kedge_engine_store(engine, slot, at, piece);
}

const struct kedge_strategy kedge_backup = {
    .method = KEDGE_METHOD_BACKUP,
    .sparse = KEDGE_METHOD_BACKUP,
    .store = store,
    .verify = kedge_image_verify,
};
