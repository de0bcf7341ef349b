/* Raw serial: messages back to back, split anywhere, must come out whole; trash must not deafen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/random.h"
#include "kedge/transport.h"

static uint8_t buffer[70000];
static struct kedge_raw raw;

static void start(size_t room)
{
    kedge_raw_start(&raw, kedge_buf(buffer, room));
}

/* Header of a write to group 1 with `payload` bytes that count upwards. */
static size_t make(uint8_t *to, uint16_t payload, uint8_t sequence)
{
    const uint8_t header[8] = {
        0x0A, 0, (uint8_t)(payload >> 8), (uint8_t)payload, 0, 1, sequence, 1,
    };

    memcpy(to, header, 8);
    for (size_t i = 0; i < payload; i++) {
        to[8 + i] = (uint8_t)(i + sequence);
    }
    return 8u + payload;
}

/* Feeds all bytes; true when exactly one message came, with the last byte, and equals `bytes`. */
static bool arrives(const uint8_t *bytes, size_t size)
{
    struct kedge_bytes message = {0};

    for (size_t i = 0; i + 1 < size; i++) {
        if (kedge_raw_push(&raw, bytes[i], &message) != 0) {
            return false;
        }
    }
    return kedge_raw_push(&raw, bytes[size - 1], &message) == 1 && message.size == size &&
           memcmp(message.at, bytes, size) == 0;
}

/* [C-9] Every length from an empty payload on, one behind the other without a gap. */
static void messages_back_to_back(void **state)
{
    static uint8_t bytes[3000];

    (void)state;
    start(2600);
    for (uint16_t payload = 0; payload < 2500; payload++) {
        assert_true(arrives(bytes, make(bytes, payload, (uint8_t)payload)));
    }
}

/* [C-10] A message that does not fit is passed over as a whole: what looks like a header inside it
 * must not be obeyed, and the message behind it must be heard. */
static void too_long_is_passed_over(void **state)
{
    static uint8_t bytes[70000];
    struct kedge_bytes message;

    (void)state;
    start(100);
    buffer[100] = 0xA5;
    for (uint32_t payload = 93; payload < 65536; payload += 7919) {
        const size_t size = make(bytes, (uint16_t)payload, 1);

        memset(bytes + 8, 0, size - 8);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(kedge_raw_push(&raw, bytes[i], &message), 0);
        }
        assert_true(arrives(bytes, make(bytes, 92, 2)));
        assert_int_equal(buffer[100], 0xA5);
    }
}

/* [C-11] After a pause the rest of a torn message is forgotten: else one lost byte would shift
 * every message that follows. */
static void idle_forgets(void **state)
{
    static uint8_t bytes[200];
    struct kedge_bytes message;
    const size_t size = make(bytes, 100, 3);

    (void)state;
    start(200);
    for (size_t torn = 1; torn < size; torn++) {
        for (size_t i = 0; i < torn; i++) {
            assert_int_equal(kedge_raw_push(&raw, bytes[i], &message), 0);
        }
        kedge_raw_idle(&raw);
        assert_true(arrives(bytes, size));
    }
}

/* [C-9] Text of a booting device in front of the first message is not taken for a length of 26,000.
 */
static void text_is_not_a_header(void **state)
{
    static uint8_t bytes[200];
    static const char text[] = "booted";
    struct kedge_bytes message;

    (void)state;
    start(200);
    for (size_t i = 0; text[i] != '\0'; i++) {
        assert_int_equal(kedge_raw_push(&raw, (uint8_t)text[i], &message), 0);
    }
    assert_true(arrives(bytes, make(bytes, 20, 4)));
}

/* Noise never crashes, and a pause always heals. */
static void noise_then_pause(void **state)
{
    struct kedge_random random = {5};
    static uint8_t bytes[64];
    const size_t size = make(bytes, 40, 9);
    struct kedge_bytes message;

    (void)state;
    start(64);
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned i = kedge_random_below(&random, 100); i > 0; i--) {
            if (kedge_raw_push(&raw, (uint8_t)kedge_random_next(&random), &message) == 1) {
                assert_in_range(message.size, 8, 64);
            }
        }
        kedge_raw_idle(&raw);
        assert_true(arrives(bytes, size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_back_to_back), cmocka_unit_test(too_long_is_passed_over),
        cmocka_unit_test(idle_forgets),          cmocka_unit_test(text_is_not_a_header),
        cmocka_unit_test(noise_then_pause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
