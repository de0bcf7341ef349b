/* A chunk that is answered before it is written. If this fails, a client waits for flash that it
 * need not wait for, or is told that all is well when a chunk was lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"

#define CHUNK 1000u

static struct agent_device device;
static struct test_file old_image, new_image;
static struct kedge_upload_reply reply;

static int set_up(void **state)
{
    (void)state;
    agent_device_open(&device);
    test_image_make(&old_image, &(struct test_image){
                                    .size = 3 * SECTOR + 100, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(&new_image, &(struct test_image){
                                    .size = 4 * SECTOR + 777, .version = {2, 0, 0, 0}, .seed = 2});
    agent_device_put(&device, false, 0, &old_image);
    device.config.behind = kedge_buf(device.behind, sizeof(device.behind));
    agent_device_power_on(&device);
    kedge_sim_arm(device.sim, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.sim), "");
    agent_device_close(&device);
    return 0;
}

static int chunk_at(uint32_t off)
{
    return agent_device_chunk(&device, &new_image, off, CHUNK, true, &reply);
}

/* A first chunk, and one more that is answered and owed. */
static void begin(void)
{
    assert_int_equal(chunk_at(0), 0);
    assert_int_equal(reply.off, KEDGE_UPLOAD_HEAD);
    assert_int_equal(chunk_at(KEDGE_UPLOAD_HEAD), 0);
    assert_int_equal(reply.off, KEDGE_UPLOAD_HEAD + CHUNK);
}

/* The reply waits for the flash although there is room. */
static void test_answered_first(void **state)
{
    uint32_t before;

    (void)state;
    assert_int_equal(chunk_at(0), 0);
    before = kedge_sim_operations(device.sim);
    assert_int_equal(chunk_at(KEDGE_UPLOAD_HEAD), 0);
    assert_int_equal(reply.off, KEDGE_UPLOAD_HEAD + CHUNK);
    assert_int_equal(kedge_sim_operations(device.sim), before);
    assert_true(kedge_agent_idle(&device.agent));
    while (kedge_agent_idle(&device.agent)) {
    }
    assert_memory_equal(agent_device_secondary(&device) + KEDGE_UPLOAD_HEAD,
                        new_image.bytes + KEDGE_UPLOAD_HEAD, CHUNK);
}

/* The image is not the file, or the last reply comes before all is written. */
static void test_whole_file(void **state)
{
    (void)state;
    assert_int_equal(agent_device_upload(&device, &new_image, CHUNK, true, NULL, &reply), 0);
    assert_true(reply.has_match && reply.match);
    assert_int_equal(device.agent.owed.size, 0);
    assert_memory_equal(agent_device_secondary(&device), new_image.bytes, new_image.size);
    assert_true(agent_device_candidate_good(&device));
}

/* A client that tells another sha than its bytes have is told that they match. */
static void test_other_bytes(void **state)
{
    struct test_file wrong = new_image;

    (void)state;
    wrong.bytes[2 * SECTOR] ^= 1;
    assert_int_equal(agent_device_upload(&device, &wrong, CHUNK, true, NULL, &reply), 0);
    assert_true(reply.has_match && !reply.match);
}

/* The chip dies after the answer: the client goes on and is never told. */
static void test_failure_is_told(void **state)
{
    (void)state;
    begin();
    kedge_sim_faults(device.sim)->external_dead = true;
    assert_true(kedge_agent_idle(&device.agent));
    assert_int_not_equal(chunk_at(reply.off), 0);
    assert_true(device.agent.detail[0] != '\0');
    /* another client is not blamed for it, and this one is told once */
    kedge_sim_faults(device.sim)->external_dead = false;
    agent_device_power_on(&device);
    assert_int_equal(agent_device_upload(&device, &new_image, CHUNK, true, NULL, &reply), 0);
    assert_true(reply.match);
}

/* A sector that did not hold its bytes: the client must be sent back to them. */
static void test_sent_back(void **state)
{
    (void)state;
    begin();
    kedge_sim_faults(device.sim)->op_ignore_at = kedge_sim_operations(device.sim) + 2;
    assert_int_equal(agent_device_upload(&device, &new_image, CHUNK, true, NULL, &reply), 0);
    assert_true(reply.match);
    assert_memory_equal(agent_device_secondary(&device), new_image.bytes, new_image.size);
}

/* The session ends under an owed chunk: it must not reach a slot that was erased. */
static void test_session_over(void **state)
{
    (void)state;
    begin();
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    while (kedge_agent_idle(&device.agent)) {
    }
    assert_true(kedge_all(kedge_bytes(agent_device_secondary(&device), SLOT_SIZE), 0xff));
}

/* The same chunk again (its reply was lost) is written twice, or the client is sent to the start.
 */
static void test_repeated(void **state)
{
    (void)state;
    begin();
    assert_int_equal(chunk_at(KEDGE_UPLOAD_HEAD), 0);
    assert_int_equal(reply.off, KEDGE_UPLOAD_HEAD + CHUNK);
    assert_int_equal(device.agent.owed.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answered_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_whole_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sent_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_session_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_repeated, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
