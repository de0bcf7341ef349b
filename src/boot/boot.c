/* The loader: collects the facts that decide() asks for, does what it says. Every action either
 * ends the boot or changes the facts; eight actions are enough for every case (SWAP.md 4). */
#include "kedge/boot.h"

#include <string.h>

#include "boot/decide.h"

#define ACTIONS 8  /* rounds of the table that change something */
#define ROUNDS  64 /* with all the questions between them */
#define TRIES   4  /* of a read or probe of the external chip */

struct loader {
    const struct kedge_boot_config *config;
    struct kedge_engine engine;
    struct kedge_facts facts;
    struct kedge_policy policy;
    struct kedge_boot_report *report;
    uint8_t *plan;
    bool installing; /* the candidate was looked for without an old image to keep */
    uint8_t trial;   /* SEAL counts this trial; 0: none */
    bool at_start;   /* the plan is the one that was found, not one of this power-on */
};

#define ALIGNED(size) (((size) + 7u) & ~(size_t)7u)

size_t kedge_boot_state_size(const struct kedge_layout *layout)
{
    return 8u + ALIGNED(sizeof(struct loader)) + KEDGE_PAGE + kedge_plan_size(&layout->pairs[0]);
}

/* ---- questions --------------------------------------------------------------------------------
 */

static void ask_alive(struct loader *l)
{
    const struct kedge_flash *flash = l->engine.pair->secondary.region.flash;
    int rc = KEDGE_E_DEAD;
    for (unsigned i = 0; i < TRIES && rc != 0; i++)
        rc = flash->ops->probe(flash->ctx);
    l->facts.alive = rc == 0 ? KEDGE_YES : KEDGE_NO;
}

static void ask_request(struct loader *l)
{
    struct kedge_trailer trailer;
    int rc = KEDGE_E_IO;
    for (unsigned i = 0; i < TRIES && rc != 0; i++)
        rc = kedge_slot_trailer(&l->engine.pair->secondary, 3, &trailer);
    l->facts.request =
        (uint8_t)(1 + (rc == 0 ? kedge_trailer_request(&trailer) : KEDGE_REQUEST_NONE));
    if (rc != 0)
        ask_alive(l);
}

/* The application writes one word. Torn, it may read so or so; only a steady exact one counts. */
static void ask_confirmed(struct loader *l)
{
    const struct kedge_slot *slot = &l->engine.pair->primary;
    const struct kedge_trailer_place place = kedge_trailer_place(slot->max_align);
    const uint8_t *word = l->engine.unit.at + place.size - place.image_ok;
    const bool set =
        kedge_engine_tail(&l->engine) && word[0] == 1 &&
        kedge_all(kedge_bytes(word + 1, place.block - 1u), slot->region.flash->geometry.erased);
    l->facts.confirmed = set ? KEDGE_YES : KEDGE_NO;
}

/* What the report says about the image that boots comes from the look that authenticated it. */
static void note_primary(struct loader *l)
{
    const struct kedge_verify *v = &l->engine.verify;
    l->report->version = v->image.version;
    l->report->entry = l->engine.pair->primary.region.start + v->image.header_size;
    memcpy(l->report->hash, v->digest, sizeof(l->report->hash));
}

static void look_at_primary(struct loader *l, bool tables)
{
    const uint8_t *digest = l->engine.verify.digest;
    l->engine.old = true;
    l->engine.compare = false;
    const enum kedge_verdict verdict = kedge_engine_look(&l->engine, KEDGE_PRIMARY, 0, tables);
    if (verdict != KEDGE_IMAGE_GOOD) {
        l->facts.primary = KEDGE_PRIMARY_BAD;
        l->report->verdict = (uint8_t)verdict;
        return;
    }
    note_primary(l);
    l->facts.primary = KEDGE_PRIMARY_OTHER;
    if (memcmp(digest, l->plan + KEDGE_PLAN_ID_NEW, 8) == 0)
        l->facts.primary = KEDGE_PRIMARY_NEW;
    else if (memcmp(digest, l->plan + KEDGE_PLAN_ID_OLD, 8) == 0)
        l->facts.primary = KEDGE_PRIMARY_OLD;
}

static uint8_t find_candidate(struct loader *l, bool install)
{
    const struct kedge_rules rules = {
        .strategy = l->config->strategy,
        .install = install,
        .refuse_older = l->policy.value[KEDGE_POLICY_DOWNGRADE] != 0,
    };
    const enum kedge_verdict verdict = kedge_plan_candidate(&l->engine, &rules);
    l->installing = install;
    if (verdict == KEDGE_IMAGE_GOOD)
        return KEDGE_YES;
    if (!install) /* else what counts is what is wrong with the primary */
        l->report->verdict = (uint8_t)verdict;
    ask_alive(l); /* a chip that died meanwhile is no reason to refuse anything */
    return KEDGE_NO;
}

static void ask_candidate(struct loader *l)
{
    look_at_primary(l, true);
    const bool bad = l->facts.primary == KEDGE_PRIMARY_BAD;
    if (!bad) {
        kedge_plan_old(&l->engine);
        l->facts.primary = KEDGE_PRIMARY_OLD;
    }
    l->facts.candidate = find_candidate(l, bad);
}

static void ask_old(struct loader *l)
{
    const int rc = kedge_plan_old_intact(&l->engine);
    l->facts.old = rc == 0 ? KEDGE_YES : KEDGE_NO;
    if (rc != 0)
        ask_alive(l);
}

/* ---- actions ----------------------------------------------------------------------------------
 */

/* Facts that a change of state or of the secondary makes stale. */
static void forget(struct loader *l)
{
    struct kedge_facts *f = &l->facts;
    f->state = l->plan[KEDGE_PLAN_STATE];
    f->attempts = l->plan[KEDGE_PLAN_ATTEMPTS];
    f->type = l->plan[KEDGE_PLAN_TYPE];
    f->method = l->plan[KEDGE_PLAN_METHOD];
    f->confirmed = KEDGE_UNKNOWN;
    f->old = KEDGE_UNKNOWN;
    f->candidate = KEDGE_UNKNOWN;
    f->any = KEDGE_UNKNOWN;
}

static int take_over(struct loader *l)
{
    const int rc = kedge_journal_take_over(&l->engine.journal);
    l->facts.stable = 1; /* without a journal a good image still boots; no program runs */
    forget(l);
    return rc;
}

/* The plan in RAM becomes the truth: point of no return for what asked for it. */
static void start(struct loader *l, uint8_t type, uint8_t flags, enum kedge_reason reason)
{
    kedge_plan_start(l->plan, type, flags);
    kedge_history_note(l->plan, (uint8_t)reason, 0, type == KEDGE_TYPE_RESTORE);
    l->facts.failed = 0;
    l->at_start = false;
    (void)take_over(l);
}

/* No plan any more. */
static void settle(struct loader *l, enum kedge_reason reason, uint8_t flags)
{
    l->report->reason = (uint8_t)reason;
    kedge_history_note(l->plan, (uint8_t)reason, 0, false);
    l->plan[KEDGE_PLAN_STATE] = KEDGE_STATE_IDLE;
    l->plan[KEDGE_PLAN_TYPE] = 0;
    l->plan[KEDGE_PLAN_FLAGS] = flags;
    l->facts.wipe = flags;
    (void)take_over(l);
}

static void do_run(struct loader *l)
{
    static const uint8_t reasons[] = {
        [KEDGE_TYPE_TEST] = KEDGE_REASON_TESTING,
        [KEDGE_TYPE_PERMANENT] = KEDGE_REASON_UPDATED,
        [KEDGE_TYPE_REVERT] = KEDGE_REASON_REVERTED,
        [KEDGE_TYPE_RESTORE] = KEDGE_REASON_RESTORED,
        [KEDGE_TYPE_INSTALL] = KEDGE_REASON_INSTALLED,
    };
    const uint8_t type = l->plan[KEDGE_PLAN_TYPE];
    int rc = 0;
    if (!l->engine.journal.own)
        rc = take_over(l);
    l->engine.resumed = l->at_start;
    l->report->resumed |= l->at_start;
    /* a plan that did not become durable must not consume its request */
    if (rc == 0)
        rc = kedge_engine_run(&l->engine);
    forget(l);
    l->facts.request = 0;
    l->facts.primary = KEDGE_PRIMARY_UNKNOWN;
    if (rc < 0) {
        l->facts.failed = 1;
        ask_alive(l);
        return;
    }
    l->report->reason = reasons[type];
    if (l->engine.checked) {
        l->facts.primary = KEDGE_PRIMARY_NEW;
        note_primary(l);
    }
}

static void do_plan(struct loader *l)
{
    const bool test = l->facts.request == 1 + KEDGE_REQUEST_TEST &&
                      l->plan[KEDGE_PLAN_METHOD] != KEDGE_METHOD_OVERWRITE;
    if (l->installing)
        start(l, KEDGE_TYPE_INSTALL, KEDGE_PLAN_REQUESTED, KEDGE_REASON_INSTALLED);
    else if (test)
        start(l, KEDGE_TYPE_TEST, KEDGE_PLAN_REQUESTED, KEDGE_REASON_TESTING);
    else
        start(l, KEDGE_TYPE_PERMANENT, KEDGE_PLAN_REQUESTED, KEDGE_REASON_UPDATED);
}

static void do_revert(struct loader *l)
{
    kedge_plan_reverse(l->plan);
    l->facts.primary = KEDGE_PRIMARY_OLD;
    start(l, KEDGE_TYPE_REVERT, 0, KEDGE_REASON_REVERTED);
}

static void do_latch(struct loader *l)
{
    const bool wipe = l->policy.value[KEDGE_POLICY_AFTER_CONFIRM] == 2;
    kedge_plan_accept(l->plan);
    settle(l, KEDGE_REASON_CONFIRMED, wipe ? KEDGE_PLAN_WIPE : 0);
}

/* Clear the mailbox; whatever becomes of it, it says nothing more in this boot. */
static void clear(struct loader *l, enum kedge_reason reason)
{
    const struct kedge_slot *slot = &l->engine.pair->secondary;
    l->report->reason = (uint8_t)reason;
    l->facts.request = 1 + KEDGE_REQUEST_NONE;
    if (kedge_engine_wipe(&l->engine, KEDGE_SECONDARY, slot->gap * slot->unit) != 0)
        ask_alive(l);
}

/* Erase the secondary. Not when anything lies in the mailbox sector: the application has begun an
 * upload since its trial, and what would be erased is not the old image. */
static void do_wipe(struct loader *l)
{
    const struct kedge_slot *slot = &l->engine.pair->secondary;
    bool blank = false;
    int rc = kedge_engine_blank(&l->engine, KEDGE_SECONDARY, slot->gap * slot->unit, &blank);
    l->facts.wipe = 0;
    for (uint32_t u = 0; blank && rc == 0 && u < slot->units; u++)
        rc = kedge_engine_wipe(&l->engine, KEDGE_SECONDARY, kedge_slot_unit_at(slot, u));
    if (rc != 0)
        ask_alive(l);
    (void)kedge_engine_log(&l->engine, KEDGE_RECORD_PHASE, KEDGE_STATE_IDLE);
}

/* The chip is dead and the update is as good as done: give the application a trailer to confirm in,
 * else its word is lost and it is reverted once the chip is back. */
static void do_degraded(struct loader *l)
{
    uint8_t *flags = l->plan + KEDGE_PLAN_FLAGS;
    l->report->reason = KEDGE_REASON_DEGRADED;
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
    l->report->reason = KEDGE_REASON_REVERT_WAITS;
    if ((l->plan[KEDGE_PLAN_FLAGS] & KEDGE_PLAN_COUNTED) == 0)
        return;
    l->plan[KEDGE_PLAN_FLAGS] &= (uint8_t)~KEDGE_PLAN_COUNTED;
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
    switch (action) {
    case KEDGE_ASK_ALIVE:
        ask_alive(l);
        break;
    case KEDGE_ASK_REQUEST:
        ask_request(l);
        break;
    case KEDGE_ASK_CONFIRMED:
        ask_confirmed(l);
        break;
    case KEDGE_ASK_PRIMARY:
        look_at_primary(l, false);
        break;
    case KEDGE_ASK_OLD:
        ask_old(l);
        break;
    case KEDGE_ASK_CANDIDATE:
        ask_candidate(l);
        break;
    case KEDGE_ASK_ANY:
        l->facts.any = find_candidate(l, true);
        break;
    case KEDGE_DO_TAKE_OVER:
        (void)take_over(l);
        break;
    case KEDGE_DO_RUN:
        do_run(l);
        break;
    case KEDGE_DO_RESTORE:
        start(l, KEDGE_TYPE_RESTORE, 0, KEDGE_REASON_RESTORED);
        break;
    case KEDGE_DO_REVERT:
        do_revert(l);
        break;
    case KEDGE_DO_INSTALL:
        start(l, KEDGE_TYPE_INSTALL, 0, KEDGE_REASON_INSTALLED);
        break;
    case KEDGE_DO_PLAN:
        do_plan(l);
        break;
    case KEDGE_DO_LATCH:
        do_latch(l);
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
        clear(l, KEDGE_REASON_TORN_REQUEST);
        break;
    case KEDGE_DO_REFUSE:
        clear(l, KEDGE_REASON_REFUSED);
        break;
    case KEDGE_DO_WIPE:
        do_wipe(l);
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
}

/* ---- the boot ---------------------------------------------------------------------------------
 */

/* Without a journal a trial cannot be undone: there is no table of the old image. */
static void open_without_journal(struct loader *l)
{
    kedge_plan_clear(l->plan, l->engine.pair);
    if (kedge_engine_on_trial(&l->engine))
        l->report->reason = KEDGE_REASON_CANNOT_REVERT;
}

static struct loader *prepare(const struct kedge_boot_config *config)
{
    const struct kedge_pair *pair = &config->layout->pairs[0];
    const size_t skew = (8u - ((uintptr_t)config->state.at & 7u)) & 7u;
    struct loader *l = (struct loader *)(void *)(config->state.at + skew);
    struct kedge_engine *e = &l->engine;
    memset(l, 0, sizeof(*l));
    l->config = config;
    e->pair = pair;
    e->hooks = config->hooks;
    e->recorder = config->recorder;
    e->unit = config->unit;
    e->page = (uint8_t *)l + ALIGNED(sizeof(*l));
    l->plan = e->page + KEDGE_PAGE;
    e->verify.keys = config->keys;
    e->verify.key_count = config->key_count;
    e->journal.region = config->layout->journal;
    e->journal.body = kedge_buf(l->plan, kedge_plan_size(pair));
    return l;
}

static void open(struct loader *l)
{
    struct kedge_journal *journal = &l->engine.journal;
    if (kedge_journal_open(journal, kedge_plan_fold, l->plan) != 0 ||
        !kedge_plan_fits(l->plan, l->engine.pair))
        open_without_journal(l);
    kedge_policy_load(&l->config->layout->settings, l->config->defaults, &l->policy);
    l->at_start = true;
    l->facts.stable = journal->sealed;
    l->facts.held = l->policy.value[KEDGE_POLICY_HOLD];
    l->facts.limit = l->policy.value[KEDGE_POLICY_ATTEMPTS];
    l->facts.wipe = !journal->sealed && (l->plan[KEDGE_PLAN_FLAGS] & KEDGE_PLAN_WIPE) != 0;
    forget(l);
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

/* SEAL comes last: from here on nothing is written, and a later power-on may act on this state. */
static void seal(struct loader *l)
{
    struct kedge_engine *e = &l->engine;
    const uint16_t value = KEDGE_PLAN_SEAL(at_most(e->retries, KEDGE_PLAN_SEAL_MOST),
                                           at_most(e->repaired, KEDGE_PLAN_SEAL_MOST), l->trial);
    if (!e->journal.own || e->journal.sealed)
        return;
    if (kedge_journal_append(&e->journal, KEDGE_RECORD_SEAL, value) == 0) {
        kedge_plan_fold(l->plan, KEDGE_RECORD_SEAL, value);
        return;
    }
    /* no room, or the word did not take: a fresh sector, with the trial counted in BODY */
    if (l->trial != 0)
        l->plan[KEDGE_PLAN_ATTEMPTS] = l->trial;
    (void)kedge_journal_take_over(&e->journal);
    (void)kedge_journal_append(&e->journal, KEDGE_RECORD_SEAL, KEDGE_PLAN_SEAL(0, 0, 0));
}

int kedge_boot(const struct kedge_boot_config *config, struct kedge_boot_report *report)
{
    const struct kedge_pair *pair = &config->layout->pairs[0];
    enum kedge_action action = KEDGE_DO_RECOVER;
    memset(report, 0, sizeof(*report));
    if (config->state.size < kedge_boot_state_size(config->layout) ||
        config->unit.size < pair->primary.unit || pair->primary.unit < 2 * KEDGE_PAGE)
        return KEDGE_E_SPACE;
    struct loader *l = prepare(config);
    l->report = report;
    const uint8_t phase = kedge_engine_phase(&l->engine, KEDGE_PHASE_BOOT);
    open(l);
    unsigned actions = 0;
    for (unsigned round = 0; round < ROUNDS && actions <= ACTIONS; round++) {
        action = kedge_decide(&l->facts);
        act(l, action);
        if (action >= KEDGE_DO_TRY)
            break;
        actions += action >= KEDGE_DO_TAKE_OVER;
    }
    report->boots = l->facts.primary > KEDGE_PRIMARY_BAD;
    if (report->boots != 0)
        seal(l);
    else
        report->reason = KEDGE_REASON_NOTHING;
    report->external_alive = l->facts.alive == KEDGE_YES;
    report->attempts = l->plan[KEDGE_PLAN_ATTEMPTS];
    report->settled = l->plan[KEDGE_PLAN_STATE] == KEDGE_STATE_IDLE;
    report->from_version = kedge_history_version(l->plan + KEDGE_PLAN_VERSION_OLD);
    report->retries = l->engine.retries;
    report->repaired = l->engine.repaired;
    kedge_engine_phase(&l->engine, phase);
    return 0;
}
