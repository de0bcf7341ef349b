/* A modem that cuts short, repeats, changes, stalls, refuses, starts anew, answers something else. If
 * it fails in the field, an update over cellular never arrives, costs the same bytes over the air
 * again and again, or writes a byte that was never sent. */
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

#define CHUNK 1500u
#define URL   "http://updates.example/image.bin"
#define NAME  "UFS:kedge.part"

static struct agent_device device;
static struct kedge_stage stage;
static struct kedge_pull pull;
static struct kedge_modem modem;
static struct kedge_pull_source source;
static uint8_t buffer[512], chunk[CHUNK];
static struct test_file image;
static struct kedge_sim_snapshot *fresh;

/* The modem on the other side, with a server behind it. */
static struct {
    struct kedge_random random;
    unsigned bad;      /* one answer of so many is a wrong one; 0: none */
    unsigned status;   /* of the server; 0: 206 to a range, 200 to all */
    bool ranges_off;   /* the server gives the whole file */
    bool echo, waking; /* waking: the first three AT get no answer */
    uint8_t command[1024];
    size_t command_size;
    size_t url_wanted;
    char url[1024];
    uint32_t body_at, body_size, file_at, file_size; /* parts of `image`: fetched, in the file */
    unsigned handle, at, next;                       /* of the open file; handle 0: none */
    unsigned gets, commands, reads;
    uint32_t air; /* bytes that the server sent */
    uint32_t line_gone;
    uint8_t out[8192];
    size_t out_size, out_at;
} far;

static bool happens(unsigned one_of)
{
    return far.bad != 0 && kedge_random_below(&far.random, far.bad * one_of) == 0;
}

static void send_bytes(const void *bytes, size_t size)
{
    assert_true(far.out_size + size <= sizeof(far.out));
    memcpy(far.out + far.out_size, bytes, size);
    far.out_size += size;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[200];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    send_bytes("\r\n", 2);
    send_bytes(text, strlen(text));
    send_bytes("\r\n", 2);
}

static void fetch(uint32_t at, uint32_t size, bool range)
{
    const bool part = range && !far.ranges_off;

    far.gets++;
    say("OK");
    far.body_at = part ? at : 0;
    far.body_size = part ? size : image.size;
    far.air += far.body_size;
    if (happens(3)) {
        say("+QHTTPGET: 702");
    } else if (happens(3)) {
        say("+QHTTPGET: none of your business");
    } else {
        say("+QHTTPGET: 0,%u,%u", far.status != 0 ? far.status : part ? 206u : 200u,
            (unsigned)far.body_size);
    }
}

/* The piece that was asked for, or something like it. */
static void read_file(unsigned size)
{
    uint8_t piece[2 * KEDGE_MODEM_PIECE];
    unsigned left = far.file_size - far.at;
    unsigned n = size < left ? size : left;

    far.reads++;
    say("CONNECT %u", happens(4) ? n + 1 : n);
    memcpy(piece, image.bytes + far.file_at + far.at, n);
    far.at += n;
    if (n > 40 && happens(2)) { /* repeated */
        memmove(piece + 40, piece + 20, n - 20);
        n += 20;
    } else if (n > 0 && happens(2)) { /* cut short */
        n = kedge_random_below(&far.random, n);
    } else if (n > 0 && happens(2)) { /* changed */
        piece[kedge_random_below(&far.random, n)] ^= 0x20;
    }
    send_bytes(piece, n);
    say("OK");
}

static void start_anew(void)
{
    far.handle = 0;
    far.file_size = 0;
    far.echo = true;
    say("RDY");
}

static void obey(const char *text)
{
    unsigned a, b;
    char name[64];

    far.commands++;
    if (far.echo) {
        send_bytes(text, strlen(text));
        send_bytes("\r", 1);
    }
    if (happens(4)) {
        say("+QIURC: \"pdpdeact\",1");
    }
    if (happens(8)) {
        return; /* nothing */
    }
    if (happens(8)) {
        say("+CME ERROR: 703");
    } else if (happens(20)) {
        start_anew();
    } else if (strcmp(text, "AT") == 0) {
        if (!far.waking || far.commands > 3) {
            say("OK");
        }
    } else if (sscanf(text, "AT+QHTTPURL=%u,%u", &a, &b) == 2) {
        far.url_wanted = a;
        say("CONNECT");
    } else if (sscanf(text, "AT+QHTTPGETEX=%*u,%u,%u", &a, &b) == 2) {
        assert_true(a < image.size && b <= image.size - a);
        fetch(a, b, true);
    } else if (strncmp(text, "AT+QHTTPGET=", 12) == 0) {
        fetch(0, 0, false);
    } else if (sscanf(text, "AT+QHTTPREADFILE=\"%63[^\"]\",%u", name, &a) == 2) {
        if (far.handle != 0) {
            say("+CME ERROR: 426");
            return;
        }
        assert_string_equal(name, NAME);
        far.file_at = far.body_at;
        far.file_size = far.body_size;
        say("OK");
        say("+QHTTPREADFILE: 0");
    } else if (strcmp(text, "AT+QFOPEN?") == 0) {
        say("+QFOPEN: \"UFS:another\",7,0");
        if (far.handle != 0) {
            say("+QFOPEN: \"%s\",%u,2", NAME, far.handle);
        }
        say("OK");
    } else if (sscanf(text, "AT+QFOPEN=\"%63[^\"]\",2", name) == 1) {
        if (far.handle != 0 || far.file_size == 0) {
            say("+CME ERROR: 418");
            return;
        }
        far.handle = ++far.next;
        far.at = 0;
        say("+QFOPEN: %u", far.handle);
        say("OK");
    } else if (sscanf(text, "AT+QFSEEK=%u,%u,0", &a, &b) == 2 && a == far.handle) {
        far.at = b;
        say("OK");
    } else if (sscanf(text, "AT+QFREAD=%u,%u", &a, &b) == 2 && a == far.handle) {
        read_file(b);
    } else if (sscanf(text, "AT+QFCLOSE=%u", &a) == 1 && a == far.handle) {
        far.handle = 0;
        say("OK");
    } else {
        say("ERROR");
    }
}

static bool line_write(void *ctx, struct kedge_bytes bytes)
{
    (void)ctx;
    for (size_t i = 0; i < bytes.size; i++) {
        if (far.url_wanted > 0) {
            far.url[far.command_size++] = (char)bytes.at[i];
            far.url[far.command_size] = '\0';
            if (--far.url_wanted == 0) {
                far.command_size = 0;
                say("OK");
            }
        } else if (bytes.at[i] == '\r') {
            far.command[far.command_size] = '\0';
            far.command_size = 0;
            obey((const char *)far.command);
        } else {
            assert_true(far.command_size + 1 < sizeof(far.command));
            far.command[far.command_size++] = bytes.at[i];
        }
    }
    return far.line_gone == 0;
}

/* In pieces of any length, with pauses. */
static size_t line_read(void *ctx, struct kedge_buf to)
{
    size_t left = far.out_size - far.out_at;
    size_t n = 1 + kedge_random_below(&far.random, 64);

    (void)ctx;
    if (kedge_random_below(&far.random, 4) == 0) {
        return 0;
    }
    n = n < left ? n : left;
    n = n < to.size ? n : to.size;
    memcpy(to.at, far.out + far.out_at, n);
    far.out_at += n;
    if (far.out_at == far.out_size) {
        far.out_at = far.out_size = 0;
    }
    return n;
}

static uint32_t line_ms(void *ctx)
{
    (void)ctx;
    return device.now_ms;
}

static const struct kedge_modem_line line = {line_read, line_write, line_ms, NULL};
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
    modem = (struct kedge_modem){.line = &line,
                                 .url = URL,
                                 .file = NAME,
                                 .setup = set_up_commands,
                                 .part = 5000};
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

/* Our own reset in the middle of anything: the modem still has the file open, or waits for a URL, or
 * has half an answer to give. */
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
    far.line_gone = 1;
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
        send_bytes("blah blah \r\n+QHTTPGET: 0,206,100", 32);
        far.command_size = 0;
        far.bad = 1; /* and refuses what it is told */
        answer = source.poll(source.ctx, &piece);
        far.out_size = far.out_at = 0;
        device.now_ms += 10;
    }
    assert_int_equal(answer, KEDGE_E_IO);
    assert_non_null(strstr(source.reason(source.ctx), "the modem"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_good_modem),  TEST(test_server_without_ranges),
        TEST(test_all_of_it),   TEST(test_our_resets),
        TEST(test_bad_modems),  TEST(test_server_refusals),
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
