/* The CBOR layer: whatever well-formed map a client sends is understood, and nothing else does
 * harm. Expected bytes are written down from RFC 8949, not made by the code under test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/random.h"
#include "kedge/smp_cbor.h"

struct request {
    uint32_t off, len;
    struct kedge_bytes data, name;
    bool upgrade;
};
enum { OFF = 1, LEN = 2, DATA = 4, NAME = 8, UPGRADE = 16 };

static struct request got;

static int read_request(const void *bytes, size_t size)
{
    const struct kedge_smp_field fields[] = {
        KEDGE_SMP_FIELD("off", KEDGE_SMP_UINT, &got.off),
        KEDGE_SMP_FIELD("len", KEDGE_SMP_UINT, &got.len),
        KEDGE_SMP_FIELD("data", KEDGE_SMP_BYTES, &got.data),
        KEDGE_SMP_FIELD("name", KEDGE_SMP_TEXT, &got.name),
        KEDGE_SMP_FIELD("upgrade", KEDGE_SMP_FLAG, &got.upgrade),
    };

    memset(&got, 0, sizeof(got));
    return kedge_smp_read_fields(kedge_bytes(bytes, size), fields, 5);
}
#define READ(literal) read_request(literal, sizeof(literal) - 1)

/* A client whose encoder orders keys or closes maps in another way than ours cannot upload. */
static void test_every_form_of_a_map(void **state)
{
    (void)state;
    /* {"off": 5, "len": 300, "data": h'0102'} */
    assert_int_equal(READ("\xA3\x63off\x05\x63len\x19\x01\x2C\x64"
                          "data\x42\x01\x02"),
                     OFF | LEN | DATA);
    assert_int_equal(got.off, 5);
    assert_int_equal(got.len, 300);
    assert_int_equal(got.data.size, 2);
    assert_memory_equal(got.data.at, "\x01\x02", 2);
    /* other order, indefinite */
    assert_int_equal(READ("\xBF\x64"
                          "data\x42\x01\x02\x63len\x19\x01\x2C\x63off\x05\xFF"),
                     OFF | LEN | DATA);
    assert_int_equal(got.off, 5);
    assert_int_equal(got.len, 300);
    /* numbers and lengths in longer forms than needed */
    assert_int_equal(READ("\xB8\x02\x63off\x1B\0\0\0\0\0\0\0\x07\x78\x03len\x1A\0\0\x01\0"),
                     OFF | LEN);
    assert_int_equal(got.off, 7);
    assert_int_equal(got.len, 256);
    /* bool, and an integer in its place */
    assert_int_equal(READ("\xA1\x67upgrade\xF5"), UPGRADE);
    assert_true(got.upgrade);
    assert_int_equal(READ("\xA1\x67upgrade\x01"), UPGRADE);
    assert_true(got.upgrade);
    assert_int_equal(READ("\xA1\x67upgrade\xF4"), UPGRADE);
    assert_false(got.upgrade);
    /* nothing at all, and an empty map: WEB sends no body, others A0 */
    assert_int_equal(READ(""), 0);
    assert_int_equal(READ("\xA0"), 0);
    assert_int_equal(READ("\xBF\xFF"), 0);
    /* null is absent */
    assert_int_equal(READ("\xA2\x64name\xF6\x63off\x01"), OFF);
}

/* An unknown key of a newer client must not hide the keys behind it. */
static void test_unknown_keys_are_skipped(void **state)
{
    (void)state;
    assert_int_equal(READ("\xBF"
                          "\x61"
                          "a\x83\x01\x82\x02\x03\xA1\x61x\xF6" /* list of list and map */
                          "\x61"
                          "b\xFB\x3F\xF0\0\0\0\0\0\0" /* float */
                          "\x61"
                          "c\xC1\x1A\x01\x02\x03\x04" /* tag */
                          "\x61"
                          "d\x9F\xBF\x61y\x20\xFF\x80\xFF" /* indefinite inside indefinite */
                          "\x61"
                          "e\x3B\0\0\0\0\0\0\0\x05" /* negative */
                          "\x61"
                          "f\xF8\xFF\xF9\x3C\0\xF6" /* f: simple(255); a float16 as key */
                          "\x07\x08"                /* integer as key */
                          "\x61g\xC1\xC2\x40"       /* tag in a tag */
                          "\x63off\x18\x2A\xFF"),
                     OFF);
    assert_int_equal(got.off, 42);
}

/* A malformed message is refused as a whole; nothing of it is acted upon. */
static void test_malformed(void **state)
{
    (void)state;
    assert_int_equal(READ("\x80"), KEDGE_E_FORMAT);                /* a list */
    assert_int_equal(READ("\x05"), KEDGE_E_FORMAT);                /* a number */
    assert_int_equal(READ("\xF6"), KEDGE_E_FORMAT);                /* null */
    assert_int_equal(READ("\xA1"), KEDGE_E_FORMAT);                /* cut short */
    assert_int_equal(READ("\xA1\x63off"), KEDGE_E_FORMAT);         /* no value */
    assert_int_equal(READ("\xBF\x63off\xFF"), KEDGE_E_FORMAT);     /* no value */
    assert_int_equal(READ("\xBF\x63off\x01"), KEDGE_E_FORMAT);     /* not closed */
    assert_int_equal(READ("\xA2\x63off\x01"), KEDGE_E_FORMAT);     /* one entry missing */
    assert_int_equal(READ("\xA1\x63off\x20"), KEDGE_E_FORMAT);     /* negative */
    assert_int_equal(READ("\xA1\x63off\x41\x01"), KEDGE_E_FORMAT); /* wrong type */
    assert_int_equal(READ("\xA1\x63off\x1B\0\0\0\x01\0\0\0\0"), KEDGE_E_FORMAT); /* 2^32 */
    assert_int_equal(READ("\xA1\x64"
                          "data\x43\x01\x02"),
                     KEDGE_E_FORMAT); /* bytes run out */
    assert_int_equal(READ("\xA1\x64"
                          "data\x5B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
                     KEDGE_E_FORMAT); /* length that wraps */
    assert_int_equal(READ("\xA1\x64"
                          "data\x5F\x41\x01\xFF"),
                     KEDGE_E_FORMAT); /* string of indefinite length */
    assert_int_equal(READ("\xA1\x64"
                          "data\x61x"),
                     KEDGE_E_FORMAT);                            /* text for bytes */
    assert_int_equal(READ("\xA1\x64name\x41x"), KEDGE_E_FORMAT); /* bytes for text */
    assert_int_equal(READ("\xBB\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x63off\x01"), KEDGE_E_FORMAT);
}

/* A message that nests as deep as it is long must end in an error, not in the end of the stack. */
static void test_depth_is_bounded(void **state)
{
    uint8_t bytes[1400];

    (void)state;
    for (size_t depth = 1; depth < sizeof(bytes) - 8; depth++) {
        memcpy(bytes, "\xA1\x61x", 3);
        memset(bytes + 3, 0x81, depth); /* lists of one */
        bytes[3 + depth] = 0x00;
        const int result = read_request(bytes, depth + 4);

        assert_int_equal(result, depth <= KEDGE_SMP_DEPTH - 1 ? 0 : KEDGE_E_FORMAT);
    }
    /* tags may follow one another as long as the message lasts */
    memset(bytes + 3, 0xC1, 1000);
    bytes[1003] = 0x00;
    assert_int_equal(read_request(bytes, 1004), 0);
}

/* Data that is copied costs a buffer, and time with every chunk. */
static void test_no_copies(void **state)
{
    static const uint8_t bytes[] = "\xA1\x64"
                                   "data\x42\x01\x02";

    (void)state;
    assert_int_equal(read_request(bytes, sizeof(bytes) - 1), DATA);
    assert_ptr_equal(got.data.at, bytes + 7);
}

/* Random and mutilated messages: no crash (the sanitizers look on), no end of the walk missed. */
static void test_random_bytes(void **state)
{
    static const char whole[] = "\xBF\x61"
                                "a\x83\x01\x82\x02\x03\xA1\x61x\xF6\x63off\x18\x2A\x64"
                                "data\x44\x01\x02\x03\x04\x67upgrade\xF5\xFF";
    struct kedge_random random = {20261124};
    uint8_t bytes[64];

    (void)state;
    printf("seed 20261124\n");
    for (unsigned i = 0; i < 200000; i++) {
        size_t size = kedge_random_below(&random, sizeof(bytes));

        if (i % 2 == 0) {
            kedge_random_fill(&random, bytes, size);
        } else {
            size = sizeof(whole) - 1;
            memcpy(bytes, whole, size);
            for (unsigned k = 0; k < 3; k++) {
                bytes[kedge_random_below(&random, (uint32_t)size)] =
                    (uint8_t)kedge_random_below(&random, 256);
            }
            size -= kedge_random_below(&random, 8);
        }
        const int found = read_request(bytes, size);

        if (found >= 0 && (found & DATA) != 0) {
            assert_true(got.data.at >= bytes && got.data.at + got.data.size <= bytes + size);
        }
    }
}

/* The walk, as replies with lists of maps need it. */
static void test_walk(void **state)
{
    /* {"images": [{"slot": 1, "x": [1]}, {"slot": 2}], "n": -3} */
    static const char bytes[] = "\xA2\x66images\x82\xA2\x64slot\x01\x61x\x81\x01\xA1\x64slot\x02"
                                "\x61n\x22";
    struct kedge_smp_reader reader;
    struct kedge_bytes key;
    uint32_t slots[2];

    (void)state;
    kedge_smp_read_start(&reader, kedge_bytes(bytes, sizeof(bytes) - 1));
    assert_int_equal(kedge_smp_peek(&reader), KEDGE_SMP_TYPE_MAP);
    assert_true(kedge_smp_enter(&reader));
    assert_true(kedge_smp_next(&reader, &key) && kedge_smp_is(key, "images"));
    assert_true(kedge_smp_enter(&reader));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(kedge_smp_more(&reader));
        assert_true(kedge_smp_enter(&reader));
        assert_true(kedge_smp_next(&reader, &key) && kedge_smp_is(key, "slot"));
        slots[i] = kedge_smp_read_uint(&reader);
        kedge_smp_leave(&reader); /* with "x" still unread */
    }
    assert_false(kedge_smp_more(&reader));
    kedge_smp_leave(&reader);
    assert_true(kedge_smp_next(&reader, &key) && kedge_smp_is(key, "n"));
    assert_int_equal(kedge_smp_read_int(&reader), -3);
    assert_false(kedge_smp_next(&reader, &key));
    assert_false(reader.failed);
    assert_int_equal(slots[0] * 10 + slots[1], 12);
}

static void write_all(struct kedge_smp_writer *writer)
{
    kedge_smp_open_map(writer, NULL);
    kedge_smp_put_uint(writer, "off", 300);
    kedge_smp_put_bool(writer, "ok", true);
    kedge_smp_put_bytes(writer, "b", kedge_bytes("\x01\x02", 2));
    kedge_smp_put_bytes(writer, "e", kedge_bytes(NULL, 0));
    kedge_smp_open_list(writer, "l");
    kedge_smp_put_string(writer, NULL, "hi");
    kedge_smp_put_text(writer, NULL, kedge_bytes(NULL, 0));
    kedge_smp_close(writer);
    kedge_smp_close(writer);
}

static const char expected[] = "\xBF\x63off\x19\x01\x2C\x62ok\xF5\x61"
                               "b\x42\x01\x02\x61"
                               "e\x40\x61l\x9F\x62hi\x60\xFF\xFF";

/* Bytes that other decoders do not understand; Android's fast path wants BF first. */
static void test_written_bytes(void **state)
{
    struct kedge_smp_writer writer;
    uint8_t buffer[64];

    (void)state;
    kedge_smp_write_start(&writer, kedge_buf(buffer, sizeof(buffer)));
    write_all(&writer);
    assert_false(writer.failed);
    assert_int_equal(kedge_smp_written(&writer), sizeof(expected) - 1);
    assert_memory_equal(buffer, expected, sizeof(expected) - 1);
}

/* A reply one byte too long must fail, and not a byte behind the buffer may change. */
static void test_every_capacity(void **state)
{
    struct kedge_smp_writer writer;
    uint8_t buffer[65];

    (void)state;
    for (size_t size = 0; size < 64; size++) {
        memset(buffer, 0xA5, sizeof(buffer));
        kedge_smp_write_start(&writer, kedge_buf(buffer, size));
        write_all(&writer);
        assert_int_equal(writer.failed, size < sizeof(expected) - 1);
        assert_true(kedge_smp_written(&writer) <= size);
        assert_int_equal(kedge_smp_room(&writer), size - kedge_smp_written(&writer));
        for (size_t i = size; i < sizeof(buffer); i++) {
            assert_int_equal(buffer[i], 0xA5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_of_a_map),
        cmocka_unit_test(test_unknown_keys_are_skipped),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_no_copies),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_written_bytes),
        cmocka_unit_test(test_every_capacity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
