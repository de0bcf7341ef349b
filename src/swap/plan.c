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
           kedge_plan_k(plan) <= units && plan[KEDGE_PLAN_STATE] <= KEDGE_STATE_TRIAL &&
           plan[KEDGE_PLAN_METHOD] < KEDGE_METHODS && plan[KEDGE_PLAN_TYPE] <= KEDGE_TYPE_INSTALL &&
           plan[KEDGE_PLAN_BASE] + kedge_plan_k(plan) <= pair->secondary.units + 0u &&
           plan[KEDGE_PLAN_OLD_BASE] + kedge_plan_k(plan) <= pair->secondary.units + 0u &&
           plan[KEDGE_PLAN_SPARE] <= pair->secondary.units;
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
        kedge_history_effort(plan, value & 0x0FFFu);
        if (value >> 12 != 0) {
            plan[KEDGE_PLAN_ATTEMPTS] = (uint8_t)(value >> 12);
            plan[KEDGE_PLAN_FLAGS] |= KEDGE_PLAN_COUNTED;
        }
    }
}

void kedge_plan_accept(uint8_t *plan)
{
    if (kedge_le32(plan + KEDGE_PLAN_COUNTER_NEW) > kedge_le32(plan + KEDGE_PLAN_COUNTER))
        memcpy(plan + KEDGE_PLAN_COUNTER, plan + KEDGE_PLAN_COUNTER_NEW, 4);
}

static void exchange(uint8_t *a, uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void kedge_plan_reverse(uint8_t *plan)
{
    static const uint8_t back[KEDGE_METHODS] = {KEDGE_METHOD_TOGGLE, KEDGE_METHOD_INPLACE,
                                                KEDGE_METHOD_OVERWRITE, KEDGE_METHOD_FROM_BACKUP,
                                                KEDGE_METHOD_BACKUP};
    const size_t table = 4u * plan[KEDGE_PLAN_UNITS];
    plan[KEDGE_PLAN_METHOD] = back[plan[KEDGE_PLAN_METHOD]];
    exchange(plan + KEDGE_PLAN_BASE, plan + KEDGE_PLAN_OLD_BASE, 1);
    exchange(plan + KEDGE_PLAN_K_OLD, plan + KEDGE_PLAN_K_NEW, 1);
    exchange(plan + KEDGE_PLAN_SIZE_OLD, plan + KEDGE_PLAN_SIZE_NEW, 4);
    exchange(plan + KEDGE_PLAN_ID_OLD, plan + KEDGE_PLAN_ID_NEW, 8);
    exchange(plan + KEDGE_PLAN_VERSION_OLD, plan + KEDGE_PLAN_VERSION_NEW, 8);
    exchange(plan + KEDGE_PLAN_TABLES, plan + KEDGE_PLAN_TABLES + table, table);
}

void kedge_plan_start(uint8_t *plan, uint8_t type, uint8_t flags)
{
    if (type == KEDGE_TYPE_RESTORE) {
        memcpy(plan + KEDGE_PLAN_PC_ABORT, plan + KEDGE_PLAN_PC, 2);
        plan[KEDGE_PLAN_UNDO] = plan[KEDGE_PLAN_TYPE];
    }
    plan[KEDGE_PLAN_STATE] = KEDGE_STATE_RUN;
    plan[KEDGE_PLAN_ATTEMPTS] = 0;
    plan[KEDGE_PLAN_TYPE] = type;
    plan[KEDGE_PLAN_FLAGS] = flags;
    kedge_put_le16(plan + KEDGE_PLAN_PC, 0);
}

static void fill(const struct kedge_engine *engine, unsigned k, unsigned size, unsigned id,
                 unsigned version)
{
    uint8_t *plan = engine->journal.body.at;
    const struct kedge_verify *v = &engine->verify;
    const uint32_t unit = engine->pair->primary.unit;
    plan[k] = (uint8_t)((v->image.size + unit - 1) / unit);
    kedge_put_le32(plan + size, v->image.size);
    memcpy(plan + id, v->digest, 8);
    plan[version] = v->image.version.major;
    plan[version + 1] = v->image.version.minor;
    kedge_put_le16(plan + version + 2, v->image.version.revision);
    kedge_put_le32(plan + version + 4, v->image.version.build);
}

void kedge_plan_old(struct kedge_engine *engine)
{
    fill(engine, KEDGE_PLAN_K_OLD, KEDGE_PLAN_SIZE_OLD, KEDGE_PLAN_ID_OLD, KEDGE_PLAN_VERSION_OLD);
}

/* `same` has a bit for each unit that the reading found equal to the primary; keep it only where
 * both images have the unit, with the same number of bytes in it. -> units not the same */
static unsigned trim(const struct kedge_engine *engine)
{
    uint8_t *plan = engine->journal.body.at;
    const unsigned k = kedge_plan_k(plan);
    unsigned differ = 0;
    for (unsigned i = 0; i < 256; i++) {
        if (i >= k || kedge_engine_bytes(engine, false, i) != kedge_engine_bytes(engine, true, i))
            plan[KEDGE_PLAN_SAME + i / 8] &= (uint8_t) ~(1u << (i % 8));
        if (i < k && !kedge_plan_bit(plan, KEDGE_PLAN_SAME, i))
            differ++;
    }
    return differ;
}

/* Choose method, place of the old image and spare. False: it does not fit. */
static bool arrange(const struct kedge_engine *engine, const struct kedge_rules *rules,
                    unsigned name, unsigned base, unsigned differ)
{
    uint8_t *plan = engine->journal.body.at;
    const struct kedge_pair *pair = engine->pair;
    const unsigned k = kedge_plan_k(plan);
    const unsigned room = pair->secondary.units;
    unsigned method = 2 * differ <= k ? rules->strategy->sparse : rules->strategy->method;
    unsigned old_base = base;
    if (rules->install)
        method = name == KEDGE_BACKUP ? KEDGE_METHOD_FROM_BACKUP : KEDGE_METHOD_OVERWRITE;
    if (method == KEDGE_METHOD_TOGGLE)
        old_base = base != 0 ? 0 : pair->spares;
    plan[KEDGE_PLAN_METHOD] = (uint8_t)method;
    plan[KEDGE_PLAN_BASE] = (uint8_t)base;
    plan[KEDGE_PLAN_OLD_BASE] = (uint8_t)old_base;
    plan[KEDGE_PLAN_SPARE] = (uint8_t)(base != 0 ? 0 : k);
    if (method == KEDGE_METHOD_INPLACE && plan[KEDGE_PLAN_SPARE] >= room)
        return false;
    return k <= pair->primary.units && base + k <= room && old_base + k <= room;
}

/* Policy on an authentic image. */
static enum kedge_verdict judge(const struct kedge_engine *engine, const struct kedge_rules *rules)
{
    const uint8_t *plan = engine->journal.body.at;
    const struct kedge_verify *v = &engine->verify;
    const struct kedge_version running = kedge_history_version(plan + KEDGE_PLAN_VERSION_OLD);
    const uint32_t least = kedge_le32(plan + KEDGE_PLAN_COUNTER);
    if (least != 0 && (!v->has_counter || v->counter < least))
        return KEDGE_IMAGE_COUNTER;
    if (v->depends && !rules->install)
        return KEDGE_IMAGE_DEPENDENCY;
    if (rules->refuse_older && !rules->install &&
        kedge_version_compare(&v->image.version, &running) < 0)
        return KEDGE_IMAGE_DOWNGRADE;
    return KEDGE_IMAGE_GOOD;
}

/* Look at one base; on GOOD the plan's new half is complete. *differ: units to be copied. */
static enum kedge_verdict consider(struct kedge_engine *engine, const struct kedge_rules *rules,
                                   unsigned name, uint8_t base, unsigned *differ)
{
    uint8_t *plan = engine->journal.body.at;
    engine->old = false;
    engine->compare = !rules->install;
    memset(plan + KEDGE_PLAN_SAME, rules->install ? 0 : 0xFF, 32);
    enum kedge_verdict verdict = kedge_engine_look(engine, name, base, true);
    if (verdict == KEDGE_IMAGE_GOOD)
        verdict = judge(engine, rules);
    if (verdict != KEDGE_IMAGE_GOOD)
        return verdict;
    fill(engine, KEDGE_PLAN_K_NEW, KEDGE_PLAN_SIZE_NEW, KEDGE_PLAN_ID_NEW, KEDGE_PLAN_VERSION_NEW);
    kedge_put_le32(plan + KEDGE_PLAN_COUNTER_NEW,
                   engine->verify.has_counter ? engine->verify.counter : 0);
    *differ = trim(engine);
    return arrange(engine, rules, name, base, *differ) ? KEDGE_IMAGE_GOOD : KEDGE_IMAGE_TOO_LARGE;
}

/* One pass over the bases of a slot. An image equal to the running one is taken only when there is
 * no other: it is what a finished update leaves behind at its old place. */
static enum kedge_verdict search(struct kedge_engine *engine, const struct kedge_rules *rules,
                                 unsigned name)
{
    const struct kedge_slot *slot = kedge_engine_slot(engine, name);
    enum kedge_verdict worst = KEDGE_IMAGE_ABSENT;
    int equal = -1;
    unsigned differ = 0;
    for (uint8_t base = 0; base <= slot->last_base; base++) {
        const enum kedge_verdict verdict = consider(engine, rules, name, base, &differ);
        if (verdict == KEDGE_IMAGE_GOOD && (differ != 0 || rules->install))
            return KEDGE_IMAGE_GOOD;
        if (verdict == KEDGE_IMAGE_GOOD)
            equal = equal < 0 ? base : equal;
        else if (verdict != KEDGE_IMAGE_ABSENT)
            worst = verdict;
    }
    return equal < 0 ? worst : consider(engine, rules, name, (uint8_t)equal, &differ);
}

enum kedge_verdict kedge_plan_candidate(struct kedge_engine *engine,
                                        const struct kedge_rules *rules)
{
    uint8_t *plan = engine->journal.body.at;
    enum kedge_verdict verdict = KEDGE_IMAGE_ABSENT;
    memset(plan + KEDGE_PLAN_BACKED, 0, 32);
    if (rules->install) {
        plan[KEDGE_PLAN_K_OLD] = 0;
        memset(plan + KEDGE_PLAN_SIZE_OLD, 0, 4);
        memset(plan + KEDGE_PLAN_ID_OLD, 0, 8);
        memset(plan + KEDGE_PLAN_VERSION_OLD, 0, 8);
    }
    for (unsigned pass = 0; pass < 3; pass++) {
        enum kedge_verdict found = search(engine, rules, KEDGE_SECONDARY);
        if (found != KEDGE_IMAGE_GOOD && rules->install && engine->pair->backup.region.flash)
            found = search(engine, rules, KEDGE_BACKUP);
        if (found == KEDGE_IMAGE_GOOD)
            return found;
        if (verdict == KEDGE_IMAGE_ABSENT || found != KEDGE_IMAGE_ABSENT)
            verdict = found;
    }
    return verdict;
}

int kedge_plan_old_intact(struct kedge_engine *engine)
{
    uint8_t *plan = engine->journal.body.at;
    const unsigned last = 3 * kedge_plan_k(plan);
    struct kedge_copy copy;
    int rc = KEDGE_E_NONE;
    if (plan[KEDGE_PLAN_METHOD] == KEDGE_METHOD_OVERWRITE || plan[KEDGE_PLAN_K_OLD] == 0)
        return rc;
    kedge_plan_reverse(plan);
    rc = 0;
    for (unsigned pc = 2; pc <= last && rc == 0; pc += 3)
        if (kedge_step(plan, pc, &copy))
            rc = kedge_engine_fetch(engine, &copy);
    kedge_plan_reverse(plan);
    return rc;
}
