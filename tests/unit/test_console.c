/* Console framing: what every serial client in the field sends must be understood, and nothing else
 * may ever come out as a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/random.h"
#include "kedge/transport.h"
#include "transport/base64.h"

/* OS echo "hi", encoded by Python (base64, binascii.crc_hqx): not by the code under test. */
#define KNOWN "ABACAAAGAABCAKFhZGJoaXBh"

static uint8_t packet[65537];
static struct kedge_console console;
static uint8_t got[65536];
static size_t got_size;
static unsigned messages;

static void start(size_t room)
{
    kedge_console_start(&console, kedge_buf(packet, room));
    messages = 0;
    got_size = 0;
}

static void feed(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    struct kedge_bytes message;

    for (size_t i = 0; i < size; i++) {
        if (kedge_console_push(&console, at[i], &message) == 1) {
            messages++;
            got_size = message.size;
            memcpy(got, message.at, message.size);
        }
    }
}

static void feed_text(const char *text)
{
    feed(text, strlen(text));
}

/* be16 length | message | be16 crc, as one run of base64 without padding bits of its own. */
static size_t encode_whole(const uint8_t *message, size_t size, uint8_t *base64)
{
    static uint8_t stream[65540];
    size_t at = 0, out = 0;

    kedge_put_be16(stream, (uint16_t)(size + 2));
    memcpy(stream + 2, message, size);
    kedge_put_be16(stream + 2 + size, kedge_crc16(0, kedge_bytes(message, size)));
    for (; at < size + 4; at += 3, out += 4) {
        const size_t left = size + 4 - at;

        kedge_base64_group(stream + at, left < 3 ? left : 3, base64 + out);
    }
    return out;
}

/* The whole packet's base64 cut into lines of `width` characters (smpclient, Go newtmgr). */
static void feed_cut(const uint8_t *message, size_t size, size_t width, const char *end)
{
    static uint8_t base64[90000];
    const size_t total = encode_whole(message, size, base64);

    for (size_t at = 0; at < total; at += width) {
        feed_text(at == 0 ? "\x06\x09" : "\x04\x14");
        feed(base64 + at, total - at < width ? total - at : width);
        feed_text(end);
    }
}

static void feed_lines(const uint8_t *message, size_t size)
{
    struct kedge_console_lines lines;
    uint8_t line[KEDGE_CONSOLE_LINE];
    size_t n;

    kedge_console_lines_start(&lines, kedge_bytes(message, size));
    while ((n = kedge_console_lines_next(&lines, line)) != 0) {
        feed(line, n);
    }
}

static const uint8_t echo[] = {0x02, 0, 0, 6, 0, 0, 0x42, 0, 0xA1, 0x61, 'd', 0x62, 'h', 'i'};

static void expect(const void *message, size_t size)
{
    assert_int_equal(messages, 1);
    assert_int_equal(got_size, size);
    assert_memory_equal(got, message, size);
    messages = 0;
}

/* If the published check value of the CRC does not come out, no client's packet is ever taken. */
static void crc_is_xmodem(void **state)
{
    (void)state;
    assert_int_equal(kedge_crc16(0, kedge_bytes("123456789", 9)), 0x31C3);
}

/* [C-1] A packet that somebody else encoded: the first serial command of a client would time out.
 */
static void known_packet(void **state)
{
    (void)state;
    start(64);
    feed_text("\x06\x09" KNOWN "\n");
    expect(echo, sizeof echo);
}

/* [C-6] Every length, ours out and in again: a reply of an unlucky length would never arrive. */
static void every_length_round_trips(void **state)
{
    uint8_t message[700];
    struct kedge_random random = {1};

    (void)state;
    kedge_random_fill(&random, message, sizeof message);
    for (size_t size = 0; size <= sizeof message; size++) {
        start(size + KEDGE_CONSOLE_OVERHEAD);
        feed_lines(message, size);
        expect(message, size);
    }
}

/* [C-6] A line over 127 bytes overruns the line buffer of other people's receivers. */
static void lines_are_short_and_marked(void **state)
{
    static uint8_t message[4096];
    struct kedge_console_lines lines;
    uint8_t line[KEDGE_CONSOLE_LINE];
    size_t n, count = 0;

    (void)state;
    kedge_console_lines_start(&lines, kedge_bytes(message, sizeof message));
    while ((n = kedge_console_lines_next(&lines, line)) != 0) {
        assert_true(n <= 127);
        assert_int_equal(line[n - 1], '\n');
        assert_int_equal((n - 3) % 4, 0);
        assert_memory_equal(line, count == 0 ? "\x06\x09" : "\x04\x14", 2);
        count++;
    }
    assert_int_equal(count, (4096 + 4 + 92) / 93);
}

/* [C-2] smpclient cuts at multiples of 4, Go's lines are as long as its mtu: both must get through,
 * also with CR LF. */
static void lines_of_any_length(void **state)
{
    uint8_t message[2044];
    struct kedge_random random = {2};

    (void)state;
    kedge_random_fill(&random, message, sizeof message);
    start(2048);
    for (size_t width = 4; width <= 2800; width += 4) {
        feed_cut(message, sizeof message, width, (width & 4) != 0 ? "\n" : "\r\n");
        expect(message, sizeof message);
    }
}

/* [C-3] The console also carries log lines; one must not cost a packet, nor be taken for one. */
static void text_between_is_ignored(void **state)
{
    static uint8_t message[200];
    struct kedge_console_lines lines;
    uint8_t line[KEDGE_CONSOLE_LINE];
    size_t n;

    (void)state;
    start(256);
    feed_text("*** Booting ***\r\n[00:00:01] <inf> app: QUJD\n\n\r\n");
    kedge_console_lines_start(&lines, kedge_bytes(message, sizeof message));
    while ((n = kedge_console_lines_next(&lines, line)) != 0) {
        feed(line, n);
        feed_text("[00:00:02] <wrn> a log line between\r\n");
    }
    expect(message, sizeof message);
}

/* [C-4] A sender that gives up and starts anew must be heard at once. */
static void start_restarts(void **state)
{
    static uint8_t message[300];

    (void)state;
    start(512);
    feed_text("\x06\x09QUJD\n\x04\x14QU");
    feed_cut(message, sizeof message, 120, "\n");
    expect(message, sizeof message);
}

/* [C-5] Each broken packet is dropped without a word, and the next good one gets through. */
static void broken_packets_are_dropped(void **state)
{
    static const char *const broken[] = {
        "\x04\x14" KNOWN "\n",  /* continuation without a start */
        "\x06\x09" KNOWN "A\n", /* a group of one */
        "\x06\x09QU=D\n",       /* padding inside a group */
        "\x06\x09Q===\n",       /* three '=' */
        "\x06\x09=\n",
        "\x06\x09QUI=QUJD\n", /* bytes behind the padding */
        "\x06\x09QUI==\n",
        "\x06\x09QU JD\n",    /* a blank */
        "\x06\x09////////\n", /* announces 65,535 bytes */
        "\x06\x09"
        "AAAA\n\x04\x14"
        "AAAA\n", /* length 0, then more */
        "\x06\x09"
        "AAEA\n",              /* length 1: no room for a CRC */
        "\x06\x0A" KNOWN "\n", /* not a start */
        "\x09" KNOWN "\n",
        "\x06\x06" KNOWN "\n",
        "\x06\n\x09" KNOWN "\n",
    };

    (void)state;
    start(64);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        feed_text(broken[i]);
        assert_int_equal(messages, 0);
        feed_text("\x06\x09" KNOWN "\n");
        expect(echo, sizeof echo);
    }
}

/* [C-5] One flipped bit anywhere in a line must never bring a wrong message through. */
static void no_flipped_bit_gets_through(void **state)
{
    uint8_t line[64];
    const size_t size = strlen("\x06\x09" KNOWN "\n");

    (void)state;
    start(64);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        memcpy(line, "\x06\x09" KNOWN "\n", size);
        line[bit / 8] ^= (uint8_t)(1u << bit % 8);
        feed(line, size);
        feed_text("\n");
        if (messages != 0) { /* only bits that base64 does not use: the last group's padding */
            expect(echo, sizeof echo);
        }
    }
}

/* [C-7] A message of exactly the room fits, one byte more is dropped: an overlong request must not
 * write behind the buffer, and a full one must not be lost. */
static void room_is_used_to_the_last_byte(void **state)
{
    uint8_t message[256];
    struct kedge_random random = {3};

    (void)state;
    kedge_random_fill(&random, message, sizeof message);
    start(200 + KEDGE_CONSOLE_OVERHEAD);
    packet[204] = 0xA5;
    feed_lines(message, 201);
    assert_int_equal(messages, 0);
    feed_lines(message, 200);
    expect(message, 200);
    assert_int_equal(packet[204], 0xA5);
}

/* The longest message that the length field can say. */
static void longest_message(void **state)
{
    static uint8_t message[KEDGE_CONSOLE_MESSAGE_MAX];

    (void)state;
    memset(message, 0x5A, sizeof message);
    start(sizeof packet);
    feed_lines(message, sizeof message);
    expect(message, sizeof message);
}

/* Noise on the line, then a client: it must be heard, always. */
static void noise_never_deafens(void **state)
{
    struct kedge_random random = {4};
    static const uint8_t likely[] = "\x06\x09\x04\x14\r\nAQg/+= z";

    (void)state;
    start(64);
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned i = kedge_random_below(&random, 40); i > 0; i--) {
            const uint8_t byte = likely[kedge_random_below(&random, sizeof likely)];

            feed(&byte, 1);
        }
        messages = 0;
        feed_text("\x06\x09" KNOWN "\n");
        expect(echo, sizeof echo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_xmodem),
        cmocka_unit_test(known_packet),
        cmocka_unit_test(every_length_round_trips),
        cmocka_unit_test(lines_are_short_and_marked),
        cmocka_unit_test(lines_of_any_length),
        cmocka_unit_test(text_between_is_ignored),
        cmocka_unit_test(start_restarts),
        cmocka_unit_test(broken_packets_are_dropped),
        cmocka_unit_test(no_flipped_bit_gets_through),
        cmocka_unit_test(room_is_used_to_the_last_byte),
        cmocka_unit_test(longest_message),
        cmocka_unit_test(noise_never_deafens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
