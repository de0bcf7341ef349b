/* Power fails at every flash operation while a patch becomes an image, and again while that is
 * resumed. If this fails, a device in the field is left with an image of two halves, or with one
 * that never becomes whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cut_kinds.h"
#include "wrapped_file.h"

#define CHUNK 130u

static struct agent_device device;
static struct test_file running, new_image;
static char where[120]; /* which cut: printed when a check fails */

static struct kedge_bytes bytes_of(const struct test_file *file)
{
    return kedge_bytes(file->bytes, file->size);
}

/* 0 when the new image is there and asked for. */
static int act(const struct wrapped_file *file)
{
    struct kedge_upload_reply reply;
    const int status = wrapped_upload(&device, file, CHUNK, true, NULL, &reply);

    return status != 0 ? status
                       : kedge_agent_request(&device.agent, kedge_bytes(file->hash, 32), false);
}

static enum kedge_request request(void)
{
    const struct kedge_trailer mailbox = agent_device_mailbox(&device);

    return kedge_trailer_request(&mailbox);
}

/* What holds after any cut: nothing is asked for but the whole image; the running one is whole. */
static void check_safe(void)
{
    assert_string_equal(kedge_sim_violation(device.sim), "");
    assert_memory_equal(kedge_sim_contents(device.sim, KEDGE_INTERNAL), running.bytes,
                        running.size);
    assert_int_not_equal(request(), KEDGE_REQUEST_PERMANENT);
    if (request() == KEDGE_REQUEST_TEST) {
        assert_memory_equal(agent_device_secondary(&device), new_image.bytes, new_image.size);
    }
}

/* The same file again: the exact image, whatever came before. */
static void recover(const struct wrapped_file *file)
{
    const int status = act(file);

    if (status != 0) {
        print_message("status %d (%s)\n", status, device.agent.detail);
    }
    assert_int_equal(status, 0);
    assert_int_equal(request(), KEDGE_REQUEST_TEST);
    check_safe();
    assert_true(agent_device_candidate_good(&device));
    assert_int_equal(kedge_sim_unstable(device.sim, KEDGE_EXTERNAL, 0, new_image.size), 0);
}

/* False: all was done before operation n. */
static bool cut(const struct wrapped_file *file, uint32_t n, unsigned kind, uint64_t seed)
{
    const struct kedge_sim_faults faults = cut_kind_faults(kind, n, seed, KEDGE_SIM_WEAK_RANDOM);

    kedge_sim_arm(device.sim, &faults);
    const int status = act(file);

    if (!kedge_sim_is_off(device.sim)) {
        assert_int_equal(status, 0);
        return false;
    }
    kedge_sim_faults(device.sim)->cut_at = 0;
    agent_device_power_on(&device);
    check_safe();
    kedge_sim_arm(device.sim, NULL);
    return true;
}

static void sweep(const char *name, const struct wrapped_file *file)
{
    struct kedge_sim_snapshot *start, *after;
    uint32_t runs = 0, operations;

    kedge_sim_fill(device.sim, KEDGE_EXTERNAL, 0xFF);
    kedge_sim_fill(device.sim, KEDGE_INTERNAL, 0xFF);
    agent_device_put(&device, false, 0, &running);
    agent_device_put(&device, true, 0, &running); /* what an earlier update left */
    agent_device_trailer(&device, TRAILER_CONFIRMED);
    start = kedge_sim_snapshot_make(device.sim);
    after = kedge_sim_snapshot_make(device.sim);
    agent_device_power_on(&device);
    kedge_sim_arm(device.sim, NULL);
    recover(file);
    operations = kedge_sim_operations(device.sim);
    for (uint32_t n = 1; n <= operations; n++) {
        for (unsigned kind = 0; kind < CUT_KINDS; kind++) {
            snprintf(where, sizeof(where), "%s: operation %u kind %u", name, n, kind);
            kedge_sim_restore(device.sim, start);
            agent_device_power_on(&device);
            assert_true(cut(file, n, kind, n * CUT_KINDS + kind));
            kedge_sim_snapshot_take(device.sim, after);
            recover(file);
            runs++;
            const uint32_t m = 1 + (n * 7 + kind * 13) % operations;
            const unsigned other = (kind + n) % CUT_KINDS;

            snprintf(where, sizeof(where), "%s: operation %u kind %u, then %u kind %u", name, n,
                     kind, m, other);
            kedge_sim_restore(device.sim, after);
            agent_device_power_on(&device);
            if (cut(file, m, other, m * 1000 + n)) {
                recover(file);
                runs++;
            }
        }
    }
    print_message("%-24s %4zu bytes, %3u operations, %5u runs\n", name, (size_t)file->size,
                  operations, runs);
    kedge_sim_snapshot_free(start);
    kedge_sim_snapshot_free(after);
}

static void patches_survive_every_cut(void **state)
{
    struct wrapped_file whole, chunks, sealed;

    (void)state;
    wrapped_delta(&whole, bytes_of(&running), bytes_of(&new_image), 0);
    wrapped_delta(&chunks, bytes_of(&running), bytes_of(&new_image), 12);
    wrapped_seal(&sealed, kedge_bytes(chunks.bytes, chunks.size), 8);
    sweep("one chunk", &whole);
    sweep("chunks of a sector", &chunks);
    sweep("sealed", &sealed);
    wrapped_free(&whole);
    wrapped_free(&chunks);
    wrapped_free(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(patches_survive_every_cut)};
    int failed;

    agent_device_open(&device);
    wrapped_use(&device);
    test_image_make(&running, &(struct test_image){
                                  .size = 2 * SECTOR + 900, .version = {1, 0, 0, 0}, .seed = 5});
    test_image_make(&new_image, &(struct test_image){
                                    .size = 3 * SECTOR + 300, .version = {2, 0, 0, 0}, .seed = 5});
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0) {
        print_message("last cut: %s\n", where);
    }
    agent_device_close(&device);
    return failed;
}
