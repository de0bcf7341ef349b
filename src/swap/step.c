/* The program as a table: what each of the three copies of a unit moves, and when it is needed.
 * Why each row is safe against a cut: the source of a copy is never a place that an earlier or a
 * repeated step still writes. tests/model/test_closure.c walks through all of it. */
#include "kedge/swap.h"

enum place { NOWHERE, RUNNING, NEW, OLD, SPARE, BACKED };

/* Conditions, all of which must hold. */
#define HAS_OLD    0x1u
#define HAS_NEW    0x2u
#define DIFFERS    0x4u
#define NOT_BACKED 0x8u

struct row {
    uint8_t from, to, needs;
};

/* h = 0 save, 1 load, 2 second half of a save */
static const struct row program[KEDGE_METHODS][3] = {
    [KEDGE_METHOD_TOGGLE] = {{RUNNING, OLD, HAS_OLD}, {NEW, RUNNING, HAS_NEW | DIFFERS}, {0}},
    [KEDGE_METHOD_INPLACE] = {{RUNNING, SPARE, HAS_OLD | DIFFERS},
                              {NEW, RUNNING, HAS_NEW | DIFFERS},
                              {SPARE, OLD, HAS_OLD | HAS_NEW | DIFFERS}},
    [KEDGE_METHOD_OVERWRITE] = {{0}, {NEW, RUNNING, HAS_NEW | DIFFERS}, {0}},
    [KEDGE_METHOD_BACKUP] = {{RUNNING, BACKED, HAS_OLD | NOT_BACKED},
                             {NEW, RUNNING, HAS_NEW | DIFFERS},
                             {0}},
    [KEDGE_METHOD_FROM_BACKUP] = {{0}, {BACKED, RUNNING, HAS_NEW | DIFFERS}, {0}},
};

/* Where a RESTORE finds the old image's units. */
static const uint8_t refuge[KEDGE_METHODS] = {OLD, OLD, NOWHERE, BACKED, OLD};

static uint8_t locate(const uint8_t *plan, unsigned place, unsigned i, uint16_t *unit)
{
    static const uint8_t slot[] = {
        0, KEDGE_PRIMARY, KEDGE_SECONDARY, KEDGE_SECONDARY, KEDGE_SECONDARY, KEDGE_BACKUP};
    if (place == NEW)
        i += plan[KEDGE_PLAN_BASE];
    else if (place == OLD)
        i += plan[KEDGE_PLAN_OLD_BASE];
    else if (place == SPARE)
        i = plan[KEDGE_PLAN_SPARE];
    *unit = (uint16_t)i;
    return slot[place];
}

static unsigned conditions(const uint8_t *plan, unsigned i)
{
    return (i < plan[KEDGE_PLAN_K_OLD] ? HAS_OLD : 0u) |
           (i < plan[KEDGE_PLAN_K_NEW] ? HAS_NEW : 0u) |
           (kedge_plan_bit(plan, KEDGE_PLAN_SAME, i) ? 0u : DIFFERS) |
           (kedge_plan_bit(plan, KEDGE_PLAN_BACKED, i) ? 0u : NOT_BACKED);
}

bool kedge_step(const uint8_t *plan, unsigned pc, struct kedge_copy *copy)
{
    const unsigned k = kedge_plan_k(plan);
    const unsigned method = plan[KEDGE_PLAN_METHOD];
    if (pc == 0 || pc > 3 * k)
        return false;
    unsigned i = (pc - 1) / 3;
    const unsigned h = (pc - 1) % 3;
    if (method == KEDGE_METHOD_TOGGLE && plan[KEDGE_PLAN_OLD_BASE] > plan[KEDGE_PLAN_BASE])
        i = k - 1 - i;
    const unsigned have = conditions(plan, i);
    struct row row = program[method][h];
    /* a unit of the old image alone needs no way round: its place in the secondary is free */
    if (row.to == SPARE && (have & HAS_NEW) == 0)
        row.to = OLD;
    copy->old = h != 1;
    if (plan[KEDGE_PLAN_TYPE] == KEDGE_TYPE_RESTORE) {
        const unsigned abort = kedge_le16(plan + KEDGE_PLAN_PC_ABORT);
        if (h != 1 || pc > abort || (have & HAS_NEW) == 0)
            return false;
        row = (struct row){refuge[method], RUNNING, HAS_OLD | DIFFERS};
        /* the way back from the spare was not finished: the spare still has it */
        if (method == KEDGE_METHOD_INPLACE && pc + 1 >= abort)
            row.from = SPARE;
        copy->old = true;
    }
    if (row.from == NOWHERE || (row.needs & ~have) != 0)
        return false;
    copy->index = (uint16_t)i;
    copy->from_slot = locate(plan, row.from, i, &copy->from);
    copy->to_slot = locate(plan, row.to, i, &copy->to);
    return true;
}

int kedge_step_clear(const uint8_t *plan)
{
    const unsigned base = plan[KEDGE_PLAN_BASE];
    const unsigned old_base = plan[KEDGE_PLAN_OLD_BASE];
    const unsigned spare = plan[KEDGE_PLAN_SPARE];
    if (plan[KEDGE_PLAN_TYPE] == KEDGE_TYPE_RESTORE)
        return -1;
    if (plan[KEDGE_PLAN_METHOD] == KEDGE_METHOD_TOGGLE &&
        (base < old_base || base >= old_base + plan[KEDGE_PLAN_K_OLD]))
        return (int)base;
    if (plan[KEDGE_PLAN_METHOD] == KEDGE_METHOD_INPLACE && spare <= 2)
        return (int)spare;
    return -1;
}
