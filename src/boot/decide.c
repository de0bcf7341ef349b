/* The decision table of SWAP.md 4 as one ladder: what a state says first, what a bad primary
 * asks for in any of them, what a state says to a good one. Where they differ from the
 * table, the reason stands beside. tests/unit/test_decide.c walks through every combination. */
#include "boot/decide.h"

/* The mailbox and the wipe of an idle device whose chip answers. KEDGE_DO_BOOT: nothing to do. */
static enum kedge_action mail(const struct kedge_facts *f)
{
    if (f->request == KEDGE_UNKNOWN)
        return KEDGE_ASK_REQUEST;
    if (f->request == 1 + KEDGE_REQUEST_TORN)
        return KEDGE_DO_CLEAR;
    if (f->request == 1 + KEDGE_REQUEST_NONE)
        return f->wipe ? KEDGE_DO_WIPE : KEDGE_DO_BOOT;
    if (f->held)
        return KEDGE_DO_BOOT;
    if (f->candidate == KEDGE_UNKNOWN)
        return KEDGE_ASK_CANDIDATE;
    return f->candidate == KEDGE_YES ? KEDGE_DO_PLAN : KEDGE_DO_REFUSE;
}

/* The primary is bad: any authentic image in reach will do. */
static enum kedge_action rescue(const struct kedge_facts *f)
{
    if (f->alive == KEDGE_NO)
        return KEDGE_DO_RECOVER;
    if (f->any == KEDGE_UNKNOWN)
        return KEDGE_ASK_ANY;
    return f->any == KEDGE_YES ? KEDGE_DO_INSTALL : KEDGE_DO_RECOVER;
}

/* An image on trial that was not confirmed. */
static enum kedge_action trying(const struct kedge_facts *f)
{
    if (f->attempts < f->limit)
        return KEDGE_DO_TRY;
    if (f->alive == KEDGE_NO)
        return KEDGE_DO_WAIT;
    if (f->old == KEDGE_UNKNOWN)
        return KEDGE_ASK_OLD;
    return f->old == KEDGE_YES ? KEDGE_DO_REVERT : KEDGE_DO_KEEP;
}

enum kedge_action kedge_decide(const struct kedge_facts *f)
{
    if (!f->stable)
        return KEDGE_DO_TAKE_OVER;
    if (f->alive == KEDGE_UNKNOWN)
        return KEDGE_ASK_ALIVE;
    const bool chip = f->alive == KEDGE_YES;
    if (f->state == KEDGE_STATE_IDLE && chip) {
        const enum kedge_action action = mail(f);
        if (action != KEDGE_DO_BOOT)
            return action;
    }
    if (f->primary == KEDGE_PRIMARY_UNKNOWN)
        return KEDGE_ASK_PRIMARY;
    if (f->state != KEDGE_STATE_IDLE &&
        (f->primary == KEDGE_PRIMARY_OTHER ||
         (f->primary == KEDGE_PRIMARY_OLD && f->state == KEDGE_STATE_TRIAL)))
        return KEDGE_DO_REPLACED;
    if (f->state == KEDGE_STATE_RUN && chip) {
        if (!f->failed)
            return KEDGE_DO_RUN;
        if (f->type < KEDGE_TYPE_RESTORE && f->method != KEDGE_METHOD_OVERWRITE)
            return KEDGE_DO_RESTORE;
    }
    if (f->state == KEDGE_STATE_TRIAL && f->confirmed != KEDGE_NO)
        return f->confirmed == KEDGE_YES ? KEDGE_DO_LATCH : KEDGE_ASK_CONFIRMED;
    /* a revert would have to save a bad image first; the old one is installed over it instead */
    if (f->primary == KEDGE_PRIMARY_BAD)
        return rescue(f);
    if (f->state == KEDGE_STATE_IDLE)
        return KEDGE_DO_BOOT;
    if (f->state == KEDGE_STATE_RUN) /* the chip may come back: only a living one lets us give up */
        return chip ? KEDGE_DO_GIVE_UP : KEDGE_DO_DEGRADED;
    return trying(f);
}
