/* Listing, requests, confirm, policy: every rule of facts/smp.md A5 and every code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"

#define HASH(file) kedge_bytes((file).hash, (file).hash_size)

static struct agent_device device;
static struct test_file running, second, foreign, third;

static int set_up(void **state)
{
    (void)state;
    agent_device_open(&device);
    test_image_make(&running,
                    &(struct test_image){.size = 2 * SECTOR, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(&second,
                    &(struct test_image){.size = 3 * SECTOR, .version = {2, 5, 7, 8}, .seed = 2});
    test_image_make(&foreign, &(struct test_image){.size = 3 * SECTOR, .seed = 3, .foreign = true});
    test_image_make(&third, &(struct test_image){.size = 600, .version = {0, 9, 0, 0}, .seed = 4});
    agent_device_put(&device, false, 0, &running);
    agent_device_put(&device, true, 0, &second);
    agent_device_power_on(&device);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.sim), "");
    agent_device_close(&device);
    return 0;
}

static int test_image(const struct test_file *file)
{
    return kedge_agent_request(&device.agent, HASH(*file), false);
}

static int confirm_image(const struct test_file *file)
{
    return kedge_agent_request(&device.agent, HASH(*file), true);
}

static int confirm_running(void)
{
    return kedge_agent_request(&device.agent, kedge_bytes("", 0), true);
}

static enum kedge_request asked(void)
{
    const struct kedge_trailer trailer = agent_device_mailbox(&device);

    return kedge_trailer_request(&trailer);
}

static void clear_mailbox(void)
{
    kedge_sim_poke(
        device.sim, KEDGE_EXTERNAL, SLOT_SIZE - 40,
        kedge_bytes(
            "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
            "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            40));
}

static uint32_t writes(uint8_t which)
{
    const struct kedge_counts counts = kedge_recorder_total(&device.recorder, which);

    return counts.programs + counts.erases;
}

enum { ACTIVE = 1, CONFIRMED = 2, PENDING = 4, PERMANENT = 8, BOOTABLE = 16 };

static void expect_flags(int slot0, int slot1)
{
    struct kedge_slot_state states[2];
    const int expected[2] = {slot0, slot1};

    assert_int_equal(kedge_agent_list(&device.agent, states), 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct kedge_slot_state *const s = &states[i];

        assert_int_equal(s->slot, i);
        assert_int_equal(s->image, 0);
        assert_int_equal((s->active ? ACTIVE : 0) | (s->confirmed ? CONFIRMED : 0) |
                             (s->pending ? PENDING : 0) | (s->permanent ? PERMANENT : 0) |
                             (s->bootable ? BOOTABLE : 0),
                         expected[i] | BOOTABLE);
    }
}

/* The app shows wrong states: the user confirms, tests or resets at the wrong moment. */
static void test_flags(void **state)
{
    struct kedge_slot_state states[2];

    (void)state;
    expect_flags(ACTIVE | CONFIRMED, 0);
    assert_int_equal(kedge_agent_list(&device.agent, states), 2);
    assert_memory_equal(states[0].hash, running.hash, running.hash_size);
    assert_memory_equal(states[1].hash, second.hash, second.hash_size);
    assert_int_equal(states[1].version.minor, 5);
    assert_int_equal(states[1].version.revision, 7);
    assert_int_equal(states[1].version.build, 8);
    agent_device_trailer(&device, TRAILER_ASKS_TEST);
    expect_flags(ACTIVE | CONFIRMED, PENDING);
    agent_device_trailer(&device, TRAILER_ASKS_PERMANENT);
    expect_flags(ACTIVE | CONFIRMED, PENDING | PERMANENT);
    clear_mailbox();
    agent_device_trailer(&device, TRAILER_TESTING);
    expect_flags(ACTIVE, CONFIRMED);
    agent_device_trailer(&device, TRAILER_CONFIRMED);
    expect_flags(ACTIVE | CONFIRMED, 0);
}

/* Unreadable slots break the list; the old image that the loader left behind is not shown. */
static void test_list_what_is_there(void **state)
{
    struct kedge_slot_state states[2];
    const uint8_t gone[32] = {0};

    (void)state;
    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, 0, kedge_bytes(gone, sizeof(gone)));
    assert_int_equal(kedge_agent_list(&device.agent, states), 1);
    agent_device_put(&device, true, 2, &third);
    agent_device_put(&device, true, 1, &running);
    assert_int_equal(kedge_agent_list(&device.agent, states), 2);
    assert_memory_equal(states[1].hash, running.hash, 32); /* the lowest base */
    kedge_sim_poke(device.sim, KEDGE_INTERNAL, 0, kedge_bytes(gone, sizeof(gone)));
    device.boot.boots = 0;
    assert_int_equal(kedge_agent_list(&device.agent, states), 1);
    assert_int_equal(states[0].slot, 1);
    agent_device_put(&device, false, 0, &running);
    assert_int_equal(kedge_agent_list(&device.agent, states), 2);
    assert_false(states[0].active); /* recovery: nothing runs */
    test_image_make(&third, &(struct test_image){.size = 900, .flags = KEDGE_IMAGE_NON_BOOTABLE});
    agent_device_put(&device, true, 0, &third);
    assert_int_equal(kedge_agent_list(&device.agent, states), 2);
    assert_false(states[1].bootable);
}

/* Rule 1: which image a hash means. */
static void test_hash(void **state)
{
    uint8_t hash[64];

    (void)state;
    assert_int_equal(kedge_agent_request(&device.agent, kedge_bytes("", 0), false),
                     KEDGE_AGENT_INVALID_HASH);
    assert_int_equal(kedge_agent_request(&device.agent, kedge_bytes(second.hash, 31), false),
                     KEDGE_AGENT_INVALID_HASH);
    memcpy(hash, second.hash, 32);
    memset(hash + 32, 0, 32);
    assert_int_equal(kedge_agent_request(&device.agent, kedge_bytes(hash, 64), false),
                     KEDGE_AGENT_HASH_NOT_FOUND);
    assert_int_equal(kedge_agent_request(&device.agent, kedge_bytes(second.sha, 32), false),
                     KEDGE_AGENT_HASH_NOT_FOUND);
    assert_true(device.agent.detail[0] != '\0');
    /* the same image in both slots: the hash means slot 0 */
    agent_device_put(&device, true, 0, &running);
    assert_int_equal(test_image(&running), KEDGE_AGENT_TEST_ACTIVE_DENIED);
    assert_int_equal(confirm_image(&running), 0);
    assert_int_equal(asked(), KEDGE_REQUEST_NONE);
}

/* A test, a permanent request: exactly that lies in the mailbox, as MCUboot's own call leaves it.
 */
static void test_request_bytes(void **state)
{
    const uint8_t *const end = agent_device_secondary(&device) + SLOT_SIZE;
    uint8_t expected[40];

    (void)state;
    memset(expected, 0xff, sizeof(expected));
    kedge_trailer_magic(8, expected + 24);
    expected[0] = 2;
    assert_int_equal(test_image(&second), 0);
    assert_memory_equal(end - 40, expected, 40);
    clear_mailbox();
    expected[0] = 3;
    expected[16] = 1;
    assert_int_equal(confirm_image(&second), 0);
    assert_memory_equal(agent_device_secondary(&device) + SLOT_SIZE - 40, expected, 40);
    assert_int_equal(writes(KEDGE_INTERNAL), 0);
}

/* Rule 3: a test is pending. */
static void test_rules_test_pending(void **state)
{
    (void)state;
    assert_int_equal(test_image(&second), 0);
    const uint32_t before = writes(KEDGE_EXTERNAL);

    assert_int_equal(test_image(&second), 0); /* a repeated one is the same one */
    assert_int_equal(test_image(&running), KEDGE_AGENT_TEST_ACTIVE_DENIED);
    assert_int_equal(confirm_image(&second), KEDGE_AGENT_ALREADY_PENDING);
    assert_int_equal(confirm_image(&running), KEDGE_AGENT_ALREADY_PENDING);
    assert_int_equal(confirm_running(), KEDGE_AGENT_ALREADY_PENDING);
    assert_int_equal(asked(), KEDGE_REQUEST_TEST);
    assert_int_equal(writes(KEDGE_EXTERNAL), before);
    assert_int_equal(writes(KEDGE_INTERNAL), 0);
}

/* Rule 4: nothing pending, or a permanent request. */
static void test_rules_permanent_pending(void **state)
{
    (void)state;
    assert_int_equal(confirm_running(), 0);
    assert_int_equal(confirm_image(&running), 0);
    assert_int_equal(test_image(&running), KEDGE_AGENT_TEST_ACTIVE_DENIED);
    assert_int_equal(writes(KEDGE_EXTERNAL) + writes(KEDGE_INTERNAL), 0);
    assert_int_equal(confirm_image(&second), 0);
    const uint32_t before = writes(KEDGE_EXTERNAL);

    assert_int_equal(confirm_image(&second), 0);
    assert_int_equal(test_image(&second), KEDGE_AGENT_ALREADY_PENDING);
    assert_int_equal(confirm_running(), KEDGE_AGENT_ALREADY_PENDING);
    assert_int_equal(asked(), KEDGE_REQUEST_PERMANENT);
    assert_int_equal(writes(KEDGE_EXTERNAL), before);
}

/* Rule 5: the running image is on trial. Confirm is one word of internal flash, nothing else. */
static void test_rules_on_trial(void **state)
{
    (void)state;
    agent_device_trailer(&device, TRAILER_TESTING);
    assert_int_equal(confirm_image(&second), 0);
    assert_int_equal(test_image(&second), KEDGE_AGENT_ALREADY_PENDING);
    assert_int_equal(test_image(&running), KEDGE_AGENT_TEST_ACTIVE_DENIED);
    assert_int_equal(writes(KEDGE_EXTERNAL) + writes(KEDGE_INTERNAL), 0);
    expect_flags(ACTIVE, CONFIRMED);
    assert_int_equal(confirm_running(), 0);
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_INTERNAL).program_bytes, 4);
    assert_memory_equal(kedge_sim_contents(device.sim, KEDGE_INTERNAL) + SLOT_SIZE - 24,
                        "\x01\xff\xff\xff", 4);
    expect_flags(ACTIVE | CONFIRMED, 0);
    assert_int_equal(confirm_running(), 0);
    assert_int_equal(confirm_image(&running), 0);
    assert_int_equal(writes(KEDGE_INTERNAL), 1);
    assert_int_equal(device.recorder.counts[KEDGE_INTERNAL][KEDGE_PHASE_IDLE].programs, 1);
    assert_int_equal(writes(KEDGE_EXTERNAL), 0);
}

/* A confirm that a power cut tore is refused for ever, or one that went wrong is reported as done.
 */
static void test_torn_confirm(void **state)
{
    const uint8_t half[] = {0x0f, 0xff, 0xff, 0xff}, wrong[] = {0x0e, 0xff, 0xff, 0xff};

    (void)state;
    agent_device_trailer(&device, TRAILER_TESTING);
    kedge_sim_poke(device.sim, KEDGE_INTERNAL, SLOT_SIZE - 24, kedge_bytes(half, 4));
    expect_flags(ACTIVE, CONFIRMED);
    assert_int_equal(confirm_running(), 0);
    expect_flags(ACTIVE | CONFIRMED, 0);
    kedge_sim_forgive(
        device.sim); /* a debugger's poke is no torn word: only the flash's own rule */
    agent_device_trailer(&device, TRAILER_TESTING);
    kedge_sim_poke(device.sim, KEDGE_INTERNAL, SLOT_SIZE - 24, kedge_bytes(wrong, 4));
    assert_int_equal(confirm_running(), KEDGE_AGENT_WRITE_FAILED);
    assert_true(device.agent.detail[0] != '\0');
    kedge_sim_poke(device.sim, KEDGE_INTERNAL, SLOT_SIZE - 8, kedge_bytes(half, 4));
    assert_int_equal(confirm_running(), KEDGE_AGENT_UNKNOWN);
}

/* With a dead external chip a good new image cannot be confirmed, and is reverted. */
static void test_confirm_with_dead_chip(void **state)
{
    const struct kedge_sim_faults dead = {.external_dead = true};

    (void)state;
    agent_device_trailer(&device, TRAILER_TESTING);
    kedge_sim_arm(device.sim, &dead);
    assert_int_equal(confirm_running(), 0);
    assert_memory_equal(kedge_sim_contents(device.sim, KEDGE_INTERNAL) + SLOT_SIZE - 24, "\x01", 1);
}

/* An image that the loader will refuse is accepted here: the user learns it by a silent reboot. */
static void test_refused_candidates(void **state)
{
    (void)state;
    agent_device_put(&device, true, 0, &foreign);
    assert_int_equal(test_image(&foreign), KEDGE_AGENT_DENIED);
    assert_string_equal(device.agent.detail, kedge_verdict_text(KEDGE_IMAGE_UNKNOWN_KEY));
    assert_int_equal(confirm_image(&foreign), KEDGE_AGENT_DENIED);
    agent_device_put(&device, true, 0, &second);
    kedge_sim_decay(device.sim, KEDGE_EXTERNAL, 5000, 0x40);
    assert_int_equal(test_image(&second), KEDGE_AGENT_INVALID_HASH);
    assert_string_equal(device.agent.detail, kedge_verdict_text(KEDGE_IMAGE_BAD_HASH));
    kedge_sim_decay(device.sim, KEDGE_EXTERNAL, 5000, 0x40);
    kedge_sim_decay(device.sim, KEDGE_EXTERNAL, second.size - 3, 0x40);
    assert_int_equal(test_image(&second), KEDGE_AGENT_DENIED);
    assert_string_equal(device.agent.detail, kedge_verdict_text(KEDGE_IMAGE_BAD_SIGNATURE));
    agent_device_put(&device, true, 0, &third);
    device.agent.policy.value[KEDGE_POLICY_DOWNGRADE] = 1;
    assert_int_equal(test_image(&third), KEDGE_AGENT_NEWER_RUNS);
    device.agent.policy.value[KEDGE_POLICY_DOWNGRADE] = 0;
    test_image_make(&third, &(struct test_image){.size = 900, .flags = KEDGE_IMAGE_NON_BOOTABLE});
    agent_device_put(&device, true, 0, &third);
    assert_int_equal(test_image(&third), KEDGE_AGENT_INVALID_HEADER);
    assert_int_equal(asked(), KEDGE_REQUEST_NONE);
    assert_int_equal(writes(KEDGE_EXTERNAL), 0);
    assert_int_equal(device.recorder.phase, KEDGE_PHASE_IDLE);
    assert_true(device.recorder.counts[KEDGE_EXTERNAL][KEDGE_PHASE_VALIDATE].read_bytes >
                second.size);
}

/* An encrypted image, whose inside only the loader can see, can never be requested. */
static void test_encrypted_candidate(void **state)
{
    (void)state;
    test_image_make(&third,
                    &(struct test_image){.size = 900, .seed = 9, .flags = KEDGE_IMAGE_AES128});
    third.bytes[100] ^= 1; /* plain hash, other payload */
    agent_device_put(&device, true, 0, &third);
    assert_int_equal(test_image(&third), 0);
    assert_int_equal(asked(), KEDGE_REQUEST_TEST);
}

/* One flipped bit on the bus refuses a good image. */
static void test_one_bad_read(void **state)
{
    (void)state;
    for (uint32_t n = 1; n < 60; n++) {
        const struct kedge_sim_faults flip = {.seed = n, .read_flip_at = n};

        clear_mailbox();
        agent_device_power_on(&device);
        kedge_sim_arm(device.sim, &flip);
        assert_int_equal(test_image(&second), 0);
        assert_int_equal(asked(), KEDGE_REQUEST_TEST);
    }
}

/* After a torn request MCUboot's call refuses for ever: the device can not be updated any more. */
static void test_torn_mailbox(void **state)
{
    const uint8_t torn[] = {0x77, 0xc2, 0xff, 0xf3}, bad_flag[] = {0x03};

    (void)state;
    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, SLOT_SIZE - 16, kedge_bytes(torn, 4));
    assert_int_equal(asked(), KEDGE_REQUEST_TORN);
    expect_flags(ACTIVE | CONFIRMED, 0);
    assert_int_equal(test_image(&second), 0);
    assert_int_equal(asked(), KEDGE_REQUEST_TEST);
    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, SLOT_SIZE - 24, kedge_bytes(bad_flag, 1));
    assert_int_equal(asked(), KEDGE_REQUEST_TORN);
    assert_int_equal(test_image(&second), 0);
    assert_int_equal(asked(), KEDGE_REQUEST_TEST);
}

/* The mailbox cannot be written: the user is told that all is well. */
static void test_mailbox_write_fails(void **state)
{
    const struct kedge_sim_faults stuck = {
        .stuck[0] = {.at = SLOT_SIZE - 10, .device = KEDGE_EXTERNAL, .mask = 0x10, .value = 0x10}};

    (void)state;
    kedge_sim_arm(device.sim, &stuck);
    assert_int_equal(test_image(&second), KEDGE_AGENT_WRITE_FAILED);
    assert_true(device.agent.detail[0] != '\0');
    kedge_sim_arm(device.sim, NULL);
    assert_int_equal(test_image(&second), 0);
    assert_int_equal(asked(), KEDGE_REQUEST_TEST);
    kedge_sim_forgive(device.sim);
}

static int set_policy(const char *key, const char *value)
{
    return kedge_agent_policy_set(&device.agent, kedge_bytes(key, strlen(key)),
                                  kedge_bytes(value, strlen(value)));
}

/* A policy is accepted and forgotten, or set although the build locks it. */
static void test_policy(void **state)
{
    (void)state;
    assert_int_equal(set_policy("hold", "on"), 0);
    assert_int_equal(set_policy("attempts", "7"), 0);
    assert_int_equal(set_policy("attempts", "0"), KEDGE_AGENT_UNKNOWN);
    assert_int_equal(set_policy("attempt", "3"), KEDGE_AGENT_UNKNOWN);
    assert_int_equal(set_policy("", ""), KEDGE_AGENT_UNKNOWN);
    device.defaults.locked = 1u << KEDGE_POLICY_DOWNGRADE;
    agent_device_power_on(&device);
    assert_int_equal(device.agent.policy.value[KEDGE_POLICY_HOLD], 1);
    assert_int_equal(device.agent.policy.value[KEDGE_POLICY_ATTEMPTS], 7);
    assert_int_equal(set_policy("downgrade", "refuse"), KEDGE_AGENT_DENIED);
    assert_int_equal(device.agent.policy.value[KEDGE_POLICY_DOWNGRADE], 0);
    assert_int_equal(device.recorder.phase, KEDGE_PHASE_IDLE);
}

/* [S-3] A `policy set` that a cut interrupted reads so at one boot and otherwise at the next: the
 * device holds an update today and installs it tomorrow. The agent's start must make it one. */
static void test_policy_cut(void **state)
{
    struct kedge_policy policy;
    unsigned open = 0;

    (void)state;
    assert_int_equal(set_policy("attempts", "3"), 0);
    for (uint32_t n = 1; n < 40; n++) {
        kedge_sim_arm(device.sim, &(struct kedge_sim_faults){
                                      .seed = n, .cut_at = n, .cut_kind = KEDGE_SIM_CUT_TORN});
        (void)set_policy("attempts",
                         device.agent.policy.value[KEDGE_POLICY_ATTEMPTS] == 3 ? "7" : "3");
        if (!kedge_sim_is_off(device.sim)) {
            break;
        }
        kedge_sim_arm(device.sim, NULL);
        agent_device_power_on(&device);
        open += kedge_sim_operations(device.sim) != 0;
        policy = device.agent.policy;
        assert_true(policy.value[KEDGE_POLICY_ATTEMPTS] == 3 ||
                    policy.value[KEDGE_POLICY_ATTEMPTS] == 7);
        kedge_sim_arm(device.sim, NULL);
        agent_device_power_on(&device);
        assert_memory_equal(&device.agent.policy, &policy, sizeof(policy));
        assert_int_equal(kedge_policy_settle(&device.layout.settings), 0);
        assert_int_equal(kedge_sim_operations(device.sim), 0);
    }
    assert_true(open > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_flags),
        TEST(test_list_what_is_there),
        TEST(test_hash),
        TEST(test_request_bytes),
        TEST(test_rules_test_pending),
        TEST(test_rules_permanent_pending),
        TEST(test_rules_on_trial),
        TEST(test_torn_confirm),
        TEST(test_confirm_with_dead_chip),
        TEST(test_refused_candidates),
        TEST(test_encrypted_candidate),
        TEST(test_one_bad_read),
        TEST(test_torn_mailbox),
        TEST(test_mailbox_write_fails),
        TEST(test_policy),
        TEST(test_policy_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
