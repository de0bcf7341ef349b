/* The loader: collects the facts that decide() asks for, does what it says. Every action either
 * ends the boot or changes the facts (SWAP.md 4). */
#include "kedge/boot.h"

#include <string.h>

#include "boot/decide.h"

#define ROUNDS 32 /* of the table, questions included; the longest way that works takes 20 */
#define TRIES  4  /* of a read or probe of the external chip */

struct loader {
    struct kedge_facts facts;
    uint8_t trial; /* SEAL counts this trial; 0: none */
    struct kedge_policy policy;
    struct kedge_boot_report *report;
    struct kedge_engine engine;
};

#define ALIGNED(size) (((size) + 7u) & ~(size_t)7u)

size_t kedge_boot_state_size(const struct kedge_layout *layout)
{
    return 8u + ALIGNED(sizeof(struct loader)) + KEDGE_PAGE + kedge_plan_size(&layout->pairs[0]);
}

/* The answer to a question whose result is `yes`. */
static uint8_t answer(bool yes)
{
    return (uint8_t)(KEDGE_NO + yes);
}

/* ---- questions ------------------------------------------------------------------------------- */

static void ask_alive(struct loader *l)
{
    const struct kedge_flash *flash = l->engine.pair->secondary.region.flash;
    int rc = KEDGE_E_DEAD;
    for (unsigned i = 0; i < TRIES && rc != 0; i++)
        rc = flash->ops->probe(flash->ctx);
    l->facts.alive = answer(rc == 0);
}

/* The mailbox that the unit buffer ends with (SWAP.md 6). */
static enum kedge_request read_mail(const struct kedge_engine *e, uint8_t erased)
{
    const uint8_t *end = e->unit + e->unit_size;
    if (kedge_all(kedge_bytes(end - e->place.size, e->place.size), erased))
        return KEDGE_REQUEST_NONE;
    kedge_trailer_magic(e->pair->secondary.max_align, e->page);
    if (memcmp(end - e->place.magic, e->page, e->place.magic) != 0)
        return KEDGE_REQUEST_TORN;
    end -= e->place.image_ok;
    if (*end == 1)
        return KEDGE_REQUEST_PERMANENT;
    return *end == erased ? KEDGE_REQUEST_TEST : KEDGE_REQUEST_TORN;
}

/* Two readings in a row must agree; where none do, bits are unstable: a torn request too. */
static KEDGE_APART int ask_request(struct loader *l)
{
    struct kedge_engine *e = &l->engine;
    const struct kedge_slot *slot = &e->pair->secondary;
    const uint32_t at = kedge_engine_gap(slot);
    const uint32_t last = e->unit_size - KEDGE_PAGE;
    unsigned tries = 2 * TRIES;
    int rc;
    l->facts.request = 1 + KEDGE_REQUEST_TORN;
    do {
        rc = kedge_region_read(&slot->region, at + last, kedge_buf(e->unit + last, KEDGE_PAGE));
        if (rc == 0 && kedge_engine_page_holds(e, slot, at, last)) {
            l->facts.request = (uint8_t)(1 + read_mail(e, slot->region.flash->geometry.erased));
            break;
        }
    } while (--tries != 0);
    if (rc != 0)
        l->facts.request = 1 + KEDGE_REQUEST_NONE;
    return rc;
}

/* What the report says about the image that boots comes from the look that authenticated it. */
static void note_primary(struct loader *l, enum kedge_primary_fact fact)
{
    const struct kedge_verify *v = &l->engine.verify;
    l->facts.primary = (uint8_t)fact;
    l->report->version = v->image.version;
    l->report->entry = l->engine.pair->primary.region.start + v->image.header_size;
    memcpy(l->report->hash, v->digest, sizeof(l->report->hash));
}

static KEDGE_APART void look_at_primary(struct loader *l, bool tables)
{
    const uint8_t *digest = l->engine.verify.digest;
    if (tables) /* what no unit fills costs no programming */
        memset(l->engine.plan + KEDGE_PLAN_TABLES, 0xFF, 8u * l->engine.plan[KEDGE_PLAN_UNITS]);
    const enum kedge_verdict verdict = kedge_engine_look(&l->engine, KEDGE_PRIMARY, 0, tables);
    if (verdict != KEDGE_IMAGE_GOOD) {
        l->facts.primary = KEDGE_PRIMARY_BAD;
        l->report->verdict = (uint8_t)verdict;
        return;
    }
    if (tables) /* for a plan: nothing that could boot was found yet */
        return;
    note_primary(l, memcmp(digest, l->engine.plan + KEDGE_PLAN_ID_NEW, 8) == 0 ? KEDGE_PRIMARY_NEW
                    : memcmp(digest, l->engine.plan + KEDGE_PLAN_ID_OLD, 8) == 0
                        ? KEDGE_PRIMARY_OLD
                        : KEDGE_PRIMARY_OTHER);
}

static int find_candidate(struct loader *l)
{
    l->engine.install = l->facts.primary == KEDGE_PRIMARY_BAD;
    const enum kedge_verdict verdict = kedge_plan_candidate(&l->engine);
    l->facts.candidate = l->facts.any = answer(verdict == KEDGE_IMAGE_GOOD);
    if (!l->engine.install) /* else what counts is what is wrong with the primary */
        l->report->verdict = (uint8_t)verdict;
    return (int)verdict;
}

/* ---- actions --------------------------------------------------------------------------------- */

/* The facts that the plan tells; those that a change of it or of the secondary makes stale. */
static void forget(struct loader *l)
{
    kedge_put_le32(&l->facts.state, kedge_le32(l->engine.plan + KEDGE_PLAN_STATE));
    kedge_put_le32(&l->facts.confirmed, 0);
}

static int take_over(struct loader *l)
{
    const int rc = kedge_journal_take_over(&l->engine.journal);
    l->facts.stable = 1; /* without a journal a good image still boots; no program runs */
    forget(l);
    return rc;
}

/* Why a boot ends that a program of this type came before. */
static uint8_t reason_of(unsigned type)
{
    return (uint8_t)(type < KEDGE_TYPE_REVERT ? type - 1 : type);
}

_Static_assert(KEDGE_REASON_TESTING == KEDGE_TYPE_TEST - 1 &&
                   KEDGE_REASON_UPDATED == KEDGE_TYPE_PERMANENT - 1 &&
                   KEDGE_REASON_REVERTED == (int)KEDGE_TYPE_REVERT &&
                   KEDGE_REASON_RESTORED == (int)KEDGE_TYPE_RESTORE &&
                   KEDGE_REASON_INSTALLED == (int)KEDGE_TYPE_INSTALL,
               "reason_of");

/* The plan in RAM becomes the truth: point of no return for what asked for it. */
static void start(struct loader *l, unsigned type, unsigned flags)
{
    kedge_plan_start(l->engine.plan, type, flags);
    kedge_history_note(l->engine.plan, reason_of(type), l->report->verdict,
                       type == KEDGE_TYPE_RESTORE);
    l->facts.failed = 0;
    l->engine.resumed = false;
    if (l->engine.strategy->begin != NULL)
        l->engine.strategy->begin(&l->engine);
    (void)take_over(l);
}

/* No plan any more. */
static void settle(struct loader *l, enum kedge_reason reason, unsigned flags)
{
    l->report->reason = (uint8_t)reason;
    kedge_history_note(l->engine.plan, (uint8_t)reason, 0, false);
    l->engine.plan[KEDGE_PLAN_STATE] = KEDGE_STATE_IDLE;
    l->engine.plan[KEDGE_PLAN_TYPE] = 0;
    l->engine.plan[KEDGE_PLAN_FLAGS] = (uint8_t)flags;
    l->facts.wipe = (uint8_t)flags;
    (void)take_over(l);
}

static int do_run(struct loader *l)
{
    const unsigned type = l->engine.plan[KEDGE_PLAN_TYPE];
    int rc = l->engine.journal.own ? 0 : take_over(l);
    l->report->resumed |= l->engine.resumed;
    /* a plan that did not become durable must not consume its request */
    if (rc == 0)
        rc = kedge_engine_run(&l->engine);
    forget(l);
    l->facts.request = 0;
    l->facts.primary = KEDGE_PRIMARY_UNKNOWN;
    l->facts.failed = rc != 0;
    if (rc == 0) {
        l->report->reason = reason_of(type);
        /* INSTALL's says why; any other was said of a half-done copy */
        if (type != KEDGE_TYPE_INSTALL)
            l->report->verdict = KEDGE_IMAGE_GOOD;
        if (l->engine.checked)
            note_primary(l, KEDGE_PRIMARY_NEW);
    }
    return rc;
}

static void do_plan(struct loader *l)
{
    unsigned type = KEDGE_TYPE_PERMANENT;
    if (l->engine.install)
        type = KEDGE_TYPE_INSTALL;
    else if (l->facts.request == 1 + KEDGE_REQUEST_TEST &&
             l->engine.plan[KEDGE_PLAN_METHOD] != KEDGE_METHOD_OVERWRITE)
        type = KEDGE_TYPE_TEST;
    start(l, type, KEDGE_PLAN_REQUESTED);
}

/* Why this boot does not do what was asked; recorded unless the newest record says so already. */
static void record(struct loader *l, enum kedge_reason reason)
{
    uint8_t *plan = l->engine.plan;
    const uint8_t *newest = kedge_history_newest(plan);
    l->report->reason = (uint8_t)reason;
    if (newest[KEDGE_HISTORY_REASON] == reason &&
        kedge_le32(newest + KEDGE_HISTORY_HASH) == kedge_le32(plan + KEDGE_PLAN_ID_NEW))
        return;
    kedge_history_note(plan, (uint8_t)reason, l->report->verdict, false);
    (void)take_over(l);
}

/* Clear the mailbox; whatever becomes of it, it says nothing more in this boot. The refusal is
 * recorded first, for behind the mailbox nobody knows of it any more. */
static int clear(struct loader *l, enum kedge_reason reason)
{
    record(l, reason);
    l->facts.request = 1 + KEDGE_REQUEST_NONE;
    return kedge_engine_clear_mail(&l->engine);
}

/* Erase the secondary. Not when anything lies in the mailbox sector: the application has begun an
 * upload since its trial, and what would be erased is not the old image. */
static int do_wipe(struct loader *l)
{
    const struct kedge_slot *slot = &l->engine.pair->secondary;
    int rc = kedge_engine_no_mail(&l->engine) ? 0 : KEDGE_E_STATE;
    l->facts.wipe = 0;
    for (uint32_t u = 0; rc == 0 && u < slot->units; u++)
        rc = kedge_engine_wipe(&l->engine, slot, kedge_slot_unit_at(slot, u));
    (void)kedge_engine_log(&l->engine, KEDGE_RECORD_PHASE, KEDGE_STATE_IDLE);
    return rc;
}

/* The chip is dead and the update is as good as done: give the application a trailer to confirm in,
 * else its word is lost and it is reverted once the chip is back. */
static void do_degraded(struct loader *l)
{
    uint8_t *flags = l->engine.plan + KEDGE_PLAN_FLAGS;
    record(l, KEDGE_REASON_DEGRADED);
    if (l->facts.primary != KEDGE_PRIMARY_NEW || l->facts.type != KEDGE_TYPE_TEST ||
        (*flags & KEDGE_PLAN_TRAILER_DONE) != 0)
        return;
    if (kedge_engine_trailer(&l->engine, KEDGE_TYPE_TEST) == 0) {
        *flags |= KEDGE_PLAN_TRAILER_DONE;
        (void)take_over(l);
    }
}

static void do_try(struct loader *l)
{
    if (l->report->reason == KEDGE_REASON_NORMAL)
        l->report->reason = KEDGE_REASON_TESTING;
    l->trial = (uint8_t)(l->facts.attempts + 1u);
    if (!l->engine.journal.own)
        (void)take_over(l);
}

/* The count of the last trial came with its SEAL, which may have been torn and read so or so: in
 * BODY it stays. */
static void do_wait(struct loader *l)
{
    record(l, KEDGE_REASON_REVERT_WAITS);
    if ((l->engine.plan[KEDGE_PLAN_FLAGS] & KEDGE_PLAN_COUNTED) == 0)
        return;
    l->engine.plan[KEDGE_PLAN_FLAGS] &= (uint8_t)~KEDGE_PLAN_COUNTED;
    (void)take_over(l);
}

static void do_boot(struct loader *l)
{
    if (l->report->reason != KEDGE_REASON_NORMAL)
        return;
    if (l->facts.alive == KEDGE_NO)
        l->report->reason = KEDGE_REASON_NO_CHIP;
    else if (l->facts.held && l->facts.request > 1 + KEDGE_REQUEST_NONE)
        l->report->reason = KEDGE_REASON_HELD;
}

static void act(struct loader *l, enum kedge_action action)
{
    int rc = 0;
    switch (action) {
    case KEDGE_ASK_ALIVE:
        rc = KEDGE_E_DEAD; /* until it answers */
        break;
    case KEDGE_ASK_REQUEST:
        rc = ask_request(l);
        break;
    case KEDGE_ASK_CONFIRMED:
        l->facts.confirmed = answer(kedge_engine_on_trial(&l->engine, true));
        break;
    case KEDGE_ASK_PRIMARY:
        look_at_primary(l, false);
        break;
    case KEDGE_ASK_OLD:
        rc = kedge_plan_old_intact(&l->engine);
        l->facts.old = answer(rc == 0);
        break;
    case KEDGE_ASK_CANDIDATE:
        look_at_primary(l, true);
        rc = find_candidate(l);
        break;
    case KEDGE_ASK_ANY:
        rc = find_candidate(l);
        break;
    case KEDGE_DO_TAKE_OVER:
        (void)take_over(l);
        break;
    case KEDGE_DO_RUN:
        rc = do_run(l);
        break;
    case KEDGE_DO_REVERT:
        kedge_plan_reverse(l->engine.plan);
        start(l, KEDGE_TYPE_REVERT, 0);
        break;
    case KEDGE_DO_RESTORE:
        start(l, KEDGE_TYPE_RESTORE, 0);
        break;
    case KEDGE_DO_INSTALL:
        start(l, KEDGE_TYPE_INSTALL, 0);
        break;
    case KEDGE_DO_PLAN:
        do_plan(l); /* and go, for what is in the primary now needs no more looks */
        rc = do_run(l);
        break;
    case KEDGE_DO_LATCH:
        /* before the latch: a request of the trial must not outlive a cut behind it */
        if (l->policy.value[KEDGE_POLICY_AFTER_CONFIRM] == 1)
            (void)kedge_engine_clear_mail(&l->engine);
        kedge_plan_accept(l->engine.plan);
        settle(l, KEDGE_REASON_CONFIRMED,
               l->policy.value[KEDGE_POLICY_AFTER_CONFIRM] == 2 ? KEDGE_PLAN_WIPE : 0);
        break;
    case KEDGE_DO_REPLACED:
    case KEDGE_DO_GIVE_UP:
        settle(l, action == KEDGE_DO_REPLACED ? KEDGE_REASON_REPLACED : KEDGE_REASON_RESTORED, 0);
        l->facts.request = 1 + KEDGE_REQUEST_NONE; /* enough for one boot */
        break;
    case KEDGE_DO_KEEP:
        settle(l, KEDGE_REASON_CANNOT_REVERT, 0);
        break;
    case KEDGE_DO_CLEAR:
        rc = clear(l, KEDGE_REASON_TORN_REQUEST);
        break;
    case KEDGE_DO_REFUSE:
        rc = clear(l, KEDGE_REASON_REFUSED);
        break;
    case KEDGE_DO_WIPE:
        rc = do_wipe(l);
        break;
    case KEDGE_DO_TRY:
        do_try(l);
        break;
    case KEDGE_DO_DEGRADED:
        do_degraded(l);
        break;
    case KEDGE_DO_WAIT:
        do_wait(l);
        break;
    case KEDGE_DO_BOOT:
        do_boot(l);
        break;
    case KEDGE_DO_RECOVER:
        break;
    }
    if (rc != 0) /* a chip that died meanwhile is no reason to refuse or give up anything */
        ask_alive(l);
}

/* ---- the boot -------------------------------------------------------------------------------- */

static struct loader *prepare(const struct kedge_boot_config *config,
                              struct kedge_boot_report *report)
{
    const struct kedge_pair *pair = &config->layout->pairs[0];
    const size_t skew = (0u - (uintptr_t)config->state.at) & 7u;
    struct loader *l = (struct loader *)(void *)(config->state.at + skew);
    struct kedge_engine *e = &l->engine;
    /* behind it too: nothing that was in RAM before goes out with the journal */
    memset(config->state.at, 0, config->state.size);
    l->report = report;
    e->pair = pair;
    e->hooks = config->hooks;
    e->recorder = config->recorder;
    e->strategy = config->strategy;
    e->unit = config->unit.at;
    e->unit_size = pair->primary.unit;
    e->page = (uint8_t *)l + ALIGNED(sizeof(*l));
    e->plan = e->page + KEDGE_PAGE;
    e->place = kedge_trailer_place(pair->primary.max_align);
    e->resumed = true;
    e->verify.keys = config->keys;
    e->verify.key_count = config->key_count;
    e->verify.scratch = kedge_buf(e->unit, e->unit_size / 2);
    e->verify.tap_ctx = e;
    e->journal.region = config->layout->journal;
    e->journal.body = kedge_buf(e->plan, kedge_plan_size(pair) + config->strategy->body);
    e->journal.reserve = kedge_plan_reserve(pair);
    return l;
}

static void open(struct loader *l, const struct kedge_boot_config *config)
{
    struct kedge_journal *journal = &l->engine.journal;
    if (kedge_journal_open(journal, kedge_plan_fold, l->engine.plan) != 0 ||
        !kedge_plan_fits(l->engine.plan, l->engine.pair)) {
        kedge_plan_clear(l->engine.plan, l->engine.pair);
        /* without a journal a trial cannot be undone: there is no table of the old image */
        if (kedge_engine_on_trial(&l->engine, false))
            l->report->reason = KEDGE_REASON_CANNOT_REVERT;
    }
    if (l->engine.plan[KEDGE_PLAN_STATE] == KEDGE_STATE_RUN)
        kedge_history_newest(l->engine.plan)[KEDGE_HISTORY_RESUMED]++;
    kedge_policy_load(&config->layout->settings, config->defaults, &l->policy);
    l->engine.refuse_older = l->policy.value[KEDGE_POLICY_DOWNGRADE] != 0;
    l->engine.confidential = l->policy.value[KEDGE_POLICY_CONFIDENTIAL];
    l->facts.stable = journal->sealed;
    l->facts.held = l->policy.value[KEDGE_POLICY_HOLD];
    if (config->hooks != NULL && config->hooks->hold != NULL)
        l->facts.held = config->hooks->hold(config->hooks->ctx) || l->facts.held;
    l->facts.limit = l->policy.value[KEDGE_POLICY_ATTEMPTS];
    l->facts.wipe = !journal->sealed && (l->engine.plan[KEDGE_PLAN_FLAGS] & KEDGE_PLAN_WIPE) != 0;
    forget(l);
}

/* SEAL comes last: from here on nothing is written, and a later power-on may act on this state. */
static void seal(struct loader *l)
{
    struct kedge_engine *e = &l->engine;
    if (!e->journal.own || e->journal.sealed)
        return;
    if (e->hooks != NULL && e->hooks->effort != NULL)
        e->hooks->effort(e);
    (void)kedge_engine_log(e, KEDGE_RECORD_SEAL, l->trial);
    if (!e->journal.sealed) /* a fresh sector, with effort and trial in BODY */
        (void)kedge_journal_append(&e->journal, KEDGE_RECORD_SEAL, 0);
}

int kedge_boot(const struct kedge_boot_config *config, struct kedge_boot_report *report)
{
    const struct kedge_pair *pair = &config->layout->pairs[0];
    memset(report, 0, sizeof(*report));
    if (config->state.size < kedge_boot_state_size(config->layout) + config->strategy->body ||
        config->unit.size < pair->primary.unit || pair->primary.unit < 2 * KEDGE_PAGE)
        return KEDGE_E_SPACE;
    struct loader *l = prepare(config, report);
    kedge_engine_phase(&l->engine, KEDGE_PHASE_BOOT);
    open(l, config);
    for (unsigned round = 0; round < ROUNDS; round++) {
        kedge_engine_phase(&l->engine, KEDGE_PHASE_BOOT);
        const enum kedge_action action = kedge_decide(&l->facts);
        act(l, action);
        if (action >= KEDGE_DO_TRY)
            break;
    }
    report->boots = l->facts.primary > KEDGE_PRIMARY_BAD;
    if (report->boots != 0)
        seal(l);
    else
        report->reason = KEDGE_REASON_NOTHING;
    report->external_alive = l->facts.alive == KEDGE_YES;
    report->attempts = l->engine.plan[KEDGE_PLAN_ATTEMPTS];
    report->settled = l->engine.plan[KEDGE_PLAN_STATE] == KEDGE_STATE_IDLE;
    report->from_version = kedge_version_get(l->engine.plan + KEDGE_PLAN_VERSION_OLD);
    report->retries = l->engine.retries;
    report->repaired = l->engine.repaired;
    return 0;
}
