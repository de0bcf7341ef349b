/* The decision table of SWAP.md 4 as three short functions, one a state. Where they differ from the
 * table, the reason stands beside. tests/unit/test_decide.c walks through every combination. */
#include "boot/decide.h"

static bool authentic(const struct kedge_facts *f)
{
    return f->primary > KEDGE_PRIMARY_BAD;
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

/* A program was begun and not finished. */
static enum kedge_action running(const struct kedge_facts *f)
{
    const bool undoable = f->type != KEDGE_TYPE_RESTORE && f->type != KEDGE_TYPE_INSTALL &&
                          f->method != KEDGE_METHOD_OVERWRITE;
    if (f->alive == KEDGE_YES && !f->failed)
        return KEDGE_DO_RUN;
    if (f->alive == KEDGE_YES && undoable)
        return KEDGE_DO_RESTORE;
    if (authentic(f)) /* the chip may come back: only a living one lets us give up */
        return f->alive == KEDGE_YES ? KEDGE_DO_GIVE_UP : KEDGE_DO_DEGRADED;
    return rescue(f);
}

/* A new image is to prove itself. */
static enum kedge_action trying(const struct kedge_facts *f)
{
    if (f->confirmed == KEDGE_UNKNOWN)
        return KEDGE_ASK_CONFIRMED;
    if (f->confirmed == KEDGE_YES)
        return KEDGE_DO_LATCH;
    /* a revert would have to save a bad image first; the old one is installed over it instead */
    if (!authentic(f))
        return rescue(f);
    if (f->attempts < f->limit)
        return KEDGE_DO_TRY;
    if (f->alive == KEDGE_NO)
        return KEDGE_DO_WAIT;
    if (f->old == KEDGE_UNKNOWN)
        return KEDGE_ASK_OLD;
    return f->old == KEDGE_YES ? KEDGE_DO_REVERT : KEDGE_DO_KEEP;
}

static enum kedge_action idle(const struct kedge_facts *f)
{
    const bool chip = f->alive == KEDGE_YES;
    if (chip && f->request == KEDGE_UNKNOWN)
        return KEDGE_ASK_REQUEST;
    if (chip && f->request == 1 + KEDGE_REQUEST_TORN)
        return KEDGE_DO_CLEAR;
    if (chip && f->wipe && f->request == 1 + KEDGE_REQUEST_NONE)
        return KEDGE_DO_WIPE;
    if (chip && !f->held && f->request > 1 + KEDGE_REQUEST_NONE) {
        if (f->candidate == KEDGE_UNKNOWN)
            return KEDGE_ASK_CANDIDATE;
        return f->candidate == KEDGE_YES ? KEDGE_DO_PLAN : KEDGE_DO_REFUSE;
    }
    if (f->primary == KEDGE_PRIMARY_UNKNOWN)
        return KEDGE_ASK_PRIMARY;
    return authentic(f) ? KEDGE_DO_BOOT : rescue(f);
}

enum kedge_action kedge_decide(const struct kedge_facts *f)
{
    if (!f->stable)
        return KEDGE_DO_TAKE_OVER;
    if (f->alive == KEDGE_UNKNOWN)
        return KEDGE_ASK_ALIVE;
    if (f->state == KEDGE_STATE_IDLE)
        return idle(f);
    if (f->primary == KEDGE_PRIMARY_UNKNOWN)
        return KEDGE_ASK_PRIMARY;
    if (f->primary == KEDGE_PRIMARY_OTHER ||
        (f->primary == KEDGE_PRIMARY_OLD && f->state == KEDGE_STATE_TRIAL))
        return KEDGE_DO_REPLACED;
    return f->state == KEDGE_STATE_RUN ? running(f) : trying(f);
}
