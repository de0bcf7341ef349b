/* The example for cellular products, whole: from the modem's first chunk to the confirmed image. If
 * it fails, what the documents tell people to copy does not work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"
#include "cellular.h"
#include "kedge/boot.h"
#include "scripted_modem.h"

#define URL "http://updates.example/image.bin"

static struct agent_device device;
static struct kedge_stage stage;
static struct cellular cellular;
static uint8_t buffer[512], manifest[CELLULAR_MANIFEST];
static struct test_file running, image;

static uint32_t line_ms(void *ctx)
{
    (void)ctx;
    return device.now_ms;
}

static const struct kedge_modem_line line = {scripted_read, scripted_write, line_ms, NULL};

static void make_manifest(uint32_t chunk)
{
    struct kedge_manifest m = {
        .size = image.size, .chunk = chunk, .check = KEDGE_STAGE_CHECK_CRC32, .check_size = 4};
    uint32_t size = KEDGE_STAGE_RECORD;

    memcpy(m.id, image.sha, sizeof(m.id));
    kedge_stage_record_make(manifest, &m, 1, 0);
    for (uint32_t at = 0; at < image.size; at += chunk, size += 4) {
        const uint32_t left = image.size - at;

        kedge_put_le32(manifest + size,
                       kedge_crc32(0, kedge_bytes(image.bytes + at, left < chunk ? left : chunk)));
    }
    far.manifest = kedge_bytes(manifest, size);
}

static void power_on(void)
{
    agent_device_power_on(&device);
    kedge_stage_start(&stage, &device.agent, kedge_buf(buffer, sizeof(buffer)));
    cellular_start(&cellular, &device.agent, &stage, &line, URL);
}

static void run(unsigned most)
{
    for (unsigned n = 0; n < most && cellular.state < CELLULAR_WAITING; n++) {
        if (!cellular_step(&cellular)) {
            device.now_ms += 10;
        }
    }
}

/* The loader, as at the next reset. */
static const struct kedge_boot_report *boot(void)
{
    static struct kedge_boot_report report;
    static uint8_t unit[SECTOR];
    static uint64_t memory[1024];
    const struct kedge_boot_config config = {.layout = &device.layout,
                                             .strategy = &kedge_swap,
                                             .keys = &device.key,
                                             .key_count = 1,
                                             .defaults = &device.defaults,
                                             .recorder = &device.recorder,
                                             .unit = kedge_buf(unit, sizeof(unit)),
                                             .state = kedge_buf(memory, sizeof(memory))};

    kedge_sim_power_on(device.sim);
    assert_int_equal(kedge_boot(&config, &report), 0);
    return &report;
}

static void assert_runs(uint8_t major, enum kedge_reason reason)
{
    const struct kedge_boot_report *const report = boot();

    assert_int_equal(report->version.major, major);
    assert_int_equal(report->reason, reason);
    device.boot = *report;
}

static int set_up(void **state)
{
    (void)state;
    agent_device_open(&device);
    test_image_make(&running,
                    &(struct test_image){.size = SECTOR + 99, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(
        &image, &(struct test_image){.size = 3 * SECTOR + 123, .version = {2, 0, 0, 0}, .seed = 3});
    agent_device_put(&device, false, 0, &running);
    memset(&far, 0, sizeof(far));
    far.random.state = 1;
    far.echo = true;
    far.content = kedge_bytes(image.bytes, image.size);
    make_manifest(1000);
    assert_runs(1, KEDGE_REASON_NORMAL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.sim), "");
    agent_device_close(&device);
    return 0;
}

/* Downloaded with two resets in between, decoded, held over a boot, let go, tried, confirmed. */
static void test_whole_path(void **state)
{
    (void)state;
    far.bad = 30;
    power_on();
    for (unsigned resets = 0; resets < 2; resets++) {
        const uint32_t goal = stage.received + 3;

        while (stage.received < goal && cellular.state < CELLULAR_WAITING) {
            run(1);
        }
        power_on();
        assert_true(stage.received >= goal);
    }
    run(4000000);
    assert_int_equal(cellular.state, CELLULAR_WAITING);
    assert_runs(1, KEDGE_REASON_HELD);
    power_on();
    run(4000000);
    assert_int_equal(cellular.state, CELLULAR_WAITING); /* nothing is fetched again */
    assert_int_equal(cellular_install(&cellular), 0);
    assert_runs(2, KEDGE_REASON_TESTING);
    agent_device_power_on(&device);
    assert_int_equal(kedge_agent_request(&device.agent, kedge_bytes(NULL, 0), true), 0);
    assert_runs(2, KEDGE_REASON_CONFIRMED);
}

/* No manifest, one for longer chunks, no word before it is there. */
static void test_failures(void **state)
{
    (void)state;
    power_on();
    assert_int_equal(cellular_install(&cellular), KEDGE_E_STATE);
    far.status = 404;
    run(100000);
    assert_int_equal(cellular.state, CELLULAR_FAILED);
    assert_string_equal(cellular.why, "the server says HTTP 404");
    far.status = 0;
    make_manifest(8192);
    power_on();
    run(100000);
    assert_int_equal(cellular.state, CELLULAR_FAILED);
    manifest[9] ^= 1;
    power_on();
    run(100000);
    assert_int_equal(cellular.state, CELLULAR_FAILED);
    assert_non_null(strstr(cellular.why, "no manifest"));
    assert_runs(1, KEDGE_REASON_NORMAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
