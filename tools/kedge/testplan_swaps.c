/* Power cuts in the middle of everything. */
#include "testplan.h"
#include "testplan_rig.h"

#define OLD_UNITS 20u
#define NEW_UNITS                                                                                  \
    21u /* one longer: the pair of cuts that MCUboot's swap-offset does not survive                \
         */
#define ROUNDS 30u

static void updated(struct rig *rig)
{
    rig_expect(rig, rig->new_image, KEDGE_REASON_UPDATED);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
}

/* A cut in the last word may fall before or behind the boot that it announces. */
static void updated_or_normal(struct rig *rig)
{
    if (rig->report.reason == KEDGE_REASON_NORMAL) {
        rig->report.reason = KEDGE_REASON_UPDATED;
    }
    updated(rig);
}

static void reverted(struct rig *rig)
{
    if (rig->report.reason == KEDGE_REASON_NORMAL) {
        rig->report.reason = KEDGE_REASON_REVERTED;
    }
    rig_expect(rig, rig->old_image, KEDGE_REASON_REVERTED);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->new_image);
}

/* On trial, or back when the cut cost the trial; then back in any case. */
static void tested_and_reverted(struct rig *rig)
{
    const bool back = rig->used_up && rig->report.version.major == 1;

    if (!back) {
        rig_expect(rig, rig->new_image, KEDGE_REASON_TESTING);
        rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
        rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
        rig_settle(rig, NULL);
    }
    reverted(rig);
}

static void sweep(struct rig *rig, unsigned cuts, void (*check)(struct rig *rig))
{
    const struct rig_sweep wanted = {.rounds = ROUNDS, .cuts = cuts, .check = check};

    rig_sweep(rig, &wanted);
}

static void perm_with_fails(struct rig *rig)
{
    rig_prepare(rig, OLD_UNITS, NEW_UNITS, 0);
    rig_ask(rig, true);
    sweep(rig, 1, updated_or_normal);
}

static void perm_with_random_fails(struct rig *rig)
{
    rig_prepare(rig, OLD_UNITS, NEW_UNITS, 0);
    rig_ask(rig, true);
    sweep(rig, 5, updated_or_normal);
}

static void test_with_fails(struct rig *rig)
{
    rig_prepare(rig, OLD_UNITS, NEW_UNITS, 0);
    rig_ask(rig, false);
    sweep(rig, 1, tested_and_reverted);
}

/* The new image is on trial and is not going to be confirmed. */
static void put_on_trial(struct rig *rig, unsigned base)
{
    rig_prepare(rig, OLD_UNITS, NEW_UNITS, base);
    rig_ask(rig, false);
    rig_run(rig);
    rig_expect(rig, rig->new_image, KEDGE_REASON_TESTING);
}

static void revert_with_fails(struct rig *rig)
{
    put_on_trial(rig, 0);
    sweep(rig, 1, reverted);
}

static void revert_with_two_fails(struct rig *rig)
{
    put_on_trial(rig, 0);
    sweep(rig, 2, reverted);
}

static void shrinking_with_fails(struct rig *rig)
{
    rig_prepare(rig, NEW_UNITS, NEW_UNITS / 2, 0);
    rig_ask(rig, false);
    sweep(rig, 2, tested_and_reverted);
}

static void swap_offset_with_fails(struct rig *rig)
{
    rig_prepare(rig, OLD_UNITS, NEW_UNITS, 1);
    rig_ask(rig, false);
    sweep(rig, 2, tested_and_reverted);
}

static void second_swap_with_fails(struct rig *rig)
{
    put_on_trial(rig, 0);
    rig_run(rig);
    rig_expect(rig, rig->old_image, KEDGE_REASON_REVERTED);
    rig_ask(rig, true);
    sweep(rig, 2, updated_or_normal);
}

/* Only the first and the last unit differ. */
static void sparse_with_fails(struct rig *rig)
{
    rig_prepare_sparse(rig, OLD_UNITS);
    rig_ask(rig, false);
    sweep(rig, 2, tested_and_reverted);
}

static void confirm_running(struct rig *rig)
{
    if (rig->report.version.major == 2) {
        rig_confirm(rig);
    }
}

/* Confirmed is confirmed, and not confirmed is reverted: never something in between. */
static void confirmed_or_reverted(struct rig *rig)
{
    rig_settle(rig, NULL);
    const bool stays = rig->report.version.major == 2;
    const struct plan_image *const runs = stays ? rig->new_image : rig->old_image;
    const struct plan_image *const other = stays ? rig->old_image : rig->new_image;

    for (int i = 0; i < 2; i++) {
        rig_settle(rig, NULL);
        rig_expect(rig, runs, rig->report.reason);
        rig_expect_holds(rig, KEDGE_PRIMARY, runs);
        rig_expect_holds(rig, KEDGE_SECONDARY, other);
    }
}

static void confirm_with_fails(struct rig *rig)
{
    const struct rig_sweep wanted = {
        .rounds = ROUNDS, .cuts = 1, .app = confirm_running, .check = confirmed_or_reverted};

    rig_prepare(rig, 4, 4, 0);
    rig_policy(rig, "attempts", "2"); /* the life that is cut is a trial, too */
    rig_ask(rig, false);
    rig_run(rig);
    rig_sweep(rig, &wanted);
}

/* The client uploads and asks, again after each cut: it resumes from what is in the flash. */
static void upload_and_ask(struct rig *rig)
{
    if (rig->report.version.major == 1) {
        rig_expect_status(rig, rig_upload(rig, rig->new_image), KEDGE_AGENT_OK, "upload");
        (void)rig_request(rig, rig->new_image, true); /* a second time: marked already */
    }
}

static void uploaded_then_updated(struct rig *rig)
{
    rig_expect_holds(rig, KEDGE_PRIMARY,
                     rig->report.version.major == 1 ? rig->old_image : rig->new_image);
    if (rig->report.version.major == 1) {
        rig_expect_holds(rig, KEDGE_SECONDARY, rig->new_image);
        rig_settle(rig, NULL);
    }
    updated_or_normal(rig);
}

static void upload_with_fails(struct rig *rig)
{
    const struct rig_sweep wanted = {
        .rounds = ROUNDS, .cuts = 3, .app = upload_and_ask, .check = uploaded_then_updated};

    rig_prepare(rig, OLD_UNITS, NEW_UNITS, 0);
    rig_expect_status(rig, kedge_agent_erase(&rig->agent, 1), KEDGE_AGENT_OK, "erase");
    rig_sweep(rig, &wanted);
}

/* ---- the other strategies -------------------------------------------------------------------- */

/* Nothing to go back to: a test is for good, and the candidate stays where it was. */
static void overwritten(struct rig *rig)
{
    if (rig->report.reason == KEDGE_REASON_NORMAL) {
        rig->report.reason = KEDGE_REASON_UPDATED;
    }
    rig_expect(rig, rig->new_image, KEDGE_REASON_UPDATED);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->new_image);
}

static void overwrite(struct rig *rig)
{
    rig->strategy = &kedge_overwrite;
    rig_prepare(rig, OLD_UNITS, NEW_UNITS, 0);
    rig_ask(rig, false);
    rig_run(rig);
    overwritten(rig);
    rig_expect_quiet(rig, rig->new_image);
}

static void overwrite_with_fails(struct rig *rig)
{
    rig->strategy = &kedge_overwrite;
    rig_prepare(rig, OLD_UNITS, NEW_UNITS, 0);
    rig_ask(rig, true);
    sweep(rig, 3, overwritten);
}

static void backup_reverted(struct rig *rig)
{
    if (rig->report.version.major == 2) {
        rig_expect(rig, rig->new_image, KEDGE_REASON_TESTING);
        rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
        rig_expect_holds(rig, KEDGE_BACKUP, rig->old_image);
        rig_expect_holds(rig, KEDGE_SECONDARY, rig->new_image);
        rig_settle(rig, NULL);
    } else if (!rig->used_up) {
        rig_fail(rig, "the new image had no trial");
    }
    reverted(rig);
}

static void backup_with_fails(struct rig *rig)
{
    rig->strategy = &kedge_backup;
    rig_prepare(rig, OLD_UNITS, NEW_UNITS, 0);
    rig_ask(rig, false);
    sweep(rig, 2, backup_reverted);
}

static void backup_revert_with_fails(struct rig *rig)
{
    rig->strategy = &kedge_backup;
    put_on_trial(rig, 0);
    sweep(rig, 2, reverted);
}

static const struct testplan_case cases[] = {
    {"perm_with_fails", "a permanent swap, one power cut anywhere: new image in, old image kept",
     perm_with_fails},
    {"perm_with_random_fails", "a permanent swap with five power cuts, also while recovering",
     perm_with_random_fails},
    {"test_with_fails", "a test swap, one power cut anywhere; then the revert", test_with_fails},
    {"revert_with_fails", "a revert, one power cut anywhere: old image in, new image kept",
     revert_with_fails},
    {"revert_with_two_fails", "a revert to an image one sector shorter, two power cuts",
     revert_with_two_fails},
    {"shrinking_with_fails", "a swap to an image of half the size and its revert, two power cuts",
     shrinking_with_fails},
    {"swap_offset_with_fails",
     "the same for an image one sector into the slot, where MCUboot's swap-offset wants it",
     swap_offset_with_fails},
    {"second_swap_with_fails", "an image that was reverted is swapped in again, two power cuts",
     second_swap_with_fails},
    {"sparse_with_fails", "two sectors differ: the swap in place and its revert, two power cuts",
     sparse_with_fails},
    {"confirm_with_fails",
     "a power cut around the confirmation: it counts, or the old image is back",
     confirm_with_fails},
    {"upload_with_fails", "an upload with three power cuts is resumed, then swapped in",
     upload_with_fails},
    {"overwrite", "strategy overwrite: a test is for good, the candidate stays", overwrite},
    {"overwrite_with_fails", "strategy overwrite with three power cuts: the new image boots",
     overwrite_with_fails},
    {"backup_with_fails",
     "strategy backup, two power cuts: old image in the backup, then the revert",
     backup_with_fails},
    {"backup_revert_with_fails", "strategy backup: the revert with two power cuts",
     backup_revert_with_fails},
};

const struct testplan_part testplan_swaps = {"Power cuts", cases, sizeof(cases) / sizeof(cases[0])};
