/* Flash and bus that fail: words that do not take, bits that flip, a chip that is dead. */
#include "testplan.h"
#include "testplan_rig.h"

#define UNITS  8u
#define ROUNDS 40u

static void updated(struct rig *rig)
{
    if (rig->report.reason == KEDGE_REASON_NORMAL) {
        rig->report.reason = KEDGE_REASON_UPDATED;
    }
    rig_expect(rig, rig->new_image, KEDGE_REASON_UPDATED);
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
}

/* A permanent update is asked for; the operations that it takes are counted, those of the journal
 * listed. */
static uint32_t prepare(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    rig_ask(rig, true);
    rig_mark(rig);
    rig->journal_count = 0;
    kedge_sim_arm(rig->state.board.sim, NULL);
    rig_settle(rig, NULL);
    updated(rig);
    return kedge_sim_operations(rig->state.board.sim);
}

static void status_write_fails_complete(struct rig *rig)
{
    (void)prepare(rig);
    for (size_t i = 0; i < rig->journal_count; i++) {
        const struct kedge_sim_faults faults = {.op_fail_at = rig->journal_operations[i]};

        rig_back(rig, &faults);
        rig_settle(rig, NULL);
        updated(rig);
    }
}

static void status_write_fails_with_reset(struct rig *rig)
{
    const uint32_t count = prepare(rig);
    const size_t words = rig->journal_count;

    for (size_t i = 0; i < words; i++) {
        const struct kedge_sim_faults faults = {
            .seed = i,
            .op_ignore_at = rig->journal_operations[i],
            .cut_at = 1 + kedge_random_below(&rig->random, count),
        };

        rig_back(rig, &faults);
        rig_settle(rig, NULL);
        updated(rig);
    }
}

/* Power on, with nothing broken any more. */
static void revive(struct rig *rig)
{
    kedge_sim_arm(rig->state.board.sim, NULL);
    rig_run(rig);
}

/* Wherever one thing goes wrong, the update is done all the same. */
static void each_fault(struct rig *rig, uint32_t places,
                       void (*plan)(struct kedge_sim_faults *faults, uint32_t at))
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct kedge_sim_faults faults = {.seed = kedge_random_next(&rig->random) >> 33};

        plan(&faults, 1 + kedge_random_below(&rig->random, places));
        rig_back(rig, &faults);
        rig_settle(rig, NULL);
        updated(rig);
    }
}

static void flip_read(struct kedge_sim_faults *faults, uint32_t at)
{
    faults->read_flip_at = at;
}

static void fail_read(struct kedge_sim_faults *faults, uint32_t at)
{
    faults->read_fail_at = at;
}

static void flip_write(struct kedge_sim_faults *faults, uint32_t at)
{
    faults->write_flip_at = at;
}

static void fail_operation(struct kedge_sim_faults *faults, uint32_t at)
{
    faults->op_fail_at = at;
}

static void ignore_operation(struct kedge_sim_faults *faults, uint32_t at)
{
    faults->op_ignore_at = at;
}

static void bit_flips_on_the_bus(struct rig *rig)
{
    const uint32_t operations = prepare(rig);
    const uint32_t reads = kedge_sim_reads(rig->state.board.sim);

    each_fault(rig, reads, flip_read);
    each_fault(rig, reads, fail_read);
    each_fault(rig, operations, flip_write);
}

static void failing_operations(struct rig *rig)
{
    const uint32_t operations = prepare(rig);

    each_fault(rig, operations, fail_operation);
    each_fault(rig, operations, ignore_operation);
}

static void external_chip_dead(struct rig *rig)
{
    rig_prepare(rig, UNITS, UNITS, 0);
    rig_ask(rig, true);
    rig_mark(rig);
    for (unsigned zero = 0; zero < 2; zero++) {
        const struct kedge_sim_faults dead = {.external_dead = true, .dead_zero = zero != 0};

        rig_back(rig, &dead);
        rig_settle(rig, NULL);
        rig_expect(rig, rig->old_image, KEDGE_REASON_NO_CHIP);
        rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
        revive(rig);
        updated(rig);
    }
}

static void confirm_if_new(struct rig *rig)
{
    if (rig->report.boots != 0 && rig->report.version.major == 2) {
        rig_confirm(rig);
    }
}

/* The chip dies when the new image is in the primary already, and some of the old one's sectors are
 * still to be put away. The application cannot know; its word must count. */
static void confirmed_while_chip_is_dead(struct rig *rig)
{
    unsigned confirmed = 0;

    rig_prepare_sparse(rig, UNITS);
    rig_ask(rig, false);
    rig_mark(rig);
    rig_settle(rig, NULL);
    const uint32_t operations = kedge_sim_operations(rig->state.board.sim);

    for (uint32_t n = 0; n < operations; n++) {
        const struct kedge_sim_faults faults = {.dead_from = n};

        rig_back(rig, &faults);
        rig_settle(rig, confirm_if_new);
        if (rig->report.reason != KEDGE_REASON_DEGRADED || rig->report.version.major != 2) {
            continue;
        }
        confirmed++;
        for (int i = 0; i < 3; i++) {
            revive(rig);
            rig_expect(rig, rig->new_image, rig->report.reason);
        }
        rig_expect_holds(rig, KEDGE_PRIMARY, rig->new_image);
        rig_expect_holds(rig, KEDGE_SECONDARY, rig->old_image);
    }
    if (confirmed == 0) {
        rig_fail(rig, "the new image never ran with the chip dead");
    }
}

/* Dead in the middle of an update, alive again at the next power-on. */
static void external_chip_dies_and_returns(struct rig *rig)
{
    const uint32_t operations = prepare(rig);

    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct kedge_sim_faults faults = {
            .dead_from = kedge_random_below(&rig->random, operations),
            .dead_lives = 1,
        };

        rig_back(rig, &faults);
        rig_settle(rig, NULL);
        if (rig->report.boots != 0 && !rig_holds(rig, KEDGE_PRIMARY, rig->old_image) &&
            !rig_holds(rig, KEDGE_PRIMARY, rig->new_image)) {
            rig_fail(rig, "it booted a primary that is neither image (chip dead from operation %u)",
                     faults.dead_from);
        }
        rig_settle(rig, NULL);
        updated(rig);
    }
}

/* One word of the request is torn in the ways that a cut leaves it. */
static void torn_request(struct rig *rig)
{
    const struct kedge_slot *const slot = &rig->state.pair.secondary;
    const uint32_t end = slot->region.start + (slot->gap + 1u) * slot->unit;

    rig_prepare(rig, UNITS, UNITS, 0);
    for (unsigned byte = 1; byte <= 16; byte++) {
        rig_ask(rig, false);
        kedge_sim_decay(rig->state.board.sim, KEDGE_EXTERNAL, end - byte, 0x24);
        rig_run(rig);
        rig_expect(rig, rig->old_image, KEDGE_REASON_TORN_REQUEST);
        if (!rig_mailbox_blank(rig)) {
            rig_fail(rig, "the torn request is still there");
        }
        rig_expect_quiet(rig, rig->old_image);
    }
    rig_expect_status(rig, rig_request(rig, rig->new_image, true), KEDGE_AGENT_OK, "image confirm");
    rig_run(rig);
    updated(rig);
}

/* The recorder counts, and forbids. */
static void download_touches_external_only(struct rig *rig)
{
    struct kedge_recorder *const recorder = &rig->state.recorder;

    rig_prepare(rig, UNITS, UNITS, 0);
    rig_expect_status(rig, kedge_agent_erase(&rig->agent, 1), KEDGE_AGENT_OK, "erase");
    kedge_recorder_clear(recorder);
    rig_expect_status(rig, rig_upload(rig, rig->new_image), KEDGE_AGENT_OK, "upload");
    const struct kedge_counts internal = kedge_recorder_total(recorder, KEDGE_INTERNAL);
    const struct kedge_counts external = kedge_recorder_total(recorder, KEDGE_EXTERNAL);

    if (internal.programs != 0 || internal.erases != 0 || internal.failures != 0 ||
        external.programs == 0) {
        rig_fail(rig, "during the download: %u programs and %u erases of the internal flash",
                 internal.programs, internal.erases);
    }
    if (recorder->counts[KEDGE_EXTERNAL][KEDGE_PHASE_DOWNLOAD].programs != external.programs) {
        rig_fail(rig, "the download is not counted as one");
    }
    (void)kedge_recorder_phase(recorder, KEDGE_PHASE_DOWNLOAD);
    if (kedge_region_erase(&rig->state.pair.primary.region, 0, 4096) != KEDGE_E_FORBIDDEN) {
        rig_fail(rig, "the rule of the recorder does not hold");
    }
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
    rig_expect_holds(rig, KEDGE_SECONDARY, rig->new_image);
}

static const struct testplan_case cases[] = {
    {"status_write_fails_complete",
     "each write to the journal fails once: the update is completed all the same",
     status_write_fails_complete},
    {"status_write_fails_with_reset",
     "each write to the journal is silently lost once, and power fails: completed all the same",
     status_write_fails_with_reset},
    {"bit_flips_on_the_bus",
     "a flipped bit or an error in a read or write of the external flash: the update is completed",
     bit_flips_on_the_bus},
    {"failing_operations",
     "a program or erase of either flash fails or is silently not done: the update is completed",
     failing_operations},
    {"external_chip_dead", "with a dead external flash the running image boots; the update waits",
     external_chip_dead},
    {"confirmed_while_chip_is_dead",
     "the external flash dies at the end of the swap: the new image's confirmation counts",
     confirmed_while_chip_is_dead},
    {"external_chip_dies_and_returns",
     "the external flash dies during the swap and is back later: the update is completed",
     external_chip_dies_and_returns},
    {"torn_request", "a half-written request is cleared, and asking again works", torn_request},
    {"download_touches_external_only",
     "a download writes nothing to the internal flash, and could not",
     download_touches_external_only},
};

const struct testplan_part testplan_faults = {"Faults of flash and bus", cases,
                                              sizeof(cases) / sizeof(cases[0])};
