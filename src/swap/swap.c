/* The images change places: all units, or in place the few that differ. Two devices work at once
 * where that is safe. */
#include <string.h>

#include "kedge/swap.h"

/* With two spares the unit that save(next) writes is not the only copy of anything that load(i)
 * still needs (tests/model/test_closure.c), so the external chip erases and programs it while the
 * internal flash is busy with load(i). */
static bool overlaps(const struct kedge_engine *engine, struct kedge_copy *save)
{
    const uint8_t *plan = engine->plan;
    const unsigned pc = kedge_le16(plan + KEDGE_PLAN_PC);
    const int shift = plan[KEDGE_PLAN_BASE] - plan[KEDGE_PLAN_OLD_BASE];
    return plan[KEDGE_PLAN_METHOD] == KEDGE_METHOD_TOGGLE && (shift == 2 || shift == -2) &&
           plan[KEDGE_PLAN_TYPE] != KEDGE_TYPE_RESTORE && pc % 3 == 2 &&
           kedge_step(plan, pc + 2, save);
}

/* Program what is not blank; nothing after an error. */
static int put(const struct kedge_slot *slot, uint32_t at, const uint8_t *page, int rc)
{
    const struct kedge_bytes data = {page, KEDGE_PAGE};
    if (rc != 0 || kedge_all(data, slot->region.flash->geometry.erased))
        return rc;
    return kedge_region_program(&slot->region, at, data);
}

/* Erases are posted; the one of the other device goes on while this waits to see the first place.
 */
static int see_erased(const struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at,
                      int rc)
{
    if (rc == 0 && !kedge_engine_blank(engine, slot, at, KEDGE_PAGE))
        rc = KEDGE_E_READBACK;
    return rc;
}

/* The unit buffer goes to the primary, and meanwhile a unit of the primary to its place. Nothing is
 * read back: the plain store does that with the one, the save's own step with the other, and
 * whatever went wrong is done again there. -> the error of the save. */
static int both(struct kedge_engine *engine, uint32_t load_at, const struct kedge_copy *save,
                int *loaded)
{
    const struct kedge_slot *primary = &engine->pair->primary;
    const struct kedge_slot *slot = kedge_engine_slot(engine, save->to_slot);
    const uint32_t at = kedge_slot_unit_at(slot, save->to);
    const uint32_t size = kedge_engine_bytes(engine, save->old, save->index);
    const uint32_t unit = engine->unit_size;
    int rc = kedge_region_erase(&slot->region, at, unit);
    *loaded = kedge_region_erase(&primary->region, load_at, unit);
    rc = see_erased(engine, slot, at, rc);
    *loaded = see_erased(engine, primary, load_at, *loaded);
    for (uint32_t o = 0; o < unit; o += KEDGE_PAGE) {
        const uint32_t left = size > o ? size - o : 0;
        const struct kedge_buf part = {engine->page, left < KEDGE_PAGE ? left : KEDGE_PAGE};
        memset(engine->page, slot->region.flash->geometry.erased, KEDGE_PAGE);
        if (rc == 0)
            rc = kedge_region_read(&primary->region, save->from * unit + o, part);
        if (rc == 0 && engine->strategy->crypt != NULL)
            rc = engine->strategy->crypt(engine, save, o, part);
        rc = put(slot, at + o, engine->page, rc);
        *loaded = put(primary, load_at + o, engine->unit + o, *loaded);
    }
    return rc;
}

/* The first copy of a swap saves a unit to where nothing lies that anybody needs, whether the plan
 * becomes durable or not: the external chip erases it while the internal flash erases the journal's
 * other sector. */
static void begin(struct kedge_engine *engine)
{
    const uint8_t *plan = engine->plan;
    const struct kedge_slot *slot = &engine->pair->secondary;
    const unsigned last = 3 * kedge_plan_k(plan);
    struct kedge_copy first;
    bool found = false;
    unsigned pc = 0;
    while (!found && pc < last)
        found = kedge_step(plan, ++pc, &first);
    engine->hollow =
        found && pc % 3 == 1 && plan[KEDGE_PLAN_METHOD] <= KEDGE_METHOD_INPLACE &&
        kedge_region_erase(&slot->region, kedge_slot_unit_at(slot, first.to), slot->unit) == 0;
}

/* The unit buffer goes to where an erase was posted. */
static bool fill(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at)
{
    int rc = see_erased(engine, slot, at, 0);
    for (uint32_t o = 0; o < engine->unit_size; o += KEDGE_PAGE)
        rc = put(slot, at + o, engine->unit + o, rc);
    return rc == 0 && kedge_engine_holds(engine, slot, at);
}

static int store(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at,
                 uint32_t piece)
{
    struct kedge_copy save;
    int loaded;
    if (engine->hollow) {
        engine->hollow = false;
        if (fill(engine, slot, at))
            return 0;
    } else if (engine->ahead) {
        engine->ahead = false;
        if (kedge_engine_holds(engine, slot, at))
            return 0;
    } else if (overlaps(engine, &save)) {
        engine->ahead = both(engine, at, &save, &loaded) == 0;
        if (loaded == 0 && kedge_engine_holds(engine, slot, at))
            return 0;
    }
    return kedge_engine_store(engine, slot, at, piece);
}

const struct kedge_strategy kedge_swap = {
    .method = KEDGE_METHOD_TOGGLE,
    .sparse = KEDGE_METHOD_INPLACE,
    .store = store,
    .begin = begin,
    .verify = kedge_image_verify,
};
