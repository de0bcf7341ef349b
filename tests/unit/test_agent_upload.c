/* The upload session: what clients in the field send, and what must lie in flash afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"

static struct agent_device device;
static struct test_file old_image, new_image, other;
static struct kedge_upload_reply reply;

static int set_up(void **state)
{
    (void)state;
    agent_device_open(&device);
    test_image_make(&old_image, &(struct test_image){
                                    .size = 3 * SECTOR + 100, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(&new_image, &(struct test_image){
                                    .size = 4 * SECTOR + 777, .version = {2, 0, 0, 0}, .seed = 2});
    test_image_make(&other,
                    &(struct test_image){.size = 2 * SECTOR, .version = {3, 0, 0, 0}, .seed = 3});
    agent_device_put(&device, false, 0, &old_image);
    agent_device_power_on(&device);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.sim), "");
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_INTERNAL).failures, 0);
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
    const uint32_t data = file->size < IMAGE_MAX ? file->size : IMAGE_MAX;

    assert_memory_equal(agent_device_secondary(&device), file->bytes, data);
}

/* A client with any chunk size fails to upload, or the slot holds other bytes than it sent. */
static void test_every_chunk_size(void **state)
{
    static const uint32_t chunks[] = {32,  33,  53,   128,  256,  340, 511,
                                      512, 994, 1448, 2014, 4000, 4096};

    (void)state;
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        const struct test_file *const file = i % 2 == 0 ? &new_image : &other;
        struct kedge_slot_state second;

        assert_int_equal(agent_device_upload(&device, file, chunks[i], true, NULL, &reply), 0);
        assert_int_equal(reply.off, file->size);
        assert_true(reply.has_match && reply.match);
        holds(file);
        assert_int_equal(listed(&second), 2);
        assert_memory_equal(second.hash, file->hash, file->hash_size);
        assert_int_equal(second.slot, 1);
        assert_false(second.pending || second.confirmed || second.active || second.permanent);
    }
}

/* A device without write block 1 (internal secondary) loses the bytes at chunk borders. */
static void test_write_block(void **state)
{
    (void)state;
    for (uint32_t block = 4; block <= 32; block *= 8) {
        device.flash[KEDGE_EXTERNAL].geometry.write_block = block;
        agent_device_power_on(&device);
        assert_int_equal(
            agent_device_upload(&device, block == 4 ? &new_image : &other, 333, true, NULL, &reply),
            0);
        assert_true(reply.match);
        holds(block == 4 ? &new_image : &other);
    }
}

/* Clients get codes that name another mistake than theirs (facts A6, in its order). */
static void test_first_chunk_checks(void **state)
{
    uint8_t bytes[64], sha[33] = {0};
    const struct kedge_upload_request good = {.peer = 1,
                                              .has_off = true,
                                              .has_len = true,
                                              .len = 5000,
                                              .data = kedge_bytes(bytes, sizeof(bytes))};
    struct kedge_upload_request r;

    (void)state;
    memcpy(bytes, new_image.bytes, sizeof(bytes));
#define EXPECT(status)                                                                             \
    assert_int_equal(kedge_agent_upload(&device.agent, &r, &reply), status);                       \
    assert_true(device.agent.detail[0] != '\0')
    r = good, r.has_off = false;
    EXPECT(KEDGE_AGENT_INVALID_OFFSET);
    r = good, r.data.size = 31, r.has_len = false;
    EXPECT(KEDGE_AGENT_INVALID_HEADER);
    r = good, r.has_len = false, bytes[0] ^= 1;
    EXPECT(KEDGE_AGENT_INVALID_LENGTH);
    r = good, r.sha = kedge_bytes(sha, 33);
    EXPECT(KEDGE_AGENT_INVALID_MAGIC);
    bytes[0] ^= 1;
    EXPECT(KEDGE_AGENT_INVALID_HASH);
    r = good, r.image = 2;
    EXPECT(KEDGE_AGENT_INVALID_SLOT);
    r = good, r.len = IMAGE_MAX + 1;
    EXPECT(KEDGE_AGENT_TOO_LARGE);
    r = good, r.len = SLOT_SIZE + 1;
    EXPECT(KEDGE_AGENT_TOO_LARGE);
    r = good, kedge_put_le32(bytes + 12, IMAGE_MAX);
    EXPECT(KEDGE_AGENT_TOO_LARGE);
    r = good, kedge_put_le32(bytes + 12, 0xffffffff);
    EXPECT(KEDGE_AGENT_TOO_LARGE);
    memcpy(bytes, new_image.bytes, sizeof(bytes));
    r = good, r.len = 63;
    EXPECT(KEDGE_AGENT_OVERRUN);
    r = good, r.len = 32, r.data.size = 32;
    EXPECT(KEDGE_AGENT_INVALID_LENGTH);
    r = good, r.upgrade = true, device.boot.version = (struct kedge_version){2, 0, 0, 0};
    EXPECT(KEDGE_AGENT_NEWER_RUNS);
    kedge_put_le32(bytes + 24, 9); /* a higher build is no upgrade */
    EXPECT(KEDGE_AGENT_NEWER_RUNS);
    memcpy(bytes, new_image.bytes, sizeof(bytes));
    r = good, device.boot.version.revision = 1;
    device.agent.policy.value[KEDGE_POLICY_DOWNGRADE] = 1;
    EXPECT(KEDGE_AGENT_NEWER_RUNS);
    device.agent.policy.value[KEDGE_POLICY_DOWNGRADE] = 0;
    device.agent.policy.value[KEDGE_POLICY_CONFIDENTIAL] = 1;
    EXPECT(KEDGE_AGENT_DENIED);
    device.agent.policy.value[KEDGE_POLICY_CONFIDENTIAL] = 0;
#undef EXPECT
    /* nothing of that touched the flash */
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases, 0);
    /* image 1 is what mcumgr-client sends to every server */
    r = good, r.image = 1;
    assert_int_equal(kedge_agent_upload(&device.agent, &r, &reply), 0);
    assert_int_equal(reply.off, 32);
}

/* Lost and repeated packets end the upload, or put bytes at the wrong place. */
static void test_wrong_offsets(void **state)
{
    const struct test_file *const f = &new_image;
    uint32_t off;

    (void)state;
    assert_int_equal(agent_device_chunk(&device, f, 512, 512, true, &reply), 0);
    assert_int_equal(reply.off, 0); /* no session: begin */
    assert_int_equal(agent_device_chunk(&device, f, 0, 512, true, &reply), 0);
    for (off = reply.off; off < f->size; off = reply.off) {
        const uint32_t next = off;

        assert_int_equal(agent_device_chunk(&device, f, 0, 512, true, &reply),
                         0); /* repeated first */
        assert_int_equal(reply.off, next);
        assert_int_equal(agent_device_chunk(&device, f, next + 1, 16, true, &reply), 0);
        assert_int_equal(reply.off, next);
        assert_int_equal(agent_device_chunk(&device, f, next - 1, 100, true, &reply), 0);
        assert_int_equal(reply.off, next);
        assert_int_equal(agent_device_chunk(&device, f, next, 0, true, &reply), 0);
        assert_int_equal(reply.off, next);
        assert_int_equal(agent_device_chunk(&device, f, next, 600, true, &reply), 0);
    }
    assert_true(reply.match);
    holds(f);
    /* the last chunk's reply was lost */
    memset(&reply, 0, sizeof(reply));
    assert_int_equal(agent_device_chunk(&device, f, f->size - 10, 10, true, &reply), 0);
    assert_int_equal(reply.off, f->size);
    assert_true(reply.has_match && reply.match);
    assert_int_equal(agent_device_chunk(&device, f, 512, 512, true, &reply), 0);
    assert_int_equal(reply.off, 0);
}

/* More data than announced runs over the image behind it. */
static void test_overrun(void **state)
{
    struct kedge_upload_request r = {.peer = 1,
                                     .has_off = true,
                                     .has_len = true,
                                     .len = 100,
                                     .data = kedge_bytes(new_image.bytes, 64)};

    (void)state;
    assert_int_equal(kedge_agent_upload(&device.agent, &r, &reply), 0);
    r.off = reply.off;
    r.data = kedge_bytes(new_image.bytes + 32, 69);
    assert_int_equal(kedge_agent_upload(&device.agent, &r, &reply), KEDGE_AGENT_OVERRUN);
}

/* An erase longer than a client's patience: more than one sector inside a call. */
static void test_one_erase_a_call(void **state)
{
    const uint32_t sizes[] = {300, SECTOR, 4 * SECTOR + 777};

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        const bool helped = i >= 3;
        struct test_file file;
        uint32_t most = 0, before;

        test_image_make(&file,
                        &(struct test_image){.size = sizes[i % 3], .seed = (uint8_t)(10 + i)});
        agent_device_put(&device, true, 1, &old_image);
        agent_device_put(&device, true, 2, &old_image);
        reply.off = 0;
        do {
            before = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases;
            assert_int_equal(agent_device_chunk(&device, &file, reply.off, 4096, true, &reply), 0);
            const uint32_t erases =
                kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases - before;

            most = erases > most ? erases : most;
            while (helped && kedge_agent_idle(&device.agent)) {
                before = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases;
            }
        } while (reply.off < file.size);
        assert_int_equal(most, 1);
        assert_true(reply.match);
        holds(&file);
        assert_false(kedge_agent_idle(&device.agent));
    }
}

/* Erasing ahead goes on beyond the image, or costs more erases than the image has sectors. */
static void test_erases(void **state)
{
    (void)state;
    reply.off = 0;
    do {
        assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 512, true, &reply), 0);
        (void)kedge_agent_idle(&device.agent);
    } while (reply.off < new_image.size);
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases, 5 + 1);
    assert_int_equal(device.recorder.counts[KEDGE_EXTERNAL][KEDGE_PHASE_DOWNLOAD].erases, 5 + 1);
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_INTERNAL).erases, 0);
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_INTERNAL).programs, 0);
    assert_int_equal(device.recorder.phase, KEDGE_PHASE_IDLE);
}

/* A device reset in the middle costs a cellular client the whole upload again. */
static void test_resume_after_reset(void **state)
{
    (void)state;
    for (uint32_t stop = 0; stop < new_image.size; stop += 700) {
        struct kedge_slot_state second;

        agent_device_put(&device, true, 2, &old_image);
        reply.off = 0;
        do {
            assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 350, true, &reply),
                             0);
        } while (reply.off < stop);
        agent_device_power_on(&device);
        assert_int_equal(listed(&second), 1);
        /* without sha, in the middle: begin */
        assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 350, true, &reply), 0);
        assert_int_equal(reply.off, 0);
        assert_int_equal(agent_device_chunk(&device, &new_image, 0, 350, true, &reply), 0);
        assert_int_equal(reply.off, stop < SECTOR ? 32
                                                  : stop / SECTOR * SECTOR +
                                                        (stop % SECTOR > SECTOR - 350
                                                             ? reply.off - stop / SECTOR * SECTOR
                                                             : 0));
        assert_true(reply.off % SECTOR == 0 || reply.off == 32);
        while (reply.off < new_image.size) {
            assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 350, true, &reply),
                             0);
        }
        assert_true(reply.match);
        holds(&new_image);
        assert_int_equal(listed(&second), 2);
        kedge_agent_erase(&device.agent, 1);
    }
}

/* A cell that a cut tore reads as blank at one power-on and as written at the next, when its sector
 * has been begun anew meanwhile: the resume leaves half of it out. */
static void test_torn_cell(void **state)
{
    const uint8_t torn = 0x01;
    struct kedge_sim_snapshot *start;

    (void)state;
    reply.off = 0;
    while (reply.off < 3 * SECTOR) {
        assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 1000, true, &reply), 0);
    }
    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, MAILBOX_AT + 97 + 2, kedge_bytes(&torn, 1));
    kedge_sim_weaken(device.sim, KEDGE_EXTERNAL, MAILBOX_AT + 97 + 2, torn);
    start = kedge_sim_snapshot_make(device.sim);
    for (uint64_t seed = 1; seed <= 32; seed++) {
        const struct kedge_sim_faults faults = {.seed = seed};

        kedge_sim_restore(device.sim, start);
        kedge_sim_arm(device.sim, &faults);
        agent_device_power_on(&device);
        reply.off = 0;
        for (int i = 0; i < 3; i++) {
            assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 1000, true, &reply),
                             0);
        }
        agent_device_power_on(&device);
        assert_int_equal(agent_device_upload(&device, &new_image, 1000, true, NULL, &reply), 0);
        assert_true(reply.match);
        holds(&new_image);
    }
    kedge_sim_snapshot_free(start);
}

/* A resume without a sha, or with another file's, mixes two images. */
static void test_no_wrong_resume(void **state)
{
    (void)state;
    reply.off = 0;
    while (reply.off < 3 * SECTOR) {
        assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 1000, true, &reply), 0);
    }
    agent_device_power_on(&device);
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 1000, false, &reply), 0);
    assert_int_equal(reply.off, 32);
    assert_int_equal(agent_device_upload(&device, &other, 1000, true, NULL, &reply), 0);
    assert_true(reply.match);
    holds(&other);

    /* an upload without sha leaves nothing to resume */
    reply.off = 0;
    while (reply.off < 3 * SECTOR) {
        assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 1000, false, &reply),
                         0);
    }
    agent_device_power_on(&device);
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 1000, false, &reply), 0);
    assert_int_equal(reply.off, 32);
}

/* The same file twice costs its whole transfer again. */
static void test_already_there(void **state)
{
    unsigned calls;
    uint32_t erases;

    (void)state;
    assert_int_equal(agent_device_upload(&device, &new_image, 512, true, NULL, &reply), 0);
    erases = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(agent_device_upload(&device, &new_image, 512, true, &calls, &reply), 0);
        assert_int_equal(calls, 1);
        assert_true(reply.has_match && reply.match);
        assert_int_equal(reply.off, new_image.size);
        agent_device_power_on(&device);
    }
    /* once: the record of the earlier power-on, whose last cell might have been torn */
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases, erases + 1);
    /* where the loader left the other image after a swap counts as well */
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    agent_device_put(&device, true, 2, &other);
    assert_int_equal(agent_device_upload(&device, &other, 512, true, &calls, &reply), 0);
    assert_int_equal(calls, 1);
    /* one wrong byte in flash: it has to be sent */
    kedge_sim_decay(device.sim, KEDGE_EXTERNAL, 3 * SECTOR, 1);
    assert_int_equal(agent_device_upload(&device, &other, 512, true, &calls, &reply), 0);
    assert_true(calls > 10 && reply.match);
    holds(&other);
}

/* A client that announces another sha than it sends is told that all is well. */
static void test_mismatch(void **state)
{
    struct test_file file = new_image;

    (void)state;
    file.sha[5] ^= 1;
    assert_int_equal(agent_device_upload(&device, &file, 512, true, NULL, &reply), 0);
    assert_int_equal(reply.off, file.size);
    assert_true(reply.has_match && !reply.match);
    assert_int_equal(agent_device_upload(&device, &new_image, 512, false, NULL, &reply), 0);
    assert_false(reply.has_match);
    holds(&new_image);
}

/* Two clients at once: bytes of both in one slot. */
static void test_several_clients(void **state)
{
    struct kedge_upload_request b = {.peer = 2,
                                     .has_off = true,
                                     .has_len = true,
                                     .len = other.size,
                                     .sha = kedge_bytes(other.sha, 32),
                                     .data = kedge_bytes(other.bytes, 512)};

    (void)state;
    device.now_ms = UINT32_MAX - 2000; /* the clock wraps meanwhile */
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 512, true, &reply), 0);
    device.now_ms += 4999;
    assert_int_equal(kedge_agent_upload(&device.agent, &b, &reply), KEDGE_AGENT_BUSY);
    b.off = 32, b.has_len = false;
    assert_int_equal(kedge_agent_upload(&device.agent, &b, &reply), KEDGE_AGENT_BUSY);
    b.off = 0, b.has_len = true;
    /* the first goes on undisturbed */
    assert_int_equal(agent_device_chunk(&device, &new_image, 32, 512, true, &reply), 0);
    assert_int_equal(reply.off, 544);
    device.now_ms += 5000;
    assert_int_equal(kedge_agent_upload(&device.agent, &b, &reply), 0);
    assert_int_equal(reply.off, 32);
    /* the first comes back with an offset that would fit */
    assert_int_equal(agent_device_chunk(&device, &new_image, 32, 512, true, &reply),
                     KEDGE_AGENT_BUSY);
    /* the same file from another connection: resume at once */
    assert_int_equal(agent_device_chunk(&device, &other, 0, 512, true, &reply), 0);
    assert_int_equal(reply.off, 32);
    assert_int_equal(agent_device_chunk(&device, &other, 32, 512, true, &reply), 0);
    assert_int_equal(reply.off, 544);
    /* the same client, another file: it has changed its mind */
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 512, true, &reply), 0);
    assert_int_equal(reply.off, 32);
}

/* An old image, parsable at a higher base or from the last upload, is offered while a new one is
 * half-way there. */
static void test_half_way_offers_nothing(void **state)
{
    struct kedge_slot_state second;
    struct test_file twin;

    (void)state;
    /* the same sizes as the new one: its TLVs would fit under the new header */
    test_image_make(
        &twin, &(struct test_image){.size = new_image.size, .version = {1, 9, 0, 0}, .seed = 77});
    for (uint32_t stop = 1; stop < new_image.size; stop += 500) {
        agent_device_put(&device, true, 0, &twin);
        agent_device_put(&device, true, 2, &other);
        agent_device_power_on(&device);
        reply.off = 0;
        do {
            assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 500, false, &reply),
                             0);
            assert_int_equal(listed(&second), reply.off == new_image.size ? 2 : 1);
            (void)kedge_agent_idle(&device.agent);
        } while (reply.off < stop);
        assert_int_equal(kedge_agent_request(&device.agent, kedge_bytes(twin.hash, 32), false),
                         KEDGE_AGENT_HASH_NOT_FOUND);
        assert_int_equal(kedge_agent_request(&device.agent, kedge_bytes(other.hash, 32), false),
                         KEDGE_AGENT_HASH_NOT_FOUND);
        if (reply.off < new_image.size) {
            agent_device_power_on(&device);
            assert_int_equal(listed(&second), 1);
            assert_int_equal(kedge_agent_request(&device.agent, kedge_bytes(other.hash, 32), false),
                             KEDGE_AGENT_HASH_NOT_FOUND);
        }
    }
}

/* A short new image leaves an old one behind itself, which the loader may take instead. */
static void test_short_image_leaves_no_old_one(void **state)
{
    struct test_file tiny, bigger;
    struct kedge_image image;

    (void)state;
    test_image_make(&tiny, &(struct test_image){.size = 400, .version = {2, 0, 0, 0}, .seed = 5});
    test_image_make(&bigger,
                    &(struct test_image){.size = SECTOR + 1, .version = {2, 0, 0, 0}, .seed = 6});
    for (unsigned base = 0; base <= 2; base++) {
        for (unsigned i = 0; i < 4; i++) {
            const struct test_file *const file = i % 2 == 0 ? &tiny : &bigger;

            agent_device_put(&device, true, base, &other);
            reply.off = 0;
            do {
                assert_int_equal(agent_device_chunk(&device, file, reply.off, 200, true, &reply),
                                 0);
                while (i >= 2 && kedge_agent_idle(&device.agent)) {
                }
            } while (reply.off < file->size);
            holds(file);
            assert_int_equal(kedge_slot_find(&device.pair.secondary, 0, &image), 0);
            assert_true(kedge_slot_find(&device.pair.secondary, 1, &image) < 0);
        }
    }
}

/* An image put into the slot by a debugger after a broken upload stays invisible. */
static void test_debugger_after_broken_upload(void **state)
{
    struct kedge_slot_state second;

    (void)state;
    reply.off = 0;
    while (reply.off < 2 * SECTOR) {
        assert_int_equal(agent_device_chunk(&device, &new_image, reply.off, 1000, true, &reply), 0);
    }
    agent_device_put(&device, true, 0, &other);
    agent_device_power_on(&device);
    assert_int_equal(listed(&second), 2);
    assert_memory_equal(second.hash, other.hash, 32);
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 1000, true, &reply), 0);
    assert_int_equal(reply.off, 32);
}

/* The image that the device would revert to is overwritten; a pending one against the policy. */
static void test_slot_in_use(void **state)
{
    (void)state;
    agent_device_put(&device, true, 2, &other);
    agent_device_trailer(&device, TRAILER_TESTING);
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 512, true, &reply),
                     KEDGE_AGENT_NO_FREE_SLOT);
    assert_int_equal(kedge_agent_erase(&device.agent, 1), KEDGE_AGENT_NO_FREE_SLOT);
    agent_device_trailer(&device, TRAILER_CONFIRMED);
    agent_device_trailer(&device, TRAILER_ASKS_PERMANENT);
    device.agent.policy.value[KEDGE_POLICY_ERASE_PENDING] = 1;
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 512, true, &reply),
                     KEDGE_AGENT_NO_FREE_SLOT);
    assert_int_equal(kedge_agent_erase(&device.agent, 1), KEDGE_AGENT_NO_FREE_SLOT);
    holds(&(struct test_file){.size = 0});
    device.agent.policy.value[KEDGE_POLICY_ERASE_PENDING] = 0;
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 512, true, &reply), 0);
    /* the request is gone before the first byte of its image */
    assert_true(agent_device_mailbox(&device).blank);
}

/* imgtool --pad does not ask for a boot, as it does on a Zephyr device; or a damaged one does. */
static void test_padded_files(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        const bool confirm = i & 1, sha = i & 2, reset = i & 4, foreign = i & 8;
        struct test_file file;
        struct kedge_trailer trailer;
        int status = 0;

        test_image_make(&file, &(struct test_image){.size = 2 * SECTOR,
                                                    .version = {2, 1, 0, 0},
                                                    .seed = (uint8_t)(30 + i),
                                                    .foreign = foreign});
        test_file_pad(&file, confirm);
        assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
        reply.off = 0;
        do {
            status = agent_device_chunk(&device, &file, reply.off, 1448, sha, &reply);
            assert_true(agent_device_mailbox(&device).magic == KEDGE_MAGIC_UNSET ||
                        reply.off == SLOT_SIZE);
            if (status == 0 && reset && reply.off > IMAGE_MAX && reply.off < SLOT_SIZE &&
                device.now_ms < i) {
                device.now_ms = i; /* once */
                agent_device_power_on(&device);
                assert_int_equal(agent_device_chunk(&device, &file, 0, 1448, sha, &reply), 0);
                assert_int_equal(reply.off, sha ? IMAGE_MAX : 32);
            }
        } while (status == 0 && reply.off < file.size);
        trailer = agent_device_mailbox(&device);
        if (foreign) {
            assert_int_equal(status, KEDGE_AGENT_DENIED);
            assert_int_equal(kedge_trailer_request(&trailer), KEDGE_REQUEST_NONE);
            /* the Go client sends its last chunk for ever: no wear, the same answer */
            const uint32_t erases = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases;

            assert_int_equal(agent_device_chunk(&device, &file, SLOT_SIZE - 10, 10, sha, &reply),
                             KEDGE_AGENT_DENIED);
            assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases, erases);
            continue;
        }
        assert_int_equal(status, 0);
        assert_true(reply.match == sha);
        assert_int_equal(kedge_trailer_request(&trailer),
                         confirm ? KEDGE_REQUEST_PERMANENT : KEDGE_REQUEST_TEST);
        holds(&file);
        if (sha) {
            unsigned calls;

            assert_int_equal(agent_device_upload(&device, &file, 1448, true, &calls, &reply), 0);
            assert_int_equal(calls, 1);
        }
    }
}

/* Data where the agent keeps its record vanishes without a word. */
static void test_padded_file_with_data_in_trailer_sector(void **state)
{
    struct test_file file = new_image;

    (void)state;
    test_file_pad(&file, false);
    file.bytes[IMAGE_MAX + 100] = 0;
    assert_int_equal(agent_device_upload(&device, &file, 512, false, NULL, &reply),
                     KEDGE_AGENT_TOO_LARGE);
}

/* One bad moment of the bus or the chip ends or corrupts an upload. */
static void test_single_faults(void **state)
{
    struct kedge_sim_snapshot *const start = kedge_sim_snapshot_make(device.sim);
    uint32_t operations, reads, failures = 0;

    (void)state;
    kedge_sim_arm(device.sim, NULL);
    assert_int_equal(agent_device_upload(&device, &new_image, 512, true, NULL, &reply), 0);
    operations = kedge_sim_operations(device.sim);
    reads = kedge_sim_reads(device.sim);
    for (uint32_t n = 1; n <= operations; n++) {
        for (unsigned kind = 0; kind < 3; kind++) {
            struct kedge_sim_faults faults = {.seed = n};

            *(kind == 0   ? &faults.write_flip_at
              : kind == 1 ? &faults.op_fail_at
                          : &faults.op_ignore_at) = n;
            kedge_sim_restore(device.sim, start);
            agent_device_power_on(&device);
            kedge_sim_arm(device.sim, &faults);
            if (agent_device_upload(&device, &new_image, 512, true, NULL, &reply) != 0) {
                /* a wrong bit in the header: its sector is no longer in RAM. Once more. */
                struct kedge_slot_state second;

                assert_int_equal(kind, 0);
                failures++;
                assert_int_equal(listed(&second), 1);
                assert_int_equal(agent_device_upload(&device, &new_image, 512, true, NULL, &reply),
                                 0);
            }
            assert_true(reply.match);
            holds(&new_image);
            kedge_sim_forgive(device.sim); /* a wrong bit cannot be programmed back */
        }
    }
    assert_true(failures <= 1);
    for (uint32_t n = 1; n <= reads; n += 3) {
        struct kedge_sim_faults faults = {.seed = n, .read_flip_at = n};

        kedge_sim_restore(device.sim, start);
        agent_device_power_on(&device);
        kedge_sim_arm(device.sim, &faults);
        assert_int_equal(agent_device_upload(&device, &new_image, 512, true, NULL, &reply), 0);
        assert_true(reply.match);
        holds(&new_image);
    }
    kedge_sim_snapshot_free(start);
}

/* A dead chip or a stuck bit makes clients loop; a session stays behind that nobody can leave. */
static void test_lasting_faults(void **state)
{
    struct kedge_sim_faults dead = {.external_dead = true};
    struct kedge_sim_faults stuck = {
        .stuck[0] = {.at = 2 * SECTOR + 9, .device = KEDGE_EXTERNAL, .mask = 0x10, .value = 0}};

    (void)state;
    kedge_sim_arm(device.sim, &stuck);
    assert_true(agent_device_upload(&device, &new_image, 512, true, NULL, &reply) >=
                KEDGE_AGENT_WRITE_FAILED);
    assert_int_equal(agent_device_chunk(&device, &new_image, 2 * SECTOR, 512, true, &reply), 0);
    assert_int_equal(reply.off, 0); /* the session is over */
    kedge_sim_arm(device.sim, &dead);
    assert_true(agent_device_chunk(&device, &new_image, 0, 512, true, &reply) != 0);
    assert_true(device.agent.detail[0] != '\0');
    kedge_sim_arm(device.sim, NULL);
    assert_int_equal(agent_device_upload(&device, &new_image, 512, true, NULL, &reply), 0);
    assert_true(reply.match);
    kedge_sim_forgive(device.sim);
}

/* What was erased by command in this power-on is erased again in front of the data: half the speed;
 * or what was written since, or may have been torn in the power-on before, is not. */
static void test_erased_ahead(void **state)
{
    uint32_t erases;

    (void)state;
    assert_int_equal(agent_device_upload(&device, &new_image, 512, true, NULL, &reply), 0);
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    erases = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases;
    assert_int_equal(agent_device_upload(&device, &other, 512, true, NULL, &reply), 0);
    assert_true(reply.match);
    holds(&other);
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases, erases + 1);
    /* the next one finds them written */
    erases = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases;
    assert_int_equal(agent_device_upload(&device, &new_image, 512, true, NULL, &reply), 0);
    holds(&new_image);
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases, erases + 1 + 5);
    /* nor is it known after a reset */
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    agent_device_power_on(&device);
    erases = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases;
    assert_int_equal(agent_device_upload(&device, &other, 512, true, NULL, &reply), 0);
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases,
                     erases + 1 + (other.size + SECTOR - 1) / SECTOR);
    /* a debugger wrote into the slot since: its bytes are no part of the image */
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    agent_device_put(&device, true, 0, &other);
    assert_int_equal(agent_device_upload(&device, &new_image, 512, true, NULL, &reply), 0);
    assert_true(reply.match);
    holds(&new_image);
}

/* Erase leaves something bootable, or erases again what is blank, or forgets the session. */
static void test_erase(void **state)
{
    struct kedge_slot_state second;
    uint32_t erases;

    (void)state;
    agent_device_put(&device, true, 2, &new_image);
    assert_int_equal(kedge_agent_erase(&device.agent, 0), KEDGE_AGENT_INVALID_SLOT);
    assert_int_equal(kedge_agent_erase(&device.agent, 2), KEDGE_AGENT_INVALID_SLOT);
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    assert_true(
        kedge_all(kedge_bytes(agent_device_secondary(&device), SLOT_SIZE + 2 * SECTOR), 0xff));
    assert_int_equal(listed(&second), 1);
    erases = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases;
    assert_int_equal(erases, 1 + 5); /* mailbox; units 2 to 6 */
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    assert_int_equal(kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL).erases, erases + 1);
    /* in the middle of an upload: the client has to begin again */
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 512, true, &reply), 0);
    assert_int_equal(kedge_agent_erase(&device.agent, 1), 0);
    assert_int_equal(agent_device_chunk(&device, &new_image, 32, 512, true, &reply), 0);
    assert_int_equal(reply.off, 0);
    assert_int_equal(agent_device_upload(&device, &new_image, 512, true, NULL, &reply), 0);
    assert_true(reply.match);
}

/* Clients show the wrong sizes, or send images that can never be swapped. */
static void test_slots(void **state)
{
    struct kedge_slot_info slots[2];
    uint32_t max_image;

    (void)state;
    assert_int_equal(kedge_agent_slots(&device.agent, slots, &max_image), 2);
    assert_int_equal(slots[0].size, SLOT_SIZE);
    assert_int_equal(slots[1].size, SLOT_SIZE);
    assert_int_equal(slots[1].slot, 1);
    assert_int_equal(max_image, IMAGE_MAX);
}

/* A client with several chunks in flight asks why it was refused, and the ones behind the refused
 * one have wiped the words out. */
static void test_words_stay(void **state)
{
    struct test_file padded = new_image;

    (void)state;
    test_file_pad(&padded, false);
    padded.bytes[IMAGE_MAX + 8] = 0; /* data where the trailer's sector lies */
    test_file_hash(&padded);
    assert_int_equal(agent_device_upload(&device, &padded, 1000, true, NULL, &reply),
                     KEDGE_AGENT_TOO_LARGE);
    assert_true(device.agent.detail[0] != '\0');
    assert_int_equal(agent_device_chunk(&device, &padded, 5000, 1000, false, &reply), 0);
    assert_int_equal(reply.off, 0);
    assert_true(device.agent.detail[0] != '\0');
    assert_int_equal(agent_device_chunk(&device, &new_image, 0, 1000, true, &reply), 0);
    assert_true(device.agent.detail[0] == '\0');
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_every_chunk_size),
        TEST(test_write_block),
        TEST(test_first_chunk_checks),
        TEST(test_wrong_offsets),
        TEST(test_overrun),
        TEST(test_one_erase_a_call),
        TEST(test_erases),
        TEST(test_resume_after_reset),
        TEST(test_torn_cell),
        TEST(test_no_wrong_resume),
        TEST(test_already_there),
        TEST(test_mismatch),
        TEST(test_several_clients),
        TEST(test_half_way_offers_nothing),
        TEST(test_short_image_leaves_no_old_one),
        TEST(test_debugger_after_broken_upload),
        TEST(test_slot_in_use),
        TEST(test_padded_files),
        TEST(test_words_stay),
        TEST(test_padded_file_with_data_in_trailer_sector),
        TEST(test_single_faults),
        TEST(test_lasting_faults),
        TEST(test_erased_ahead),
        TEST(test_erase),
        TEST(test_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
