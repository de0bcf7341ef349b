/* The chunk store. If it fails in the field, a download over a bad link never ends, ends with the
 * wrong bytes, or is begun again at each reset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"
#include "kedge/pipe.h"
#include "kedge/stage.h"

#define CHUNK 1000u

static struct agent_device device;
static struct kedge_stage stage;
static uint8_t buffer[512];
static struct test_file image, other, foreign;
static struct kedge_sim_snapshot *fresh;

static void power_on(void)
{
    agent_device_power_on(&device);
    kedge_stage_start(&stage, &device.agent, kedge_buf(buffer, sizeof(buffer)));
}

static struct kedge_manifest manifest_of(const struct test_file *file)
{
    struct kedge_manifest manifest = {
        .size = file->size, .chunk = CHUNK, .check = KEDGE_STAGE_CHECK_CRC32, .check_size = 4};

    memcpy(manifest.id, file->sha, sizeof(manifest.id));
    return manifest;
}

static int begin(const struct test_file *file)
{
    const struct kedge_manifest manifest = manifest_of(file);

    return kedge_stage_begin(&stage, &manifest);
}

/* Chunk `index` with its own check. */
static int put(const struct test_file *file, uint32_t index)
{
    const uint32_t off = index * stage.manifest.chunk;
    const struct kedge_bytes data =
        kedge_bytes(file->bytes + off, kedge_stage_chunk_size(&stage, index));
    uint8_t check[KEDGE_DIGEST_MAX];

    kedge_put_le32(check, kedge_crc32(0, data));
    if (stage.manifest.check == KEDGE_STAGE_CHECK_SHA256) {
        kedge_hash_once(&kedge_sha256, data, check);
    }
    return kedge_stage_put(&stage, off, data, kedge_bytes(check, stage.manifest.check_size));
}

static void put_all(const struct test_file *file)
{
    for (uint32_t i = 0; i < stage.chunks; i++) {
        assert_int_equal(put(file, i), 0);
    }
}

/* finish, then steps until it is over. */
static int finish(enum kedge_stage_then then)
{
    const int status = kedge_stage_finish(&stage, then);
    unsigned steps = 0;

    while (kedge_stage_step(&stage) && steps < 10000) {
        steps++;
    }
    assert_true(steps < 10000);
    return status;
}

static const uint8_t *staged(void)
{
    return kedge_sim_contents(device.sim, KEDGE_EXTERNAL) + STAGING_AT + 3 * SECTOR;
}

static uint32_t writes(void)
{
    const struct kedge_counts total = kedge_recorder_total(&device.recorder, KEDGE_EXTERNAL);

    return total.programs + total.erases;
}

static int set_up(void **state)
{
    (void)state;
    kedge_sim_restore(device.sim, fresh);
    kedge_recorder_clear(&device.recorder);
    device.defaults = kedge_policy_default;
    power_on();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.sim), "");
    return 0;
}

/* Pieces that come in any order must make the file, and the file the image that is asked for. */
static void test_any_order_to_a_request(void **state)
{
    struct kedge_slot_state states[2];

    (void)state;
    assert_int_equal(begin(&image), 0);
    assert_int_equal(stage.chunks, 13);
    for (uint32_t i = 0; i < stage.chunks; i++) {
        assert_int_equal(kedge_stage_finish(&stage, KEDGE_STAGE_THEN_TEST), KEDGE_STAGE_INCOMPLETE);
        assert_int_equal(put(&image, i * 5 % 13), 0);
    }
    assert_int_equal(stage.received, 13);
    assert_int_equal(kedge_stage_next_missing(&stage, 0), 13);
    assert_memory_equal(staged(), image.bytes, image.size);
    assert_int_equal(finish(KEDGE_STAGE_THEN_TEST), 0);
    assert_int_equal(stage.state, KEDGE_STAGE_DECODED);
    assert_memory_equal(agent_device_secondary(&device), image.bytes, image.size);
    assert_int_equal(kedge_agent_list(&device.agent, states), 1);
    assert_true(states[0].pending && !states[0].permanent);
}

/* Download, decode and idle must be told apart, and the internal flash stay out of the first two.
 */
static void test_phases(void **state)
{
    (void)state;
    assert_int_equal(begin(&image), 0);
    put_all(&image);
    const struct kedge_counts before = device.recorder.counts[KEDGE_EXTERNAL][KEDGE_PHASE_DOWNLOAD];

    assert_true(before.programs > 13 && before.erases == 2 + 1 + 4);
    assert_int_equal(finish(KEDGE_STAGE_THEN_CONFIRM), 0);
    assert_int_equal(stage.state, KEDGE_STAGE_DECODED);
    assert_memory_equal(&device.recorder.counts[KEDGE_EXTERNAL][KEDGE_PHASE_DOWNLOAD], &before,
                        sizeof(before));
    assert_true(device.recorder.counts[KEDGE_EXTERNAL][KEDGE_PHASE_DECODE].erases >= 4);
    assert_int_equal(device.recorder.counts[KEDGE_INTERNAL][KEDGE_PHASE_DECODE].programs, 0);
    assert_int_equal(device.recorder.counts[KEDGE_INTERNAL][KEDGE_PHASE_DECODE].failures, 0);
    assert_int_equal(device.recorder.phase, KEDGE_PHASE_IDLE);
}

/* A repeated chunk must not wear the flash; one with other bytes must not be believed. */
static void test_duplicates(void **state)
{
    struct test_file changed = image;

    (void)state;
    changed.bytes[2500] ^= 0x10;
    assert_int_equal(begin(&image), 0);
    assert_int_equal(put(&image, 2), 0);
    const uint32_t before = writes();

    assert_int_equal(put(&image, 2), 0);
    assert_int_equal(put(&changed, 2), KEDGE_STAGE_CONFLICT);
    assert_true(strstr(device.agent.detail, "other bytes") != NULL);
    assert_int_equal(writes(), before);
    assert_int_equal(stage.received, 1);
    assert_int_equal(put(&image, 2), 0);
}

/* A chunk that the link damaged must cost itself alone. */
static void test_bad_check(void **state)
{
    const uint8_t wrong[4] = {1, 2, 3, 4};

    (void)state;
    assert_int_equal(begin(&image), 0);
    assert_int_equal(put(&image, 0), 0);
    const uint32_t before = writes();

    assert_int_equal(kedge_stage_put(&stage, CHUNK, kedge_bytes(image.bytes + CHUNK, CHUNK),
                                     kedge_bytes(wrong, 4)),
                     KEDGE_STAGE_BAD_CHECK);
    assert_int_equal(writes(), before);
    assert_int_equal(kedge_stage_next_missing(&stage, 0), 1);
    assert_int_equal(put(&image, 1), 0);
}

/* Truncated SHA-256 is checked as far as the manifest says. */
static void test_sha_check(void **state)
{
    struct kedge_manifest manifest = manifest_of(&image);
    uint8_t check[32] = {0};

    (void)state;
    manifest.check = KEDGE_STAGE_CHECK_SHA256;
    manifest.check_size = 8;
    assert_int_equal(kedge_stage_begin(&stage, &manifest), 0);
    assert_int_equal(
        kedge_stage_put(&stage, 0, kedge_bytes(image.bytes, CHUNK), kedge_bytes(check, 8)),
        KEDGE_STAGE_BAD_CHECK);
    assert_int_equal(
        kedge_stage_put(&stage, 0, kedge_bytes(image.bytes, CHUNK), kedge_bytes(check, 4)),
        KEDGE_STAGE_INVALID);
    put_all(&image);
    assert_int_equal(finish(KEDGE_STAGE_THEN_NOTHING), 0);
    assert_int_equal(stage.state, KEDGE_STAGE_DECODED);
}

/* After a reset the same file goes on; another one must not push it aside. */
static void test_resume_and_other_file(void **state)
{
    (void)state;
    assert_int_equal(begin(&image), 0);
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(put(&image, 12 - i), 0);
    }
    power_on();
    assert_int_equal(stage.received, 7);
    assert_int_equal(stage.state, KEDGE_STAGE_RECEIVING);
    const uint32_t before = writes();

    assert_int_equal(begin(&other), KEDGE_STAGE_OTHER_FILE);
    assert_int_equal(begin(&image), 0);
    assert_int_equal(stage.received, 7);
    assert_int_equal(kedge_stage_next_missing(&stage, 0), 0);
    assert_int_equal(kedge_stage_next_missing(&stage, 6), stage.chunks);
    assert_int_equal(kedge_stage_next_present(&stage, 0), 6);
    assert_int_equal(writes(), before);

    assert_int_equal(kedge_stage_abort(&stage), 0);
    assert_int_equal(put(&image, 0), KEDGE_STAGE_NO_FILE);
    power_on();
    assert_int_equal(stage.state, KEDGE_STAGE_EMPTY);
    assert_int_equal(begin(&other), 0);
    assert_int_equal(stage.received, 0);
    put_all(&other);
    power_on();
    assert_int_equal(begin(&other), 0);
    assert_int_equal(finish(KEDGE_STAGE_THEN_TEST), 0);
    assert_int_equal(stage.state, KEDGE_STAGE_DECODED);
    /* decoded: the next file needs no abort; nor does the same again */
    power_on();
    assert_int_equal(begin(&other), 0);
    assert_int_equal(stage.received, stage.chunks);
    assert_int_equal(begin(&image), 0);
    assert_int_equal(stage.received, 0);
}

/* The same id with another size or other chunks is a mistake that must be named. */
static void test_reused_id(void **state)
{
    struct kedge_manifest manifest = manifest_of(&image);

    (void)state;
    assert_int_equal(begin(&image), 0);
    assert_int_equal(put(&image, 3), 0);
    manifest.size++;
    assert_int_equal(kedge_stage_begin(&stage, &manifest), KEDGE_STAGE_OTHER_FILE);
    manifest.size--;
    manifest.chunk = 500;
    assert_int_equal(kedge_stage_begin(&stage, &manifest), KEDGE_STAGE_OTHER_FILE);
    assert_int_equal(stage.received, 1);
}

/* As many chunks as bytes: the map goes on in its next sector, and is found again. */
static void test_map_of_two_sectors(void **state)
{
    struct kedge_manifest manifest = manifest_of(&other);

    (void)state;
    manifest.chunk = 1;
    manifest.check = KEDGE_STAGE_CHECK_NONE;
    manifest.check_size = 0;
    assert_true(other.size > SECTOR);
    assert_int_equal(kedge_stage_begin(&stage, &manifest), 0);
    for (uint32_t i = other.size; i > 0; i--) {
        assert_int_equal(put(&other, i - 1), 0);
        if (i == SECTOR + 2 || i == SECTOR || i == 9) {
            power_on();
            assert_int_equal(stage.received, other.size - i + 1);
            assert_int_equal(kedge_stage_next_present(&stage, 0), i - 1);
            assert_int_equal(kedge_stage_next_missing(&stage, i - 1), other.size);
        }
    }
    assert_int_equal(finish(KEDGE_STAGE_THEN_TEST), 0);
    assert_int_equal(stage.state, KEDGE_STAGE_DECODED);
    assert_memory_equal(agent_device_secondary(&device), other.bytes, other.size);
}

/* Manifests that cannot be: each with its words, nothing written. */
static void test_bad_manifests(void **state)
{
    const struct kedge_manifest good = manifest_of(&image);
    struct kedge_manifest m;
    const uint32_t before = writes();

    (void)state;
#define REFUSED(change, status, words)                                                             \
    m = good;                                                                                      \
    m.change;                                                                                      \
    assert_int_equal(kedge_stage_begin(&stage, &m), status);                                       \
    assert_true(strstr(device.agent.detail, words) != NULL)
    REFUSED(size = 0, KEDGE_STAGE_INVALID, "empty");
    REFUSED(chunk = 0, KEDGE_STAGE_INVALID, "1 to 65536");
    REFUSED(chunk = 65537, KEDGE_STAGE_INVALID, "1 to 65536");
    REFUSED(size = 5 * SECTOR + 1, KEDGE_STAGE_TOO_LARGE, "staging region");
    REFUSED(size = UINT32_MAX, KEDGE_STAGE_TOO_LARGE, "staging region");
    REFUSED(check = 3, KEDGE_STAGE_INVALID, "no such check");
    REFUSED(check_size = 3, KEDGE_STAGE_INVALID, "crc32 4");
    REFUSED(transform = 9, KEDGE_STAGE_INVALID, "kind of file");
    assert_int_equal(stage.state, KEDGE_STAGE_EMPTY);
    assert_int_equal(writes(), before);
    assert_int_equal(kedge_stage_capacity(&stage, CHUNK), 5 * SECTOR);
    assert_int_equal(kedge_stage_capacity(&stage, 1), 3 * SECTOR);
    assert_int_equal(kedge_stage_capacity(&stage, 0), 0);
    device.layout.staging.flash = NULL;
    power_on();
    assert_int_equal(kedge_stage_begin(&stage, &good), KEDGE_STAGE_UNSUPPORTED);
    assert_int_equal(put(&image, 0), KEDGE_STAGE_NO_FILE);
    device.layout.staging.flash = &device.flash[KEDGE_EXTERNAL];
}

/* Chunks that are no chunks of this file. */
static void test_bad_chunks(void **state)
{
    uint8_t check[4];

    (void)state;
    assert_int_equal(put(&image, 0), KEDGE_STAGE_NO_FILE);
    assert_int_equal(begin(&image), 0);
#define CHUNK_REFUSED(off, size, words)                                                            \
    kedge_put_le32(check, kedge_crc32(0, kedge_bytes(image.bytes, size)));                         \
    assert_int_equal(                                                                              \
        kedge_stage_put(&stage, off, kedge_bytes(image.bytes, size), kedge_bytes(check, 4)),       \
        KEDGE_STAGE_INVALID);                                                                      \
    assert_true(strstr(device.agent.detail, words) != NULL)
    CHUNK_REFUSED(1, CHUNK, "multiple");
    CHUNK_REFUSED(13000, CHUNK, "behind");
    CHUNK_REFUSED(UINT32_MAX - 295, CHUNK, "behind");
    CHUNK_REFUSED(0, CHUNK - 1, "whole chunk");
    CHUNK_REFUSED(0, 0, "whole chunk");
    CHUNK_REFUSED(12000, CHUNK, "whole chunk");
    assert_int_equal(stage.received, 0);
    memset(check, 0, sizeof(check));
    memset(buffer, 0x41, CHUNK < sizeof(buffer) ? CHUNK : sizeof(buffer));
    /* not an image: told by the first chunk, not after the whole download */
    static uint8_t text[CHUNK];

    memset(text, 'A', sizeof(text));
    kedge_put_le32(check, kedge_crc32(0, kedge_bytes(text, sizeof(text))));
    assert_int_equal(
        kedge_stage_put(&stage, 0, kedge_bytes(text, sizeof(text)), kedge_bytes(check, 4)),
        KEDGE_STAGE_INVALID);
    assert_true(strstr(device.agent.detail, "sign it first") != NULL);
}

/* With policy confidential no readable byte may reach the external chip, whichever chunk is first.
 */
static void test_confidential(void **state)
{
    struct kedge_manifest manifest = manifest_of(&image);
    static struct test_file sealed;

    (void)state;
    test_image_make(&sealed, &(struct test_image){.size = image.size,
                                                  .version = {2, 0, 0, 0},
                                                  .seed = 9,
                                                  .flags = KEDGE_IMAGE_AES128});
    device.defaults.value[KEDGE_POLICY_CONFIDENTIAL] = 1;
    power_on();
    manifest.chunk = 100;
    assert_int_equal(kedge_stage_begin(&stage, &manifest), KEDGE_STAGE_INVALID);
    manifest.chunk = CHUNK;
    manifest.transform = KEDGE_STAGE_PLAIN;
    assert_int_equal(kedge_stage_begin(&stage, &manifest), KEDGE_STAGE_PLAINTEXT);
    assert_int_equal(begin(&image), 0);
    const uint32_t before = writes();

    assert_int_equal(put(&image, 4), KEDGE_STAGE_PLAINTEXT);
    assert_int_equal(put(&image, 0), KEDGE_STAGE_PLAINTEXT);
    assert_int_equal(put(&image, 4), KEDGE_STAGE_PLAINTEXT);
    assert_int_equal(writes(), before);
    assert_int_equal(kedge_stage_abort(&stage), 0);

    assert_int_equal(begin(&sealed), 0);
    assert_int_equal(put(&sealed, 4), KEDGE_STAGE_PLAINTEXT);
    assert_int_equal(put(&sealed, 0), 0);
    assert_int_equal(put(&sealed, 4), 0);
    power_on();
    assert_int_equal(put(&sealed, 7), 0);
    /* a policy that comes later does not let the rest of a plain file in */
    assert_int_equal(kedge_stage_abort(&stage), 0);
    device.defaults.value[KEDGE_POLICY_CONFIDENTIAL] = 0;
    power_on();
    assert_int_equal(begin(&image), 0);
    assert_int_equal(put(&image, 0), 0);
    device.defaults.value[KEDGE_POLICY_CONFIDENTIAL] = 1;
    power_on();
    assert_int_equal(put(&image, 1), KEDGE_STAGE_PLAINTEXT);
}

/* What the manifest promised is held against the first chunk. */
static void test_kinds(void **state)
{
    static struct test_file envelope;
    struct kedge_manifest manifest = manifest_of(&image);

    (void)state;
    envelope = image;
    kedge_put_le32(envelope.bytes + 16, KEDGE_IMAGE_NON_BOOTABLE);
    memcpy(envelope.bytes + 32, "DLT1", 4);
    assert_int_equal(kedge_stage_kind_of(kedge_bytes(image.bytes, 64)), KEDGE_STAGE_PLAIN);
    assert_int_equal(kedge_stage_kind_of(kedge_bytes(image.bytes, 31)), KEDGE_STAGE_ANY);
    assert_int_equal(kedge_stage_kind_of(kedge_bytes(envelope.bytes, 64)), KEDGE_STAGE_DELTA);
    assert_int_equal(kedge_stage_kind_of(kedge_bytes(envelope.bytes, 35)), KEDGE_STAGE_ANY);
    memcpy(envelope.bytes + 32, "ABCD", 4);
    assert_int_equal(kedge_stage_kind_of(kedge_bytes(envelope.bytes, 64)), KEDGE_STAGE_SEALED);
    manifest.transform = KEDGE_STAGE_SEALED;
    assert_int_equal(kedge_stage_begin(&stage, &manifest), 0);
    assert_int_equal(put(&image, 0), KEDGE_STAGE_INVALID);
    assert_true(strstr(device.agent.detail, "kind") != NULL);
    assert_int_equal(put(&image, 1), 0);
}

/* All chunks with right checks, but not the file: it must never be decoded, and not for ever tried.
 */
static void test_wrong_hash(void **state)
{
    struct test_file wrong = image;

    (void)state;
    wrong.bytes[image.size / 2] ^= 1;
    for (unsigned round = 0; round < KEDGE_STAGE_ROUNDS; round++) {
        assert_int_equal(begin(&image), 0);
        assert_int_equal(stage.received, 0);
        put_all(&wrong);
        assert_int_equal(finish(KEDGE_STAGE_THEN_TEST), 0);
        assert_int_equal(stage.state, KEDGE_STAGE_SPOILT);
        assert_true(strstr(stage.reason, "hash") != NULL);
        assert_int_equal(put(&image, 0), KEDGE_STAGE_BAD_HASH);
        assert_int_equal(kedge_stage_finish(&stage, KEDGE_STAGE_THEN_TEST), KEDGE_STAGE_BAD_HASH);
        power_on();
        assert_int_equal(stage.state, KEDGE_STAGE_SPOILT);
    }
    assert_int_equal(begin(&image), KEDGE_STAGE_GIVEN_UP);
    assert_int_equal(kedge_stage_abort(&stage), 0);
    assert_int_equal(begin(&image), 0);
    put_all(&image);
    assert_int_equal(finish(KEDGE_STAGE_THEN_TEST), 0);
    assert_int_equal(stage.state, KEDGE_STAGE_DECODED);
}

/* Signed by nobody we know: it may lie in the slot, it must not be asked for. */
static void test_stranger_is_not_asked_for(void **state)
{
    (void)state;
    assert_int_equal(begin(&foreign), 0);
    put_all(&foreign);
    assert_int_equal(finish(KEDGE_STAGE_THEN_TEST), 0);
    assert_int_equal(stage.state, KEDGE_STAGE_FAILED);
    assert_true(strlen(stage.reason) > 10);
    assert_true(agent_device_mailbox(&device).blank);
    assert_int_equal(begin(&image), KEDGE_STAGE_OTHER_FILE);
    assert_int_equal(kedge_stage_abort(&stage), 0);
    assert_int_equal(begin(&image), 0);
}

/* A client over the air has the slot: the store waits its turn, and gets it. */
static void test_slot_is_busy(void **state)
{
    struct kedge_upload_reply reply;

    (void)state;
    assert_int_equal(begin(&image), 0);
    put_all(&image);
    assert_int_equal(agent_device_chunk(&device, &other, 0, 500, true, &reply), 0);
    assert_int_equal(finish(KEDGE_STAGE_THEN_TEST), 0);
    assert_int_equal(stage.state, KEDGE_STAGE_FAILED);
    assert_true(strstr(stage.reason, "another client") != NULL);
    device.now_ms += 6000;
    assert_int_equal(finish(KEDGE_STAGE_THEN_TEST), 0);
    assert_int_equal(stage.state, KEDGE_STAGE_DECODED);
    /* done: asking again costs nothing */
    const uint32_t before = writes();

    assert_int_equal(finish(KEDGE_STAGE_THEN_TEST), 0);
    assert_int_equal(writes(), before);
}

/* A link that never brings anything must not drain the battery: counted over resets, with a limit.
 */
static void test_attempts(void **state)
{
    static const uint32_t waits[] = {0, 1000, 2000, 4000, 8000, 16000, 32000, 64000};
    uint32_t wait;

    (void)state;
    assert_int_equal(kedge_stage_attempt(&stage, &wait), KEDGE_STAGE_NO_FILE);
    assert_int_equal(begin(&image), 0);
    for (unsigned i = 0; i < KEDGE_STAGE_IDLE_MAX; i++) {
        assert_int_equal(kedge_stage_attempt(&stage, &wait), 0);
        assert_int_equal(wait, waits[i]);
        power_on();
    }
    assert_int_equal(kedge_stage_attempt(&stage, &wait), KEDGE_STAGE_GIVEN_UP);
    assert_int_equal(kedge_stage_abort(&stage), 0);
    assert_int_equal(begin(&image), 0);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(kedge_stage_attempt(&stage, &wait), 0);
        assert_int_equal(wait, 0);
        assert_int_equal(put(&image, i), 0);
        power_on();
    }
    assert_int_equal(stage.idle, 0);
    assert_int_equal(stage.attempts, 12);
}

/* The external chip is not ours alone: whatever somebody writes there must not confuse the store.
 */
static void test_forged_region(void **state)
{
    uint8_t head[SECTOR];
    uint64_t seed = 7;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t *const record = head;

        memset(head, i & 1 ? 0xff : 0x00, sizeof(head));
        memcpy(record, "KSTG", 4);
        for (unsigned at = 4; at < 60; at++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            record[at] = (uint8_t)(seed >> 60 < 9 ? 0 : seed >> 33);
        }
        kedge_put_le32(record + 60, kedge_crc32(0, kedge_bytes(record, 60)));
        kedge_sim_poke(device.sim, KEDGE_EXTERNAL, STAGING_AT + (i & 2 ? SECTOR : 0),
                       kedge_bytes(head, sizeof(head)));
        power_on();
        if (stage.rank != 0) {
            assert_true(stage.received <= stage.chunks);
            (void)finish(KEDGE_STAGE_THEN_TEST);
            assert_int_not_equal(stage.state, KEDGE_STAGE_DECODED);
        }
    }
    kedge_sim_forgive(device.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_any_order_to_a_request),
        TEST(test_phases),
        TEST(test_duplicates),
        TEST(test_bad_check),
        TEST(test_sha_check),
        TEST(test_resume_and_other_file),
        TEST(test_reused_id),
        TEST(test_map_of_two_sectors),
        TEST(test_bad_manifests),
        TEST(test_bad_chunks),
        TEST(test_confidential),
        TEST(test_kinds),
        TEST(test_wrong_hash),
        TEST(test_stranger_is_not_asked_for),
        TEST(test_slot_is_busy),
        TEST(test_attempts),
        TEST(test_forged_region),
    };
    int failed;

    agent_device_open(&device);
    test_image_make(
        &image, &(struct test_image){.size = 3 * SECTOR + 123, .version = {2, 0, 0, 0}, .seed = 3});
    test_image_make(&other,
                    &(struct test_image){.size = SECTOR + 77, .version = {3, 0, 0, 0}, .seed = 4});
    test_image_make(&foreign,
                    &(struct test_image){
                        .size = SECTOR + 77, .version = {3, 0, 0, 0}, .seed = 5, .foreign = true});
    fresh = kedge_sim_snapshot_make(device.sim);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    kedge_sim_snapshot_free(fresh);
    agent_device_close(&device);
    return failed;
}
