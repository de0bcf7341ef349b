/* If this fails, a product's update takes longer, or its watchdog waits longer, than the budget of
 * its layout says: a device resets in the middle of each try, or runs its battery flat. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"
#include "kedge/budget.h"

static struct device device;
static struct device_image old_image, new_image;
static uint64_t last_feed, longest;
static uint32_t erases[KEDGE_DEVICES], per_sector[4096];

static void feed(void *ctx)
{
    (void)ctx;
    const uint64_t now = kedge_sim_now_us(device.sim);
    if (now - last_feed > longest)
        longest = now - last_feed;
    last_feed = now;
}

static void on_trace(void *ctx, const struct kedge_sim_event *event)
{
    (void)ctx;
    const uint32_t sector = device.flash[event->device].geometry.erase_size;
    if (event->operation != KEDGE_OP_ERASE)
        return;
    erases[event->device] += event->size / sector;
    for (uint32_t at = event->at; at < event->at + event->size; at += sector)
        per_sector[event->device * 2048u + at / sector]++;
}

static double boot(unsigned major)
{
    const uint64_t start = kedge_sim_now_us(device.sim);
    last_feed = start;
    longest = 0;
    memset(erases, 0, sizeof(erases));
    memset(per_sector, 0, sizeof(per_sector));
    assert_int_equal(device_boot(&device), DEVICE_BOOTED);
    feed(NULL);
    assert_int_equal(device.report.version.major, major);
    return (double)(kedge_sim_now_us(device.sim) - start) / 1000.0;
}

static void holds(const struct kedge_budget *budget, double ms, const char *what)
{
    uint32_t most = 0;
    for (size_t i = 0; i < sizeof(per_sector) / sizeof(per_sector[0]); i++)
        most = per_sector[i] > most ? per_sector[i] : most;
    print_message(
        "%-26s %8.0f ms of %6u, feed %6.0f ms of %5u, erases %u+%u of %u+%u, one %u of %u\n", what,
        ms, budget->update_ms, (double)longest / 1000.0, budget->feed_ms, erases[0], erases[1],
        budget->erases_internal, budget->erases_external, most, budget->erases_sector);
    assert_true(ms <= budget->update_ms);
    assert_true((double)longest / 1000.0 <= budget->feed_ms);
    assert_true(erases[KEDGE_INTERNAL] <= budget->erases_internal);
    assert_true(erases[KEDGE_EXTERNAL] <= budget->erases_external);
    assert_true(most <= budget->erases_sector);
}

/* The largest image, every unit different, on real parts, typical and slowest. */
static void check(const struct kedge_strategy *strategy, uint32_t spares, uint64_t differs,
                  bool slow, const char *what)
{
    const struct device_shape shape = {.unit = 4096,
                                       .sectors = 33,
                                       .spares = spares,
                                       .backup = strategy == &kedge_backup,
                                       .driver = true,
                                       .timed = true,
                                       .slow = slow,
                                       .strategy = strategy,
                                       .internal = &kedge_sim_nrf52840,
                                       .external = &kedge_sim_mx25r64};
    const struct kedge_sim_hooks hooks = {.trace = on_trace};
    struct kedge_part_times times[KEDGE_DEVICES];
    struct kedge_budget budget;
    device_open(&device, &shape);
    kedge_sim_hooks(device.sim, &hooks);
    device.hooks.feed = feed;
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        const struct kedge_sim_part *part = kedge_sim_part(device.sim, d);
        times[d] = slow ? kedge_sim_times_max(part) : kedge_sim_times(part);
    }
    kedge_budget_of(&device.layout, strategy, times, &budget);
    assert_int_equal(budget.max_image, 32 * 4096);
    const struct device_image_spec old_spec = {
        .size = budget.max_image, .major = 1, .differs = differs};
    const struct device_image_spec new_spec = {
        .size = budget.max_image, .major = 2, .differs = differs};
    device_image_make(&device, &old_image, &old_spec);
    device_image_make(&device, &new_image, &new_spec);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    (void)boot(1);
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, false);
    const double ms = boot(2);
    holds(&budget, ms, what);
    if (differs == ~(uint64_t)0) /* and not much too long: a budget that nobody can use */
        assert_true(ms * 1.25 > budget.update_ms);
    if (strategy != &kedge_overwrite)
        holds(&budget, boot(1), "   its revert");
    device_close(&device);
}

static void test_budget_holds(void **state)
{
    (void)state;
    for (unsigned slow = 0; slow < 2; slow++) {
        check(&kedge_swap, 2, ~(uint64_t)0, slow, "swap, two spares");
        check(&kedge_swap, 1, ~(uint64_t)0, slow, "swap, one spare");
        check(&kedge_swap_serial, 2, ~(uint64_t)0, slow, "swap, serial");
        check(&kedge_swap, 2, 0x00005554u, slow, "swap, half differs");
        check(&kedge_overwrite, 2, ~(uint64_t)0, slow, "overwrite");
        check(&kedge_backup, 2, ~(uint64_t)0, slow, "backup");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_budget_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
