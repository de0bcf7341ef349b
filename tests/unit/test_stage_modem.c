/* A modem that cuts short, repeats, changes, stalls, refuses, starts anew, answers something else.
 * If it fails in the field, an update over cellular never arrives, costs the same bytes over the
 * air again and again, or writes a byte that was never sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent_device.h"
#include "kedge/stage_modem.h"
#include "random.h"
#include "scripted_modem.h"

#define CHUNK 1500u
#define URL   "http://updates.example/image.bin"

static struct agent_device device;
static struct kedge_stage stage;
static struct kedge_pull pull;
static struct kedge_modem modem;
static struct kedge_pull_source source;
static uint8_t buffer[512], chunk[CHUNK];
static struct test_file image;
static struct kedge_sim_snapshot *fresh;

static uint32_t line_ms(void *ctx)
{
    (void)ctx;
    return device.now_ms;
}

static const struct kedge_modem_line line = {scripted_read, scripted_write, line_ms, NULL};
static const char *const set_up_commands[] = {"AT+QIACT=1", NULL};

static int check_of(void *ctx, uint32_t index, uint8_t *check)
{
    const uint32_t off = index * CHUNK;

    (void)ctx;
    kedge_put_le32(check, kedge_crc32(0, kedge_bytes(image.bytes + off,
                                                     kedge_stage_chunk_size(&stage, index))));
    return 0;
}

static void power_on(void)
{
    agent_device_power_on(&device);
    kedge_stage_start(&stage, &device.agent, kedge_buf(buffer, sizeof(buffer)));
    modem = (struct kedge_modem){
        .line = &line, .url = URL, .file = SCRIPTED_FILE, .setup = set_up_commands, .part = 5000};
    source = kedge_modem_source(&modem);
    source.check = check_of;
}

static void start(void)
{
    pull = (struct kedge_pull){.stage = &stage,
                               .source = &source,
                               .manifest = {.size = image.size,
                                            .chunk = CHUNK,
                                            .check = KEDGE_STAGE_CHECK_CRC32,
                                            .check_size = 4},
                               .chunk = kedge_buf(chunk, sizeof(chunk)),
                               .then = KEDGE_STAGE_THEN_TEST};
    memcpy(pull.manifest.id, image.sha, sizeof(image.sha));
    kedge_pull_start(&pull);
}

/* At most so many steps; time passes while nothing comes. */
static void run(unsigned most)
{
    for (unsigned n = 0; pull.state <= KEDGE_PULL_DECODING && n < most; n++) {
        if (!kedge_pull_step(&pull)) {
            device.now_ms += 10;
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    kedge_sim_restore(device.sim, fresh);
    memset(&far, 0, sizeof(far));
    far.random.state = 1;
    far.echo = true;
    far.content = kedge_bytes(image.bytes, image.size);
    power_on();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.sim), "");
    return 0;
}

static void assert_arrived(void)
{
    assert_int_equal(pull.state, KEDGE_PULL_DONE);
    assert_memory_equal(agent_device_secondary(&device), image.bytes, image.size);
}

/* Each byte comes over the air once, part by part; the URL is the one that was given. */
static void test_good_modem(void **state)
{
    (void)state;
    far.waking = true;
    start();
    run(UINT32_MAX);
    assert_arrived();
    assert_string_equal(far.url, URL);
    assert_int_equal(far.air, image.size);
    assert_int_equal(far.gets, (image.size + 4999) / 5000);
    assert_int_equal(far.handle, 0);
}

/* A server without ranges: the modem's file is the whole one, what is there is not read again. */
static void test_server_without_ranges(void **state)
{
    (void)state;
    far.ranges_off = true;
    start();
    run(UINT32_MAX);
    assert_arrived();
    assert_int_equal(far.gets, 1);
}

/* All that there is, where the size is not known before: a manifest. */
static void test_all_of_it(void **state)
{
    struct kedge_pull_piece piece;
    uint32_t got = 0;
    int answer;

    (void)state;
    assert_int_equal(source.open(source.ctx, 0, 0), 0);
    while ((answer = source.poll(source.ctx, &piece)) != KEDGE_PULL_END) {
        assert_true(answer >= 0);
        if (answer == KEDGE_PULL_PIECE) {
            assert_int_equal(piece.at, got);
            assert_memory_equal(piece.data.at, image.bytes + got, piece.data.size);
            got += (uint32_t)piece.data.size;
        }
        device.now_ms += 10;
    }
    assert_int_equal(got, image.size);
    assert_int_equal(modem.end, image.size);
}

/* Our own reset in the middle of anything: the modem still has the file open, or waits for a URL,
 * or has half an answer to give. */
static void test_our_resets(void **state)
{
    (void)state;
    for (unsigned after = 1; after < 400; after += 7) {
        set_up(NULL);
        start();
        run(after);
        power_on();
        start();
        run(UINT32_MAX);
        assert_arrived();
        assert_true(far.air <= image.size + 5000 + CHUNK);
    }
}

/* Everything wrong, at random: what arrives is the file; nothing hangs; and reads that failed were
 * read again from the modem, not fetched again over the air. */
static void test_bad_modems(void **state)
{
    unsigned done = 0;
    uint64_t air = 0;

    (void)state;
    for (unsigned seed = 1; seed <= 400; seed++) {
        set_up(NULL);
        far.random.state = seed;
        far.bad = 4 + seed % 40;
        start();
        run(4000000);
        assert_true(pull.state > KEDGE_PULL_DECODING);
        if (pull.state == KEDGE_PULL_DONE) {
            assert_arrived();
            air += far.air;
            done++;
        } else {
            assert_int_equal(pull.state, KEDGE_PULL_STOPPED);
            assert_non_null(strstr(pull.reason, "given up"));
        }
    }
    print_message("%u of 400 bad modems delivered, %.2f times the file over the air\n", done,
                  (double)air / done / image.size);
    assert_true(done > 380);
}

/* What the server says is understood: stop, or again later; and said in words. */
static void test_server_refusals(void **state)
{
    static const struct {
        unsigned status;
        const char *words;
        unsigned gets;
    } answers[] = {{404, "the server says HTTP 404", 1},
                   {403, "the server says HTTP 403", 1},
                   {503, "given up", KEDGE_STAGE_IDLE_MAX}};

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        set_up(NULL);
        far.status = answers[i].status;
        start();
        run(UINT32_MAX);
        assert_int_equal(pull.state, KEDGE_PULL_STOPPED);
        assert_non_null(strstr(pull.reason, answers[i].words));
        assert_int_equal(far.gets, answers[i].gets);
    }
}

/* A line without a modem, and one that only babbles: an error in bounded time. */
static void test_no_modem(void **state)
{
    struct kedge_pull_piece piece;
    int answer = 0;

    (void)state;
    far.line_gone = true;
    assert_int_equal(source.open(source.ctx, 0, 100), 0);
    for (unsigned n = 0; n < 100 && answer == 0; n++) {
        answer = source.poll(source.ctx, &piece);
        device.now_ms += 10;
    }
    assert_int_equal(answer, KEDGE_E_IO);
    assert_string_equal(source.reason(source.ctx), "the line to the modem is gone");

    set_up(NULL);
    assert_int_equal(source.open(source.ctx, 0, 100), 0);
    answer = 0;
    for (unsigned n = 0; n < 3000 && answer == 0; n++) {
        scripted_says("blah blah \r\n+QHTTPGET: 0,206,100", 32);
        far.bad = 1; /* and refuses what it is told */
        answer = source.poll(source.ctx, &piece);
        scripted_forgets();
        device.now_ms += 10;
    }
    assert_int_equal(answer, KEDGE_E_IO);
    assert_non_null(strstr(source.reason(source.ctx), "the modem"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_good_modem), TEST(test_server_without_ranges),
        TEST(test_all_of_it),  TEST(test_our_resets),
        TEST(test_bad_modems), TEST(test_server_refusals),
        TEST(test_no_modem),
    };
    int failed;

    agent_device_open(&device);
    test_image_make(
        &image, &(struct test_image){.size = 3 * SECTOR + 123, .version = {2, 0, 0, 0}, .seed = 3});
    fresh = kedge_sim_snapshot_make(device.sim);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    kedge_sim_snapshot_free(fresh);
    agent_device_close(&device);
    return failed;
}
