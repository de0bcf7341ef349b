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
    static const uint32_t chunks[] = {32,  33,  36,  53,   128,  256,  340,
                                      511, 512, 994, 1448, 2014, 4000, 4096};

    (void)state;
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        agent_device_power_on(&device);
        assert_int_equal(wrapped_upload(&device, &sealed, chunks[i], true, NULL, &reply), 0);
        assert_int_equal(reply.off, sealed.size);
        assert_true(reply.has_match && reply.match);
        holds(&new_image);
    }
}

/* A write block above 1 (internal secondary) loses bytes between two pieces of output. */
static void test_write_block(void **state)
{
    (void)state;
    for (uint32_t block = 4; block <= 32; block *= 8) {
        device.flash[KEDGE_EXTERNAL].geometry.write_block = block;
        agent_device_power_on(&device);
        assert_int_equal(wrapped_upload(&device, &sealed, 333, true, NULL, &reply), 0);
        assert_true(reply.match);
        holds(&new_image);
    }
}

static uint32_t erases(void)
{
    return kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases;
}

static bool touched(void)
{
    const struct kedge_counts counts = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL);

    return counts.erases > 0 || counts.programs > 0;
}

/* A client waits longer than it has patience for, or believes that the device does not move: more
 * than one sector erased in a call, or an `off` that stands still while there are bytes to send. */
static void check_calls(const struct wrapped_file *file, uint32_t chunk, bool helped)
{
    reply = (struct kedge_upload_reply){0};
    for (unsigned calls = 0; reply.off < file->size; calls++) {
        const uint32_t before = erases();
        const uint32_t from = reply.off;

        assert_true(calls < 4 * file->size / chunk + 100);
        assert_int_equal(wrapped_chunk(&device, file, from, chunk, true, &reply), 0);
        assert_true(erases() - before <= 1);
        assert_true(reply.off > from || from == file->size - 1);
        while (helped && kedge_agent_idle(&device.agent)) {
        }
    }
    assert_true(reply.match);
}

static void test_calls(void **state)
{
    struct test_file padded;
    struct wrapped_file grown, both;

    (void)state;
    test_image_make(&padded, &(struct test_image){.size = 700, .version = {2, 0, 0, 0}, .seed = 7});
    test_file_pad(&padded, false);
    wrapped_grow(&grown, kedge_bytes(padded.bytes, padded.size));
    wrapped_seal(&both, kedge_bytes(grown.bytes, grown.size), 8);
    assert_true(grown.size < 2 * 700 + 400);
    for (unsigned i = 0; i < 4; i++) {
        agent_device_put(&device, true, 1, &old_image);
        agent_device_put(&device, true, 2, &old_image);
        check_calls(&sealed, i % 2 == 0 ? 4096 : 600, i >= 2);
        holds(&new_image);
        /* a few bytes become the whole slot, its trailer too, which asks for a test */
        check_calls(&grown, i % 2 == 0 ? 4096 : 100, i >= 2);
        assert_memory_equal(agent_device_secondary(&device), padded.bytes, IMAGE_MAX);
        const struct kedge_trailer mailbox = agent_device_mailbox(&device);

        assert_int_equal(kedge_trailer_request(&mailbox), KEDGE_REQUEST_TEST);
        assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
        check_calls(&both, i % 2 == 0 ? 4096 : 100, i >= 2);
        assert_memory_equal(agent_device_secondary(&device), padded.bytes, IMAGE_MAX);
        assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    }
    wrapped_free(&grown);
    wrapped_free(&both);
}

/* A file that this device cannot use costs it the image, or the request, that it holds. */
static void refused_untouched(const struct wrapped_file *file, int status, const char *words)
{
    struct kedge_slot_state second;

    agent_device_put(&device, true, 0, &old_image);
    agent_device_trailer(&device, TRAILER_ASKS_TEST);
    agent_device_power_on(&device);
    memset(&device.recorder.counts, 0, sizeof(device.recorder.counts));
    for (uint32_t chunk = 32; chunk <= 4096; chunk *= 2) {
        assert_int_equal(wrapped_upload(&device, file, chunk, true, NULL, &reply), status);
        assert_string_equal(device.agent.detail, words);
        assert_false(touched());
        assert_int_equal(listed(&second), 2);
        assert_memory_equal(second.hash, old_image.hash, 32);
        assert_true(second.pending);
    }
}

static void test_foreign_key(void **state)
{
    struct wrapped_file foreign;

    (void)state;
    wrapped_seal_foreign(&foreign, kedge_bytes(new_image.bytes, new_image.size));
    refused_untouched(&foreign, KEDGE_AGENT_DENIED,
                      "sealed with another shared key than this device's");
    wrapped_free(&foreign);
}

/* ... or an older image hides from the policy in an envelope. */
static void test_inner_image_is_judged(void **state)
{
    static struct test_file large;
    struct wrapped_file file;

    (void)state;
    device.boot.version = (struct kedge_version){3, 0, 0, 0};
    device.defaults.value[KEDGE_POLICY_DOWNGRADE] = 1;
    refused_untouched(&sealed, KEDGE_AGENT_NEWER_RUNS,
                      "a newer version runs: policy downgrade refuses older ones");
    device.boot.version = (struct kedge_version){1, 0, 0, 0};
    device.defaults.value[KEDGE_POLICY_CONFIDENTIAL] = 1;
    refused_untouched(&sealed, KEDGE_AGENT_DENIED,
                      "plain image: policy confidential takes encrypted ones only");
    device.defaults.value[KEDGE_POLICY_CONFIDENTIAL] = 0;
    test_image_make(&large, &(struct test_image){.size = IMAGE_MAX, .seed = 4});
    large.size++;
    wrapped_seal(&file, kedge_bytes(large.bytes, large.size), 12);
    refused_untouched(&file, KEDGE_AGENT_TOO_LARGE,
                      "larger than the largest image of this slot (see image slots)");
    wrapped_free(&file);
    wrapped_seal(&file, kedge_bytes("no image at all, but long enough to look like a file", 52),
                 12);
    refused_untouched(&file, KEDGE_AGENT_INVALID_MAGIC, "there is no signed image in the file");
    wrapped_free(&file);
}

/* Nobody may offer, or ask for, what came out of this. */
static void offers_nothing(void)
{
    struct kedge_slot_state second;
    const struct kedge_trailer mailbox = agent_device_mailbox(&device);

    assert_int_equal(listed(&second), 1);
    assert_true(mailbox.blank || mailbox.magic == KEDGE_MAGIC_UNSET);
    agent_device_power_on(&device);
    assert_int_equal(listed(&second), 1);
}

/* An image that somebody else signed is offered because its envelope was good; or the slot is
 * blocked for the next one. */
static void test_bad_inner_image(void **state)
{
    struct test_file foreign;
    struct wrapped_file file;

    (void)state;
    test_image_make(
        &foreign, &(struct test_image){
                      .size = 2 * SECTOR + 1, .version = {2, 0, 0, 0}, .seed = 5, .foreign = true});
    wrapped_seal(&file, kedge_bytes(foreign.bytes, foreign.size), 12);
    agent_device_put(&device, true, 0, &old_image);
    agent_device_power_on(&device);
    assert_int_equal(wrapped_upload(&device, &file, 1000, true, NULL, &reply), KEDGE_AGENT_DENIED);
    assert_true(device.agent.detail[0] != '\0');
    offers_nothing();
    wrapped_free(&file);
    assert_int_equal(wrapped_upload(&device, &sealed, 1000, true, NULL, &reply), 0);
    holds(&new_image);
}

/* A client is told that all is well while the file was changed on its way, and the hash of the
 * whole was the last one who could know. */
static void test_wrong_sha(void **state)
{
    (void)state;
    sealed.sha[3] ^= 1;
    assert_int_equal(wrapped_upload(&device, &sealed, 1000, true, NULL, &reply), 0);
    assert_int_equal(reply.off, sealed.size);
    assert_true(reply.has_match && !reply.match);
    offers_nothing();
    assert_int_equal(wrapped_upload(&device, &sealed, 1000, false, NULL, &reply), 0);
    assert_false(reply.has_match);
    holds(&new_image);
}

/* One flipped bit gets into the slot, or a file that was changed is taken. */
static void test_every_bit(void **state)
{
    const uint32_t head = 32 + 40 + 16, segment = 256 + 16;
    struct test_file small;
    struct wrapped_file file;
    struct kedge_sim_snapshot *start;

    (void)state;
    test_image_make(&small, &(struct test_image){.size = 700, .version = {2, 0, 0, 0}, .seed = 6});
    wrapped_seal(&file, kedge_bytes(small.bytes, small.size), 8);
    start = kedge_sim_snapshot_make(device.sim);
    for (uint32_t i = 0; i < file.size; i++) {
        const uint8_t bit = (uint8_t)(1u << i % 8);
        /* behind the payload, and in the envelope's header, only its hash tells */
        const bool sealed_byte = i >= 32 && i < head + small.size + 3 * 16;
        const uint32_t n = !sealed_byte ? UINT32_MAX : i < head ? 0 : (i - head) / segment * 256;
        const uint32_t good = n < small.size ? n : small.size;
        struct kedge_slot_state second;

        kedge_sim_restore(device.sim, start);
        agent_device_power_on(&device);
        file.bytes[i] ^= bit;
        const int status = wrapped_upload(&device, &file, 512, false, NULL, &reply);

        file.bytes[i] ^= bit;
        if (status == 0 && i < KEDGE_ENVELOPE_HEAD) {
            /* no envelope of ours any more: an image as any other, and one that is never asked for
             */
            if (listed(&second) == 2) {
                assert_int_not_equal(kedge_agent_request(&device.agent,
                                                         kedge_bytes(second.hash, second.hash_size),
                                                         false),
                                     0);
            }
            continue;
        }
        if (status == 0) {
            print_message("bit %u of byte %u of %u\n", bit, i, file.size);
        }
        assert_int_not_equal(status, 0);
        assert_true(device.agent.detail[0] != '\0');
        assert_int_equal(listed(&second), 1);
        /* (the header is held back anyway) */
        assert_true(
            kedge_all(kedge_bytes(agent_device_secondary(&device) + good, SECTOR - good), 0xff));
    }
    assert_int_equal(wrapped_upload(&device, &file, 512, false, NULL, &reply), 0);
    kedge_sim_snapshot_free(start);
    wrapped_free(&file);
}

/* A file that was cut off, or goes on, is taken for whole. */
static void test_wrong_length(void **state)
{
    const uint32_t whole = sealed.size;

    (void)state;
    for (uint32_t size = 40; size < whole; size += size < 200 || size > whole - 120 ? 1 : 977) {
        sealed.size = size;
        const int status = wrapped_upload(&device, &sealed, 2000, false, NULL, &reply);

        assert_int_not_equal(status, 0);
        assert_true(device.agent.detail[0] != '\0');
        struct kedge_slot_state second;

        assert_int_equal(listed(&second), 1);
    }
    sealed.size = whole + 1;
    sealed.bytes = realloc(sealed.bytes, whole + 1);
    assert_non_null(sealed.bytes);
    sealed.bytes[whole] = 0;
    assert_int_equal(wrapped_upload(&device, &sealed, 2000, false, NULL, &reply),
                     KEDGE_AGENT_INVALID_HEADER);
    assert_string_equal(device.agent.detail, "the file goes on behind its end");
    offers_nothing();
}

/* A reset in the middle costs the whole download again, or mixes what was there with what comes. */
static void test_resume(void **state)
{
    (void)state;
    for (uint32_t stop = 0; stop < sealed.size; stop += 500) {
        struct kedge_slot_state second;

        agent_device_put(&device, true, 2, &old_image);
        reply.off = 0;
        do {
            assert_int_equal(wrapped_chunk(&device, &sealed, reply.off, 350, true, &reply), 0);
        } while (reply.off < stop);
        uint32_t marked = 0;

        while (agent_device_secondary(&device)[MAILBOX_AT + 97 + marked] == 0) {
            marked++;
        }

        agent_device_power_on(&device);
        assert_int_equal(listed(&second), reply.off < 88 + 4112 ? 2 : 1);
        assert_true(marked + 2 > (reply.off - 88) / 4112);
        const uint32_t before = erases();

        assert_int_equal(wrapped_chunk(&device, &sealed, 0, 350, true, &reply), 0);
        assert_int_equal(reply.off, marked == 0 ? 350 : 88 + marked * 4112);
        while (reply.off < sealed.size) {
            assert_int_equal(wrapped_chunk(&device, &sealed, reply.off, 350, true, &reply), 0);
        }
        assert_true(reply.has_match && reply.match);
        assert_int_equal(erases() - before, 1 + 5 - marked);
        holds(&new_image);
        assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    }
}

/* Where a transform cannot go on in the middle, sectors that are right are erased again. */
static void test_resume_without_seek(void **state)
{
    struct wrapped_file grown;

    (void)state;
    wrapped_grow(&grown, kedge_bytes(new_image.bytes, new_image.size));
    for (uint32_t stop = 0; stop < grown.size; stop += 1700) {
        reply.off = 0;
        do {
            assert_int_equal(wrapped_chunk(&device, &grown, reply.off, 350, true, &reply), 0);
        } while (reply.off < stop);
        uint32_t marked = 0;

        while (agent_device_secondary(&device)[MAILBOX_AT + 97 + marked] == 0) {
            marked++;
        }
        agent_device_power_on(&device);
        const uint32_t before = erases();

        assert_int_equal(wrapped_upload(&device, &grown, 350, true, NULL, &reply), 0);
        assert_true(reply.has_match && reply.match);
        assert_int_equal(erases() - before, 1 + 5 - marked);
        holds(&new_image);
        assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    }
    wrapped_free(&grown);
}

/* A resume into a sector that somebody changed meanwhile ends in an image of two halves, again and
 * again. */
static void test_resume_over_damage(void **state)
{
    struct wrapped_file grown;
    const uint8_t zero = 0;

    (void)state;
    wrapped_grow(&grown, kedge_bytes(new_image.bytes, new_image.size));
    reply.off = 0;
    while (reply.off < grown.size / 2) {
        assert_int_equal(wrapped_chunk(&device, &grown, reply.off, 350, true, &reply), 0);
    }
    assert_int_not_equal(agent_device_secondary(&device)[SECTOR + 5], 0);
    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, SECTOR + 5, kedge_bytes(&zero, 1));
    agent_device_power_on(&device);
    assert_int_equal(wrapped_upload(&device, &grown, 350, true, NULL, &reply),
                     KEDGE_AGENT_WRITE_FAILED);
    agent_device_power_on(&device);
    assert_int_equal(wrapped_upload(&device, &grown, 350, true, NULL, &reply), 0);
    holds(&new_image);
    wrapped_free(&grown);
}

/* Another file under the same sha: its segments are authentic, but the image of both is none. */
static void test_two_files_of_one_sha(void **state)
{
    struct wrapped_file again;

    (void)state;
    test_image_make(&old_image, &(struct test_image){
                                    .size = new_image.size, .version = {2, 0, 0, 0}, .seed = 9});
    wrapped_seal(&again, kedge_bytes(old_image.bytes, old_image.size), 12);
    memcpy(again.sha, sealed.sha, sizeof(again.sha));
    assert_int_equal(again.size, sealed.size);
    reply.off = 0;
    while (reply.off < 2 * 4112 + 500) {
        assert_int_equal(wrapped_chunk(&device, &sealed, reply.off, 350, true, &reply), 0);
    }
    agent_device_power_on(&device);
    assert_int_equal(wrapped_upload(&device, &again, 350, true, NULL, &reply),
                     KEDGE_AGENT_INVALID_HASH);
    offers_nothing();
    wrapped_free(&again);
}

/* What was sealed twice, or is a patch that was sealed, cannot be sent; or somebody makes the
 * device open envelopes without end. */
static void test_in_one_another(void **state)
{
    struct wrapped_file files[4];

    (void)state;
    wrapped_grow(&files[0], kedge_bytes(new_image.bytes, new_image.size));
    for (unsigned i = 1; i < 4; i++) {
        wrapped_seal(&files[i], kedge_bytes(files[i - 1].bytes, files[i - 1].size), 12);
    }
    for (unsigned i = 1; i < 3; i++) {
        agent_device_power_on(&device);
        assert_int_equal(wrapped_upload(&device, &files[i], 777, true, NULL, &reply), 0);
        assert_true(reply.match);
        holds(&new_image);
        assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    }
    assert_int_equal(wrapped_upload(&device, &files[3], 777, true, NULL, &reply),
                     KEDGE_AGENT_INVALID_HEADER);
    assert_string_equal(device.agent.detail, "too many envelopes in one another");
    for (unsigned i = 0; i < 4; i++) {
        wrapped_free(&files[i]);
    }
}

/* A sealed envelope in a sealed envelope: both can seek. */
static void test_resume_in_one_another(void **state)
{
    struct wrapped_file twice;

    (void)state;
    wrapped_seal(&twice, kedge_bytes(sealed.bytes, sealed.size), 10);
    for (uint32_t stop = 600; stop < twice.size; stop += 1100) {
        reply.off = 0;
        do {
            assert_int_equal(wrapped_chunk(&device, &twice, reply.off, 350, true, &reply), 0);
        } while (reply.off < stop);
        uint32_t marked = 0;

        while (agent_device_secondary(&device)[MAILBOX_AT + 97 + marked] == 0) {
            marked++;
        }
        const uint32_t before = erases();

        agent_device_power_on(&device);
        uint32_t sent = 0;

        reply.off = 0;
        while (reply.off < twice.size) {
            assert_int_equal(wrapped_chunk(&device, &twice, reply.off, 350, true, &reply), 0);
            sent += 350;
        }
        assert_true(sent < twice.size - marked * SECTOR + 4 * SECTOR);
        assert_true(reply.match);
        assert_int_equal(erases() - before, 1 + 5 - marked);
        holds(&new_image);
        assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    }
    wrapped_free(&twice);
}

/* Clients that ask by the hash of the file they sent are told that there is no such image. */
static void test_alias(void **state)
{
    const struct kedge_bytes hash = kedge_bytes(sealed.hash, 32);
    struct kedge_slot_state second;

    (void)state;
    assert_int_equal(kedge_agent_request(&device.agent, hash, false), KEDGE_AGENT_HASH_NOT_FOUND);
    assert_int_equal(wrapped_upload(&device, &sealed, 1000, true, NULL, &reply), 0);
    assert_int_equal(kedge_agent_request(&device.agent, hash, false), 0);
    assert_int_equal(listed(&second), 2);
    assert_true(second.pending && !second.permanent);
    /* the same file again is there already, and stays asked for */
    const uint32_t before = erases();

    assert_int_equal(wrapped_chunk(&device, &sealed, 0, 1000, true, &reply), 0);
    assert_int_equal(reply.off, sealed.size);
    assert_true(reply.match);
    assert_int_equal(erases(), before);
    assert_int_equal(listed(&second), 2);
    assert_true(second.pending);
    /* it means nothing any more when another image came */
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    assert_int_equal(kedge_agent_request(&device.agent, hash, false), KEDGE_AGENT_HASH_NOT_FOUND);
}

/* What is not for the pipe goes its old way, with the pipe there and without. */
static void test_no_envelope(void **state)
{
    struct test_file file;

    (void)state;
    assert_int_equal(agent_device_upload(&device, &new_image, 500, true, NULL, &reply), 0);
    holds(&new_image);
    /* a library: not bootable, and of no kind that is known */
    test_image_make(&file, &(struct test_image){.size = 3000,
                                                .version = {2, 0, 0, 0},
                                                .seed = 8,
                                                .flags = KEDGE_IMAGE_NON_BOOTABLE});
    assert_int_equal(agent_device_upload(&device, &file, 500, true, NULL, &reply), 0);
    assert_int_equal(kedge_agent_request(&device.agent, kedge_bytes(file.hash, 32), false),
                     KEDGE_AGENT_INVALID_HEADER);
    /* so short a first chunk that it cannot be told: through the empty chain, judged at its end */
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    assert_int_equal(agent_device_upload(&device, &file, 33, true, NULL, &reply),
                     KEDGE_AGENT_INVALID_HEADER);
    device.config.kind_count = 0;
    agent_device_power_on(&device);
    assert_int_equal(wrapped_upload(&device, &sealed, 500, true, NULL, &reply), 0);
    assert_memory_equal(agent_device_secondary(&device), sealed.bytes, sealed.size);
}

/* A state that is too large for the memory that a board gave is written behind its end. */
static void test_too_little_memory(void **state)
{
    (void)state;
    device.config.pipe_memory.size = sizeof(struct kedge_sealed) - 8;
    refused_untouched(&sealed, KEDGE_AGENT_TOO_LARGE,
                      "this device has no memory for so many transforms");
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DEVICE(test_every_chunk_size),
        WITH_DEVICE(test_write_block),
        WITH_DEVICE(test_calls),
        WITH_DEVICE(test_foreign_key),
        WITH_DEVICE(test_inner_image_is_judged),
        WITH_DEVICE(test_bad_inner_image),
        WITH_DEVICE(test_wrong_sha),
        WITH_DEVICE(test_every_bit),
        WITH_DEVICE(test_wrong_length),
        WITH_DEVICE(test_resume),
        WITH_DEVICE(test_resume_without_seek),
        WITH_DEVICE(test_resume_over_damage),
        WITH_DEVICE(test_two_files_of_one_sha),
        WITH_DEVICE(test_in_one_another),
        WITH_DEVICE(test_resume_in_one_another),
        WITH_DEVICE(test_alias),
        WITH_DEVICE(test_no_envelope),
        WITH_DEVICE(test_too_little_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
