/* If this fails, an update that was told to wait happens on a low battery or sooner than asked, or
 * never happens; or a policy that counts boots is lost by a power cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/agent.h"
#include "scenario.h"

static struct kedge_agent agent;
static struct kedge_agent_config config;
static uint8_t scratch[512];

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return 0;
}

static void on_cut(void *ctx)
{
    (void)ctx;
    longjmp(device.power, 1);
}

static void start_agent(void)
{
    config = (struct kedge_agent_config){.layout = &device.layout,
                                         .keys = &device.key,
                                         .key_count = 1,
                                         .defaults = &device.policy,
                                         .boot = &device.report,
                                         .recorder = &device.recorder,
                                         .now_ms = now_ms,
                                         .scratch = kedge_buf(scratch, sizeof(scratch))};
    kedge_agent_start(&agent, &config);
}

/* A device whose request waits in the mailbox; the boot is still to come. */
static void begin(void)
{
    static const struct scenario s = {"hold", &kedge_swap,  2,        0,    2,
                                      2,      ~(uint64_t)0, ASK_TEST, false};
    const struct kedge_sim_hooks hooks = {.cut = on_cut};
    scenario_prepare(&s);
    kedge_sim_hooks(device.sim, &hooks);
    device.report = (struct kedge_boot_report){.boots = 1, .settled = 1};
    strcpy(where, "hold");
}

static int set_hold(const char *value)
{
    start_agent();
    return kedge_agent_policy_set(&agent, kedge_bytes("hold", 4),
                                  kedge_bytes(value, strlen(value)));
}

/* One life: boot, then the agent of what runs. */
static unsigned live(void)
{
    kedge_sim_arm(device.sim, NULL);
    require(scenario_boot() == DEVICE_BOOTED);
    if (device.report.version.major == 1) {
        require(device.report.reason == KEDGE_REASON_HELD);
        require(kedge_sim_operations(device.sim) == 0);
    }
    start_agent();
    return device.report.version.major;
}

/* false: power failed meanwhile. */
static bool agent_starts(void)
{
    if (setjmp(device.power) != 0)
        return false;
    start_agent();
    return true;
}

/* hold on waits until it is off; hold for-N over N boots, and then not one longer. */
static void test_hold_and_release(void **state)
{
    (void)state;
    begin();
    assert_int_equal(set_hold("on"), 0);
    for (unsigned i = 0; i < 20; i++)
        require(live() == 1);
    assert_int_equal(set_hold("off"), 0);
    require(live() == 2);
    scenario_finish();
    for (unsigned boots = 1; boots <= 15; boots += 7) {
        char value[8];
        begin();
        snprintf(value, sizeof(value), "for-%u", boots);
        assert_int_equal(set_hold(value), 0);
        for (unsigned i = 0; i < boots; i++)
            require(live() == 1);
        require(agent.policy.value[KEDGE_POLICY_HOLD] == 0);
        require(live() == 2);
        scenario_finish();
    }
}

/* The boot is counted or not, whatever a cut tears; never is the request set free too soon. */
static void test_cuts_while_counting(void **state)
{
    unsigned counted = 0, repeated = 0;
    (void)state;
    begin();
    assert_int_equal(set_hold("for-3"), 0);
    struct kedge_sim_snapshot *held = kedge_sim_snapshot_make(device.sim);
    kedge_sim_arm(device.sim, NULL);
    start_agent();
    const uint32_t count = kedge_sim_operations(device.sim);
    assert_true(count > 10);
    for (uint32_t n = 1; n <= count; n++)
        for (uint64_t seed = 1; seed <= 30; seed++) {
            snprintf(where, sizeof(where), "cut %u of %u, seed %u", n, count, (unsigned)seed);
            kedge_sim_restore(device.sim, held);
            kedge_sim_arm(device.sim, &(struct kedge_sim_faults){
                                          .seed = seed, .cut_at = n, .cut_kind = seed % 3 == 0});
            require(!agent_starts());
            kedge_sim_arm(device.sim, &(struct kedge_sim_faults){.seed = seed});
            kedge_sim_power_on(device.sim);
            kedge_policy_settle(&device.layout.settings);
            struct kedge_policy policy;
            kedge_policy_load(&device.layout.settings, &device.policy, &policy);
            const uint8_t hold = policy.value[KEDGE_POLICY_HOLD];
            require(hold == 4 || hold == 3);
            counted += hold == 3;
            repeated += hold == 4;
        }
    assert_true(counted > 20 && repeated > 20);
    kedge_sim_snapshot_free(held);
    scenario_finish();
}

static bool battery_is_low;

static bool ask_board(void *ctx)
{
    (void)ctx;
    return battery_is_low;
}

/* The board says no: the request waits, nothing is written; it says yes, and the update happens. A
 * revert does not ask: an image that nobody confirmed must not stay. */
static void test_the_board_decides(void **state)
{
    (void)state;
    begin();
    device.hooks.hold = ask_board;
    battery_is_low = true;
    for (unsigned i = 0; i < 3; i++)
        require(live() == 1);
    battery_is_low = false;
    require(live() == 2);
    battery_is_low = true;
    require(scenario_boot() == DEVICE_BOOTED);
    require(device.report.reason == KEDGE_REASON_REVERTED);
    scenario_finish();
}

/* What the build locks can not be set, and is not counted away. */
static void test_a_locked_hold(void **state)
{
    (void)state;
    begin();
    device.policy.value[KEDGE_POLICY_HOLD] = 3;
    device.policy.locked = 1u << KEDGE_POLICY_HOLD;
    assert_int_equal(set_hold("off"), KEDGE_AGENT_DENIED);
    for (unsigned i = 0; i < 5; i++)
        require(live() == 1);
    scenario_finish();
}

/* after_confirm keep: what was asked for during the trial happens once it is confirmed; trailer: it
 * does not (the sweep of cuts has that one). */
static void test_keep_keeps_a_request(void **state)
{
    (void)state;
    begin();
    require(live() == 2);
    device_confirm(&device);
    device_request(&device, false);
    require(scenario_boot() == DEVICE_BOOTED);
    require(device.report.version.major == 1 && device.report.reason == KEDGE_REASON_TESTING);
    scenario_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold_and_release),     cmocka_unit_test(test_cuts_while_counting),
        cmocka_unit_test(test_the_board_decides),    cmocka_unit_test(test_a_locked_hold),
        cmocka_unit_test(test_keep_keeps_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
