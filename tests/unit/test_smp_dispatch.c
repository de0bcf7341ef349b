/* The dispatcher: every well-formed request is answered, in the form its sender understands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/smp.h"
#include "kedge/smp_cbor.h"

/* What the handler of the test group does next. */
static struct {
    int result;
    unsigned entries; /* of 100 bytes, before it returns */
    unsigned calls;
    uint32_t peer;
    size_t request_size;
    void *ctx;
} plan;

static int handle(struct kedge_smp_call *call)
{
    uint8_t bytes[98] = {0};

    plan.calls++;
    plan.peer = call->peer;
    plan.ctx = call->ctx;
    plan.request_size = call->request.size;
    for (unsigned i = 0; i < plan.entries; i++) {
        kedge_smp_put_bytes(call->reply, NULL, kedge_bytes(bytes, sizeof(bytes)));
    }
    return plan.result;
}

static int to_v1(int code)
{
    return code == 8 ? KEDGE_SMP_ENOENT : KEDGE_SMP_EBADSTATE;
}

static const struct kedge_smp_command commands[] = {{0, handle, NULL}, {3, NULL, handle}};
static const struct kedge_smp_group one = {1, "one", commands, 2, to_v1};
static const struct kedge_smp_group other = {64, "other", commands, 2, NULL};
static const struct kedge_smp_group *const groups[] = {&one, &other};
static const struct kedge_smp_server server = {groups, 2, &plan};

static uint8_t reply[256];
static size_t reply_size;

static int ask(uint8_t first, uint8_t group, uint8_t command, size_t capacity)
{
    const uint8_t request[9] = {first, 0, 0, 1, 0, group, 0x77, command, 0xA0};

    memset(reply, 0xEE, sizeof(reply));
    return kedge_smp_handle(&server, 4711, kedge_bytes(request, 9), kedge_buf(reply, capacity),
                            &reply_size);
}

/* The reply's header answers the request, its body is `body`. */
static void answered(uint8_t first, uint8_t group, uint8_t command, const char *body, size_t size)
{
    const uint8_t header[8] = {first, 0, 0, (uint8_t)size, 0, group, 0x77, command};

    assert_int_equal(reply_size, 8 + size);
    assert_memory_equal(reply, header, 8);
    assert_memory_equal(reply + 8, body, size);
}
#define ANSWERED(first, group, command, body)                                                      \
    answered(first, group, command, body, sizeof(body) - 1)

static int reset(void **state)
{
    (void)state;
    memset(&plan, 0, sizeof(plan));
    return 0;
}

/* smpclient takes a success with "rc": 0 for a broken reply. */
static void test_success_is_an_empty_map(void **state)
{
    (void)state;
    assert_int_equal(ask(0x08, 1, 0, sizeof(reply)), 0);
    ANSWERED(0x09, 1, 0, "\xBF\xFF");
    assert_int_equal(ask(0x02, 64, 3, sizeof(reply)), 0);
    ANSWERED(0x03, 64, 3, "\xBF\xFF");
    assert_int_equal(plan.calls, 2);
    assert_int_equal(plan.peer, 4711);
    assert_ptr_equal(plan.ctx, &plan);
    assert_int_equal(plan.request_size, 1);
}

/* An error in the other version's form reads as a success, or as nothing, on the client's side. */
static void test_both_error_forms(void **state)
{
    (void)state;
    plan.result = KEDGE_SMP_GROUP_ERROR(8);
    assert_int_equal(ask(0x08, 1, 0, sizeof(reply)), 0);
    ANSWERED(0x09, 1, 0,
             "\xBF\x63"
             "err\xBF\x65group\x01\x62rc\x08\xFF\xFF");
    assert_int_equal(ask(0x00, 1, 0, sizeof(reply)), 0);
    ANSWERED(0x01, 1, 0, "\xBF\x62rc\x05\xFF");
    plan.result = KEDGE_SMP_GROUP_ERROR(9);
    assert_int_equal(ask(0x00, 1, 0, sizeof(reply)), 0);
    ANSWERED(0x01, 1, 0, "\xBF\x62rc\x06\xFF");
    assert_int_equal(ask(0x00, 64, 0, sizeof(reply)), 0); /* a group without a mapping */
    ANSWERED(0x01, 64, 0, "\xBF\x62rc\x01\xFF");
    plan.result = KEDGE_SMP_EBUSY;
    assert_int_equal(ask(0x08, 1, 0, sizeof(reply)), 0);
    ANSWERED(0x09, 1, 0, "\xBF\x62rc\x0A\xFF");
    plan.result = 300;
    assert_int_equal(ask(0x08, 1, 0, sizeof(reply)), 0);
    ANSWERED(0x09, 1, 0, "\xBF\x62rc\x19\x01\x2C\xFF");
}

/* Entries written before the handler failed must not leak into the error. */
static void test_half_a_reply_is_dropped(void **state)
{
    (void)state;
    plan.entries = 1;
    plan.result = KEDGE_SMP_EINVAL;
    assert_int_equal(ask(0x08, 1, 0, sizeof(reply)), 0);
    ANSWERED(0x09, 1, 0, "\xBF\x62rc\x03\xFF");
}

/* Silence means a dead device to every client: what we do not know is answered too. */
static void test_unknown_is_answered(void **state)
{
    (void)state;
    assert_int_equal(ask(0x08, 2, 0, sizeof(reply)), 0); /* group */
    ANSWERED(0x09, 2, 0, "\xBF\x62rc\x08\xFF");
    assert_int_equal(ask(0x08, 1, 9, sizeof(reply)), 0); /* command */
    ANSWERED(0x09, 1, 9, "\xBF\x62rc\x08\xFF");
    assert_int_equal(ask(0x0A, 1, 0, sizeof(reply)), 0); /* wrong op */
    ANSWERED(0x0B, 1, 0, "\xBF\x62rc\x08\xFF");
    assert_int_equal(ask(0x10, 1, 0, sizeof(reply)), 0); /* versions to come */
    ANSWERED(0x11, 1, 0, "\xBF\x62rc\x0D\xFF");
    assert_int_equal(ask(0x1A, 9, 9, sizeof(reply)), 0);
    ANSWERED(0x1B, 9, 9, "\xBF\x62rc\x0D\xFF");
    assert_int_equal(plan.calls, 0);
}

/* A reply that does not fit must be said to, not sent cut off. */
static void test_reply_too_large(void **state)
{
    (void)state;
    plan.entries = 2;
    assert_int_equal(ask(0x08, 1, 0, 8 + 1 + 200 + 1), 0);
    assert_int_equal(reply_size, 8 + 202);
    assert_int_equal(ask(0x08, 1, 0, 8 + 1 + 200), 0);
    ANSWERED(0x09, 1, 0, "\xBF\x62rc\x07\xFF");
    assert_int_equal(ask(0x08, 1, 0, 39), KEDGE_E_SPACE);
    assert_int_equal(reply_size, 0);
    for (size_t i = 39; i < sizeof(reply); i++) {
        assert_int_equal(reply[i], 0xEE);
    }
}

/* What is no request must not be answered: two servers would talk to each other for ever. */
static void test_not_a_request(void **state)
{
    static const uint8_t request[10] = {0x08, 0, 0, 1, 0, 1, 0x77, 0, 0xA0, 0};

    (void)state;
    for (unsigned op = 0; op < 8; op++) {
        const int expected = op == 0 || op == 2 ? 0 : KEDGE_E_FORMAT;

        assert_int_equal(ask((uint8_t)(0x08 | op), 1, 0, sizeof(reply)), expected);
        assert_int_equal(reply_size == 0, expected != 0);
    }
    for (size_t size = 0; size <= 10; size++) {
        const int result = kedge_smp_handle(&server, 1, kedge_bytes(request, size),
                                            kedge_buf(reply, sizeof(reply)), &reply_size);

        assert_int_equal(result, size == 9 ? 0 : KEDGE_E_FORMAT);
    }
}

/* WEB sends reset and state requests without any body. */
static void test_no_body(void **state)
{
    static const uint8_t request[8] = {0x00, 0, 0, 0, 0, 1, 0x77, 0};

    (void)state;
    assert_int_equal(kedge_smp_handle(&server, 1, kedge_bytes(request, 8),
                                      kedge_buf(reply, sizeof(reply)), &reply_size),
                     0);
    ANSWERED(0x01, 1, 0, "\xBF\xFF");
    assert_int_equal(plan.request_size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_success_is_an_empty_map, reset),
        cmocka_unit_test_setup(test_both_error_forms, reset),
        cmocka_unit_test_setup(test_half_a_reply_is_dropped, reset),
        cmocka_unit_test_setup(test_unknown_is_answered, reset),
        cmocka_unit_test_setup(test_reply_too_large, reset),
        cmocka_unit_test_setup(test_not_a_request, reset),
        cmocka_unit_test_setup(test_no_body, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
