/* If this fails, a power cut inside some flash operation of an update, a revert or a recovery loses
 * an image, boots the wrong one, or leaves a device that does not come up. The real loader on the
 * strict simulator: every operation of a scenario x every kind of cut; for the short ones every
 * operation of the recovery x every kind again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cut_kinds.h"
#include "scenario.h"

static uint64_t runs;

static void arm(uint32_t at, size_t kind, uint64_t seed, uint8_t weak)
{
    const struct kedge_sim_faults faults = cut_kind_faults(kind, at, seed, weak);
    kedge_sim_arm(device.sim, &faults);
}

/* No more cuts; the weak bits stay as they are. */
static void disarm(uint64_t seed, uint8_t weak)
{
    const struct kedge_sim_faults faults = {.seed = seed, .weak = weak};
    kedge_sim_arm(device.sim, &faults);
}

/* From `from`, cut operation n by kind k; then settle. */
static void cut_and_settle(const struct kedge_sim_snapshot *from, uint32_t n, size_t k,
                           uint64_t seed, uint8_t weak)
{
    kedge_sim_restore(device.sim, from);
    arm(n, k, seed, weak);
    if (scenario_boot() == DEVICE_CUT)
        scenario_settle();
}

/* Was operation n the last one before the jump? (How long a recovery is depends on weak bits.) */
static bool was_last(const struct kedge_sim_snapshot *from, uint32_t n, uint64_t seed, uint8_t weak)
{
    kedge_sim_restore(device.sim, from);
    disarm(seed, weak);
    require(scenario_boot() == DEVICE_BOOTED);
    return kedge_sim_operations(device.sim) == n;
}

/* One kind of second cut each, in turn; all of them with KEDGE_EXHAUSTIVE set (hours). */
static bool is_due(uint32_t first, uint32_t n, size_t k, uint64_t seed)
{
    static int all = -1;
    if (all < 0)
        all = getenv("KEDGE_EXHAUSTIVE") != NULL;
    return all != 0 || (first * 3 + n + k + seed) % CUT_KINDS == 0;
}

static void recover_with_cuts(uint32_t first, bool used_up, uint64_t seed, uint8_t weak)
{
    struct kedge_sim_snapshot *torn = kedge_sim_snapshot_make(device.sim);
    disarm(seed, weak);
    scenario_settle();
    const uint32_t count = kedge_sim_operations(device.sim);
    for (uint32_t n = 1; n <= count; n++)
        for (size_t k = 0; k < CUT_KINDS; k++) {
            if (!is_due(first, n, k, seed))
                continue;
            snprintf(where, sizeof(where), "cut %u, then %u of %u, kind %zu, seed %u, weak %u",
                     first, n, count, k, (unsigned)seed, weak);
            cut_and_settle(torn, n, k, seed + n, weak);
            if (!used_up && device.report.version.major == 1 && was_last(torn, n, seed + n, weak)) {
                cut_and_settle(torn, n, k, seed + n, weak);
                scenario_check(true);
            } else {
                scenario_check(used_up);
            }
            runs++;
        }
    kedge_sim_snapshot_free(torn);
}

static uint32_t count_operations(void)
{
    strcpy(where, "no cut");
    kedge_sim_arm(device.sim, NULL);
    require(scenario_boot() == DEVICE_BOOTED);
    const uint32_t count = kedge_sim_operations(device.sim);
    scenario_check(false);
    return count;
}

static void run_scenario(const struct scenario *s, bool twice)
{
    scenario_prepare(s);
    const uint64_t before = runs;
    const uint32_t count = count_operations();
    for (uint8_t weak = 0; weak < 2; weak++)
        for (uint32_t n = 1; n <= count; n++)
            for (size_t k = 0; k < CUT_KINDS; k++) {
                const uint64_t seed = n * CUT_KINDS + k;
                kedge_sim_restore(device.sim, scenario_start);
                arm(n, k, seed, weak);
                snprintf(where, sizeof(where), "cut %u of %u, kind %zu, weak %u", n, count, k,
                         weak);
                require(scenario_boot() == DEVICE_CUT);
                if (twice) {
                    recover_with_cuts(n, n == count, seed, weak);
                    continue;
                }
                scenario_settle();
                runs++;
                scenario_check(n == count);
            }
    print_message("%-30s %4u operations %8llu runs\n", s->name, count,
                  (unsigned long long)(runs - before));
    scenario_finish();
}

static void test_one_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < scenario_count; i++)
        run_scenario(&scenarios[i], false);
    print_message("%llu runs, %llu boots\n", (unsigned long long)runs,
                  (unsigned long long)scenario_boots);
}

static void test_a_cut_in_every_recovery(void **state)
{
    (void)state;
    for (size_t i = 0; i < scenario_count; i++)
        if (scenarios[i].twice)
            run_scenario(&scenarios[i], true);
    print_message("%llu runs, %llu boots\n", (unsigned long long)runs,
                  (unsigned long long)scenario_boots);
}

/* A word torn twice, reading untouched each time, must not be written a third time: nWRITE is 2. */
static void test_hidden_after_hidden(void **state)
{
    (void)state;
    for (size_t i = 0; i < scenario_count; i++) {
        if (scenarios[i].event != REVERT || !scenarios[i].twice)
            continue;
        scenario_prepare(&scenarios[i]);
        const uint32_t count = count_operations();
        for (uint32_t n = count - 6; n < count; n++)
            for (uint64_t seed = 1; seed <= 40; seed++) {
                kedge_sim_restore(device.sim, scenario_start);
                arm(n, CUT_KIND_HIDDEN, seed, KEDGE_SIM_WEAK_CONSTANT);
                require(scenario_boot() == DEVICE_CUT);
                struct kedge_sim_snapshot *torn = kedge_sim_snapshot_make(device.sim);
                for (uint32_t m = 1; m <= count; m++) {
                    snprintf(where, sizeof(where), "hidden %u, then hidden %u, seed %u", n, m,
                             (unsigned)seed);
                    cut_and_settle(torn, m, CUT_KIND_HIDDEN, seed, KEDGE_SIM_WEAK_CONSTANT);
                    runs++;
                    scenario_check(true);
                }
                kedge_sim_snapshot_free(torn);
            }
        scenario_finish();
    }
    print_message("%llu runs\n", (unsigned long long)runs);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_cut_anywhere),
        cmocka_unit_test(test_a_cut_in_every_recovery),
        cmocka_unit_test(test_hidden_after_hidden),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    device_signature_memo = getenv("KEDGE_NO_MEMO") == NULL; /* compute every signature anew */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
