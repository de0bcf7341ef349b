/* GATT framing: whatever MTU a phone has, whatever it cuts short or lies about, whole messages come
 * out and nothing else, and a handler's message stays as it is while the radio goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/random.h"
#include "kedge/transport.h"

#define COUNT 4
#define ROOM  600
#define LINK  7

static uint8_t memory[COUNT * ROOM];
static struct kedge_gatt gatt;

static void start(void)
{
    memset(memory, 0xEE, sizeof memory);
    kedge_gatt_start(&gatt, kedge_buf(memory, sizeof memory), COUNT);
    assert_int_equal(kedge_gatt_connect(&gatt, LINK), 0);
}

/* A request whose every byte is known by its sequence number. Returns its size. */
static size_t make(uint8_t *to, uint16_t payload, uint8_t sequence)
{
    const uint8_t head[8] = {0x0A, 0, (uint8_t)(payload >> 8), (uint8_t)payload, 0, 1, sequence, 1};
    memcpy(to, head, sizeof head);
    for (unsigned i = 0; i < payload; i++) {
        to[8 + i] = (uint8_t)(sequence * 31u + i);
    }
    return 8u + payload;
}

static int write_at(const uint8_t *bytes, size_t size, uint32_t now)
{
    return kedge_gatt_write(&gatt, LINK, now, kedge_bytes(bytes, size));
}

/* In writes of `piece` bytes. The result of the last one. */
static int write_in_pieces(const uint8_t *bytes, size_t size, size_t piece)
{
    int result = 0;
    for (size_t at = 0; at < size; at += piece) {
        result = write_at(bytes + at, size - at < piece ? size - at : piece, 0);
    }
    return result;
}

static void take(uint16_t payload, uint8_t sequence)
{
    uint8_t expected[ROOM];
    struct kedge_bytes message;
    assert_true(kedge_gatt_message(&gatt, &message));
    assert_int_equal(message.size, make(expected, payload, sequence));
    assert_memory_equal(message.at, expected, message.size);
    kedge_gatt_release(&gatt);
}

static void take_none(void)
{
    struct kedge_bytes message;
    assert_false(kedge_gatt_message(&gatt, &message));
}

/* A phone of any MTU, or one that sends byte by byte, is understood. */
static void every_size_of_write_works(void **state)
{
    uint8_t request[ROOM];
    (void)state;
    start();
    for (size_t piece = 1; piece <= 495; piece++) {
        const uint16_t payload = (uint16_t)(piece * 7 % (ROOM - 7));
        const size_t size = make(request, payload, (uint8_t)piece);
        assert_int_equal(write_in_pieces(request, size, piece), 0);
        take(payload, (uint8_t)piece);
        take_none();
    }
    assert_int_equal(gatt.dropped, 0);
}

/* A window of requests waits in order; one more than there are buffers is refused, not mixed in. */
static void as_many_wait_as_there_are_buffers(void **state)
{
    uint8_t request[ROOM];
    (void)state;
    start();
    for (uint8_t round = 0; round < 3; round++) { /* the ring turns */
        for (uint8_t i = 0; i < COUNT; i++) {
            assert_int_equal(write_in_pieces(request, make(request, 100, i), 20), 0);
        }
        assert_int_equal(write_in_pieces(request, make(request, 100, 99), 20), KEDGE_E_SPACE);
        take(100, 0);
        assert_int_equal(write_in_pieces(request, make(request, 592, 50), 244), 0);
        for (uint8_t i = 1; i < COUNT; i++) {
            take(100, i);
        }
        take(592, 50);
        take_none();
    }
}

/* The length field lies: too long for any buffer; then the next honest request must still be heard.
 */
static void a_message_too_long_is_passed_over(void **state)
{
    uint8_t request[65543];
    uint8_t honest[ROOM];
    (void)state;
    start();
    const size_t size = make(request, 65535, 1);
    assert_int_equal(write_in_pieces(request, size, 495), KEDGE_E_SPACE);
    take_none();
    assert_int_equal(write_in_pieces(honest, make(honest, 40, 2), 20), 0);
    take(40, 2);
}

/* It promises more than it sends: what comes three seconds later is a new request, not its rest. */
static void half_a_message_is_forgotten(void **state)
{
    uint8_t request[ROOM];
    (void)state;
    start();
    const size_t size = make(request, 300, 1);
    assert_int_equal(write_at(request, 100, 5000), 0);
    assert_int_equal(write_at(request, size, 5000 + KEDGE_GATT_IDLE_MS + 1), 0);
    take(300, 1);
    /* within that time it is its rest, however long the whole takes */
    assert_int_equal(write_at(request, 100, 20000), 0);
    assert_int_equal(write_at(request + 100, 100, 20000 + KEDGE_GATT_IDLE_MS), 0);
    assert_int_equal(write_at(request + 200, size - 200, 20000 + 2 * KEDGE_GATT_IDLE_MS), 0);
    take(300, 1);
}

/* It sends more than it promised: the message counts, the surplus does not become another one. */
static void surplus_is_dropped(void **state)
{
    uint8_t request[ROOM];
    (void)state;
    start();
    const size_t size = make(request, 10, 1);
    make(request + size, 10, 2);
    assert_int_equal(write_at(request, 2 * size, 0), KEDGE_E_FORMAT);
    take(10, 1);
    take_none();
    assert_int_equal(write_at(request, size, 0), 0);
    take(10, 1);
}

/* What no request begins with is dropped by itself: replies, reserved bits, nothing at all. */
static void garbage_is_dropped(void **state)
{
    uint8_t request[ROOM];
    (void)state;
    start();
    const size_t size = make(request, 10, 1);
    for (unsigned first = 0; first < 256; first++) {
        request[0] = (uint8_t)first;
        const bool good = (first & 0xE1) == 0;
        assert_int_equal(write_at(request, size, 0), good ? 0 : KEDGE_E_FORMAT);
        if (good) {
            struct kedge_bytes message;
            assert_true(kedge_gatt_message(&gatt, &message));
            kedge_gatt_release(&gatt);
        }
        take_none();
    }
    assert_int_equal(write_at(request, 0, 0), 0);
    take_none();
}

/* A second central gets nothing, and disturbs nothing. */
static void a_second_link_is_refused(void **state)
{
    uint8_t request[ROOM];
    (void)state;
    start();
    const size_t size = make(request, 50, 3);
    assert_int_equal(write_at(request, 30, 0), 0);
    assert_int_equal(kedge_gatt_connect(&gatt, LINK + 1), KEDGE_E_REFUSED);
    assert_int_equal(kedge_gatt_write(&gatt, LINK + 1, 0, kedge_bytes(request, size)),
                     KEDGE_E_REFUSED);
    kedge_gatt_disconnect(&gatt, LINK + 1);
    assert_int_equal(write_at(request + 30, size - 30, 0), 0);
    take(50, 3);
}

/* The link breaks while flash is being written from a message: its bytes stay, its reply goes to
 * nobody, and the next central starts from nothing. */
static void a_message_at_work_outlives_its_link(void **state)
{
    uint8_t request[ROOM];
    uint8_t expected[ROOM];
    const uint8_t reply[30] = {0};
    struct kedge_bytes message;
    struct kedge_bytes fragment;
    (void)state;
    start();
    assert_int_equal(write_in_pieces(request, make(request, 200, 1), 20), 0);
    assert_int_equal(write_in_pieces(request, make(request, 200, 2), 20), 0);
    assert_int_equal(write_at(request, 20, 0), 0);
    assert_true(kedge_gatt_message(&gatt, &message));
    kedge_gatt_disconnect(&gatt, LINK);
    assert_int_equal(write_at(request, 20, 0), KEDGE_E_REFUSED);
    assert_int_equal(kedge_gatt_connect(&gatt, LINK + 1), 0);
    for (uint8_t i = 0; i < COUNT; i++) {
        const int result =
            kedge_gatt_write(&gatt, LINK + 1, 0, kedge_bytes(request, make(request, 200, 9)));
        assert_int_equal(result, i < COUNT - 1 ? 0 : KEDGE_E_SPACE);
    }
    assert_memory_equal(message.at, expected, make(expected, 200, 1));
    kedge_gatt_reply(&gatt, kedge_bytes(reply, sizeof reply));
    assert_false(kedge_gatt_fragment(&gatt, 247, &fragment));
    kedge_gatt_release(&gatt);
    for (uint8_t i = 0; i < COUNT - 1; i++) {
        take(200, 9);
    }
    take_none();
}

/* Replies are cut for the peer's MTU and arrive whole; what the stack did not take is sent again.
 */
static void replies_are_cut_for_any_mtu(void **state)
{
    uint8_t request[ROOM];
    uint8_t reply[1000];
    uint8_t got[1000];
    struct kedge_bytes message;
    struct kedge_bytes fragment;
    (void)state;
    start();
    for (size_t i = 0; i < sizeof reply; i++) {
        reply[i] = (uint8_t)(i * 7);
    }
    for (uint16_t mtu = 23; mtu <= 498; mtu++) {
        size_t have = 0;
        assert_int_equal(write_at(request, make(request, 5, 1), 0), 0);
        assert_true(kedge_gatt_message(&gatt, &message));
        kedge_gatt_reply(&gatt, kedge_bytes(reply, sizeof reply));
        while (kedge_gatt_fragment(&gatt, mtu, &fragment)) {
            struct kedge_bytes again;
            assert_true(kedge_gatt_fragment(&gatt, mtu, &again));
            assert_ptr_equal(again.at, fragment.at);
            assert_in_range(fragment.size, 1, mtu - 3);
            memcpy(got + have, fragment.at, fragment.size);
            have += fragment.size;
            kedge_gatt_sent(&gatt, fragment.size);
        }
        assert_int_equal(have, sizeof reply);
        assert_memory_equal(got, reply, sizeof reply);
        kedge_gatt_release(&gatt);
    }
}

/* Anything at all, in any order: every message that comes out is one that was sent whole, in its
 * order, and a quiet spell always brings the framing back. */
static void floods_leave_only_whole_messages(void **state)
{
    const uint64_t seed = 20261125;
    uint64_t random = seed;
    uint32_t now = 0;
    uint8_t bytes[ROOM];
    unsigned came = 0;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    start();
    for (unsigned step = 0; step < 20000; step++) {
        struct kedge_bytes message;
        random = kedge_random_mix(random + step);
        const size_t size = random % 300;
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)kedge_random_mix(random + i);
        }
        if (random % 3 == 0 && size >= 8) {
            bytes[0] = 0x0A;
            bytes[2] = 0;
        }
        (void)write_at(bytes, size, now);
        if (random % 5 == 0) {
            now += KEDGE_GATT_IDLE_MS + 1;
            const size_t honest = make(bytes, 64, (uint8_t)step);
            while (kedge_gatt_message(&gatt, &message)) {
                assert_in_range(message.size, 8, ROOM);
                assert_int_equal(message.at[0] & 0xE1, 0);
                kedge_gatt_release(&gatt);
            }
            assert_int_equal(write_at(bytes, honest, now), 0);
            take(64, (uint8_t)step);
            came++;
        }
        if (random % 97 == 0) {
            kedge_gatt_disconnect(&gatt, LINK);
            assert_int_equal(kedge_gatt_connect(&gatt, LINK), 0);
            take_none();
        }
    }
    assert_true(came > 1000 && gatt.dropped > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_of_write_works),
        cmocka_unit_test(as_many_wait_as_there_are_buffers),
        cmocka_unit_test(a_message_too_long_is_passed_over),
        cmocka_unit_test(half_a_message_is_forgotten),
        cmocka_unit_test(surplus_is_dropped),
        cmocka_unit_test(garbage_is_dropped),
        cmocka_unit_test(a_second_link_is_refused),
        cmocka_unit_test(a_message_at_work_outlives_its_link),
        cmocka_unit_test(replies_are_cut_for_any_mtu),
        cmocka_unit_test(floods_leave_only_whole_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
