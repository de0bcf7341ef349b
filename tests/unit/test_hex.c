/* Intel HEX: what a linker, a merge tool or a mail program makes of firmware must come in byte for
 * byte or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hex.h"

static struct hex_data data;
static char why[HEX_WHY];

static int read_text(const char *text, uint32_t span)
{
    data = (struct hex_data){0};
    return hex_read(kedge_bytes(text, strlen(text)), span, &data, why);
}

/* Firmware at addresses above 64 KiB would land at another place. */
static void addresses(void **state)
{
    (void)state;
    assert_int_equal(read_text(":020000040001F9\n:01FFFF00AA57\n:020000040002F8\n:01000000BB44\n"
                               ":00000001FF\n",
                               16),
                     0);
    assert_int_equal(data.address, 0x1ffff);
    assert_int_equal(data.size, 2);
    assert_memory_equal(data.at, "\xaa\xbb", 2);
    free(data.at);
    /* the older form: a segment base in units of 16 bytes */
    assert_int_equal(read_text(":020000021000EC\n:0100100042AD\n:00000001FF\n", 1), 0);
    assert_int_equal(data.address, 0x10010);
    free(data.at);
}

/* Gaps between a program's sections must read as erased flash does. */
static void gaps_and_order(void **state)
{
    (void)state;
    assert_int_equal(read_text(":010004000BF0\r\n\r\n  :010000000AF5\r\n:0400000500000101F5\r\n"
                               ":00000001ff\r\nwhat follows is not ours",
                               5),
                     0);
    assert_int_equal(data.address, 0);
    assert_int_equal(data.size, 5);
    assert_memory_equal(data.at, "\x0a\xff\xff\xff\x0b", 5);
    free(data.at);
}

/* UICR words or a second program in the file would be taken for a part of the image. */
static void span(void **state)
{
    static const char text[] = ":01C0000001"
                               "3E\n:020000041000EA\n:0410C00001020304"
                               "22\n"
                               ":00000001FF\n";

    (void)state;
    assert_int_equal(read_text(text, 0x71000), KEDGE_E_SPACE);
    assert_non_null(strstr(why, "0x100010C0 (4 bytes)"));
    assert_non_null(strstr(why, "0x71000"));
    assert_non_null(strstr(why, "0xC000"));
    /* exactly filled, and one byte more */
    assert_int_equal(read_text(":020000000102FB\n:00000001FF\n", 2), 0);
    free(data.at);
    assert_int_equal(read_text(":020000000102FB\n:00000001FF\n", 1), KEDGE_E_SPACE);
}

/* A damaged file must not become firmware. */
static void damage(void **state)
{
    static const struct {
        const char *text, *needle;
    } bad[] = {
        {"", "cut short"},
        {":00000001FF\n", "no data"},
        {":0100000001FE\n", "cut short"},
        {":0100000001FF\n:00000001FF\n", "line 1 has a wrong checksum"},
        {":0100000001FE\n:0200000001FD\n:00000001FF\n", "line 2 has another length"},
        {":0100000001F\n:00000001FF\n", "cut short or too long"},
        {":01000000g1FE\n:00000001FF\n", "hex digits"},
        {":01\n:00000001FF\n", "cut short"},
        {":\n:00000001FF\n", "cut short"},
        {"0100000001FE\n:00000001FF\n", "colon"},
        {":0100000701F7\n:00000001FF\n", "unknown record type"},
        {":0100000401FA\n:00000001FF\n", "wrong length"},
        {":02FFFF000102FD\n:00000001FF\n", "64 KiB"},
        {":0100000001FE\n:0100000001FE\n:00000001FF\n", "twice"},
        {":020000000102FB\n:0100010003FB\n:00000001FF\n", "twice"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_not_equal(read_text(bad[i].text, 1u << 20), 0);
        assert_null(data.at);
        assert_non_null(strstr(why, bad[i].needle));
    }
}

/* A name without .hex is judged by the first line: firmware must not be taken for text. */
static void sniff(void **state)
{
    static const uint8_t vectors[] = {0x00, 0x10, 0x00, 0x20, 0x3a};

    (void)state;
    assert_true(hex_like(kedge_bytes(":00000001FF", 11)));
    assert_true(hex_like(kedge_bytes(":0100000001FE\r\nrest", 19)));
    assert_false(hex_like(kedge_bytes(":0100000001FF\n", 14)));
    assert_false(hex_like(kedge_bytes(vectors, sizeof(vectors))));
    assert_false(hex_like(kedge_bytes(NULL, 0)));
}

/* What we write for a programmer must come back as it was, across 64 KiB borders too. */
static void round_trip(void **state)
{
    static uint8_t bytes[70000];
    uint32_t seed = 1;

    (void)state;
    print_message("seed %u\n", seed);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
    static const uint32_t bases[] = {0, 0xfff1, 0x7ffffffd, 0xffffffffu - 69999u};

    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        const struct hex_segment segments[] = {
            {bases[i], kedge_bytes(bytes, 1000)},
            {bases[i] + 2000, kedge_bytes(bytes + 2000, sizeof(bytes) - 2000)}};
        size_t size = 0;
        char *const text = hex_write(segments, 2, &size);

        assert_int_equal(hex_read(kedge_bytes(text, size), sizeof(bytes), &data, why), 0);
        assert_int_equal(data.address, bases[i]);
        assert_int_equal(data.size, sizeof(bytes));
        assert_memory_equal(data.at, bytes, 1000);
        assert_true(kedge_all(kedge_bytes(data.at + 1000, 1000), 0xff));
        assert_memory_equal(data.at + 2000, bytes + 2000, sizeof(bytes) - 2000);
        free(data.at);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses), cmocka_unit_test(gaps_and_order), cmocka_unit_test(span),
        cmocka_unit_test(damage),    cmocka_unit_test(sniff),          cmocka_unit_test(round_trip),
    };

    return cmocka_run_group_tests_name("hex", tests, NULL, NULL);
}
