/* Test, permanent, confirm, revert: in every order; and the policies about them. */
#include <stdio.h>
#include <string.h>

#include "testplan.h"
#include "testplan_rig.h"

static void prepare(struct rig *rig)
{
    rig_prepare(rig, 2, 3, 0);
}

static void try_new(struct rig *rig)
{
    prepare(rig);
    rig_ask(rig, false);
    rig_run(rig);
    rig_expect(rig, rig->new_image, KEDGE_REASON_TESTING);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
}

static void basic_revert(struct rig *rig)
{
    try_new(rig);
    rig_run(rig);
    rig_expect(rig, rig->old_image, KEDGE_REASON_REVERTED);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->new_image);
    rig_expect_quiet(rig, rig->old_image);
}

static void norevert(struct rig *rig)
{
    prepare(rig);
    rig_ask(rig, true);
    rig_run(rig);
    rig_expect(rig, rig->new_image, KEDGE_REASON_UPDATED);
    for (int i = 0; i < 3; i++) {
        rig_expect_quiet(rig, rig->new_image);
    }
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
}

static void norevert_confirmed(struct rig *rig)
{
    try_new(rig);
    rig_confirm(rig);
    rig_run(rig);
    rig_expect(rig, rig->new_image, KEDGE_REASON_CONFIRMED);
    for (int i = 0; i < 3; i++) {
        rig_expect_quiet(rig, rig->new_image);
    }
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
}

/* ---- every order ----------------------------------------------------------------------------- */

enum step { STEP_TEST, STEP_PERMANENT, STEP_CONFIRM, STEP_NOTHING, STEPS };

/* What must be true: written down without looking at the loader. */
struct expected {
    const struct plan_image *runs, *other;
    bool on_trial;
};

static void exchange(struct expected *e)
{
    const struct plan_image *const was = e->runs;

    e->runs = e->other;
    e->other = was;
}

/* What the user does, and what the next boot must make of it. */
static void step(struct rig *rig, enum step step, struct expected *e)
{
    const bool asks = step == STEP_TEST || step == STEP_PERMANENT;

    if (step == STEP_CONFIRM) {
        rig_confirm(rig);
        e->on_trial = false;
    } else if (e->on_trial) {
        if (step == STEP_TEST) {
            rig_expect_status(rig, rig_request(rig, e->other, false), KEDGE_AGENT_ALREADY_PENDING,
                              "image test during a trial");
        }
        exchange(e);
        e->on_trial = false;
    } else if (asks) {
        rig_expect_status(rig, rig_request(rig, e->other, step == STEP_PERMANENT), KEDGE_AGENT_OK,
                          step == STEP_TEST ? "image test" : "image confirm");
        exchange(e);
        e->on_trial = step == STEP_TEST;
    }
}

#define ORDER 4

static void walk(struct rig *rig, unsigned order)
{
    static const char *const words[] = {"test", "permanent", "confirm", "reset"};
    struct expected e = {rig->old_image, rig->new_image, false};
    char said[80] = "";

    rig_back(rig, NULL);
    rig_run(rig);
    for (int i = 0; i < ORDER; i++, order /= STEPS) {
        const size_t used = strlen(said);

        snprintf(said + used, sizeof(said) - used, " %s", words[order % STEPS]);
        step(rig, (enum step)(order % STEPS), &e);
        rig_run(rig);
        if (memcmp(rig->report.hash, e.runs->hash, sizeof(e.runs->hash)) != 0 ||
            !rig_holds(rig, KEDGE_PRIMARY, e.runs) || !rig_holds(rig, KEDGE_SECONDARY, e.other)) {
            rig_fail(rig, "after%s: %u.0.0 runs, not %u.0.0, or a slot is not as it should be",
                     said, rig->report.version.major, e.runs->version.major);
        }
    }
}

static void revert_and_confirm_in_every_order(struct rig *rig)
{
    prepare(rig);
    rig_mark(rig);
    for (unsigned order = 0; order < STEPS * STEPS * STEPS * STEPS; order++) {
        walk(rig, order);
    }
}

/* ---- policies -------------------------------------------------------------------------------- */

static void attempts_before_revert(struct rig *rig)
{
    prepare(rig);
    rig_policy(rig, "attempts", "3");
    rig_ask(rig, false);
    for (int i = 1; i <= 3; i++) {
        rig_run(rig);
        rig_expect(rig, rig->new_image, KEDGE_REASON_TESTING);
        if (rig->report.attempts != i) {
            rig_fail(rig, "trial %d is counted as %u", i, rig->report.attempts);
        }
    }
    rig_run(rig);
    rig_expect(rig, rig->old_image, KEDGE_REASON_REVERTED);
}

static void held_until_released(struct rig *rig)
{
    prepare(rig);
    rig_policy(rig, "hold", "on");
    rig_expect_status(rig, rig_request(rig, rig->new_image, false), KEDGE_AGENT_OK, "image test");
    for (int i = 0; i < 2; i++) {
        rig_run(rig);
        rig_expect(rig, rig->old_image, KEDGE_REASON_HELD);
    }
    rig_policy(rig, "hold", "off");
    rig_run(rig);
    rig_expect(rig, rig->new_image, KEDGE_REASON_TESTING);
}

static void wiped_after_confirm(struct rig *rig)
{
    const struct kedge_slot *const slot = &rig->state.pair.secondary;

    try_new(rig);
    rig_policy(rig, "after_confirm", "wipe");
    rig_confirm(rig);
    rig_run(rig);
    rig_expect(rig, rig->new_image, KEDGE_REASON_CONFIRMED);
    const uint8_t *const flash = kedge_sim_contents(rig->state.board.sim, KEDGE_EXTERNAL);

    if (!kedge_all(kedge_bytes(flash + slot->region.start, slot->region.size), 0xff)) {
        rig_fail(rig, "the secondary is not wiped");
    }
    rig_expect_quiet(rig, rig->new_image);
}

static void pending_is_not_erased(struct rig *rig)
{
    prepare(rig);
    rig_policy(rig, "erase_pending", "refuse");
    rig_expect_status(rig, rig_request(rig, rig->new_image, false), KEDGE_AGENT_OK, "image test");
    rig_expect_status(rig, kedge_agent_erase(&rig->agent, 1), KEDGE_AGENT_NO_FREE_SLOT, "erase");
    rig_expect_status(rig, rig_upload(rig, rig->old_image), KEDGE_AGENT_NO_FREE_SLOT, "upload");
    rig_run(rig);
    rig_expect(rig, rig->new_image, KEDGE_REASON_TESTING);
}

static void same_image_again(struct rig *rig)
{
    prepare(rig);
    rig_put(rig, KEDGE_SECONDARY, 0, rig->old_image);
    rig_ask(rig, true);
    rig_run(rig);
    rig_expect(rig, rig->old_image, KEDGE_REASON_UPDATED);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
    rig_expect_quiet(rig, rig->old_image);
}

static void primary_flashed_during_trial(struct rig *rig)
{
    try_new(rig);
    const struct plan_image_spec spec = {.major = 9, .size = 9000};
    const struct plan_image *const third = rig_image(rig, &spec);

    rig_put(rig, KEDGE_PRIMARY, 0, third);
    rig_run(rig);
    rig_expect(rig, third, KEDGE_REASON_REPLACED);
    rig_expect_holds(rig, KEDGE_PRIMARY, third);
    rig_expect_quiet(rig, third);
}

static void request_during_trial(struct rig *rig)
{
    try_new(rig);
    rig_ask(rig, true);
    rig_run(rig);
    rig_expect(rig, rig->old_image, KEDGE_REASON_REVERTED);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->new_image);
    rig_expect_quiet(rig, rig->old_image);
}

static void old_image_gone_during_trial(struct rig *rig)
{
    const struct plan_image_spec spec = {.major = 9, .size = rig_size(rig, 6)};

    try_new(rig);
    rig_put(rig, KEDGE_SECONDARY, 0, rig_image(rig, &spec));
    rig_run(rig);
    rig_expect(rig, rig->new_image, KEDGE_REASON_CANNOT_REVERT);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
    rig_expect_quiet(rig, rig->new_image);
}

static const struct testplan_case cases[] = {
    {"basic_revert", "an image that is not confirmed is reverted, both slots as before",
     basic_revert},
    {"norevert", "a permanent image stays", norevert},
    {"norevert_confirmed", "a confirmed image stays", norevert_confirmed},
    {"revert_and_confirm_in_every_order",
     "test, permanent, confirm, reset: all 256 orders of four, both slots compared each time",
     revert_and_confirm_in_every_order},
    {"attempts_before_revert", "policy attempts: three trials, then the revert",
     attempts_before_revert},
    {"held_until_released", "policy hold: the request waits over resets until it is released",
     held_until_released},
    {"wiped_after_confirm", "policy after_confirm wipe: the old image is gone, the new one stays",
     wiped_after_confirm},
    {"pending_is_not_erased", "policy erase_pending refuse: a marked image is safe from clients",
     pending_is_not_erased},
    {"same_image_again", "the running image as its own update: nothing breaks", same_image_again},
    {"primary_flashed_during_trial",
     "a primary flashed by a debugger during a trial is not reverted",
     primary_flashed_during_trial},
    {"request_during_trial", "a request made during a trial does not outlive the revert",
     request_during_trial},
    {"old_image_gone_during_trial",
     "with the old image overwritten during the trial, the new one is kept, and the report says "
     "why",
     old_image_gone_during_trial},
};

const struct testplan_part testplan_trials = {"Test, confirm, revert", cases,
                                              sizeof(cases) / sizeof(cases[0])};
