/* The program of SWAP.md 5.2: what each of the three copies of a unit moves, and when it is needed.
 * Why each is safe against a cut: the source of a copy is never a place that an earlier or a
 * repeated step still writes. tests/model/test_closure.c walks through all of it. */
#include "kedge/swap.h"

/* Where a RESTORE finds the unit of the old image whose place in the primary step pc wrote. */
static bool refuge(const uint8_t *plan, unsigned pc, struct kedge_copy *copy)
{
    const unsigned method = plan[KEDGE_PLAN_METHOD];
    const unsigned abort = kedge_le16(plan + KEDGE_PLAN_PC_ABORT);
    if (pc > abort || method == KEDGE_METHOD_OVERWRITE)
        return false;
    copy->from_slot = KEDGE_SECONDARY;
    copy->from = plan[KEDGE_PLAN_OLD_BASE] + copy->index;
    if (method == KEDGE_METHOD_BACKUP) {
        copy->from_slot = KEDGE_BACKUP;
        copy->from = copy->index;
    }
    /* the way back from the spare was not finished: the spare still has it */
    if (method == KEDGE_METHOD_INPLACE && pc + 1 >= abort)
        copy->from = plan[KEDGE_PLAN_SPARE];
    return true;
}

bool kedge_step(const uint8_t *plan, unsigned pc, struct kedge_copy *copy)
{
    const unsigned k = kedge_plan_k(plan);
    const unsigned method = plan[KEDGE_PLAN_METHOD];
    unsigned i = (pc + 2) / 3 - 1; /* of pc 0: too large */
    const unsigned h = pc - 1 - 3 * i;
    if (i >= k)
        return false;
    if (method == KEDGE_METHOD_TOGGLE && plan[KEDGE_PLAN_OLD_BASE] > plan[KEDGE_PLAN_BASE])
        i = k - 1 - i;
    const bool has_new = i < plan[KEDGE_PLAN_K_NEW];
    const bool restore = plan[KEDGE_PLAN_TYPE] == KEDGE_TYPE_RESTORE;
    copy->old = h != 1 || restore;
    copy->index = copy->from = copy->to = i;
    copy->from_slot = copy->to_slot = KEDGE_PRIMARY;
    if ((copy->old && i >= plan[KEDGE_PLAN_K_OLD]) || (h != 0 && !has_new) || (h != 1 && restore))
        return false;
    if ((h == 1 || method == KEDGE_METHOD_INPLACE) && kedge_plan_bit(plan, KEDGE_PLAN_SAME, i))
        return false;
    if (h == 1) { /* load */
        if (restore)
            return refuge(plan, pc, copy);
        copy->from_slot = KEDGE_BACKUP;
        if (method != KEDGE_METHOD_FROM_BACKUP) {
            copy->from_slot = KEDGE_SECONDARY;
            copy->from += plan[KEDGE_PLAN_BASE];
        }
        return true;
    }
    if (method == KEDGE_METHOD_BACKUP) {
        copy->to_slot = KEDGE_BACKUP;
        return h == 0 && !kedge_plan_bit(plan, KEDGE_PLAN_BACKED, i);
    }
    copy->to_slot = KEDGE_SECONDARY;
    copy->to += plan[KEDGE_PLAN_OLD_BASE];
    if (method != KEDGE_METHOD_INPLACE)
        return h == 0 && method == KEDGE_METHOD_TOGGLE;
    if (h != 0) {
        copy->from_slot = KEDGE_SECONDARY;
        copy->from = plan[KEDGE_PLAN_SPARE];
    } else if (has_new) { /* a unit of the old image alone needs no way round: its place is free */
        copy->to = plan[KEDGE_PLAN_SPARE];
    }
    return true;
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
