/* If this fails, a power cut in an encrypted update, revert or recovery loses an image, or leaves
 * plain firmware or its key on a chip that anybody can read with a clip. Every operation of the
 * encrypted scenarios x before, torn, after; what every operation wrote, and the whole chip in the
 * end, is searched for both payloads and both content keys. KEDGE_EXHAUSTIVE=N: every N-th
 * operation of every recovery as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scenario.h"

static const struct kind {
    uint8_t kind, program, erase;
} kinds[] = {
    {KEDGE_SIM_CUT_BEFORE, 0, 0},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_UNSTABLE, KEDGE_SIM_ERASE_MIX},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SUBSET, KEDGE_SIM_ERASE_OLD},
    {KEDGE_SIM_CUT_AFTER, 0, 0},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static unsigned runs, every; /* N of KEDGE_EXHAUSTIVE; 0: no second cut */

static void arm(uint32_t n, size_t k)
{
    const struct kedge_sim_faults faults = {.seed = n * KINDS + k,
                                            .cut_at = n,
                                            .cut_kind = kinds[k].kind,
                                            .torn_program = kinds[k].program,
                                            .torn_erase = kinds[k].erase,
                                            .weak = (uint8_t)(n & 1)};
    kedge_sim_arm(device.sim, &faults);
}

/* The recovery cut as well, at every operation; a cut at its last one may use up the trial. */
static void recover_with_cuts(uint32_t first, bool used_up)
{
    struct kedge_sim_snapshot *torn = kedge_sim_snapshot_make(device.sim);
    kedge_sim_arm(device.sim, NULL);
    scenario_settle();
    const uint32_t count = kedge_sim_operations(device.sim);
    for (uint32_t n = 1; n <= count; n++)
        for (size_t k = 0; k < KINDS; k++) {
            if ((first * 7 + n * KINDS + k) % every != 0)
                continue;
            kedge_sim_restore(device.sim, torn);
            arm(n, k);
            snprintf(where, sizeof(where), "cut %u, then %u of %u, kind %zu", first, n, count, k);
            if (scenario_boot() == DEVICE_CUT)
                scenario_settle();
            /* how long a recovery is depends on weak bits: near its end it may have been the last
             */
            scenario_check(used_up || n + 2 >= count);
            runs++;
        }
    kedge_sim_snapshot_free(torn);
}

static void run_scenario(const struct scenario *s)
{
    scenario_prepare(s);
    strcpy(where, "no cut");
    kedge_sim_arm(device.sim, NULL);
    require(scenario_boot() == DEVICE_BOOTED);
    const uint32_t count = kedge_sim_operations(device.sim);
    scenario_check(false);
    for (uint32_t n = 1; n <= count; n++)
        for (size_t k = 0; k < KINDS; k++) {
            kedge_sim_restore(device.sim, scenario_start);
            arm(n, k);
            snprintf(where, sizeof(where), "cut %u of %u, kind %zu", n, count, k);
            require(scenario_boot() == DEVICE_CUT);
            if (every != 0) {
                recover_with_cuts(n, n == count);
                continue;
            }
            scenario_settle();
            scenario_check(n == count);
            runs++;
        }
    scenario_finish();
}

static void sweep(enum scenario_secrecy secrecy)
{
    scenario_secrecy = secrecy;
    for (size_t i = 0; i < scenario_count; i++)
        if (scenarios[i].event != TORN_REQUEST && scenarios[i].event != SECOND_TRIAL &&
            scenarios[i].event != ASK_PREPARED) /* nothing is prepared in secret */
            run_scenario(&scenarios[i]);
    print_message("%u runs, %llu boots\n", runs, (unsigned long long)scenario_boots);
}

static void both_images_encrypted(void **state)
{
    (void)state;
    sweep(SCENARIO_ENCRYPTED);
}

static void a_factory_image_without_a_key(void **state)
{
    (void)state;
    sweep(SCENARIO_FACTORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_images_encrypted),
        cmocka_unit_test(a_factory_image_without_a_key),
    };
    if (getenv("KEDGE_EXHAUSTIVE") != NULL)
        every = (unsigned)strtoul(getenv("KEDGE_EXHAUSTIVE"), NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
