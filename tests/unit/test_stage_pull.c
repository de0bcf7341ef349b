/* Pulling from a source that truncates, repeats, shifts, damages, stalls and vanishes. If it fails
 * in the field, a download stops half way although the server is there, asks a dead server for
 * ever, or fetches what it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"
#include "kedge/stage_pull.h"
#include "random.h"

#define CHUNK 500u

static struct agent_device device;
static struct kedge_stage stage;
static struct kedge_pull pull;
static uint8_t buffer[512], chunk[CHUNK];
static struct test_file image, other;
static struct kedge_sim_snapshot *fresh;

/* A server with this file and these manners. */
static struct {
    const struct test_file *file;
    struct kedge_random random;
    uint32_t at, end, given, opens;
    int fails;     /* every open fails so */
    bool whole;    /* gives the file from its start whatever is asked for (HTTP 200) */
    bool unstable; /* truncates, shifts, repeats, damages, stalls, breaks */
    bool empty, endless, fails_behind; /* fails_behind: when all was given */
    uint8_t piece[700];
} server;

static uint32_t below(uint32_t limit)
{
    return kedge_random_below(&server.random, limit);
}

static int server_open(void *ctx, uint32_t at, uint32_t size)
{
    (void)ctx;
    server.opens++;
    server.at = server.whole ? 0 : at;
    server.end = server.whole ? server.file->size : at + size;
    assert_true(size > 0 && at < server.file->size && size <= server.file->size - at);
    return 0;
}

static int server_poll(void *ctx, struct kedge_pull_piece *piece)
{
    (void)ctx;
    if (server.fails != 0) {
        return server.fails;
    }
    if (server.unstable && below(6) == 0) {
        return below(2) == 0 ? KEDGE_PULL_NOTHING : below(3) == 0 ? KEDGE_E_IO : KEDGE_PULL_END;
    }
    if (server.fails_behind && server.at >= server.end) {
        return KEDGE_E_IO;
    }
    if (server.empty || (server.at >= server.end && !server.endless)) {
        return KEDGE_PULL_END;
    }
    if (server.unstable && below(10) == 0) {
        server.at -= below(2) == 0 ? below(server.at + 1) : 0; /* some of it once more */
    }
    const uint32_t left = server.end > server.at ? server.end - server.at : 1;
    uint32_t n = 1 + below(sizeof(server.piece) - 1);

    n = n < left ? n : left;
    if (server.at + n <= server.file->size) {
        memcpy(server.piece, server.file->bytes + server.at, n);
    }
    if (server.unstable && below(20) == 0) {
        server.piece[below(n)] ^= 4;
    }
    *piece = (struct kedge_pull_piece){.at = server.at, .data = kedge_bytes(server.piece, n)};
    server.at += n;
    server.given += n;
    return KEDGE_PULL_PIECE;
}

static void server_close(void *ctx)
{
    (void)ctx;
    server.end = server.at = 0;
}

static int server_check(void *ctx, uint32_t index, uint8_t *check)
{
    const uint32_t off = index * CHUNK;

    (void)ctx;
    kedge_put_le32(check, kedge_crc32(0, kedge_bytes(server.file->bytes + off,
                                                     kedge_stage_chunk_size(&stage, index))));
    return 0;
}

static const char *server_reason(void *ctx)
{
    (void)ctx;
    return "HTTP 500";
}

static const struct kedge_pull_source source = {server_open,  server_poll,   server_close,
                                                server_check, server_reason, NULL};

static void power_on(void)
{
    agent_device_power_on(&device);
    kedge_stage_start(&stage, &device.agent, kedge_buf(buffer, sizeof(buffer)));
}

static void start(const struct test_file *file)
{
    pull = (struct kedge_pull){
        .stage = &stage,
        .source = &source,
        .manifest = {.size = file->size,
                     .chunk = CHUNK,
                     .check = KEDGE_STAGE_CHECK_CRC32,
                     .check_size = 4},
        .chunk = kedge_buf(chunk, sizeof(chunk)),
        .then = KEDGE_STAGE_THEN_TEST,
    };
    memcpy(pull.manifest.id, file->sha, sizeof(pull.manifest.id));
    kedge_pull_start(&pull);
}

/* Until it is over; time passes while it waits. */
static void run(void)
{
    for (unsigned n = 0; pull.state <= KEDGE_PULL_DECODING; n++) {
        assert_true(n < 100000);
        if (!kedge_pull_step(&pull)) {
            device.now_ms += 100;
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    kedge_sim_restore(device.sim, fresh);
    memset(&server, 0, sizeof(server));
    server.file = &image;
    server.random.state = 1;
    power_on();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.sim), "");
    return 0;
}

/* A file of which nothing is there costs one request, and no byte is fetched twice. */
static void test_one_request(void **state)
{
    (void)state;
    start(&image);
    run();
    assert_int_equal(pull.state, KEDGE_PULL_DONE);
    assert_int_equal(server.opens, 1);
    assert_int_equal(server.given, image.size);
    assert_memory_equal(agent_device_secondary(&device), image.bytes, image.size);
    /* at the next boot there is nothing to do */
    power_on();
    start(&image);
    assert_int_equal(pull.state, KEDGE_PULL_DONE);
}

/* Only what is missing is asked for, gap by gap; a server without ranges is understood. */
static void test_gaps(void **state)
{
    (void)state;
    start(&image);
    for (uint32_t i = 0; i < stage.chunks; i++) {
        if (i % 7 < 4) {
            uint8_t check[4];

            (void)server_check(NULL, i, check);
            assert_int_equal(kedge_stage_put(&stage, i * CHUNK,
                                             kedge_bytes(image.bytes + i * CHUNK,
                                                         kedge_stage_chunk_size(&stage, i)),
                                             kedge_bytes(check, 4)),
                             0);
        }
    }
    power_on();
    const uint32_t missing = stage.chunks - stage.received;

    start(&image);
    server.whole = true;
    server.given = 0;
    run();
    assert_int_equal(pull.state, KEDGE_PULL_DONE);
    assert_int_equal(server.opens, 1);
    assert_true(missing > 5);

    set_up(NULL);
    start(&image);
    for (uint32_t i = 0; i < 6; i += 2) {
        uint8_t check[4];

        (void)server_check(NULL, i, check);
        assert_int_equal(kedge_stage_put(&stage, i * CHUNK,
                                         kedge_bytes(image.bytes + i * CHUNK, CHUNK),
                                         kedge_bytes(check, 4)),
                         0);
    }
    run();
    assert_int_equal(pull.state, KEDGE_PULL_DONE);
    assert_int_equal(server.opens, 3);
    assert_int_equal(server.given, image.size - 3 * CHUNK);
}

/* Links that do everything wrong: as long as something comes, the file arrives. */
static void test_unstable(void **state)
{
    unsigned done = 0;

    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        set_up(NULL);
        server.random.state = seed;
        server.unstable = true;
        start(&image);
        run();
        if (pull.state == KEDGE_PULL_DONE) {
            assert_memory_equal(agent_device_secondary(&device), image.bytes, image.size);
            done++;
        } else {
            assert_non_null(strstr(pull.reason, "given up"));
        }
    }
    print_message("%u of 300 unstable links delivered\n", done);
    assert_true(done > 250);
}

/* A server that is not there is asked 8 times, ever more slowly, then no more; also over resets. */
static void test_dead_server(void **state)
{
    (void)state;
    server.fails = KEDGE_E_IO;
    start(&image);
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t opens = server.opens;

        while (server.opens == opens) {
            (void)kedge_pull_step(&pull);
            device.now_ms += 10;
        }
    }
    power_on();
    start(&image);
    run();
    assert_int_equal(pull.state, KEDGE_PULL_STOPPED);
    assert_int_equal(server.opens, KEDGE_STAGE_IDLE_MAX);
    assert_true(device.now_ms > 60000);
    power_on();
    start(&image);
    assert_int_equal(pull.state, KEDGE_PULL_STOPPED);
}

/* Not found, forbidden, changed: no second try. */
static void test_answers_that_end_it(void **state)
{
    static const struct {
        int fails;
        uint8_t state;
    } ends[] = {{KEDGE_E_NONE, KEDGE_PULL_STOPPED},
                {KEDGE_E_REFUSED, KEDGE_PULL_STOPPED},
                {KEDGE_E_STATE, KEDGE_PULL_CHANGED}};

    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        set_up(NULL);
        server.fails = ends[i].fails;
        start(&image);
        run();
        assert_int_equal(pull.state, ends[i].state);
        assert_string_equal(pull.reason, "HTTP 500");
        assert_int_equal(server.opens, 1);
    }
}

/* A source that gives nothing, or never ends, must not keep the device busy for ever. */
static void test_empty_and_endless(void **state)
{
    (void)state;
    server.empty = true;
    start(&image);
    run();
    assert_int_equal(pull.state, KEDGE_PULL_STOPPED);
    set_up(NULL);
    server.endless = true;
    start(&image);
    run();
    assert_true(pull.state == KEDGE_PULL_DONE || pull.state == KEDGE_PULL_STOPPED);
    assert_true(server.given < 20 * image.size);
}

/* A link that breaks behind the last byte: all is there, nothing is asked for any more. */
static void test_fails_behind_the_last_byte(void **state)
{
    (void)state;
    server.fails_behind = true;
    start(&image);
    run();
    assert_int_equal(pull.state, KEDGE_PULL_DONE);
    assert_int_equal(server.opens, 1);
}

/* Whoever aborts the file over SMP and begins another must not get the chunks of the first. */
static void test_another_file_meanwhile(void **state)
{
    struct kedge_manifest manifest = {.size = other.size, .chunk = CHUNK};

    (void)state;
    start(&image);
    for (unsigned i = 0; i < 5; i++) {
        (void)kedge_pull_step(&pull);
    }
    assert_int_equal(kedge_stage_abort(&stage), 0);
    memcpy(manifest.id, other.sha, sizeof(manifest.id));
    assert_int_equal(kedge_stage_begin(&stage, &manifest), 0);
    run();
    assert_int_equal(pull.state, KEDGE_PULL_STOPPED);
    assert_int_equal(stage.received, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_one_request),
        TEST(test_gaps),
        TEST(test_unstable),
        TEST(test_dead_server),
        TEST(test_answers_that_end_it),
        TEST(test_empty_and_endless),
        TEST(test_fails_behind_the_last_byte),
        TEST(test_another_file_meanwhile),
    };
    int failed;

    agent_device_open(&device);
    test_image_make(
        &image, &(struct test_image){.size = 2 * SECTOR + 123, .version = {2, 0, 0, 0}, .seed = 3});
    test_image_make(&other,
                    &(struct test_image){.size = SECTOR + 77, .version = {3, 0, 0, 0}, .seed = 4});
    fresh = kedge_sim_snapshot_make(device.sim);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    kedge_sim_snapshot_free(fresh);
    agent_device_close(&device);
    return failed;
}
