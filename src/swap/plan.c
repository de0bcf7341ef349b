/* Making plans. Everything here reads flash or writes RAM; a plan becomes real by one take-over of
 * the journal, which its caller does. */
#include <string.h>

#include "kedge/swap.h"

void kedge_plan_clear(uint8_t *plan, const struct kedge_pair *pair)
{
    memset(plan, 0, kedge_plan_size(pair));
    kedge_put_le32(plan, KEDGE_PLAN_MAGIC);
    plan[KEDGE_PLAN_UNITS] = (uint8_t)pair->primary.units;
}

bool kedge_plan_fits(const uint8_t *plan, const struct kedge_pair *pair)
{
    const unsigned units = pair->primary.units;
    return kedge_le32(plan) == KEDGE_PLAN_MAGIC && plan[KEDGE_PLAN_UNITS] == units &&
           kedge_plan_k(plan) <= units && plan[KEDGE_PLAN_METHOD] < KEDGE_METHODS &&
           plan[KEDGE_PLAN_STATE] <= KEDGE_STATE_TRIAL;
}

bool kedge_plan_bit(const uint8_t *plan, unsigned bitmap, unsigned i)
{
    return ((plan[bitmap + i / 8] >> (i % 8)) & 1) != 0;
}

void kedge_plan_differs(uint8_t *plan, unsigned i)
{
    plan[KEDGE_PLAN_SAME + i / 8] &= (uint8_t) ~(1u << (i % 8));
}

void kedge_plan_fold(void *bytes, uint16_t kind, uint16_t value)
{
    uint8_t *plan = bytes;
    const uint8_t type = plan[KEDGE_PLAN_TYPE];
    if (kind == KEDGE_RECORD_PC) {
        kedge_put_le16(plan + KEDGE_PLAN_PC, value);
    } else if (kind == KEDGE_RECORD_PHASE) {
        plan[KEDGE_PLAN_STATE] = (uint8_t)value;
        plan[KEDGE_PLAN_ATTEMPTS] = 0;
        plan[KEDGE_PLAN_FLAGS] = 0;
        /* these two end confirmed; a tested image's counter is accepted with its confirmation */
        if (type == KEDGE_TYPE_PERMANENT || type == KEDGE_TYPE_INSTALL)
            kedge_plan_accept(plan);
    } else if (kind == KEDGE_RECORD_SEAL) {
        if (value != 0) {
            plan[KEDGE_PLAN_ATTEMPTS] = (uint8_t)value;
            plan[KEDGE_PLAN_FLAGS] |= KEDGE_PLAN_COUNTED;
        }
    } else if (kind >= KEDGE_RECORD_EFFORT) {
        kedge_put_le16(kedge_history_newest(plan) + KEDGE_HISTORY_EFFORTS + 2 * (kind & 7), value);
    }
}

void kedge_plan_accept(uint8_t *plan)
{
    if (kedge_le32(plan + KEDGE_PLAN_COUNTER_NEW) > kedge_le32(plan + KEDGE_PLAN_COUNTER))
        kedge_put_le32(plan + KEDGE_PLAN_COUNTER, kedge_le32(plan + KEDGE_PLAN_COUNTER_NEW));
}

static void exchange(uint8_t *a, size_t size)
{
    for (uint8_t *b = a + size; size != 0; size--, a++, b++) {
        const uint8_t kept = *a;
        *a = *b;
        *b = kept;
    }
}

void kedge_plan_reverse(uint8_t *plan)
{
    uint8_t *method = plan + KEDGE_PLAN_METHOD;
    if (*method >= KEDGE_METHOD_BACKUP)
        *method ^= KEDGE_METHOD_BACKUP ^ KEDGE_METHOD_FROM_BACKUP;
    exchange(plan + KEDGE_PLAN_NEW, KEDGE_HALF);
    exchange(plan + KEDGE_PLAN_TABLES, 4u * plan[KEDGE_PLAN_UNITS]);
}

void kedge_plan_start(uint8_t *plan, unsigned type, unsigned flags)
{
    if (type == KEDGE_TYPE_RESTORE)
        kedge_put_le16(plan + KEDGE_PLAN_PC_ABORT, kedge_le16(plan + KEDGE_PLAN_PC));
    plan[KEDGE_PLAN_STATE] = KEDGE_STATE_RUN;
    plan[KEDGE_PLAN_ATTEMPTS] = 0;
    plan[KEDGE_PLAN_TYPE] = (uint8_t)type;
    plan[KEDGE_PLAN_FLAGS] = (uint8_t)flags;
    kedge_put_le16(plan + KEDGE_PLAN_PC, 0);
}

/* `same` has a bit for each unit that the reading found equal to the primary; it counts only where
 * both images have as many bytes in the unit. -> units not the same */
static KEDGE_APART unsigned trim(const struct kedge_engine *engine, unsigned k)
{
    unsigned differ = 0;
    while (k-- > 0)
        if (kedge_engine_bytes(engine, false, k) != kedge_engine_bytes(engine, true, k) ||
            !kedge_plan_bit(engine->plan, KEDGE_PLAN_SAME, k)) {
            kedge_plan_differs(engine->plan, k);
            differ++;
        }
    return differ;
}

/* A version as one number, for comparing. */
static uint64_t rank(const uint8_t *version)
{
    const uint32_t release =
        (uint32_t)version[0] << 24 | (uint32_t)version[1] << 16 | kedge_le16(version + 2);
    return (uint64_t)release << 32 | kedge_le32(version + 4);
}

/* What policy says about an authentic image. */
static KEDGE_APART enum kedge_verdict judge(const struct kedge_engine *engine)
{
    uint8_t *plan = engine->plan;
    const struct kedge_verify *v = &engine->verify;
    if (v->counter < kedge_le32(plan + KEDGE_PLAN_COUNTER))
        return KEDGE_IMAGE_COUNTER;
    if (!engine->install) {
        if (v->depends)
            return KEDGE_IMAGE_DEPENDENCY;
        if (engine->refuse_older &&
            rank(plan + KEDGE_PLAN_VERSION_NEW) < rank(plan + KEDGE_PLAN_VERSION_OLD))
            return KEDGE_IMAGE_DOWNGRADE;
    }
    kedge_put_le32(plan + KEDGE_PLAN_COUNTER_NEW, v->counter);
    return KEDGE_IMAGE_GOOD;
}

/* Look at one base; the one behind the last is the backup. On GOOD the plan is complete. An image
 * equal to the running one is absent, unless nothing else was found. */
static KEDGE_APART enum kedge_verdict consider(struct kedge_engine *engine, unsigned base)
{
    uint8_t *plan = engine->plan;
    const struct kedge_pair *pair = engine->pair;
    const bool backup = base > pair->secondary.last_base;
    if (backup)
        base = 0;
    memset(plan + KEDGE_PLAN_SAME, 0xFF, 32);
    enum kedge_verdict verdict =
        kedge_engine_look(engine, backup ? KEDGE_BACKUP : KEDGE_SECONDARY, base, true);
    if (verdict == KEDGE_IMAGE_GOOD)
        verdict = judge(engine);
    if (verdict != KEDGE_IMAGE_GOOD)
        return verdict;
    const unsigned k = kedge_plan_k(plan);
    const unsigned differ = trim(engine, k);
    unsigned method = backup ? KEDGE_METHOD_FROM_BACKUP : KEDGE_METHOD_OVERWRITE;
    if (!engine->install) {
        if (differ == 0 && !engine->equal)
            return KEDGE_IMAGE_ABSENT;
        method = 2 * differ <= k ? engine->strategy->sparse : engine->strategy->method;
    }
    const unsigned other = base != 0 ? 0 : pair->spares;
    plan[KEDGE_PLAN_SPARE] = (uint8_t)(base != 0 ? 0 : k);
    plan[KEDGE_PLAN_METHOD] = (uint8_t)method;
    plan[KEDGE_PLAN_BASE] = plan[KEDGE_PLAN_OLD_BASE] = (uint8_t)base;
    if (method == KEDGE_METHOD_TOGGLE)
        plan[KEDGE_PLAN_OLD_BASE] = (uint8_t)other;
    /* what goes to and fro needs the spares; the largest image of a pair leaves them */
    return method <= KEDGE_METHOD_INPLACE && base + other + k > pair->secondary.units
               ? KEDGE_IMAGE_TOO_LARGE
               : KEDGE_IMAGE_GOOD;
}

/* Three passes, so that no candidate is refused for a bad read; a fourth takes what a finished
 * update leaves behind at its old place. */
enum kedge_verdict kedge_plan_candidate(struct kedge_engine *engine)
{
    const unsigned places = engine->pair->secondary.last_base + 1u + engine->install;
    enum kedge_verdict worst = KEDGE_IMAGE_ABSENT;
    memset(engine->plan + KEDGE_PLAN_NEW, 0, engine->install ? 2 * KEDGE_HALF : KEDGE_HALF);
    for (unsigned i = 0; i < 4 * places; i++) {
        engine->equal = i >= 3 * places;
        const enum kedge_verdict verdict = consider(engine, i % places);
        if (verdict == KEDGE_IMAGE_GOOD)
            return verdict;
        if (verdict != KEDGE_IMAGE_ABSENT)
            worst = verdict;
    }
    return worst;
}

KEDGE_APART int kedge_plan_old_intact(struct kedge_engine *engine)
{
    uint8_t *plan = engine->plan;
    const unsigned last = 3 * kedge_plan_k(plan);
    struct kedge_copy copy;
    int rc = 0;
    kedge_plan_reverse(plan);
    for (unsigned pc = 2; pc <= last && rc == 0; pc += 3)
        if (kedge_step(plan, pc, &copy))
            rc = kedge_engine_fetch(engine, &copy);
    kedge_plan_reverse(plan);
    return rc;
}
