/* Encrypted images in the loader, one question each; every cut of every scenario is in
 * tests/cuts/test_encrypted_cuts.c. If this fails, a device boots what it must not, gives up an
 * image that it could have opened, or leaves plain firmware on the external flash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"
#include "kedge/agent.h"

static struct device device;
static struct device_image old_image, new_image, hidden;

#define ALL (~(uint64_t)0)

/* Version 1 in the primary, version 2 at base 0 of the secondary; `key` 0: without a key TLV. */
static void set_up(const struct kedge_strategy *strategy, bool confidential, uint8_t old_key,
                   uint8_t new_key)
{
    const struct device_shape shape = {.unit = 512,
                                       .strategy = strategy,
                                       .backup = strategy == &kedge_backup,
                                       .confidential = true};
    device_open(&device, &shape);
    device.policy.value[KEDGE_POLICY_CONFIDENTIAL] = confidential;
    const struct device_image_spec old_spec = {
        .size = 1400, .major = 1, .differs = ALL, .key = old_key};
    const struct device_image_spec new_spec = {
        .size = 1500, .major = 2, .differs = ALL, .key = new_key};
    device_image_make(&device, &old_image, &old_spec);
    device_image_make(&device, &new_image, &new_spec);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    assert_int_equal(device_boot(&device), DEVICE_BOOTED);
    assert_int_equal(device.report.version.major, 1);
}

static void boots(uint8_t major, enum kedge_reason reason)
{
    assert_int_equal(device_boot(&device), DEVICE_BOOTED);
    assert_int_equal(device.report.version.major, major);
    assert_int_equal(device.report.reason, reason);
    assert_int_equal(kedge_sim_violations(device.sim), 0);
}

/* As a debugger puts it: plain, whatever it is. */
static void put_plain(struct device_image *image)
{
    memcpy(image->outside, image->bytes, sizeof(image->bytes));
    device_put(&device, KEDGE_SECONDARY, 0, image);
}

/* A search that finds nothing anywhere proves nothing. */
static void the_search_finds_what_is_plain(void **state)
{
    static struct leak secrets;
    (void)state;
    leak_clear(&secrets);
    set_up(&kedge_swap, false, 0, 0x81);
    leak_add(&secrets, kedge_bytes(old_image.bytes + 32, kedge_le32(old_image.bytes + 12)));
    device.secrets = &secrets;
    assert_true(device_no_leak(&device, true));
    device_request(&device, false);
    boots(2, KEDGE_REASON_TESTING); /* policy off: the old image leaves as it is */
    assert_true(device.leaks > 0);
    assert_false(device_no_leak(&device, true));
    device_close(&device);
}

/* Somebody with a debugger, or an application of another maker, puts a plain image there. */
static void a_plain_candidate_is_refused_and_reported(void **state)
{
    struct kedge_history record;
    (void)state;
    for (uint8_t key = 0; key <= 0x81; key = (uint8_t)(key + 0x81)) {
        set_up(&kedge_swap, true, 0x31, key);
        put_plain(&new_image);
        device_request(&device, false);
        boots(1, KEDGE_REASON_REFUSED);
        assert_int_equal(device.report.verdict, KEDGE_IMAGE_PLAIN);
        assert_true(device_mailbox_blank(&device));
        assert_true(device_history(&device, 0, &record));
        assert_int_equal(record.verdict, KEDGE_IMAGE_PLAIN);
        boots(1, KEDGE_REASON_NORMAL);
        device_close(&device);
    }
}

/* Without the policy a plain one is taken, and so is imgtool's --clear form, which leaves masked by
 * the key it carries. */
static void plain_is_taken_where_it_is_allowed(void **state)
{
    (void)state;
    for (uint8_t key = 0; key <= 0x81; key = (uint8_t)(key + 0x81)) {
        set_up(&kedge_swap, false, 0x31, key);
        hidden = new_image;
        put_plain(&new_image);
        device_request(&device, false);
        boots(2, KEDGE_REASON_TESTING);
        assert_true(device_has(&device, KEDGE_PRIMARY, 0, &new_image));
        assert_true(device_has(&device, KEDGE_SECONDARY, 2, &old_image)); /* masked, as it came */
        boots(1, KEDGE_REASON_REVERTED);
        assert_true(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
        assert_true(device_has(&device, KEDGE_SECONDARY, 0, key != 0 ? &hidden : &new_image));
        device_close(&device);
    }
}

/* MCUboot's behaviour where the policy is off: what has a key leaves with it, what has none plain.
 */
static void policy_off_is_as_mcuboot(void **state)
{
    (void)state;
    set_up(&kedge_swap, false, 0, 0x81);
    memcpy(old_image.outside, old_image.bytes, sizeof(old_image.bytes));
    device_request(&device, false);
    boots(2, KEDGE_REASON_TESTING);
    assert_true(device_has(&device, KEDGE_SECONDARY, 2, &old_image));
    boots(1, KEDGE_REASON_REVERTED);
    assert_true(device_has(&device, KEDGE_SECONDARY, 0, &new_image));
    device_close(&device);
}

/* An image for another device, and one whose payload was altered: one reason each. */
static void names_what_is_wrong(void **state)
{
    (void)state;
    set_up(&kedge_swap, true, 0x31, 0x81);
    new_image.outside[new_image.size - 5] ^= 1; /* in the wrapped key, the last TLV */
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, false);
    boots(1, KEDGE_REASON_REFUSED);
    assert_int_equal(device.report.verdict, KEDGE_IMAGE_FOREIGN);
    new_image.outside[new_image.size - 5] ^= 1;
    new_image.outside[600] ^= 1;
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, false);
    boots(1, KEDGE_REASON_REFUSED);
    assert_int_equal(device.report.verdict, KEDGE_IMAGE_BAD_HASH);
    new_image.outside[600] ^= 1;
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, true);
    boots(2, KEDGE_REASON_UPDATED);
    device_close(&device);
}

/* The primary is lost after the update was confirmed; the old image in the secondary, hidden by the
 * device's own key since it came without one, is all there is. */
static void what_the_device_hid_can_be_installed(void **state)
{
    static const uint8_t zeros[8];
    (void)state;
    for (uint8_t key = 0; key <= 0x31; key = (uint8_t)(key + 0x31)) {
        set_up(&kedge_swap, true, key, 0x81);
        device_request(&device, false);
        boots(2, KEDGE_REASON_TESTING);
        device_confirm(&device);
        boots(2, KEDGE_REASON_CONFIRMED);
        kedge_sim_poke(device.sim, KEDGE_INTERNAL, 100, kedge_bytes(zeros, sizeof(zeros)));
        boots(1, KEDGE_REASON_INSTALLED);
        assert_true(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
        assert_true(device_has(&device, KEDGE_SECONDARY, 2, &old_image));
        device_close(&device);
    }
}

/* The same from the backup, and a revert out of it. */
static void the_backup_is_hidden_too(void **state)
{
    (void)state;
    set_up(&kedge_backup, true, 0, 0x81);
    device_request(&device, false);
    boots(2, KEDGE_REASON_TESTING);
    assert_true(device_has(&device, KEDGE_BACKUP, 0, &old_image));
    assert_true(device_has(&device, KEDGE_SECONDARY, 0, &new_image));
    boots(1, KEDGE_REASON_REVERTED);
    assert_true(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
    device_close(&device);
}

/* Policy switched on in the middle of a trial: what came plain must not leave plain any more. */
static void a_policy_switched_on_in_a_trial(void **state)
{
    static struct leak secrets;
    (void)state;
    set_up(&kedge_swap, false, 0x31, 0);
    hidden = new_image; /* as the device hides it */
    put_plain(&new_image);
    device_request(&device, false);
    boots(2, KEDGE_REASON_TESTING);
    device.policy.value[KEDGE_POLICY_CONFIDENTIAL] = 1;
    leak_clear(&secrets);
    leak_add(&secrets, kedge_bytes(new_image.bytes + 32, kedge_le32(new_image.bytes + 12)));
    device.secrets = &secrets;
    boots(1, KEDGE_REASON_REVERTED);
    assert_int_equal(device.leaks, 0);
    assert_true(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
    assert_true(device_has(&device, KEDGE_SECONDARY, 0, &hidden));
    device_close(&device);
}

/* The same firmware encrypted twice has one hash and two keys: each copy opens with its own. */
static void one_firmware_two_keys(void **state)
{
    (void)state;
    set_up(&kedge_swap, true, 0x31, 0x81);
    const struct device_image_spec spec = {.size = 1400, .major = 1, .differs = ALL, .key = 0xA1};
    device_image_make(&device, &new_image, &spec);
    assert_memory_equal(new_image.hash, old_image.hash, 32);
    assert_memory_not_equal(new_image.outside + 100, old_image.outside + 100, 100);
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, false);
    boots(1, KEDGE_REASON_TESTING);
    assert_true(device_has(&device, KEDGE_PRIMARY, 0, &new_image));
    assert_true(device_has(&device, KEDGE_SECONDARY, 2, &old_image));
    boots(1, KEDGE_REASON_REVERTED);
    assert_true(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
    assert_true(device_has(&device, KEDGE_SECONDARY, 0, &new_image));
    device_close(&device);
}

/* Keys do not stay in the loader's memory for the application to read. */
static void no_key_stays_in_memory(void **state)
{
    static struct leak secrets;
    uint8_t key[16];
    (void)state;
    for (uint8_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(0x81 + i);
    leak_clear(&secrets);
    leak_add(&secrets, kedge_bytes(key, sizeof(key)));
    set_up(&kedge_swap, true, 0x31, 0x81);
    device_request(&device, false);
    boots(2, KEDGE_REASON_TESTING);
    assert_int_equal(leak_find(&secrets, kedge_bytes(&device.opened, sizeof(device.opened))),
                     SIZE_MAX);
    assert_int_equal(leak_find(&secrets, kedge_bytes(device.state, sizeof(device.state))),
                     SIZE_MAX);
    assert_int_equal(leak_find(&secrets, kedge_bytes(device.unit, sizeof(device.unit))), SIZE_MAX);
    device_close(&device);
}

static int unwrap_only(const struct kedge_device_key *key, struct kedge_bytes info,
                       struct kedge_bytes wrapped, struct kedge_buf content)
{
    return kedge_wrap_aes.unwrap(key, info, wrapped, content);
}

/* A key store that opens but cannot derive: a factory image without a key must not leave. Nothing
 * is written to the chip, and what runs goes on running. */
static void what_cannot_be_hidden_does_not_leave(void **state)
{
    static const struct kedge_wrapping store = {.tlv = KEDGE_TLV_ENC_KW, .unwrap = unwrap_only};
    static struct leak secrets;
    (void)state;
    set_up(&kedge_swap, true, 0, 0x81);
    struct kedge_device_key key = device_own_keys.at[0];
    key.type = &store;
    const struct kedge_device_keys keys = {&key, 1};
    device.confidential.keys = &keys;
    leak_clear(&secrets);
    leak_add(&secrets, kedge_bytes(old_image.bytes + 32, kedge_le32(old_image.bytes + 12)));
    device.secrets = &secrets;
    device_request(&device, false);
    assert_int_equal(device_boot(&device), DEVICE_BOOTED);
    assert_int_equal(device.report.reason, KEDGE_REASON_RESTORED);
    assert_int_equal(device.report.version.major, 1);
    assert_true(device_no_leak(&device, true));
    assert_int_equal(device.leaks, 0);
    assert_true(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
    boots(1, KEDGE_REASON_NORMAL);
    device_close(&device);
}

/* ---- the agent ------------------------------------------------------------------------------- */

static struct kedge_agent agent;
static uint8_t scratch[4096];

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return 0;
}

static void start_agent(void)
{
    static struct kedge_agent_config config;
    config = (struct kedge_agent_config){.layout = &device.layout,
                                         .keys = &device.key,
                                         .key_count = 1,
                                         .defaults = &device.policy,
                                         .boot = &device.report,
                                         .recorder = &device.recorder,
                                         .now_ms = now_ms,
                                         .device_keys = &device_own_keys,
                                         .cipher = &kedge_aes,
                                         .scratch = kedge_buf(scratch, sizeof(scratch))};
    kedge_agent_start(&agent, &config);
}

/* The whole file in chunks; the status of the last one. */
static int upload(const uint8_t *file, uint32_t size)
{
    struct kedge_upload_reply reply = {0};
    int status = KEDGE_AGENT_OK;
    uint8_t sha[32];
    kedge_hash_once(&kedge_sha256, kedge_bytes(file, size), sha);
    for (uint32_t off = 0; off < size && status == KEDGE_AGENT_OK; off = reply.off) {
        const uint32_t left = size - off;
        const struct kedge_upload_request request = {
            .has_off = true,
            .has_len = off == 0,
            .off = off,
            .len = size,
            .sha = off == 0 ? kedge_bytes(sha, 32) : kedge_bytes(NULL, 0),
            .data = kedge_bytes(file + off, left < 200 ? left : 200)};
        status = kedge_agent_upload(&agent, &request, &reply);
    }
    return status;
}

/* From the first chunk to the confirmation nothing in plain, operation by operation: what the agent
 * writes as well. */
static void an_upload_leaves_nothing_plain(void **state)
{
    static struct leak secrets;
    (void)state;
    set_up(&kedge_swap, true, 0, 0x81);
    device_image_make(
        &device, &new_image,
        &(struct device_image_spec){.size = 1500, .major = 3, .differs = ALL, .key = 0x91});
    leak_clear(&secrets);
    leak_add(&secrets, kedge_bytes(old_image.bytes + 32, kedge_le32(old_image.bytes + 12)));
    leak_add(&secrets, kedge_bytes(new_image.bytes + 32, kedge_le32(new_image.bytes + 12)));
    device.secrets = &secrets;
    start_agent();
    assert_int_equal(upload(new_image.outside, new_image.size), KEDGE_AGENT_OK);
    assert_int_equal(kedge_agent_request(&agent, kedge_bytes(new_image.hash, 32), false),
                     KEDGE_AGENT_OK);
    assert_true(device_no_leak(&device, true));
    boots(3, KEDGE_REASON_TESTING);
    start_agent();
    assert_int_equal(kedge_agent_request(&agent, kedge_bytes(NULL, 0), true), KEDGE_AGENT_OK);
    boots(3, KEDGE_REASON_CONFIRMED);
    assert_true(device_no_leak(&device, true));
    assert_int_equal(device.leaks, 0);
    device_close(&device);
}

/* A plain file is refused before a byte of it is written; one that only says that it is encrypted
 * is known at its end, and does not stay. */
static void the_agent_lets_nothing_plain_lie(void **state)
{
    static struct leak secrets;
    (void)state;
    for (uint8_t key = 0; key <= 0x81; key = (uint8_t)(key + 0x81)) {
        set_up(&kedge_swap, true, 0x31, 0x81);
        device_image_make(
            &device, &new_image,
            &(struct device_image_spec){.size = 1500, .major = 3, .differs = ALL, .key = key});
        leak_clear(&secrets);
        leak_add(&secrets, kedge_bytes(new_image.bytes + 32, kedge_le32(new_image.bytes + 12)));
        start_agent();
        kedge_sim_arm(device.sim, NULL);
        assert_int_equal(upload(new_image.bytes, new_image.size), KEDGE_AGENT_DENIED);
        assert_non_null(strstr(agent.detail, key == 0 ? "plain image" : "not encrypted"));
        assert_true(key != 0 || kedge_sim_operations(device.sim) == 0);
        device.secrets = &secrets;
        assert_true(device_no_leak(&device, true));
        device_close(&device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_what_is_plain),
        cmocka_unit_test(a_plain_candidate_is_refused_and_reported),
        cmocka_unit_test(plain_is_taken_where_it_is_allowed),
        cmocka_unit_test(policy_off_is_as_mcuboot),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(what_the_device_hid_can_be_installed),
        cmocka_unit_test(the_backup_is_hidden_too),
        cmocka_unit_test(a_policy_switched_on_in_a_trial),
        cmocka_unit_test(one_firmware_two_keys),
        cmocka_unit_test(no_key_stays_in_memory),
        cmocka_unit_test(what_cannot_be_hidden_does_not_leave),
        cmocka_unit_test(an_upload_leaves_nothing_plain),
        cmocka_unit_test(the_agent_lets_nothing_plain_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
