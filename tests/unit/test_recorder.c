/* The flight recorder. If this fails, "internal writes during download: 0" is a claim, not a fact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "board.h"

#define SLOTS 4u

static struct kedge_sim_board board;
static struct kedge_recorder recorder;
static struct kedge_recorded recorded[KEDGE_DEVICES];
static struct kedge_part_times times[KEDGE_DEVICES];
static struct kedge_flash internal, external;
static uint8_t ring[SLOTS * KEDGE_EVENT_SIZE];

static int open_board(void **state)
{
    const struct kedge_sim_config config = {.internal = &kedge_sim_nrf52840,
                                            .external = &kedge_sim_mx25r64};
    char why[160];

    (void)state;
    if (kedge_sim_board_open(&board, &config, why) != 0)
        return -1;
    memset(&recorder, 0, sizeof recorder);
    recorder.ring = kedge_buf(ring, sizeof ring);
    times[KEDGE_INTERNAL] = kedge_sim_times(&kedge_sim_nrf52840);
    times[KEDGE_EXTERNAL] = kedge_sim_times(&kedge_sim_mx25r64);
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++)
        recorded[d] = (struct kedge_recorded){.inner = d == KEDGE_INTERNAL ? &board.internal
                                                                           : &board.external,
                                              .recorder = &recorder,
                                              .times = &times[d],
                                              .device = d};
    kedge_recorder_wrap(&recorded[KEDGE_INTERNAL], &internal);
    kedge_recorder_wrap(&recorded[KEDGE_EXTERNAL], &external);
    kedge_recorder_clear(&recorder);
    return 0;
}

static int close_board(void **state)
{
    (void)state;
    kedge_sim_board_close(&board);
    return 0;
}

/* An operation is missing in the count, or counted for the wrong device or phase. */
static void counts_by_device_and_phase(void **state)
{
    uint8_t bytes[300] = {0};
    struct kedge_counts expected, total;

    (void)state;
    assert_int_equal(kedge_recorder_phase(&recorder, KEDGE_PHASE_DOWNLOAD), KEDGE_PHASE_BOOT);
    assert_int_equal(external.ops->erase(external.ctx, 0, 3 * 4096), 0);
    assert_int_equal(external.ops->program(external.ctx, 0xF0, kedge_bytes(bytes, 300)), 0);
    assert_int_equal(kedge_recorder_phase(&recorder, KEDGE_PHASE_VALIDATE), KEDGE_PHASE_DOWNLOAD);
    assert_int_equal(external.ops->read(external.ctx, 0xF0, kedge_buf(bytes, 300)), 0);
    assert_int_equal(external.ops->sync(external.ctx), 0);

    /* 16 B to the page's end, one page, 28 B: (32 + 16) + 896 + (32 + 28) us, 300 us on the bus */
    expected = (struct kedge_counts){.programs = 3,
                                     .program_bytes = 300,
                                     .erases = 3,
                                     .erase_bytes = 3 * 4096,
                                     .model_us = 3 * 48000 + 48 + 896 + 60 + 300};
    assert_memory_equal(&recorder.counts[KEDGE_EXTERNAL][KEDGE_PHASE_DOWNLOAD], &expected,
                        sizeof expected);
    expected = (struct kedge_counts){.reads = 1, .read_bytes = 300, .model_us = 300};
    assert_memory_equal(&recorder.counts[KEDGE_EXTERNAL][KEDGE_PHASE_VALIDATE], &expected,
                        sizeof expected);
    total = kedge_recorder_total(&recorder, KEDGE_EXTERNAL);
    assert_int_equal(total.model_us, 3 * 48000 + 48 + 896 + 60 + 600);
    assert_int_equal(total.erases, 3);
    memset(&expected, 0, sizeof expected);
    total = kedge_recorder_total(&recorder, KEDGE_INTERNAL);
    assert_memory_equal(&total, &expected, sizeof expected);
}

/* The reported time is not the time that the device stood still. */
static void model_time_is_the_simulators_time(void **state)
{
    const uint64_t before = kedge_sim_now_us(board.sim);
    uint8_t bytes[4096] = {0};

    (void)state;
    assert_int_equal(internal.ops->erase(internal.ctx, 0, 2 * 4096), 0);
    assert_int_equal(internal.ops->program(internal.ctx, 0, kedge_bytes(bytes, 4096)), 0);
    assert_int_equal(internal.ops->program(internal.ctx, 4096, kedge_bytes(bytes, 8)), 0);
    assert_int_equal(kedge_recorder_total(&recorder, KEDGE_INTERNAL).model_us,
                     kedge_sim_now_us(board.sim) - before);
    assert_int_equal(kedge_recorder_total(&recorder, KEDGE_INTERNAL).programs, 1024 + 2);
}

/* A program slips through to a device that the rule protects, or the refusal leaves no trace. */
static void enforces_its_rule(void **state)
{
    uint8_t bytes[4] = {0};

    (void)state;
    recorder.forbidden[KEDGE_PHASE_DOWNLOAD] = 1 << KEDGE_INTERNAL;
    (void)kedge_recorder_phase(&recorder, KEDGE_PHASE_DOWNLOAD);
    assert_int_equal(internal.ops->program(internal.ctx, 0x40, kedge_bytes(bytes, 4)),
                     KEDGE_E_FORBIDDEN);
    assert_int_equal(internal.ops->erase(internal.ctx, 0, 4096), KEDGE_E_FORBIDDEN);
    assert_int_equal(kedge_sim_operations(board.sim), 0);
    assert_int_equal(internal.ops->read(internal.ctx, 0, kedge_buf(bytes, 4)), 0);
    assert_int_equal(external.ops->program(external.ctx, 0, kedge_bytes(bytes, 4)), 0);
    assert_int_equal(kedge_recorder_total(&recorder, KEDGE_INTERNAL).programs, 0);
    assert_int_equal(kedge_recorder_total(&recorder, KEDGE_INTERNAL).failures, 2);
    assert_int_equal(ring[14], KEDGE_OP_REFUSED);
    assert_int_equal((int8_t)ring[15], KEDGE_E_FORBIDDEN);
    assert_int_equal(kedge_le32(ring + 4), 0x40);
    kedge_recorder_clear(&recorder);
    assert_int_equal(internal.ops->erase(internal.ctx, 0, 4096), KEDGE_E_FORBIDDEN);
}

/* The ring overruns its memory, or its newest event cannot be told from its oldest. */
static void keeps_the_last_events(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SLOTS + 2; i++)
        assert_int_equal(internal.ops->erase(internal.ctx, i * 4096, 4096), 0);
    assert_int_equal(recorder.sequence, SLOTS + 2);
    for (uint32_t number = 2; number < SLOTS + 2; number++) {
        const uint8_t *event = ring + number % SLOTS * KEDGE_EVENT_SIZE;

        assert_int_equal(kedge_le32(event), number);
        assert_int_equal(kedge_le32(event + 4), number * 4096);
        assert_int_equal(kedge_le32(event + 8), 4096);
        assert_int_equal(event[12], KEDGE_INTERNAL);
        assert_int_equal(event[13], KEDGE_PHASE_BOOT);
        assert_int_equal(event[14], KEDGE_OP_ERASE);
        assert_int_equal(event[15], 0);
    }
    recorder.ring.size = 0;
    assert_int_equal(internal.ops->erase(internal.ctx, 0, 4096), 0);
    assert_int_equal(recorder.sequence, SLOTS + 3);
}

/* A failing chip looks healthy in the report. */
static void counts_failures_of_posted_work_too(void **state)
{
    struct kedge_sim_faults faults = {.busy_forever = true};
    uint8_t bytes[4] = {0};

    (void)state;
    kedge_sim_arm(board.sim, &faults);
    assert_int_equal(external.ops->program(external.ctx, 0, kedge_bytes(bytes, 4)), 0);
    assert_int_equal(external.ops->sync(external.ctx), KEDGE_E_BUSY);
    assert_int_equal(external.ops->read(external.ctx, 0, kedge_buf(bytes, 4)), KEDGE_E_BUSY);
    assert_int_equal(kedge_recorder_total(&recorder, KEDGE_EXTERNAL).failures, 2);
}

/* A word in a report is NULL or garbage. */
static void names_every_phase(void **state)
{
    (void)state;
    assert_string_equal(kedge_phase_text(KEDGE_PHASE_VALIDATE), "validate");
    assert_string_equal(kedge_phase_text(KEDGE_PHASE_DOWNLOAD), "download");
    assert_string_equal(kedge_phase_text(KEDGE_PHASE_DECODE), "decode");
    assert_string_equal(kedge_phase_text(KEDGE_PHASES), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_by_device_and_phase, open_board, close_board),
        cmocka_unit_test_setup_teardown(model_time_is_the_simulators_time, open_board, close_board),
        cmocka_unit_test_setup_teardown(enforces_its_rule, open_board, close_board),
        cmocka_unit_test_setup_teardown(keeps_the_last_events, open_board, close_board),
        cmocka_unit_test_setup_teardown(counts_failures_of_posted_work_too, open_board,
                                        close_board),
        cmocka_unit_test(names_every_phase),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
