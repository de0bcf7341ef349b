/* The SMP header: eight bytes that every client in the field has agreed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/smp.h"

/* A bit in the wrong place makes the device deaf to every client. Messages as smpclient (version 2)
 * and Go mcumgr (version 1) send them. */
static void test_known_messages(void **state)
{
    static const uint8_t echo_v2[8] = {0x0A, 0x00, 0x00, 0x06, 0x00, 0x00, 0x42, 0x00};
    static const uint8_t upload_v1[8] = {0x02, 0x00, 0x02, 0x1F, 0x00, 0x01, 0xFF, 0x01};
    struct kedge_smp_header header;

    (void)state;
    assert_int_equal(kedge_smp_header_parse(kedge_bytes(echo_v2, 8), &header), 0);
    assert_int_equal(header.op, KEDGE_SMP_WRITE);
    assert_int_equal(header.version, 1);
    assert_int_equal(header.size, 6);
    assert_int_equal(header.group, 0);
    assert_int_equal(header.sequence, 0x42);
    assert_int_equal(header.command, 0);
    assert_int_equal(kedge_smp_header_parse(kedge_bytes(upload_v1, 8), &header), 0);
    assert_int_equal(header.op, KEDGE_SMP_WRITE);
    assert_int_equal(header.version, 0);
    assert_int_equal(header.size, 0x21F);
    assert_int_equal(header.group, 1);
    assert_int_equal(header.sequence, 0xFF);
    assert_int_equal(header.command, 1);
}

/* A reply header that differs from its request in more than the op is taken for somebody else's. */
static void test_put_is_the_inverse(void **state)
{
    uint8_t bytes[8], again[8];
    struct kedge_smp_header header;

    (void)state;
    for (unsigned first = 0; first < 0x20; first++) {
        for (unsigned i = 0; i < 8; i++) {
            bytes[i] = (uint8_t)(first * 31 + i * 77);
        }
        bytes[0] = (uint8_t)first;
        assert_int_equal(kedge_smp_header_parse(kedge_bytes(bytes, 8), &header), 0);
        kedge_smp_header_put(again, &header);
        assert_memory_equal(bytes, again, 8);
    }
}

/* A short datagram must not be read past its end. */
static void test_too_short(void **state)
{
    static const uint8_t bytes[8] = {0};
    struct kedge_smp_header header;

    (void)state;
    for (size_t size = 0; size < 8; size++) {
        assert_int_equal(kedge_smp_header_parse(kedge_bytes(bytes, size), &header), KEDGE_E_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_messages),
        cmocka_unit_test(test_put_is_the_inverse),
        cmocka_unit_test(test_too_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
