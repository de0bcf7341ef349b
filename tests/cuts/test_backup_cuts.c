/* If this fails, a backup that the agent copied ahead is not what an update can go back to: power
 * failed while it was copied, and the loader took a unit for good that a cut left to look so; or it
 * copies again what lies there, and the update is no faster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cut_kinds.h"
#include "kedge/backup.h"
#include "scenario.h"

static uint64_t runs;
static uint32_t external_erases;

static void on_cut(void *ctx)
{
    (void)ctx;
    longjmp(device.power, 1);
}

static void on_trace(void *ctx, const struct kedge_sim_event *event)
{
    (void)ctx;
    external_erases +=
        event->device == KEDGE_EXTERNAL && event->operation == KEDGE_OP_ERASE ? event->size : 0;
}

/* The agent copies with power cut at operation n; false: the cut came before it was done. */
static bool copy_with_cut(uint32_t n, size_t kind, uint64_t seed, uint8_t weak)
{
    const struct kedge_sim_faults faults = cut_kind_faults(kind, n, seed, weak);
    kedge_sim_arm(device.sim, &faults);
    if (setjmp(device.power) != 0)
        return false;
    scenario_agent();
    return true;
}

static void disarm(uint64_t seed, uint8_t weak)
{
    kedge_sim_arm(device.sim, &(struct kedge_sim_faults){.seed = seed, .weak = weak});
}

/* A backup scenario without its candidate's request: P runs, B holds nothing or another image. */
static void begin(const char *name, bool other)
{
    static const struct scenario plain = {"backup copied ahead", &kedge_backup, 2,    0, 3, 3,
                                          ~(uint64_t)0,          ASK_TEST,      false};
    const struct kedge_sim_hooks hooks = {.cut = on_cut, .trace = on_trace};
    static struct device_image another;
    const struct device_image_spec spec = {.size = 3 * 512 - 40, .major = 9};
    scenario_prepare(&plain);
    kedge_sim_snapshot_free(scenario_start);
    kedge_sim_hooks(device.sim, &hooks);
    strcpy(where, name);
    const uint32_t mail = device.pair.secondary.gap * device.shape.unit;
    uint8_t blank[512];
    memset(blank, 0xFF, sizeof(blank));
    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, mail, kedge_bytes(blank, sizeof(blank)));
    if (other) { /* a finished backup of an image that ran before */
        device_image_make(&device, &another, &spec);
        device_put(&device, KEDGE_PRIMARY, 0, &another);
        require(scenario_boot() == DEVICE_BOOTED);
        scenario_agent();
        require(device_has(&device, KEDGE_BACKUP, 0, &another));
        device_put(&device, KEDGE_PRIMARY, 0, &old_image);
        require(scenario_boot() == DEVICE_BOOTED);
    }
    disarm(1, 0);
    scenario_start = kedge_sim_snapshot_make(device.sim);
}

/* The update, the trial, the revert: everything exact. */
static void update(void)
{
    device_request(&device, false);
    scenario_settle();
    scenario_check(false);
    runs++;
}

static void cut_everywhere(const char *name, bool other)
{
    begin(name, other);
    scenario_agent();
    const uint32_t count = kedge_sim_operations(device.sim);
    for (uint8_t weak = 0; weak < 2; weak++)
        for (uint32_t n = 1; n <= count; n++)
            for (size_t k = 0; k < CUT_KINDS; k++) {
                const uint64_t seed = n * CUT_KINDS + k;
                snprintf(where, sizeof(where), "%s, cut %u of %u, kind %zu, weak %u", name, n,
                         count, k, weak);
                kedge_sim_restore(device.sim, scenario_start);
                require(!copy_with_cut(n, k, seed, weak));
                struct kedge_sim_snapshot *torn = kedge_sim_snapshot_make(device.sim);
                /* straight into the update, with what the cut left */
                disarm(seed, weak);
                update();
                /* or the agent goes on first; a second cut in that every few times */
                kedge_sim_restore(device.sim, torn);
                disarm(seed + 1, weak);
                require(scenario_boot() == DEVICE_BOOTED);
                if ((n + k) % 3 == 0 &&
                    !copy_with_cut(1 + n * 7 % count, CUT_KIND_HIDDEN, seed, weak)) {
                    disarm(seed + 2, weak);
                    require(scenario_boot() == DEVICE_BOOTED);
                }
                disarm(seed + 3, weak);
                scenario_agent();
                require(device_has(&device, KEDGE_BACKUP, 0, &old_image));
                update();
                kedge_sim_snapshot_free(torn);
            }
    scenario_finish();
}

static void test_cuts_while_copying(void **state)
{
    (void)state;
    cut_everywhere("onto a blank region", false);
    cut_everywhere("onto another image", true);
    print_message("%llu updates\n", (unsigned long long)runs);
}

/* A backup that is ready costs the update no erase of the external chip but the mailbox's, and the
 * revert none; copying it writes nothing to the internal flash, and is done once. */
static void test_no_erase_at_boot(void **state)
{
    (void)state;
    begin("ready", true);
    const uint8_t *internal = kedge_sim_contents(device.sim, KEDGE_INTERNAL);
    static uint8_t before[1 << 16];
    const uint32_t size = kedge_sim_part(device.sim, KEDGE_INTERNAL)->geometry.size;
    assert_true(size <= sizeof(before));
    memcpy(before, internal, size);
    scenario_agent();
    assert_memory_equal(kedge_sim_contents(device.sim, KEDGE_INTERNAL), before, size);
    disarm(1, 0);
    scenario_agent(); /* next power-on: all is there */
    assert_int_equal(kedge_sim_operations(device.sim), 0);
    device_request(&device, false);
    external_erases = 0;
    require(scenario_boot() == DEVICE_BOOTED && device.report.version.major == 2);
    assert_int_equal(external_erases, device.shape.unit);
    require(device_has(&device, KEDGE_BACKUP, 0, &old_image));
    /* never during the trial: it is what the revert needs */
    disarm(1, 0);
    scenario_agent();
    assert_int_equal(kedge_sim_operations(device.sim), 0);
    external_erases = 0;
    require(scenario_boot() == DEVICE_BOOTED && device.report.version.major == 1);
    assert_int_equal(external_erases, 0);
    require(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
    scenario_finish();
}

/* A bit of the backup decays after it was copied: the loader sees it and copies that unit. */
static void test_a_decayed_backup(void **state)
{
    (void)state;
    begin("decayed", false);
    scenario_agent();
    kedge_sim_decay(device.sim, KEDGE_EXTERNAL, device.pair.backup.region.start + 700, 4);
    device_request(&device, false);
    external_erases = 0;
    require(scenario_boot() == DEVICE_BOOTED && device.report.version.major == 2);
    assert_int_equal(external_erases, 2 * device.shape.unit);
    require(device_has(&device, KEDGE_BACKUP, 0, &old_image));
    scenario_finish();
}

/* What a torn program can leave: the right bits, some of them unstable. */
static uint32_t pretend(unsigned unit)
{
    const uint32_t at = device.pair.backup.region.start + unit * device.shape.unit;
    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, at,
                   kedge_bytes(old_image.bytes + unit * device.shape.unit, device.shape.unit));
    kedge_sim_weaken(device.sim, KEDGE_EXTERNAL, at + 40, 3);
    return at;
}

/* A unit that reads right and has no cell may be such a one: it is copied. */
static void test_a_unit_without_its_cell(void **state)
{
    (void)state;
    begin("no cell", false);
    for (uint64_t seed = 1; seed < 20; seed++) {
        kedge_sim_restore(device.sim, scenario_start);
        scenario_agent();
        const uint32_t record = device.pair.backup.region.start +
                                kedge_backup_record(&device.pair.backup, 3) +
                                kedge_backup_cell(&device.pair.backup, 2);
        kedge_sim_poke(device.sim, KEDGE_EXTERNAL, record, kedge_bytes((uint8_t[]){0xFF}, 1));
        const uint32_t at = pretend(2);
        disarm(seed, KEDGE_SIM_WEAK_CONSTANT);
        device_request(&device, false);
        require(scenario_boot() == DEVICE_BOOTED && device.report.version.major == 2);
        assert_int_equal(kedge_sim_unstable(device.sim, KEDGE_EXTERNAL, at, 512), 0);
    }
    scenario_finish();
}

/* Power fails while the loader copies a unit that has its cell and decayed: what the cut left is
 * not taken for the copy, even when it reads so. */
static void test_a_copy_that_was_cut(void **state)
{
    (void)state;
    begin("copy cut", false);
    scenario_agent();
    kedge_sim_decay(device.sim, KEDGE_EXTERNAL, device.pair.backup.region.start + 700, 4);
    device_request(&device, false);
    disarm(1, 0);
    struct kedge_sim_snapshot *ready = kedge_sim_snapshot_make(device.sim);
    require(scenario_boot() == DEVICE_BOOTED);
    const uint32_t count = kedge_sim_operations(device.sim);
    unsigned tried = 0;
    for (uint32_t n = 1; n <= count; n++) {
        kedge_sim_restore(device.sim, ready);
        external_erases = 0;
        kedge_sim_arm(device.sim, &(struct kedge_sim_faults){.cut_at = n});
        require(scenario_boot() == DEVICE_CUT);
        /* behind the erase of unit 1, before the log of its copy */
        if (external_erases != 2 * device.shape.unit || tried == 2)
            continue;
        tried++;
        const uint32_t at = pretend(1);
        struct kedge_sim_snapshot *torn = kedge_sim_snapshot_make(device.sim);
        for (uint64_t seed = 1; seed <= 16; seed++) {
            kedge_sim_restore(device.sim, torn);
            disarm(seed, KEDGE_SIM_WEAK_CONSTANT);
            scenario_settle();
            assert_int_equal(kedge_sim_unstable(device.sim, KEDGE_EXTERNAL, at, 512), 0);
        }
        kedge_sim_snapshot_free(torn);
    }
    assert_int_equal(tried, 2);
    kedge_sim_snapshot_free(ready);
    scenario_finish();
}

/* Power fails while the loader copies that unit: it is copied once more, however it reads. */
static void test_cuts_with_a_decayed_backup(void **state)
{
    (void)state;
    begin("decayed, cut", false);
    scenario_agent();
    kedge_sim_decay(device.sim, KEDGE_EXTERNAL, device.pair.backup.region.start + 700, 4);
    device_request(&device, false);
    disarm(1, 0);
    struct kedge_sim_snapshot *ready = kedge_sim_snapshot_make(device.sim);
    require(scenario_boot() == DEVICE_BOOTED);
    const uint32_t count = kedge_sim_operations(device.sim);
    for (uint32_t n = 1; n < count; n++)
        for (size_t k = 0; k < CUT_KINDS; k++)
            for (uint64_t seed = 1; seed <= 4; seed++) {
                snprintf(where, sizeof(where), "decayed, cut %u of %u, kind %zu, seed %u", n, count,
                         k, (unsigned)seed);
                kedge_sim_restore(device.sim, ready);
                const struct kedge_sim_faults faults = cut_kind_faults(k, n, seed, 0);
                kedge_sim_arm(device.sim, &faults);
                require(scenario_boot() == DEVICE_CUT);
                scenario_settle();
                scenario_check(false);
                runs++;
            }
    kedge_sim_snapshot_free(ready);
    scenario_finish();
    print_message("%llu updates\n", (unsigned long long)runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_while_copying),
        cmocka_unit_test(test_no_erase_at_boot),
        cmocka_unit_test(test_a_decayed_backup),
        cmocka_unit_test(test_a_unit_without_its_cell),
        cmocka_unit_test(test_a_copy_that_was_cut),
        cmocka_unit_test(test_cuts_with_a_decayed_backup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
