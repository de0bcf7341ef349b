/* Power fails at every operation of the agent: before it, inside it in every way the simulator
 * knows, after it; and again at operations of the recovery. After the next power-on nothing may be
 * asked for that nobody asked for, no half image may be offered, and the client's next try must
 * reach the end, with the right bytes in flash and no rule of the flash broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"

#define CHUNK         1000u
#define CHUNK_ALIGNED 1024u

static struct agent_device device;
static char where[120]; /* which cut: printed when a check fails */
static struct test_file running, old_image, new_image, tiny, padded;

/* What the user does, and what was in the slot before. */
struct story {
    const char *name;
    const struct test_file *file; /* uploaded; NULL: none */
    bool without_sha;
    enum { ASK_NOTHING, ASK_TEST, ASK_PERMANENT, ASK_CONFIRM, ASK_ERASE } ask;
    const struct test_file *before; /* at before_base */
    unsigned before_base;
    bool before_pending; /* ... and asked for, as a test */
    bool torn_before;    /* a torn request lies in the mailbox */
    bool idle;           /* the port finds time to erase ahead */
    bool behind;         /* chunks are answered before they are written */
    bool aligned;        /* the client's chunks end where sectors end */
};

static const struct story stories[] = {
    {.name = "upload and test, chunks that end where sectors end",
     .file = &new_image,
     .ask = ASK_TEST,
     .before = &old_image,
     .before_base = 2,
     .aligned = true},
    {.name = "upload and test over an old image at base 2",
     .file = &new_image,
     .ask = ASK_TEST,
     .before = &old_image,
     .before_base = 2},
    {.name = "upload and confirm over an old image at base 0, erase ahead",
     .file = &new_image,
     .ask = ASK_PERMANENT,
     .before = &old_image,
     .idle = true},
    {.name = "upload and test, answered before it is written, by the next chunk",
     .file = &new_image,
     .ask = ASK_TEST,
     .before = &old_image,
     .before_base = 2,
     .behind = true},
    {.name = "upload and confirm, answered before it is written, in idle time",
     .file = &new_image,
     .ask = ASK_PERMANENT,
     .before = &old_image,
     .idle = true,
     .behind = true},
    {.name = "upload without sha over a pending image",
     .file = &new_image,
     .without_sha = true,
     .ask = ASK_TEST,
     .before = &old_image,
     .before_pending = true},
    {.name = "a tiny image, an old one at base 1",
     .file = &tiny,
     .ask = ASK_PERMANENT,
     .before = &old_image,
     .before_base = 1},
    {.name = "a tiny image, an old one at base 2",
     .file = &tiny,
     .ask = ASK_TEST,
     .before = &old_image,
     .before_base = 2},
    {.name = "a padded and confirmed file",
     .file = &padded,
     .ask = ASK_NOTHING,
     .before = &old_image,
     .before_base = 2},
    {.name = "test what is there", .ask = ASK_TEST, .before = &new_image, .before_base = 2},
    {.name = "confirm what is there, after a torn request",
     .ask = ASK_PERMANENT,
     .before = &new_image,
     .torn_before = true},
    {.name = "confirm the running image",
     .ask = ASK_CONFIRM,
     .before = &old_image,
     .before_base = 2},
    {.name = "erase a pending image",
     .ask = ASK_ERASE,
     .before = &old_image,
     .before_base = 1,
     .before_pending = true},
};

static void prepare(const struct story *story)
{
    const uint8_t torn[] = {0x77, 0x02};

    device.config.behind = kedge_buf(device.behind, story->behind ? sizeof(device.behind) : 0);
    kedge_sim_fill(device.sim, KEDGE_EXTERNAL, 0xff);
    kedge_sim_fill(device.sim, KEDGE_INTERNAL, 0xff);
    agent_device_put(&device, false, 0, &running);
    agent_device_put(&device, true, story->before_base, story->before);
    if (story->before_pending) {
        agent_device_trailer(&device, TRAILER_ASKS_TEST);
    }
    if (story->torn_before) {
        kedge_sim_poke(device.sim, KEDGE_EXTERNAL, SLOT_SIZE - 16, kedge_bytes(torn, sizeof(torn)));
    }
    agent_device_trailer(&device, story->ask == ASK_CONFIRM ? TRAILER_TESTING : TRAILER_CONFIRMED);
}

static int upload(const struct story *story, uint32_t *resumed)
{
    struct kedge_upload_reply reply = {0};
    unsigned calls = 0;
    int status;

    do {
        const uint32_t chunk = story->aligned ? CHUNK_ALIGNED - reply.off % CHUNK_ALIGNED : CHUNK;

        status =
            agent_device_chunk(&device, story->file, reply.off, chunk, !story->without_sha, &reply);
        if (calls == 0 && resumed != NULL) {
            *resumed = reply.off;
        }
        while (story->idle && status == 0 && kedge_agent_idle(&device.agent)) {
        }
        calls++;
    } while (status == 0 && reply.off < story->file->size && calls < 200);
    return status != 0 || reply.off == story->file->size ? status : -1;
}

static const struct test_file *subject(const struct story *story)
{
    return story->file != NULL ? story->file : story->before;
}

/* 0 when the user reached what he wants. */
static int act(const struct story *story, uint32_t *resumed)
{
    const struct kedge_bytes hash = kedge_bytes(subject(story)->hash, 32);
    int status = 0;

    if (story->ask == ASK_ERASE) {
        return kedge_agent_erase(&device.agent, 1);
    }
    if (story->ask == ASK_CONFIRM) {
        return kedge_agent_request(&device.agent, kedge_bytes("", 0), true);
    }
    if (story->file != NULL) {
        status = upload(story, resumed);
    }
    if (status == 0 && story->ask != ASK_NOTHING) {
        status = kedge_agent_request(&device.agent, hash, story->ask == ASK_PERMANENT);
    }
    return status;
}

/* What may be read at any time after any cut. */
static void check_safe(const struct story *story)
{
    const struct kedge_trailer mailbox = agent_device_mailbox(&device);
    const enum kedge_request request = kedge_trailer_request(&mailbox);
    const bool permanent = story->ask == ASK_PERMANENT || story->file == &padded;
    struct kedge_slot_state states[2];

    assert_true(request != KEDGE_REQUEST_PERMANENT || permanent);
    if (request == KEDGE_REQUEST_TEST) {
        assert_true(story->before_pending || story->ask == ASK_TEST || permanent);
    }
    /* MCUboot's own call adds the magic to a mailbox without one: a stray image_ok under it would
     * make a test permanent */
    assert_true(mailbox.magic != KEDGE_MAGIC_UNSET || mailbox.image_ok == KEDGE_FLAG_UNSET);
    if (request == KEDGE_REQUEST_TEST || request == KEDGE_REQUEST_PERMANENT) {
        assert_true(agent_device_candidate_good(&device));
    }
    if (kedge_agent_list(&device.agent, states) == 2) {
        assert_true(agent_device_candidate_good(&device));
        assert_true(memcmp(states[1].hash, subject(story)->hash, 32) == 0 ||
                    memcmp(states[1].hash, story->before->hash, 32) == 0);
    }
    assert_string_equal(kedge_sim_violation(device.sim), "");
}

static void check_end(const struct story *story)
{
    const struct kedge_trailer mailbox = agent_device_mailbox(&device);
    const uint8_t *const internal = kedge_sim_contents(device.sim, KEDGE_INTERNAL);
    const uint8_t *const external = agent_device_secondary(&device);
    const enum kedge_request request = kedge_trailer_request(&mailbox);
    struct kedge_image image;

    assert_string_equal(kedge_sim_violation(device.sim), "");
    assert_memory_equal(internal, running.bytes, running.size);
    if (story->ask == ASK_CONFIRM) {
        assert_memory_equal(internal + SLOT_SIZE - 24, "\x01\xff\xff\xff", 4);
        return;
    }
    if (story->ask == ASK_ERASE) {
        assert_true(kedge_all(kedge_bytes(external, SLOT_SIZE + 2 * SECTOR), 0xff));
        return;
    }
    assert_int_equal(request,
                     story->ask == ASK_TEST ? KEDGE_REQUEST_TEST : KEDGE_REQUEST_PERMANENT);
    assert_true(agent_device_candidate_good(&device));
    if (story->file != NULL) {
        const uint32_t size = story->file->size < IMAGE_MAX ? story->file->size : IMAGE_MAX;

        assert_memory_equal(external, story->file->bytes, size);
        assert_true(kedge_slot_find(&device.pair.secondary, 1, &image) < 0);
        /* No byte of the file hangs on a bit that is not sure. (One of the request may: what reads
         * as requested is not written again; the loader takes it or clears it.) */
        assert_int_equal(kedge_sim_unstable(device.sim, KEDGE_EXTERNAL, 0, size), 0);
    }
}

/* The user tries again after the power came back. A test request that a cut made of a permanent one
 * stands; the loader would have consumed it: here the mailbox is erased as the loader does. */
static void recover(const struct story *story)
{
    const struct kedge_trailer mailbox = agent_device_mailbox(&device);
    uint32_t resumed = 0;
    int status = act(story, &resumed);

    if (status == KEDGE_AGENT_ALREADY_PENDING) {
        assert_int_equal(kedge_trailer_request(&mailbox), KEDGE_REQUEST_TEST);
        assert_int_equal(story->ask, ASK_PERMANENT);
        const struct kedge_region *const region = &device.pair.secondary.region;

        assert_int_equal(kedge_region_erase(region, MAILBOX_AT, SECTOR), 0);
        assert_int_equal(kedge_region_sync(region), 0);
        status = act(story, NULL);
    }
    if (status != 0) {
        print_message("status %d (%s)\n", status, device.agent.detail);
    }
    assert_int_equal(status, 0);
    check_end(story);
}

static const struct kedge_sim_faults kinds[] = {
    {.cut_kind = KEDGE_SIM_CUT_BEFORE},
    {.cut_kind = KEDGE_SIM_CUT_AFTER},
    {.cut_kind = KEDGE_SIM_CUT_TORN,
     .torn_program = KEDGE_SIM_PROGRAM_SUBSET,
     .torn_erase = KEDGE_SIM_ERASE_OLD},
    {.cut_kind = KEDGE_SIM_CUT_TORN,
     .torn_program = KEDGE_SIM_PROGRAM_UNSTABLE,
     .torn_erase = KEDGE_SIM_ERASE_MIX},
    {.cut_kind = KEDGE_SIM_CUT_TORN,
     .torn_program = KEDGE_SIM_PROGRAM_UNSTABLE,
     .torn_erase = KEDGE_SIM_ERASE_WEAK,
     .weak = KEDGE_SIM_WEAK_RANDOM},
    {.cut_kind = KEDGE_SIM_CUT_TORN,
     .torn_program = KEDGE_SIM_PROGRAM_SPARSE,
     .torn_erase = KEDGE_SIM_ERASE_SPARSE},
    {.cut_kind = KEDGE_SIM_CUT_TORN,
     .torn_program = KEDGE_SIM_PROGRAM_HIDDEN,
     .torn_erase = KEDGE_SIM_ERASE_ZERO},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Run the story with a cut at operation n, then power on. False: the story was over before. */
static bool run_cut(const struct story *story, uint32_t n, unsigned kind, uint64_t seed)
{
    struct kedge_sim_faults faults = kinds[kind];

    faults.cut_at = n;
    faults.seed = seed;
    kedge_sim_arm(device.sim, &faults);
    const int status = act(story, NULL);

    if (!kedge_sim_is_off(device.sim)) {
        /* a pending request is refused in one story: only then may a try end without a cut */
        assert_true(status == 0 || status == KEDGE_AGENT_ALREADY_PENDING);
        return false;
    }
    kedge_sim_faults(device.sim)->cut_at = 0;
    agent_device_power_on(&device);
    return true;
}

static void run_story(const struct story *story)
{
    struct kedge_sim_snapshot *start, *cut;
    uint32_t operations, runs = 0;

    prepare(story);
    start = kedge_sim_snapshot_make(device.sim);
    cut = kedge_sim_snapshot_make(device.sim);
    agent_device_power_on(&device);
    kedge_sim_arm(device.sim, NULL);
    assert_int_equal(act(story, NULL), 0);
    operations = kedge_sim_operations(device.sim);
    check_end(story);

    const uint32_t step = operations > 40 ? 19 : 1 + operations / 8;

    for (uint32_t n = 1; n <= operations; n++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            snprintf(where, sizeof(where), "%s: operation %u kind %u", story->name, (unsigned)n,
                     kind);
            kedge_sim_restore(device.sim, start);
            agent_device_power_on(&device);
            assert_true(run_cut(story, n, kind, n * KINDS + kind));
            check_safe(story);
            kedge_sim_snapshot_take(device.sim, cut);
            kedge_sim_arm(device.sim, NULL);
            recover(story);
            runs++;
            /* and a second cut, at a spread of operations of the recovery */
            /* (not of a confirm: the loader has the next word on one that a cut tore, and a third
             * write of a word is beyond what the flash allows) */
            for (uint32_t m = 1 + (n * 3 + kind) % step;
                 m <= operations && story->ask != ASK_CONFIRM; m += step) {
                snprintf(where, sizeof(where), "%s: operation %u kind %u, then %u kind %u",
                         story->name, (unsigned)n, kind, (unsigned)m,
                         (unsigned)((kind + m) % KINDS));
                kedge_sim_restore(device.sim, cut);
                agent_device_power_on(&device);
                if (!run_cut(story, m, (kind + m) % KINDS, m * 1000 + n)) {
                    break;
                }
                check_safe(story);
                kedge_sim_arm(device.sim, NULL);
                recover(story);
                runs++;
            }
        }
    }
    print_message("%-62s %3u operations %6u runs\n", story->name, (unsigned)operations,
                  (unsigned)runs);
    kedge_sim_snapshot_free(start);
    kedge_sim_snapshot_free(cut);
}

/* A cut leaves a device that cannot be updated any more, or that installs what nobody asked for. */
static void test_stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
        run_story(&stories[i]);
    }
}

/* A resume that always begins at 0 would pass all of the above. */
static void test_resume_is_worth_it(void **state)
{
    const struct story *const story = &stories[0];
    struct kedge_sim_snapshot *start;
    uint32_t most = 0;

    (void)state;
    prepare(story);
    start = kedge_sim_snapshot_make(device.sim);
    for (uint32_t n = 1;; n++) {
        uint32_t resumed = 0, marked = 0;

        kedge_sim_restore(device.sim, start);
        agent_device_power_on(&device);
        if (!run_cut(story, n, 0, n)) {
            break;
        }
        /* FORMAT.md: the cells of the sectors, behind the record and `complete` */
        while (agent_device_secondary(&device)[MAILBOX_AT + 97 + marked] == 0) {
            marked++;
        }
        kedge_sim_arm(device.sim, NULL);
        assert_int_equal(act(story, &resumed), 0);
        assert_true(resumed >= (marked == 4 ? 3 : marked) * SECTOR);
        most = resumed > most && resumed < story->file->size ? resumed : most;
    }
    assert_int_equal(most, 3 * SECTOR);
    kedge_sim_snapshot_free(start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_resume_is_worth_it),
    };
    int failed;

    agent_device_open(&device);
    test_image_make(&running,
                    &(struct test_image){.size = SECTOR, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(&old_image, &(struct test_image){
                                    .size = 2 * SECTOR + 9, .version = {1, 1, 0, 0}, .seed = 2});
    test_image_make(&new_image, &(struct test_image){
                                    .size = 3 * SECTOR + 700, .version = {2, 0, 0, 0}, .seed = 3});
    test_image_make(&tiny, &(struct test_image){.size = 500, .version = {2, 0, 0, 0}, .seed = 4});
    test_image_make(&padded,
                    &(struct test_image){.size = SECTOR + 300, .version = {2, 0, 0, 0}, .seed = 5});
    test_file_pad(&padded, true);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0) {
        print_message("last cut: %s\n", where);
    }
    agent_device_close(&device);
    return failed;
}
