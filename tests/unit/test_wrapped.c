/* Uploads that go through a pipe: sealed files and others, from any client, into the slot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"
#include "wrapped_file.h"

static struct agent_device device;
static struct test_file old_image, new_image;
static struct wrapped_file sealed;
static struct kedge_upload_reply reply;

static int set_up(void **state)
{
    (void)state;
    agent_device_open(&device);
    wrapped_use(&device);
    test_image_make(&old_image, &(struct test_image){
                                    .size = 3 * SECTOR + 100, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(&new_image, &(struct test_image){
                                    .size = 4 * SECTOR + 777, .version = {2, 0, 0, 0}, .seed = 2});
    wrapped_seal(&sealed, kedge_bytes(new_image.bytes, new_image.size), 12);
    agent_device_put(&device, false, 0, &old_image);
    agent_device_power_on(&device);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.sim), "");
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_INTERNAL).failures, 0);
    wrapped_free(&sealed);
    agent_device_close(&device);
    return 0;
}

static size_t listed(struct kedge_slot_state *second)
{
    struct kedge_slot_state states[2];
    const size_t count = kedge_agent_list(&device.agent, states);

    *second = states[1];
    return count;
}

static void holds(const struct test_file *file)
{
    struct kedge_slot_state second;

    assert_memory_equal(agent_device_secondary(&device), file->bytes, file->size);
    assert_int_equal(listed(&second), 2);
    assert_memory_equal(second.hash, file->hash, file->hash_size);
    assert_true(second.bootable);
}

/* A client with any chunk size cannot send a sealed file, or the slot holds something else. */
static void test_every_chunk_size(void **state)
{
    static const uint32_t chunks[] = {32,  33,  36,   53,   128,  256, 340, 511,
                                      512, 994, 1448, 2014, 4000, 4096};

    (void)state;
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        agent_device_power_on(&device);
        assert_int_equal(wrapped_upload(&device, &sealed, chunks[i], true, NULL, &reply), 0);
        assert_int_equal(reply.off, sealed.size);
        assert_true(reply.has_match && reply.match);
        holds(&new_image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_chunk_size, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
