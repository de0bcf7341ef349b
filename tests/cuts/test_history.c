/* If this fails, a device cannot say afterwards what happened to it: an update that was cut,
 * refused or waits for a dead chip leaves no record, a wrong one, or one at each boot. What it says
 * is compared with the simulator's own log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scenario.h"

/* What the simulator saw in the last power-on. */
static uint32_t erases[KEDGE_DEVICES], bytes[KEDGE_DEVICES];

static void on_trace(void *ctx, const struct kedge_sim_event *event)
{
    (void)ctx;
    if (event->operation == KEDGE_OP_ERASE)
        erases[event->device] +=
            event->size / kedge_sim_part(device.sim, event->device)->geometry.erase_size;
    else
        bytes[event->device] += event->size;
}

static void on_cut(void *ctx)
{
    (void)ctx;
    longjmp(device.power, 1);
}

static const struct scenario *named(const char *name)
{
    for (size_t i = 0; i < scenario_count; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    fail_msg("no scenario %s", name);
    return NULL;
}

static void begin(const struct scenario *s)
{
    const struct kedge_sim_hooks hooks = {.cut = on_cut, .trace = on_trace};
    scenario_effort = true;
    scenario_prepare(s);
    kedge_sim_hooks(device.sim, &hooks);
    strcpy(where, "history");
}

static enum device_outcome power_on(const struct kedge_sim_faults *faults)
{
    memset(erases, 0, sizeof(erases));
    memset(bytes, 0, sizeof(bytes));
    if (faults != NULL)
        kedge_sim_arm(device.sim, faults);
    return scenario_boot();
}

/* The newest record; false: none. */
static bool newest(struct kedge_history *record)
{
    struct kedge_history next;
    unsigned i = 0;
    for (; device_history(&device, i, &next); i++)
        *record = next;
    return i > 0;
}

static void tells_the_log(const struct kedge_history *h)
{
    require(h->effort[KEDGE_EFFORT_ERASES_INTERNAL] == erases[KEDGE_INTERNAL]);
    require(h->effort[KEDGE_EFFORT_ERASES_EXTERNAL] == erases[KEDGE_EXTERNAL]);
    require(h->effort[KEDGE_EFFORT_PAGES_EXTERNAL] == (bytes[KEDGE_EXTERNAL] + 255) / 256);
    /* the words of the effort itself and the SEAL come after it */
    const uint32_t itself = (KEDGE_EFFORTS + 1) * 8;
    require(h->effort[KEDGE_EFFORT_PAGES_INTERNAL] <= (bytes[KEDGE_INTERNAL] + 255) / 256);
    require(h->effort[KEDGE_EFFORT_PAGES_INTERNAL] >= (bytes[KEDGE_INTERNAL] - itself) / 256);
}

/* A clean device tries nothing twice, and its record has exactly the log's erases and programs. */
static void test_a_clean_update_and_revert(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * scenario_count; i++) {
        const struct scenario *s = &scenarios[i / 2];
        scenario_driver = i % 2 != 0;
        if (s->event != ASK_TEST && s->event != ASK_PERMANENT && s->event != REVERT)
            continue;
        struct kedge_history h = {0};
        begin(s);
        require(power_on(NULL) == DEVICE_BOOTED);
        require(newest(&h));
        require(h.reason == device.report.reason && h.resumed == 0);
        require(h.effort[KEDGE_EFFORT_RETRIES] == 0 && device.report.retries == 0);
        require(h.effort[KEDGE_EFFORT_REPAIRED] == 0);
        require(h.to.major == device.report.version.major);
        tells_the_log(&h);
        scenario_finish();
    }
    scenario_driver = false;
}

/* Each cut is counted, and the work of the power-on that came to its end is the log's. */
static void test_cuts_are_counted(void **state)
{
    struct kedge_history h = {0};
    (void)state;
    begin(named("swap down, two spares"));
    for (uint32_t cuts = 1; cuts <= 3; cuts++) {
        kedge_sim_restore(device.sim, scenario_start);
        for (uint32_t i = 0; i < cuts; i++)
            require(power_on(&(struct kedge_sim_faults){.seed = i, .cut_at = 40}) == DEVICE_CUT);
        require(power_on(&(struct kedge_sim_faults){.seed = 9}) == DEVICE_BOOTED);
        require(device.report.resumed == 1);
        require(newest(&h) && h.reason == KEDGE_REASON_TESTING);
        require(h.resumed == cuts);
        tells_the_log(&h);
    }
    scenario_finish();
}

/* What the bus made the loader do again is in the record. */
static void test_retries_are_counted(void **state)
{
    struct kedge_history h = {0};
    (void)state;
    begin(named("swap down, serial"));
    uint32_t retried = 0;
    for (uint32_t n = 1; n <= 150; n++) {
        kedge_sim_restore(device.sim, scenario_start);
        require(power_on(&(struct kedge_sim_faults){.seed = 3, .write_flip_at = n}) ==
                DEVICE_BOOTED);
        require(newest(&h) && h.effort[KEDGE_EFFORT_RETRIES] == device.report.retries);
        retried += device.report.retries;
    }
    assert_true(retried > 5);
    scenario_finish();
}

/* A refusal is recorded with its reason and its image, once however often it recurs. */
static void test_a_refusal_is_recorded_once(void **state)
{
    struct kedge_history h = {0}, before = {0};
    (void)state;
    begin(named("broken candidate"));
    (void)newest(&before);
    for (unsigned i = 0; i < 3; i++) {
        require(power_on(NULL) == DEVICE_BOOTED);
        require(device.report.reason == KEDGE_REASON_REFUSED);
        require(newest(&h) && h.number == before.number + 1);
        require(h.reason == KEDGE_REASON_REFUSED && h.verdict == KEDGE_IMAGE_BAD_HASH);
        require(h.from.major == 1 && h.to.major == 2);
        require((erases[KEDGE_INTERNAL] != 0) == (i == 0)); /* again: nothing to write down */
        scenario_quiet(1);
        device_request(&device, false);
    }
    /* another image is another refusal */
    const struct device_image_spec spec = {.size = 900, .major = 7};
    device_image_make(&device, &new_image, &spec);
    new_image.bytes[200] ^= 1;
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    require(power_on(NULL) == DEVICE_BOOTED);
    require(newest(&h) && h.number == before.number + 2 && h.to.major == 7);
    scenario_quiet(1);
    scenario_finish();
}

static bool has_refusal(void)
{
    struct kedge_history h;
    for (unsigned i = 0; device_history(&device, i, &h); i++)
        if (h.reason == KEDGE_REASON_REFUSED && h.verdict == KEDGE_IMAGE_BAD_HASH)
            return true;
    return false;
}

/* A cut anywhere in a refusing boot does not lose its record. (In the erase of the mailbox it
 * leaves what the next boot clears as a torn request, a record of its own.) */
static void test_a_refusal_survives_cuts(void **state)
{
    (void)state;
    begin(named("broken candidate"));
    kedge_sim_arm(device.sim, NULL);
    require(power_on(NULL) == DEVICE_BOOTED);
    const uint32_t count = kedge_sim_operations(device.sim);
    for (uint32_t n = 1; n <= count; n++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            snprintf(where, sizeof(where), "cut %u of %u, seed %u", n, count, (unsigned)seed);
            kedge_sim_restore(device.sim, scenario_start);
            require(power_on(&(struct kedge_sim_faults){.seed = seed, .cut_at = n}) == DEVICE_CUT);
            scenario_settle();
            require(has_refusal());
        }
    scenario_finish();
}

/* A torn request that was cleared is in the history too. */
static void test_a_torn_request_is_recorded(void **state)
{
    struct kedge_history h = {0};
    (void)state;
    begin(named("torn request"));
    require(power_on(NULL) == DEVICE_BOOTED);
    require(newest(&h) && h.reason == KEDGE_REASON_TORN_REQUEST);
    scenario_quiet(1);
    scenario_finish();
}

/* The chip dies after any operation of an update or revert: where a whole primary is left, the
 * device boots it and says DEGRADED, once; and when the chip is back it goes on. */
static void test_a_dead_chip_is_recorded(void **state)
{
    static const char *const names[] = {"swap down, two spares", "in place", "backup", "revert",
                                        "backup, revert"};
    uint32_t degraded = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct kedge_history h = {0}, again = {0};
        begin(named(names[i]));
        kedge_sim_arm(device.sim, NULL);
        require(power_on(NULL) == DEVICE_BOOTED);
        const uint32_t count = kedge_sim_operations(device.sim);
        for (uint32_t n = 0; n < count; n++) {
            snprintf(where, sizeof(where), "dead after %u of %u", n, count);
            kedge_sim_restore(device.sim, scenario_start);
            if (power_on(&(struct kedge_sim_faults){
                    .seed = n, .dead_from = n, .external_dead = n == 0}) != DEVICE_BOOTED)
                continue;
            if (device.report.reason != KEDGE_REASON_DEGRADED &&
                device.report.reason != KEDGE_REASON_REVERT_WAITS)
                continue;
            degraded++;
            require(newest(&h) && h.reason == device.report.reason);
            /* still dead: nothing new to say, nothing to write */
            require(power_on(NULL) == DEVICE_BOOTED);
            require(newest(&again) && again.number == h.number);
            require(erases[KEDGE_INTERNAL] == 0);
            kedge_sim_arm(device.sim, NULL);
            require(scenario_boot() == DEVICE_BOOTED);
            scenario_check(true);
        }
        scenario_finish();
    }
    print_message("%u boots were degraded\n", degraded);
    assert_true(degraded > 20);
}

/* Confirming is recorded when it is latched; the quiet boots behind it write nothing. */
static void test_a_confirmation_is_recorded(void **state)
{
    struct kedge_history h = {0};
    (void)state;
    begin(named("confirm"));
    require(power_on(NULL) == DEVICE_BOOTED);
    require(newest(&h) && h.reason == KEDGE_REASON_CONFIRMED && h.to.major == 2);
    tells_the_log(&h);
    scenario_quiet(2);
    scenario_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_clean_update_and_revert),
        cmocka_unit_test(test_cuts_are_counted),
        cmocka_unit_test(test_retries_are_counted),
        cmocka_unit_test(test_a_refusal_is_recorded_once),
        cmocka_unit_test(test_a_refusal_survives_cuts),
        cmocka_unit_test(test_a_torn_request_is_recorded),
        cmocka_unit_test(test_a_dead_chip_is_recorded),
        cmocka_unit_test(test_a_confirmation_is_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
