/* A user's own encryption, undone on the device: the AES-CTR stage, and the example that the
 * documents show. If it fails, what lies in the slot is not the image, a cut or a resume shifts the
 * key stream, or a file that is cut short or too long is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"
#include "kedge/ctr.h"
#include "own_cipher.h"
#include "random.h"
#include "wrapped_file.h"

static struct agent_device device;
static struct test_file old_image, new_image;
static struct wrapped_file file;
static uint8_t payload[SLOT_SIZE];
static struct kedge_upload_reply reply;

static struct kedge_bytes plain(void)
{
    return kedge_bytes(new_image.bytes, new_image.size);
}

/* As the product's server does it; `says`: the size in its head. */
static void encrypt_ctr(uint32_t says)
{
    wrapped_ctr(&file, plain());
    kedge_put_le32(file.bytes + 32 + 4, says);
    wrapped_rehash(&file); /* the envelope is content */
}

/* The stage of the example is its own inverse. */
static void encrypt_own(void)
{
    static const uint32_t key[4] = {1, 2, 3, 4};
    const struct kedge_transform_env env = {.keys = key};
    struct own_cipher own = {0};
    size_t taken, given;

    kedge_put_le32(payload, OWN_CIPHER_MAGIC);
    kedge_put_le32(payload + 4, new_image.size);
    kedge_put_le32(payload + 8, 77);
    assert_int_equal(own_cipher.push(&own, &env, kedge_bytes(payload, OWN_CIPHER_HEAD), &taken), 0);
    for (size_t head = taken; head < OWN_CIPHER_HEAD; head += taken) {
        assert_int_equal(own_cipher.push(&own, &env, kedge_bytes(payload + head, 1), &taken), 0);
    }
    for (uint32_t i = 0; i < new_image.size; i++) {
        assert_int_equal(own_cipher.push(&own, &env, kedge_bytes(new_image.bytes + i, 1), &taken),
                         0);
        assert_int_equal(
            own_cipher.pull(&own, &env, kedge_buf(payload + OWN_CIPHER_HEAD + i, 1), &given), 0);
        assert_int_equal(taken + given, 2);
    }
    assert_int_equal(own_cipher.finish(&own, &env), 0);
    wrapped_any(&file, "own", kedge_bytes(payload, OWN_CIPHER_HEAD + new_image.size), plain());
}

static int set_up(void **state)
{
    (void)state;
    agent_device_open(&device);
    wrapped_use(&device);
    test_image_make(&old_image,
                    &(struct test_image){.size = SECTOR, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(&new_image, &(struct test_image){
                                    .size = 3 * SECTOR + 777, .version = {2, 0, 0, 0}, .seed = 2});
    agent_device_put(&device, false, 0, &old_image);
    agent_device_power_on(&device);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.sim), "");
    wrapped_free(&file);
    agent_device_close(&device);
    return 0;
}

static void assert_arrives(uint32_t chunk)
{
    struct kedge_slot_state states[2];

    const int status = wrapped_upload(&device, &file, chunk, true, NULL, &reply);

    assert_string_equal(device.agent.detail, "");
    assert_int_equal(status, KEDGE_AGENT_OK);
    assert_memory_equal(agent_device_secondary(&device), new_image.bytes, new_image.size);
    assert_int_equal(kedge_agent_list(&device.agent, states), 2);
    assert_memory_equal(states[1].hash, new_image.hash, new_image.hash_size);
}

static void test_ctr(void **state)
{
    static const uint32_t chunks[] = {32, 61, 100, 512, 2014};

    (void)state;
    encrypt_ctr(new_image.size);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        agent_device_power_on(&device);
        assert_arrives(chunks[i]);
    }
    assert_null(memmem(file.bytes, file.size, new_image.bytes + 512, 32));
}

static void test_example(void **state)
{
    static const uint32_t chunks[] = {32, 61, 512, 2014};

    (void)state;
    encrypt_own();
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        agent_device_power_on(&device);
        assert_arrives(chunks[i]);
    }
    assert_null(memmem(file.bytes, file.size, new_image.bytes + 512, 32));
}

/* Power fails between two chunks; the upload goes on in the middle, with the right piece of the key
 * stream. */
static void test_ctr_resumes(void **state)
{
    struct kedge_random random = {7};

    (void)state;
    encrypt_ctr(new_image.size);
    for (unsigned n = 0; n < 40; n++) {
        const uint32_t stop = 1 + kedge_random_below(&random, file.size / 200);

        agent_device_power_on(&device);
        reply = (struct kedge_upload_reply){0};
        for (uint32_t i = 0; i < stop; i++) {
            assert_int_equal(wrapped_chunk(&device, &file, reply.off, 200, true, &reply), 0);
        }
        agent_device_power_on(&device);
        assert_arrives(200);
    }
}

/* A head that says more or less than comes, no key, bytes changed: refused; the old image stays. */
static void test_refusals(void **state)
{
    struct kedge_slot_state states[2];

    (void)state;
    encrypt_ctr(new_image.size + 1);
    assert_int_not_equal(wrapped_upload(&device, &file, 512, true, NULL, &reply), 0);
    wrapped_free(&file);
    encrypt_ctr(new_image.size - 1);
    agent_device_power_on(&device);
    assert_int_not_equal(wrapped_upload(&device, &file, 512, true, NULL, &reply), 0);
    wrapped_free(&file);
    encrypt_ctr(new_image.size);
    file.bytes[5000] ^= 1;
    wrapped_hash(&file); /* the transport is content */
    agent_device_power_on(&device);
    (void)wrapped_upload(&device, &file, 512, false, NULL, &reply);
    (void)kedge_agent_list(&device.agent, states);
    assert_int_not_equal(kedge_agent_request(&device.agent, kedge_bytes(new_image.hash, 32), false),
                         0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_ctr),
        TEST(test_example),
        TEST(test_ctr_resumes),
        TEST(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
