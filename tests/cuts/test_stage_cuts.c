/* Power fails at every operation of the chunk store, while chunks come in any order, get lost, come
 * twice or damaged; and fails again in the recovery. What was acknowledged must still be there, no
 * chunk may count as there that is not, a cut may cost one chunk, and in the end the slot holds the
 * image to the last bit, asked for as it was asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"
#include "kedge/stage.h"
#include "random.h"

#define RUNS       2400u /* at least */
#define CHUNKS_MAX 300u
#define CUTS_MAX   6u

static struct agent_device device;
static struct kedge_stage stage;
static uint8_t buffer[512];
static struct test_file running, image, before;
static struct kedge_sim_snapshot *start, *used;

/* One run: a link with faults, and what its client knows. */
static struct {
    struct kedge_random random;
    struct kedge_manifest manifest;
    uint32_t chunks;
    bool acknowledged[CHUNKS_MAX];
    uint32_t fetched[CHUNKS_MAX]; /* whole and undamaged, because the device missed it */
    uint32_t cuts;
    uint32_t first_cut;
    uint64_t seed;
} run;

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(kedge_random_next(&run.random) % limit);
}

static void power_on(void)
{
    agent_device_power_on(&device);
    kedge_stage_start(&stage, &device.agent, kedge_buf(buffer, sizeof(buffer)));
}

/* Half of the runs end behind their first cut; the others are cut again and again. */
static void arm(uint32_t cut_at)
{
    static const uint8_t kinds[] = {KEDGE_SIM_CUT_BEFORE, KEDGE_SIM_CUT_AFTER, KEDGE_SIM_CUT_TORN,
                                    KEDGE_SIM_CUT_TORN, KEDGE_SIM_CUT_TORN};
    const struct kedge_sim_faults faults = {
        .seed = kedge_random_next(&run.random),
        .cut_at = cut_at,
        .cut_kind = kinds[below(sizeof(kinds))],
        .torn_program = (uint8_t)(KEDGE_SIM_PROGRAM_SUBSET + below(4)),
        .torn_erase = (uint8_t)(KEDGE_SIM_ERASE_OLD + below(5)),
        .weak = (uint8_t)below(2),
    };

    kedge_sim_arm(device.sim, &faults);
}

#define require(holds)                                                                             \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            print_message("seed %llu, first cut at %u, %u cuts: %s (%s; %s)\n",                    \
                          (unsigned long long)run.seed, (unsigned)run.first_cut,                   \
                          (unsigned)run.cuts, #holds, device.agent.detail, stage.reason);          \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static const uint8_t *place(uint32_t off)
{
    const uint32_t map = (run.chunks + SECTOR - 1) / SECTOR;

    return kedge_sim_contents(device.sim, KEDGE_EXTERNAL) + STAGING_AT + (2 + map) * SECTOR + off;
}

/* What must hold at any time while the power is on. */
static void check_store(void)
{
    const struct kedge_trailer mailbox = agent_device_mailbox(&device);

    require(kedge_trailer_request(&mailbox) == KEDGE_REQUEST_NONE ||
            kedge_trailer_request(&mailbox) == KEDGE_REQUEST_TORN ||
            (kedge_trailer_request(&mailbox) == KEDGE_REQUEST_TEST &&
             agent_device_candidate_good(&device)));
    require(kedge_sim_violations(device.sim) == 0);
    if (stage.rank == 0 || memcmp(stage.manifest.id, run.manifest.id, 32) != 0) {
        for (uint32_t i = 0; i < run.chunks; i++) {
            require(!run.acknowledged[i]);
        }
        return;
    }
    for (uint32_t i = 0; i < run.chunks; i++) {
        const uint32_t size = kedge_stage_chunk_size(&stage, i);
        const uint32_t off = i * run.manifest.chunk;
        const bool there = kedge_stage_next_present(&stage, i) == i;

        require(there || !run.acknowledged[i]);
        if (there) {
            require(memcmp(place(off), image.bytes + off, size) == 0);
            require(kedge_sim_unstable(
                        device.sim, KEDGE_EXTERNAL,
                        (uint32_t)(place(off) - kedge_sim_contents(device.sim, KEDGE_EXTERNAL)),
                        size) == 0);
        }
    }
}

/* The power came back. */
static void next_life(void)
{
    run.cuts++;
    kedge_sim_faults(device.sim)->cut_at = 0;
    power_on();
    check_store();
    if (run.cuts < CUTS_MAX && below(2) == 0) {
        arm(1 + below(80));
    }
}

static bool is_off(void)
{
    return kedge_sim_is_off(device.sim);
}

/* A chunk comes over the link: maybe damaged, and then it must be refused. */
static void deliver(uint32_t index)
{
    const uint32_t off = index * run.manifest.chunk;
    const uint32_t size = kedge_stage_chunk_size(&stage, index);
    const bool there = kedge_stage_next_present(&stage, index) == index;
    const bool damaged = run.manifest.check != KEDGE_STAGE_CHECK_NONE && below(8) == 0;
    static uint8_t data[SECTOR + 1];
    uint8_t check[KEDGE_DIGEST_MAX];
    const uint32_t operations = kedge_sim_operations(device.sim);
    int status;

    memcpy(data, image.bytes + off, size);
    kedge_hash_once(&kedge_sha256, kedge_bytes(data, size), check);
    if (run.manifest.check == KEDGE_STAGE_CHECK_CRC32) {
        kedge_put_le32(check, kedge_crc32(0, kedge_bytes(data, size)));
    }
    if (damaged) {
        data[below(size)] ^= (uint8_t)(1u << below(8));
    } else {
        run.fetched[index] += !there;
    }
    status = kedge_stage_put(&stage, off, kedge_bytes(data, size),
                             kedge_bytes(check, run.manifest.check_size));
    if (is_off()) {
        return;
    }
    require(status == (damaged ? KEDGE_STAGE_BAD_CHECK : KEDGE_STAGE_OK));
    /* a repetition writes nothing: a cell that a cut tore, and that reads well today, stays torn;
     * should it read as missing tomorrow, that is what the cut costs */
    run.acknowledged[index] =
        run.acknowledged[index] || kedge_sim_operations(device.sim) != operations;
}

/* The link brings something: what is missing (in any order), a repetition, or nothing. */
static void link_brings_one(void)
{
    uint32_t index = kedge_stage_next_missing(&stage, below(run.chunks));

    if (below(8) == 0) {
        index = below(run.chunks); /* it may be there already */
    } else if (index == run.chunks) {
        index = kedge_stage_next_missing(&stage, 0);
    }
    if (below(8) != 0 && index < run.chunks) {
        deliver(index);
    }
}

/* One life of the client's work; true: the image is in the slot and asked for. */
static bool work(void)
{
    const int status = kedge_stage_begin(&stage, &run.manifest);

    if (is_off()) {
        return false;
    }
    require(status == KEDGE_STAGE_OK);
    /* a torn cell may read either way each time: "incomplete" is an answer, go on */
    for (unsigned n = 0; kedge_stage_next_missing(&stage, 0) < run.chunks ||
                         kedge_stage_finish(&stage, KEDGE_STAGE_THEN_TEST) != KEDGE_STAGE_OK;
         n++) {
        require(n < 100 * run.chunks);
        link_brings_one();
        if (is_off()) {
            return false;
        }
    }
    for (unsigned n = 0; kedge_stage_step(&stage); n++) {
        require(n < 10000);
        if (is_off()) {
            return false;
        }
    }
    if (is_off()) {
        return false; /* in the last step */
    }
    require(stage.state == KEDGE_STAGE_DECODED);
    return true;
}

static void check_end(void)
{
    const struct kedge_trailer mailbox = agent_device_mailbox(&device);
    uint32_t again = 0;

    check_store();
    require(kedge_trailer_request(&mailbox) == KEDGE_REQUEST_TEST);
    require(agent_device_candidate_good(&device));
    require(memcmp(agent_device_secondary(&device), image.bytes, image.size) == 0);
    require(kedge_sim_unstable(device.sim, KEDGE_EXTERNAL, SECONDARY_AT, image.size) == 0);
    require(memcmp(kedge_sim_contents(device.sim, KEDGE_INTERNAL), running.bytes, running.size) ==
            0);
    for (uint32_t i = 0; i < run.chunks; i++) {
        require(run.fetched[i] > 0);
        again += run.fetched[i] - 1;
    }
    require(again <= run.cuts);
}

/* What the run is about, by its seed. */
static void prepare(uint64_t seed)
{
    static const uint32_t sizes[] = {64, 100, 256, 1000, 1024, 4096, 4097};
    static const uint8_t check_sizes[] = {0, 4, 8};

    memset(&run, 0, sizeof(run));
    run.seed = seed;
    run.random.state = seed;
    run.manifest = (struct kedge_manifest){
        .size = image.size,
        .chunk = sizes[below(sizeof(sizes) / sizeof(sizes[0]))],
        .check = (uint8_t)below(KEDGE_STAGE_CHECKS),
    };
    run.manifest.check_size = check_sizes[run.manifest.check];
    memcpy(run.manifest.id, image.sha, sizeof(run.manifest.id));
    run.chunks = (image.size + run.manifest.chunk - 1) / run.manifest.chunk;
    require(run.chunks <= CHUNKS_MAX);
    kedge_sim_restore(device.sim, below(2) == 0 ? start : used);
    power_on();
}

/* One whole run, cut at operation `cut_at` first. -> operations of a run without a cut. */
static uint32_t play(uint64_t seed, uint32_t cut_at)
{
    prepare(seed);
    run.first_cut = cut_at;
    arm(cut_at);
    while (!work()) {
        require(is_off());
        next_life();
    }
    const uint32_t operations = kedge_sim_operations(device.sim);

    kedge_sim_arm(device.sim, NULL);
    check_end();
    return run.cuts == 0 ? operations : 0;
}

static void test_every_operation(void **state)
{
    const char *const given = getenv("KEDGE_SEED");
    const char *const lives = getenv("KEDGE_LIVES");
    const uint64_t first = given != NULL ? strtoull(given, NULL, 0) : 1;
    const uint32_t wanted = lives != NULL ? (uint32_t)strtoul(lives, NULL, 0) : RUNS;
    uint32_t runs = 0, cuts = 0, seeds = 0;

    (void)state;
    for (uint64_t seed = first; runs < wanted; seed++) {
        const uint32_t operations = play(seed, 0);

        seeds++;
        for (uint32_t n = 1; n <= operations && runs < wanted; n++) {
            (void)play(seed, n);
            runs++;
            cuts += run.cuts;
        }
    }
    print_message("seeds %llu..: %u links, %u runs, %u cuts\n", (unsigned long long)first,
                  (unsigned)seeds, (unsigned)runs, (unsigned)cuts);
}

/* The staging region after a life full of other files: nothing is blank, cells are set, a file is
 * half there and aborted. */
static void use_region(void)
{
    struct kedge_manifest manifest = {.size = before.size, .chunk = 64};
    static uint8_t noise[STAGING_SIZE];
    struct kedge_random random = {.state = 5};

    kedge_random_fill(&random, noise, sizeof(noise));
    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, STAGING_AT, kedge_bytes(noise, sizeof(noise)));
    power_on();
    memcpy(manifest.id, before.sha, sizeof(manifest.id));
    assert_int_equal(kedge_stage_begin(&stage, &manifest), 0);
    for (uint32_t i = 0; i < stage.chunks; i += 2) {
        assert_int_equal(
            kedge_stage_put(&stage, i * 64,
                            kedge_bytes(before.bytes + i * 64, kedge_stage_chunk_size(&stage, i)),
                            kedge_bytes(NULL, 0)),
            0);
    }
    assert_int_equal(kedge_stage_abort(&stage), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_operation)};
    int failed;

    agent_device_open(&device);
    test_image_make(&running,
                    &(struct test_image){.size = SECTOR, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(
        &image, &(struct test_image){.size = 2 * SECTOR + 700, .version = {2, 0, 0, 0}, .seed = 3});
    test_image_make(
        &before, &(struct test_image){.size = 3 * SECTOR + 50, .version = {1, 5, 0, 0}, .seed = 4});
    agent_device_put(&device, false, 0, &running);
    start = kedge_sim_snapshot_make(device.sim);
    use_region();
    used = kedge_sim_snapshot_make(device.sim);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    kedge_sim_snapshot_free(start);
    kedge_sim_snapshot_free(used);
    agent_device_close(&device);
    return failed;
}
