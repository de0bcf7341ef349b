/* If this fails, an update takes longer or wears the flashes more than the manual promises: the
 * product's layout (0x71000 slots, 256 KiB image, nRF52840 + MX25R64 at 8 MHz, the real driver),
 * model time without the CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"

#define IMAGE          261889u /* 64 units */
#define FIRST_AND_LAST 0u
#define ALL            (~(uint64_t)0)

static struct device device;
static struct device_image old_image, new_image;

struct cost {
    uint64_t ms;
    uint32_t erases[KEDGE_DEVICES];
};

static uint32_t erases(uint8_t which)
{
    return kedge_recorder_total(&device.recorder, which).erases;
}

static struct cost boot(unsigned major)
{
    const uint64_t start = kedge_sim_now_us(device.sim);
    kedge_recorder_clear(&device.recorder);
    assert_int_equal(device_boot(&device), DEVICE_BOOTED);
    assert_int_equal(device.report.version.major, major);
    return (struct cost){(kedge_sim_now_us(device.sim) - start) / 1000,
                         {erases(KEDGE_INTERNAL), erases(KEDGE_EXTERNAL)}};
}

static void within(const char *what, struct cost cost, uint32_t ms, uint32_t internal,
                   uint32_t external)
{
    print_message("  %-10s %6u ms, erases %3u internal %3u external (limits %u, %u, %u)\n", what,
                  (unsigned)cost.ms, cost.erases[KEDGE_INTERNAL], cost.erases[KEDGE_EXTERNAL], ms,
                  internal, external);
    assert_true(cost.ms <= ms);
    assert_true(cost.erases[KEDGE_INTERNAL] <= internal);
    assert_true(cost.erases[KEDGE_EXTERNAL] <= external);
}

/* Limits of time include what the model counts and SWAP.md 14 does not: reading both images twice
 * over the bus (validation, tables). */
static void update(const char *name, uint32_t spares, uint64_t differs, uint32_t ms,
                   uint32_t internal, uint32_t external)
{
    const struct device_shape shape = {.unit = 4096,
                                       .sectors = 113,
                                       .spares = spares,
                                       .driver = true,
                                       .timed = true,
                                       .internal = &kedge_sim_nrf52840,
                                       .external = &kedge_sim_mx25r64};
    const struct device_image_spec a = {.size = IMAGE, .major = 1, .differs = differs};
    const struct device_image_spec b = {.size = IMAGE, .major = 2, .differs = differs};
    print_message("%s, %u spares\n", name, spares);
    device_open(&device, &shape);
    device_image_make(&device, &old_image, &a);
    device_image_make(&device, &new_image, &b);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    boot(1);
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, false);
    within("upgrade", boot(2), ms, internal, external);
    within("revert", boot(1), ms, internal, external);
    within("quiet", boot(1), 400, 0, 0);
    assert_string_equal(device_violation(&device), "");
    device_close(&device);
}

static void test_all_units_differ(void **state)
{
    (void)state;
    update("all units differ", 1, ALL, 13500, 67, 66); /* PEERS.md */
    update("all units differ", 2, ALL, 9540, 67, 66);
}

static void test_few_units_differ(void **state)
{
    (void)state;
    update("10 KB differ", 2, 7u << 20, 1900, 8, 11);
    update("only the version differs", 2, FIRST_AND_LAST, 1100, 5, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_units_differ),
        cmocka_unit_test(test_few_units_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
