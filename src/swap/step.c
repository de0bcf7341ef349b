/* The program of SWAP.md 5.2: what each of the three copies of a unit moves, and when it is needed.
 * Why each is safe against a cut: the source of a copy is never a place that an earlier or a
 * repeated step still writes. tests/model/test_closure.c walks through all of it. */
#include "kedge/swap.h"

/* The unit of the old image goes out of the primary (h = 0), or from the spare to its place. */
static bool save(const uint8_t *plan, unsigned h, bool has_new, bool same, struct kedge_copy *copy)
{
    const unsigned method = plan[KEDGE_PLAN_METHOD];
    if (method == KEDGE_METHOD_INPLACE) {
        if (h != 0) {
            copy->from_slot = KEDGE_SECONDARY;
            copy->from = plan[KEDGE_PLAN_SPARE];
            return has_new && !same;
        }
        /* a unit of the old image alone needs no way round: its place is free */
        if (has_new)
            copy->to = plan[KEDGE_PLAN_SPARE];
        return !same;
    }
    if (method == KEDGE_METHOD_BACKUP) {
        copy->to_slot = KEDGE_BACKUP;
        copy->to = copy->index;
        return h == 0 && !kedge_plan_bit(plan, KEDGE_PLAN_BACKED, copy->index);
    }
    return h == 0 && method == KEDGE_METHOD_TOGGLE;
}

/* Where a RESTORE finds the unit of the old image whose place in the primary step pc wrote. */
static bool refuge(const uint8_t *plan, unsigned pc, struct kedge_copy *copy)
{
    const unsigned method = plan[KEDGE_PLAN_METHOD];
    const unsigned abort = kedge_le16(plan + KEDGE_PLAN_PC_ABORT);
    copy->from_slot = KEDGE_SECONDARY;
    copy->from = copy->to;
    if (method == KEDGE_METHOD_BACKUP) {
        copy->from_slot = KEDGE_BACKUP;
        copy->from = copy->index;
    }
    /* the way back from the spare was not finished: the spare still has it */
    if (method == KEDGE_METHOD_INPLACE && pc + 1 >= abort)
        copy->from = plan[KEDGE_PLAN_SPARE];
    return pc <= abort && method != KEDGE_METHOD_OVERWRITE;
}

bool kedge_step(const uint8_t *plan, unsigned pc, struct kedge_copy *copy)
{
    const unsigned k = kedge_plan_k(plan);
    const unsigned method = plan[KEDGE_PLAN_METHOD];
    const bool restore = plan[KEDGE_PLAN_TYPE] == KEDGE_TYPE_RESTORE;
    unsigned i = (pc + 2) / 3 - 1; /* of pc 0: too large */
    const unsigned h = pc - 1 - 3 * i;
    if (i >= k)
        return false;
    if (method == KEDGE_METHOD_TOGGLE && plan[KEDGE_PLAN_OLD_BASE] > plan[KEDGE_PLAN_BASE])
        i = k - 1 - i;
    const bool has_old = i < plan[KEDGE_PLAN_K_OLD];
    const bool has_new = i < plan[KEDGE_PLAN_K_NEW];
    const bool same = kedge_plan_bit(plan, KEDGE_PLAN_SAME, i);
    copy->index = i;
    copy->old = h != 1 || restore;
    copy->from_slot = KEDGE_PRIMARY;
    copy->from = i;
    copy->to_slot = KEDGE_SECONDARY;
    copy->to = plan[KEDGE_PLAN_OLD_BASE] + i;
    if (h != 1)
        return has_old && !restore && save(plan, h, has_new, same, copy);
    bool needed = has_new && !same;
    if (restore) {
        needed = needed && has_old && refuge(plan, pc, copy);
    } else if (method == KEDGE_METHOD_FROM_BACKUP) {
        copy->from_slot = KEDGE_BACKUP;
    } else {
        copy->from_slot = KEDGE_SECONDARY;
        copy->from = plan[KEDGE_PLAN_BASE] + i;
    }
    copy->to_slot = KEDGE_PRIMARY;
    copy->to = i;
    return needed;
}

int kedge_step_clear(const uint8_t *plan)
{
    const unsigned method = plan[KEDGE_PLAN_METHOD];
    const unsigned u = plan[method == KEDGE_METHOD_TOGGLE ? KEDGE_PLAN_BASE : KEDGE_PLAN_SPARE];
    if (plan[KEDGE_PLAN_TYPE] == KEDGE_TYPE_RESTORE || method > KEDGE_METHOD_INPLACE || u > 2 ||
        u - plan[KEDGE_PLAN_OLD_BASE] < plan[KEDGE_PLAN_K_OLD])
        return -1;
    return (int)u;
}
