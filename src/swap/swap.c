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

/* The page `o` bytes into the copy's unit, of which the image has `left` bytes, from the primary to
 * the erased secondary. */
static int forward(struct kedge_engine *engine, const struct kedge_copy *save, uint32_t o,
                   uint32_t left, const struct kedge_region *to, uint32_t at, bool *probed)
{
    const uint32_t from = save->from * engine->unit_size + o;
    const uint8_t erased = to->flash->geometry.erased;
    const struct kedge_bytes page = {engine->page, KEDGE_PAGE};
    const struct kedge_buf part = {engine->page, left < KEDGE_PAGE ? left : KEDGE_PAGE};
    bool blank = true;
    int rc = 0;
    if (!*probed)
        rc = kedge_region_blank(to, at, KEDGE_PAGE, kedge_buf(engine->page, KEDGE_PAGE), &blank);
    if (rc == 0 && !blank)
        rc = KEDGE_E_READBACK;
    memset(engine->page, erased, KEDGE_PAGE);
    if (rc == 0)
        rc = kedge_region_read(&engine->pair->primary.region, from, part);
    if (rc == 0 && engine->strategy->crypt != NULL)
        rc = engine->strategy->crypt(engine, save, o, part);
    if (rc != 0 || kedge_all(page, erased))
        return rc;
    *probed = true;
    return kedge_region_program(to, at, page);
}

/* The unit buffer goes to the primary, and meanwhile a unit of the primary to its place. Nothing is
 * read back: the plain store does that with the one, the save's own step with the other, and
 * whatever went wrong is done again there. -> the error of the save. */
static int both(struct kedge_engine *engine, uint32_t load_at, const struct kedge_copy *save,
                int *loaded)
{
    const struct kedge_region *primary = &engine->pair->primary.region;
    const struct kedge_slot *slot = kedge_engine_slot(engine, save->to_slot);
    const uint32_t at = kedge_slot_unit_at(slot, save->to);
    const uint32_t size = kedge_engine_bytes(engine, save->old, save->index);
    const uint32_t unit = engine->unit_size;
    bool probed = false;
    int rc = kedge_region_erase(&slot->region, at, unit);
    *loaded = kedge_region_erase(primary, load_at, unit);
    for (uint32_t o = 0; o < unit; o += KEDGE_PAGE) {
        if (rc == 0)
            rc = forward(engine, save, o, size > o ? size - o : 0, &slot->region, at + o, &probed);
        if (*loaded == 0)
            *loaded = kedge_engine_program(engine, &engine->pair->primary, load_at + o,
                                           kedge_bytes(engine->unit + o, KEDGE_PAGE));
    }
    return rc;
}

static int store(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at,
                 uint32_t piece)
{
    struct kedge_copy save;
    int loaded;
    if (engine->ahead) {
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
    .verify = kedge_image_verify,
};
