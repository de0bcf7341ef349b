/* If this fails, one disturbed transfer, one refused or ignored command, one decayed bit or a chip
 * that is dead for a while makes a device lose an image, refuse a good one, or not boot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scenario.h"

static uint64_t runs;

static void restart(const struct kedge_sim_faults *faults)
{
    kedge_sim_restore(device.sim, scenario_start);
    kedge_sim_arm(device.sim, faults);
    runs++;
}

/* Operations and external reads of the undisturbed boot. */
static void measure(uint32_t *operations, uint32_t *reads)
{
    strcpy(where, "no fault");
    restart(NULL);
    require(scenario_boot() == DEVICE_BOOTED);
    *operations = kedge_sim_operations(device.sim);
    *reads = kedge_sim_reads(device.sim);
}

/* One wrong thing on the bus is absorbed: the same boot ends as if nothing had been. */
static void absorb(const char *what, uint32_t n, const struct kedge_sim_faults *faults)
{
    snprintf(where, sizeof(where), "%s %u", what, n);
    restart(faults);
    require(scenario_boot() == DEVICE_BOOTED);
    scenario_check(false);
}

static void disturb(const struct scenario *s)
{
    uint32_t operations, reads;
    scenario_prepare(s);
    measure(&operations, &reads);
    for (uint32_t n = 1; n <= reads; n++) {
        absorb("read flipped", n, &(struct kedge_sim_faults){.seed = n, .read_flip_at = n});
        absorb("read failed", n, &(struct kedge_sim_faults){.seed = n, .read_fail_at = n});
    }
    for (uint32_t n = 1; n <= operations; n++) {
        absorb("write flipped", n, &(struct kedge_sim_faults){.seed = n, .write_flip_at = n});
        absorb("operation failed", n, &(struct kedge_sim_faults){.seed = n, .op_fail_at = n});
        absorb("operation ignored", n, &(struct kedge_sim_faults){.seed = n, .op_ignore_at = n});
    }
    scenario_finish();
}

static void test_one_disturbance_is_absorbed(void **state)
{
    (void)state;
    for (size_t i = 0; i < scenario_count; i++)
        disturb(&scenarios[i]);
    print_message("%llu runs\n", (unsigned long long)runs);
}

static bool whole_primary(void)
{
    return device_has(&device, KEDGE_PRIMARY, 0, &old_image) ||
           device_has(&device, KEDGE_PRIMARY, 0, &new_image);
}

/* The chip dies after operation n of a boot and is back at the next power-on. */
static void test_dead_for_one_boot(void **state)
{
    uint32_t operations, reads;
    (void)state;
    for (size_t i = 0; i < scenario_count; i++) {
        if (scenarios[i].event == WIPE || scenarios[i].event == CONFIRM_TRAILER)
            continue; /* what a dead chip cannot erase stays: a nuisance, not a danger */
        scenario_prepare(&scenarios[i]);
        measure(&operations, &reads);
        for (uint32_t n = 0; n < operations; n++) {
            snprintf(where, sizeof(where), "dead after %u of %u", n, operations);
            restart(&(struct kedge_sim_faults){
                .seed = n, .dead_from = n, .external_dead = n == 0, .dead_lives = 1});
            const enum device_outcome outcome = scenario_boot();
            require(outcome == DEVICE_BOOTED || !whole_primary());
            kedge_sim_faults(device.sim)->external_dead = false;
            /* a reply after the last external operation ends the boot as ever */
            if (outcome != DEVICE_BOOTED || device.report.external_alive == 0)
                require(scenario_boot() == DEVICE_BOOTED);
            scenario_check(true);
        }
        scenario_finish();
    }
    print_message("%llu runs\n", (unsigned long long)runs);
}

static void test_dead_for_ever(void **state)
{
    uint32_t operations, reads;
    (void)state;
    for (size_t i = 0; i < scenario_count; i++) {
        scenario_prepare(&scenarios[i]);
        measure(&operations, &reads);
        for (uint32_t n = 0; n < operations; n++)
            for (unsigned zero = 0; zero < 2; zero++) {
                snprintf(where, sizeof(where), "dead for ever after %u of %u", n, operations);
                restart(&(struct kedge_sim_faults){
                    .seed = n, .dead_from = n, .external_dead = n == 0, .dead_zero = zero});
                for (unsigned life = 0; life < 4; life++)
                    require((scenario_boot() == DEVICE_BOOTED) == whole_primary());
                require(kedge_sim_violations(device.sim) == 0);
            }
        scenario_finish();
    }
    print_message("%llu runs\n", (unsigned long long)runs);
}

/* A bit of the secondary decays between two power-ons of a program that was cut. */
static void test_one_decayed_bit(void **state)
{
    uint32_t operations, reads;
    (void)state;
    for (size_t i = 0; i < scenario_count; i++) {
        scenario_prepare(&scenarios[i]);
        measure(&operations, &reads);
        const uint32_t size = (device.shape.sectors + device.shape.spares) * device.shape.unit;
        for (uint32_t n = 1; n < operations; n++)
            for (uint32_t seed = 0; seed < 12; seed++) {
                const uint32_t at = (n * 2654435761u + seed * 40503u) % size;
                snprintf(where, sizeof(where), "cut after %u of %u, bit at %u decays", n,
                         operations, at);
                restart(&(struct kedge_sim_faults){
                    .seed = seed, .cut_at = n, .cut_kind = KEDGE_SIM_CUT_AFTER});
                require(scenario_boot() == DEVICE_CUT);
                kedge_sim_decay(device.sim, KEDGE_EXTERNAL, at, (uint8_t)(1u << seed % 8));
                const bool found =
                    device_has(&device, KEDGE_SECONDARY, scenarios[i].base, &new_image);
                const bool lost = scenarios[i].event == LOST_PRIMARY && !found;
                require(scenario_boot() == DEVICE_BOOTED || lost);
                require(whole_primary() || lost);
                require(kedge_sim_violations(device.sim) == 0);
            }
        scenario_finish();
    }
    print_message("%llu runs\n", (unsigned long long)runs);
}

static const struct scenario *named(const char *name)
{
    for (size_t i = 0; i < scenario_count; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    fail_msg("no scenario %s", name);
    return NULL;
}

/* With the chip dead at the very end of an update the application must still be able to confirm. */
static void test_confirmed_while_degraded(void **state)
{
    uint32_t operations, reads, confirmed = 0;
    (void)state;
    scenario_prepare(named("in place"));
    measure(&operations, &reads);
    for (uint32_t n = 0; n < operations; n++) {
        snprintf(where, sizeof(where), "dead after %u of %u, confirmed", n, operations);
        restart(
            &(struct kedge_sim_faults){.dead_from = n, .external_dead = n == 0, .dead_lives = 1});
        const enum device_outcome outcome = scenario_boot();
        if (outcome != DEVICE_BOOTED || device.report.version.major != 2 ||
            device.report.reason != KEDGE_REASON_DEGRADED)
            continue;
        device_confirm(&device);
        confirmed++;
        for (unsigned life = 0; life < 3; life++) {
            require(scenario_boot() == DEVICE_BOOTED);
            require(device.report.version.major == 2);
        }
        require(kedge_sim_violations(device.sim) == 0);
    }
    assert_true(confirmed > 0);
    scenario_finish();
}

/* The application uploads over the old image during its own trial: the revert is given up, and the
 * upload is not touched. */
static void test_old_image_gone(void **state)
{
    (void)state;
    for (size_t i = 0; i < scenario_count; i++) {
        if (scenarios[i].event != REVERT || scenarios[i].strategy != &kedge_swap)
            continue;
        scenario_prepare(&scenarios[i]);
        strcpy(where, "old image gone");
        const uint32_t size = device.pair.secondary.region.size;
        static uint8_t upload[16 * 512];
        assert_true(size <= sizeof(upload));
        memset(upload, 0x3C, sizeof(upload));
        memset(upload + device.pair.secondary.gap * 512u, 0xFF, 512);
        kedge_sim_poke(device.sim, KEDGE_EXTERNAL, 0, kedge_bytes(upload, size));
        require(scenario_boot() == DEVICE_BOOTED);
        require(device.report.version.major == 2);
        require(device.report.reason == KEDGE_REASON_CANNOT_REVERT);
        require(memcmp(kedge_sim_contents(device.sim, KEDGE_EXTERNAL), upload, size) == 0);
        scenario_quiet(2);
        scenario_finish();
    }
}

/* The running image has decayed in the internal flash, and an update is asked for: the good
 * candidate boots, and goes on booting when nobody confirms it, for there is no good image to go
 * back to. */
static void test_update_of_a_decayed_image(void **state)
{
    (void)state;
    for (size_t i = 0; i < scenario_count; i++) {
        if (scenarios[i].event != ASK_TEST || scenarios[i].strategy != &kedge_swap)
            continue;
        scenario_prepare(&scenarios[i]);
        strcpy(where, "old image decayed");
        const uint32_t at = device.pair.primary.region.start + 100;
        uint8_t byte = kedge_sim_contents(device.sim, KEDGE_INTERNAL)[at] ^ 1;
        kedge_sim_poke(device.sim, KEDGE_INTERNAL, at, kedge_bytes(&byte, 1));
        for (unsigned life = 0; life < 4; life++) {
            require(scenario_boot() == DEVICE_BOOTED);
            require(device.report.version.major == 2);
            require(kedge_sim_violations(device.sim) == 0);
        }
        require(device.report.settled);
        scenario_finish();
    }
}

/* A chip that refuses every erase cannot be cleared of a torn or broken request; a good primary
 * boots all the same, each time. */
static void test_a_request_that_cannot_be_cleared(void **state)
{
    static const char *const names[] = {"torn request", "broken candidate", "one unit"};
    (void)state;
    scenario_driver = true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        scenario_prepare(named(names[i]));
        strcpy(where, "erases refused");
        kedge_sim_protect(device.sim, 0x3C);
        for (unsigned life = 0; life < 3; life++) {
            require(scenario_boot() == DEVICE_BOOTED);
            require(device.report.version.major == 1);
            require(!device_mailbox_blank(&device));
        }
        scenario_finish();
    }
    scenario_driver = false;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_disturbance_is_absorbed),
        cmocka_unit_test(test_dead_for_one_boot),
        cmocka_unit_test(test_dead_for_ever),
        cmocka_unit_test(test_one_decayed_bit),
        cmocka_unit_test(test_confirmed_while_degraded),
        cmocka_unit_test(test_old_image_gone),
        cmocka_unit_test(test_update_of_a_decayed_image),
        cmocka_unit_test(test_a_request_that_cannot_be_cleared),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
