/* The client against the real service and agent, over links that lose, repeat and reorder; and
 * against replies of servers that are not ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/random.h"
#include "smp_device.h"

static struct smp_device device;
static struct test_file old_image, new_image;
static struct kedge_smp_upload upload;
static uint8_t request[KEDGE_SMP_MESSAGE_MAX];
static size_t request_size;

static int set_up(void **state)
{
    (void)state;
    smp_device_open(&device);
    test_image_make(&old_image, &(struct test_image){
                                    .size = 3 * SECTOR + 100, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(&new_image, &(struct test_image){
                                    .size = 4 * SECTOR + 777, .version = {2, 0, 0, 0}, .seed = 2});
    agent_device_put(&device.device, false, 0, &old_image);
    smp_device_power_on(&device);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.device.sim), "");
    smp_device_close(&device);
    return 0;
}

static void begin(uint32_t message_max, uint8_t window)
{
    upload = (struct kedge_smp_upload){.file = kedge_bytes(new_image.bytes, new_image.size),
                                       .message_max = message_max,
                                       .window = window,
                                       .sequence = 250};
    memcpy(upload.sha, new_image.sha, sizeof(upload.sha));
    assert_int_equal(kedge_smp_upload_start(&upload), 0);
}

/* The secondary holds the file, and the device says that its hash is right. */
static void arrived(void)
{
    assert_memory_equal(agent_device_secondary(&device.device), new_image.bytes, new_image.size);
    assert_true(agent_device_candidate_good(&device.device));
    assert_true(upload.has_match && upload.match);
}

/* ---- requests and replies ------------------------------------------------------------------- */

/* A request that other servers do not understand. Bytes as smpclient sends them, but for the form
 * of the map. */
static void test_request_bytes(void **state)
{
    static const char expected[] = "\x0A\0\0\x0A\0\0\x2A\0\xBF\x61"
                                   "d\x65hello\xFF";
    struct kedge_smp_request ask;
    uint8_t buffer[17 + 1];

    (void)state;
    kedge_smp_request_start(&ask, kedge_buf(buffer, sizeof(buffer)), KEDGE_SMP_WRITE, 0, 0, 42);
    kedge_smp_put_string(&ask.map, "d", "hello");
    assert_int_equal(kedge_smp_request_end(&ask, &request_size), 0);
    assert_int_equal(request_size, sizeof(expected) - 1);
    assert_memory_equal(buffer, expected, sizeof(expected) - 1);
    /* one byte less room */
    kedge_smp_request_start(&ask, kedge_buf(buffer, 17), KEDGE_SMP_WRITE, 0, 0, 42);
    kedge_smp_put_string(&ask.map, "d", "hello");
    assert_int_equal(kedge_smp_request_end(&ask, &request_size), KEDGE_E_SPACE);
}

static struct kedge_smp_reply parsed(const char *message, size_t size, int expected)
{
    struct kedge_smp_reply reply;

    assert_int_equal(kedge_smp_reply_parse(kedge_bytes(message, size), &reply), expected);
    return reply;
}
#define PARSED(message, expected) parsed(message, sizeof(message) - 1, expected)

/* A refusal taken for a success is an update that the user believes in. */
static void test_both_error_forms(void **state)
{
    (void)state;
    struct kedge_smp_reply reply = PARSED("\x0B\0\0\x02\0\x01\x05\x01\xBF\xFF", 0);
    assert_int_equal(reply.rc, 0);
    reply = PARSED("\x03\0\0\x05\0\x01\x05\x01\xA1\x62rc\x06", 0);
    assert_true(reply.rc == 6 && !reply.of_group);
    reply = PARSED("\x0B\0\0\x12\0\x01\x05\x01\xA1\x63"
                   "err\xA2\x65group\x01\x62rc\x08",
                   KEDGE_E_FORMAT); /* length told is wrong */
    reply = PARSED("\x0B\0\0\x11\0\x01\x05\x01\xA1\x63"
                   "err\xA2\x65group\x01\x62rc\x08",
                   0);
    assert_true(reply.rc == 8 && reply.of_group && reply.group == 1);
    /* old servers add "rc": 0; verbose ones a reason */
    reply = PARSED("\x03\0\0\x09\0\x01\x05\x01\xA2\x62rc\x00\x63off\x05", KEDGE_E_FORMAT);
    reply = PARSED("\x03\0\0\x0A\0\x01\x05\x01\xA2\x62rc\x00\x63off\x05", 0);
    assert_int_equal(reply.rc, 0);
    reply = PARSED("\x03\0\0\x0D\0\x01\x05\x01\xA2\x62rc\x01\x63rsn\x63"
                   "bad",
                   0);
    assert_true(reply.rc == 1 && kedge_smp_is(reply.reason, "bad"));
    reply = PARSED("\x03\0\0\x05\0\x01\x05\x01\xA1\x62rc\x20", 0); /* -1 */
    assert_true(reply.rc != 0);
    /* no body at all; a request; too short; no map */
    reply = PARSED("\x0B\0\0\0\0\x01\x05\x01", 0);
    assert_int_equal(reply.rc, 0);
    reply = PARSED("\x0A\0\0\0\0\x01\x05\x01", KEDGE_E_FORMAT);
    reply = PARSED("\x0B\0\0\0\0\x01\x05", KEDGE_E_FORMAT);
    reply = PARSED("\x0B\0\0\x01\0\x01\x05\x01\x80", KEDGE_E_FORMAT);
}

/* Somebody else's reply, or one to an earlier request, must not be taken for ours. */
static void test_answers(void **state)
{
    const struct kedge_smp_header ours = {
        .op = KEDGE_SMP_WRITE, .group = 1, .sequence = 5, .command = 1};
    struct kedge_smp_reply reply = PARSED("\x0B\0\0\x02\0\x01\x05\x01\xBF\xFF", 0);

    (void)state;
    assert_true(kedge_smp_answers(&reply, &ours));
    for (unsigned i = 0; i < 4; i++) {
        struct kedge_smp_reply other = reply;

        other.header.op = i == 0 ? KEDGE_SMP_READ_REPLY : other.header.op;
        other.header.group = i == 1 ? 2 : other.header.group;
        other.header.sequence = i == 2 ? 6 : other.header.sequence;
        other.header.command = i == 3 ? 0 : other.header.command;
        assert_false(kedge_smp_answers(&other, &ours));
    }
}

/* A number without words is what users complain about most. */
static void test_every_code_has_words(void **state)
{
    (void)state;
    for (uint32_t rc = 0; rc <= 13; rc++) {
        assert_string_not_equal(kedge_smp_code_text(false, 0, rc), "the device reports an error");
    }
    for (uint32_t rc = 1; rc <= 34; rc++) {
        assert_string_not_equal(kedge_smp_code_text(true, 1, rc), "the device reports an error");
    }
    assert_string_equal(kedge_smp_code_text(true, 99, 1), "the device reports an error");
    assert_string_equal(kedge_smp_code_text(false, 0, 4000000000u), "the device reports an error");
}

/* ---- upload over a perfect link ------------------------------------------------------------- */

/* A size of message or window with which the client never gets done. */
static void test_every_message_size(void **state)
{
    (void)state;
    for (uint32_t message = 160; message <= 4096; message += 123) {
        for (uint8_t window = 1; window <= 16; window = (uint8_t)(window * 4)) {
            struct kedge_smp_reply erased = ASK(&device, KEDGE_SMP_WRITE, 1, 5, "\xA0");

            assert_int_equal(erased.rc, 0);
            assert_int_equal(smp_device_upload(&device, &new_image, message, window, &upload), 1);
            arrived();
        }
    }
}

/* Without these limits a caller's mistake becomes a broken upload. */
static void test_start_checks(void **state)
{
    (void)state;
    begin(160, 1);
    upload.message_max = 159;
    assert_int_equal(kedge_smp_upload_start(&upload), KEDGE_E_BOUNDS);
    upload.message_max = 160;
    upload.window = 0;
    assert_int_equal(kedge_smp_upload_start(&upload), KEDGE_E_BOUNDS);
    upload.window = 17;
    assert_int_equal(kedge_smp_upload_start(&upload), KEDGE_E_BOUNDS);
    upload.window = 1;
    upload.file.size = 31;
    assert_int_equal(kedge_smp_upload_start(&upload), KEDGE_E_BOUNDS);
}

/* A file that is there already costs one request, not a second transfer. */
static void test_already_there(void **state)
{
    (void)state;
    assert_int_equal(smp_device_upload(&device, &new_image, 1024, 1, &upload), 1);
    assert_int_equal(smp_device_upload(&device, &new_image, 1024, 1, &upload), 1);
    assert_int_equal(upload.requests, 1);
    assert_int_equal(upload.resumed_at, new_image.size);
    arrived();
}

/* Interrupted, a new client goes on where the old one stopped; also after a reset of the device. */
static void test_resume(void **state)
{
    (void)state;
    for (unsigned reset = 0; reset < 2; reset++) {
        struct kedge_smp_reply erased = ASK(&device, KEDGE_SMP_WRITE, 1, 5, "\xA0");

        assert_int_equal(erased.rc, 0);
        begin(512, 1);
        while (upload.acknowledged < 3 * SECTOR &&
               kedge_smp_upload_next(&upload, kedge_buf(request, 512), &request_size) == 1) {
            (void)smp_device_send(&device, request, request_size);
            assert_int_equal(
                kedge_smp_upload_reply(&upload, kedge_bytes(device.reply, device.reply_size)), 0);
        }
        if (reset == 1) {
            smp_device_power_on(&device);
        }
        assert_int_equal(smp_device_upload(&device, &new_image, 512, 1, &upload), 1);
        assert_true(upload.resumed_at >= 2 * SECTOR);
        arrived();
    }
}

/* ---- upload over a bad link ----------------------------------------------------------------- */

#define WIRE_PLACES 64

/* Messages on their way in one direction; taken out in any order. */
struct wire {
    struct {
        uint8_t bytes[512];
        size_t size;
    } at[WIRE_PLACES];
    size_t count;
};

struct weather {
    uint32_t lose, repeat, reorder; /* in a thousand messages */
};

static struct wire up, down;

static void put_on(struct wire *wire, const void *bytes, size_t size, const struct weather *weather,
                   struct kedge_random *random)
{
    unsigned copies = kedge_random_below(random, 1000) < weather->lose ? 0 : 1;

    copies += kedge_random_below(random, 1000) < weather->repeat;
    for (; copies > 0 && wire->count < WIRE_PLACES; copies--) {
        memcpy(wire->at[wire->count].bytes, bytes, size);
        wire->at[wire->count++].size = size;
    }
}

static void take_off(struct wire *wire, void *bytes, size_t *size, const struct weather *weather,
                     struct kedge_random *random)
{
    const size_t i = kedge_random_below(random, 1000) < weather->reorder
                         ? kedge_random_below(random, (uint32_t)wire->count)
                         : 0;

    *size = wire->at[i].size;
    memcpy(bytes, wire->at[i].bytes, *size);
    wire->count--;
    memmove(&wire->at[i], &wire->at[i + 1], (wire->count - i) * sizeof(wire->at[0]));
}

/* One upload; `restarts`: the device is reset so many times in the middle. */
static int upload_through(const struct weather *weather, unsigned restarts,
                          struct kedge_random *random)
{
    uint8_t bytes[512];
    size_t size;
    int result = 0;

    up.count = down.count = 0;
    for (unsigned steps = 0; result == 0 && steps < 200000; steps++) {
        while (kedge_smp_upload_next(&upload, kedge_buf(request, 512), &request_size) == 1) {
            put_on(&up, request, request_size, weather, random);
        }
        if (restarts > 0 && kedge_random_below(random, 60) == 0) {
            restarts--;
            smp_device_power_on(&device);
        }
        if (down.count > 0 && (up.count == 0 || kedge_random_below(random, 2) == 0)) {
            take_off(&down, bytes, &size, weather, random);
            result = kedge_smp_upload_reply(&upload, kedge_bytes(bytes, size));
        } else if (up.count > 0) {
            take_off(&up, bytes, &size, weather, random);
            (void)smp_device_send(&device, bytes, size);
            put_on(&down, device.reply, device.reply_size, weather, random);
        } else if (kedge_smp_upload_again(&upload, kedge_buf(request, 512), &request_size) == 1) {
            put_on(&up, request, request_size, weather, random);
        }
        if (kedge_random_below(random, 4) == 0) {
            (void)kedge_agent_idle(&device.device.agent);
        }
    }
    return result;
}

/* Over BLE or LTE messages get lost, come twice, overtake each other; devices reset meanwhile. The
 * file must arrive whole, in a number of requests that is no multiple of the file. */
static void test_bad_links(void **state)
{
    static const struct weather weathers[] = {
        {50, 0, 0}, {0, 100, 0}, {0, 0, 300}, {100, 50, 100}, {300, 0, 0}, {20, 20, 500},
    };
    const uint64_t seed = 20261125;
    struct kedge_random random = {seed};
    const uint32_t ideal = new_image.size / (512 - KEDGE_SMP_UPLOAD_NEXT) + 2;

    (void)state;
    printf("seed %llu\n", (unsigned long long)seed);
    for (size_t w = 0; w < sizeof(weathers) / sizeof(weathers[0]); w++) {
        for (unsigned run = 0; run < 24; run++) {
            const uint8_t window = (uint8_t)(1 + kedge_random_below(&random, 16));
            const unsigned restarts = run % 4 == 3 ? 3 : 0;
            struct kedge_smp_reply erased = ASK(&device, KEDGE_SMP_WRITE, 1, 5, "\xA0");

            assert_int_equal(erased.rc, 0);
            begin(512, window);
            const int result = upload_through(&weathers[w], restarts, &random);

            if (result != 1) {
                print_message("weather %zu run %u window %u: %d, rc %u at %u\n", w, run, window,
                              result, upload.rc, upload.acknowledged);
            }
            assert_int_equal(result, 1);
            arrived();
            if (restarts == 0) {
                assert_true(upload.requests <= 12 * ideal);
            }
        }
    }
}

/* ---- other servers -------------------------------------------------------------------------- */

/* A reply {"off": off [, "match": match]} to the request in `request`. */
static int answer(uint32_t off, int match)
{
    struct kedge_smp_request reply;
    uint8_t bytes[64];
    size_t size;

    kedge_smp_request_start(&reply, kedge_buf(bytes, sizeof(bytes)), KEDGE_SMP_WRITE_REPLY, 1, 1,
                            request[6]);
    kedge_smp_put_uint(&reply.map, "off", off);
    if (match >= 0) {
        kedge_smp_put_bool(&reply.map, "match", match != 0);
    }
    assert_int_equal(kedge_smp_request_end(&reply, &size), 0);
    return kedge_smp_upload_reply(&upload, kedge_bytes(bytes, size));
}

static bool ask_next(void)
{
    return kedge_smp_upload_next(&upload, kedge_buf(request, sizeof(request)), &request_size) == 1;
}

/* A server that stays at one offset for ever (zephyr#44219) must not keep us for ever. */
static void test_stuck_server(void **state)
{
    unsigned rounds = 0;
    int result = 0;

    (void)state;
    begin(1024, 1);
    while (result == 0 && rounds < 100000) {
        assert_true(ask_next());
        result = answer(0, -1);
        rounds++;
    }
    assert_int_equal(result, KEDGE_E_STATE);
    begin(1024, 4);
    for (result = 0, rounds = 0; result == 0 && rounds < 100000; rounds++) {
        assert_true(ask_next());
        result = answer(upload.next > 500 ? 0 : upload.next, -1);
    }
    assert_int_equal(result, KEDGE_E_STATE);
    begin(1024, 1);
    assert_true(ask_next());
    assert_int_equal(answer(new_image.size + 1, -1), KEDGE_E_STATE);
}

/* MCUboot's serial recovery takes aligned bytes only and asks for the tail again. */
static void test_unaligned_tail_dropped(void **state)
{
    uint32_t off = 0;
    int result = 0;

    (void)state;
    begin(1001, 1);
    while (result == 0) {
        assert_true(ask_next());
        off = upload.next == new_image.size ? new_image.size : upload.next & ~7u;
        result = answer(off, -1);
        assert_true(result == 1 || upload.next == off);
    }
    assert_int_equal(result, 1);
    assert_true(upload.requests <= new_image.size / 960 + 2);
}

/* The device's own check failed: the user must hear of it, not of a success. */
static void test_failed_match(void **state)
{
    (void)state;
    begin(1024, 1);
    assert_true(ask_next());
    assert_int_equal(answer(new_image.size, 0), KEDGE_E_HASH);
    begin(1024, 1);
    assert_true(ask_next());
    assert_int_equal(answer(new_image.size, 1), 1);
    assert_int_equal(upload.requests, 1);
}

/* Replies to nobody, garbage, and a refusal. */
static void test_strange_replies(void **state)
{
    (void)state;
    begin(1024, 1);
    assert_true(ask_next());
    assert_false(ask_next()); /* the first one travels alone */
    const uint8_t sequence = request[6];

    request[6] = (uint8_t)(sequence + 1);
    assert_int_equal(answer(500, -1), 0);
    assert_int_equal(upload.acknowledged, 0);
    assert_int_equal(kedge_smp_upload_reply(&upload, kedge_bytes("log line\n", 9)), 0);
    request[6] = sequence;
    assert_int_equal(
        kedge_smp_upload_again(&upload, kedge_buf(request, sizeof(request)), &request_size), 1);
    assert_int_equal(request[6], sequence); /* the same request */
    uint8_t refusal[] = "\x0B\0\0\x13\0\x01\0\x01\xBF\x63"
                        "err\xBF\x65group\x01\x62rc\x17\xFF\xFF";

    refusal[6] = sequence;
    assert_int_equal(kedge_smp_upload_reply(&upload, kedge_bytes(refusal, sizeof(refusal) - 1)),
                     KEDGE_E_REFUSED);
    assert_true(upload.rc == 23 && upload.of_group && upload.group == 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_bytes),
        cmocka_unit_test(test_both_error_forms),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_every_code_has_words),
        TEST(test_every_message_size),
        TEST(test_start_checks),
        TEST(test_already_there),
        TEST(test_resume),
        TEST(test_bad_links),
        TEST(test_stuck_server),
        TEST(test_unaligned_tail_dropped),
        TEST(test_failed_match),
        TEST(test_strange_replies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
