/* What lies in the primary boots only when its signature is good, also where a request made the
 * loader look at its hash alone: else whoever can write the internal flash runs his firmware after
 * the first refused candidate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device.h"

static struct device device;
static struct device_image old_image, new_image;

static int set_up(void **state)
{
    const struct device_shape shape = {.sectors = 12};
    (void)state;
    device_open(&device, &shape);
    device_image_make(&device, &old_image,
                      &(struct device_image_spec){.size = 4000, .major = 1, .differs = ~0ull});
    device_image_make(&device, &new_image,
                      &(struct device_image_spec){.size = 5000, .major = 2, .differs = ~0ull});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(device_violation(&device), "");
    device_close(&device);
    return 0;
}

/* Hash right, signature not: the last TLV's last byte. */
static void forge(struct device_image *image)
{
    image->bytes[image->size - 1] ^= 1;
    image->outside[image->size - 1] ^= 1;
}

static void a_forged_primary_does_not_boot(void **state)
{
    (void)state;
    forge(&old_image);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    assert_int_equal(device_boot(&device), DEVICE_NOTHING);
}

static void nor_behind_a_refused_candidate(void **state)
{
    (void)state;
    forge(&old_image);
    forge(&new_image);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, false);
    assert_int_equal(device_boot(&device), DEVICE_NOTHING);
    assert_int_equal(device_boot(&device), DEVICE_NOTHING);
}

/* The revert brings its bytes back, and then the image that is authentic is installed over it. */
static void nor_after_a_revert(void **state)
{
    (void)state;
    forge(&old_image);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, false);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(device_boot(&device), DEVICE_BOOTED);
        assert_int_equal(device.report.version.major, 2);
    }
    assert_int_equal(device.report.reason, KEDGE_REASON_NORMAL);
}

static void a_good_primary_boots_behind_a_refused_candidate(void **state)
{
    (void)state;
    forge(&new_image);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, false);
    assert_int_equal(device_boot(&device), DEVICE_BOOTED);
    assert_int_equal(device.report.version.major, 1);
    assert_int_equal(device.report.reason, KEDGE_REASON_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_forged_primary_does_not_boot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nor_behind_a_refused_candidate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nor_after_a_revert, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_good_primary_boots_behind_a_refused_candidate, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
