/* The journal without cuts: sizes, records, what it refuses, what it costs. If this fails, a loader
 * starts every boot as from the factory, or writes at boots that should write nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/sim.h"
#include "kedge/journal.h"

#define REGION 8192

struct board {
    struct kedge_sim *sim;
    struct kedge_flash flash;
    struct kedge_journal journal;
    uint8_t body[2048];
};

/* A journal of `body` bytes at offset 4096 of a 16 KiB flash of 4 KiB sectors. */
static void board_make(struct board *b, size_t body, uint16_t reserve)
{
    const struct kedge_sim_part internal = kedge_sim_small_internal(16384, 4096);
    const struct kedge_sim_part external = kedge_sim_small_external(65536, 4096);
    const struct kedge_sim_config config = {
        .internal = &internal, .external = &external, .time = KEDGE_SIM_TIME_NONE, .seed = 1};
    char why[160];

    memset(b, 0, sizeof *b);
    b->sim = kedge_sim_create(&config, why);
    assert_non_null(b->sim);
    kedge_sim_flash(b->sim, KEDGE_INTERNAL, &b->flash);
    b->journal = (struct kedge_journal){
        .region = {.flash = &b->flash, .start = 4096, .size = REGION},
        .body = kedge_buf(b->body, body),
        .reserve = reserve,
    };
}

static void board_free(struct board *b)
{
    assert_int_equal(kedge_sim_violations(b->sim), 0);
    kedge_sim_destroy(b->sim);
}

struct heard {
    unsigned count;
    uint16_t kind[1000], value[1000];
};

static void hear(void *ctx, uint16_t kind, uint16_t value)
{
    struct heard *heard = ctx;

    heard->kind[heard->count] = kind;
    heard->value[heard->count++] = value;
}

/* A new device has an empty journal: the loader must take that for "no state", keep what it has in
 * RAM, and be able to begin. */
static void factory_is_no_state(void **state)
{
    struct board b;

    (void)state;
    board_make(&b, 64, 0);
    memset(b.body, 0x5A, 64);
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), KEDGE_E_NONE);
    assert_int_equal(b.journal.authority, KEDGE_JOURNAL_NOBODY);
    assert_int_equal(b.body[0], 0x5A);
    assert_int_equal(b.body[63], 0x5A);
    assert_int_equal(kedge_journal_room(&b.journal), 0);
    assert_int_equal(kedge_journal_append(&b.journal, KEDGE_RECORD_PC, 1), KEDGE_E_SPACE);
    assert_int_equal(kedge_sim_operations(b.sim), 0);
    assert_int_equal(kedge_journal_take_over(&b.journal), 0);
    board_free(&b);
}

/* What was written is what a later power-on reads, body and records, in order, for every length of
 * body. */
static void state_comes_back(void **state)
{
    static struct heard heard;

    (void)state;
    for (size_t size = 4; size <= 2048; size += 124) {
        struct board b;

        board_make(&b, size, 0);
        for (size_t i = 0; i < size; i++)
            b.body[i] = (uint8_t)(i * 7 + size);
        assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), KEDGE_E_NONE);
        assert_int_equal(kedge_journal_take_over(&b.journal), 0);
        assert_int_equal(kedge_journal_append(&b.journal, KEDGE_RECORD_PHASE, 2), 0);
        assert_int_equal(kedge_journal_append(&b.journal, KEDGE_RECORD_PC, 0xFFFF), 0);
        assert_int_equal(kedge_journal_append(&b.journal, KEDGE_RECORD_ATTEMPT, 0), 0);
        memset(b.body, 0, sizeof b.body);
        heard.count = 0;
        kedge_sim_power_on(b.sim);
        assert_int_equal(kedge_journal_open(&b.journal, hear, &heard), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(b.body[i], (uint8_t)(i * 7 + size));
        assert_int_equal(heard.count, 3);
        assert_int_equal(heard.kind[0], KEDGE_RECORD_PHASE);
        assert_int_equal(heard.value[0], 2);
        assert_int_equal(heard.kind[1], KEDGE_RECORD_PC);
        assert_int_equal(heard.value[1], 0xFFFF);
        assert_int_equal(heard.kind[2], KEDGE_RECORD_ATTEMPT);
        assert_false(b.journal.sealed);
        board_free(&b);
    }
}

/* [J7] Erased cells are no records: a fresh journal would begin with a step that nobody made. */
static void an_empty_log_is_empty(void **state)
{
    static struct heard heard;
    struct board b;

    (void)state;
    board_make(&b, 64, 0);
    heard.count = 0;
    (void)kedge_journal_open(&b.journal, NULL, NULL);
    assert_int_equal(kedge_journal_take_over(&b.journal), 0);
    assert_int_equal(kedge_journal_open(&b.journal, hear, &heard), 0);
    assert_int_equal(heard.count, 0);
    board_free(&b);
}

/* [J2] A power-on that did not erase the sector must not append to it: hidden torn words. */
static void appends_only_to_its_own_sector(void **state)
{
    struct board b;

    (void)state;
    board_make(&b, 64, 0);
    (void)kedge_journal_open(&b.journal, NULL, NULL);
    assert_int_equal(kedge_journal_take_over(&b.journal), 0);
    assert_true(kedge_journal_room(&b.journal) > 0);
    kedge_sim_power_on(b.sim);
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), 0);
    assert_int_equal(kedge_journal_room(&b.journal), 0);
    assert_int_equal(kedge_journal_append(&b.journal, KEDGE_RECORD_PC, 1), KEDGE_E_SPACE);
    board_free(&b);
}

/* [J4] Sealed is only what ends in SEAL; a quiet boot writes nothing and reads the same for ever.
 */
static void quiet_boots_write_nothing(void **state)
{
    struct board b;

    (void)state;
    board_make(&b, 64, 0);
    (void)kedge_journal_open(&b.journal, NULL, NULL);
    assert_int_equal(kedge_journal_take_over(&b.journal), 0);
    assert_false(b.journal.sealed);
    assert_int_equal(kedge_journal_append(&b.journal, KEDGE_RECORD_SEAL, 0), 0);
    assert_true(b.journal.sealed);
    kedge_sim_arm(b.sim, NULL);
    for (unsigned boot = 0; boot < 5; boot++) {
        kedge_sim_power_on(b.sim);
        assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), 0);
        assert_true(b.journal.sealed);
    }
    assert_int_equal(kedge_sim_operations(b.sim), 0);
    board_free(&b);
}

/* The log is used to its last cell, says when it is full, and is all read back. */
static void log_fills_to_the_last_cell(void **state)
{
    static struct heard heard;
    struct board b;
    uint16_t room;

    (void)state;
    board_make(&b, 64, 0);
    (void)kedge_journal_open(&b.journal, NULL, NULL);
    assert_int_equal(kedge_journal_take_over(&b.journal), 0);
    room = kedge_journal_room(&b.journal);
    assert_int_equal(room, (4096 - 256 - 256) / 8); /* SWAP.md 3.1 */
    for (uint16_t i = 0; i < room; i++)
        assert_int_equal(kedge_journal_append(&b.journal, KEDGE_RECORD_PC, i), 0);
    assert_int_equal(kedge_journal_append(&b.journal, KEDGE_RECORD_PC, 0), KEDGE_E_SPACE);
    kedge_sim_power_on(b.sim);
    heard.count = 0;
    assert_int_equal(kedge_journal_open(&b.journal, hear, &heard), 0);
    assert_int_equal(heard.count, room);
    for (uint16_t i = 0; i < room; i++)
        assert_int_equal(heard.value[i], i);
    assert_int_equal(kedge_journal_take_over(&b.journal), 0);
    assert_int_equal(kedge_journal_room(&b.journal), room);
    board_free(&b);
}

/* Hundreds of updates over a device's life: ranks and slots come round again and again. */
static void a_long_life(void **state)
{
    struct board b;

    (void)state;
    board_make(&b, 64, 0);
    for (uint32_t n = 0; n < 500; n++) {
        kedge_sim_power_on(b.sim);
        const int rc = kedge_journal_open(&b.journal, NULL, NULL);

        assert_int_equal(rc, n == 0 ? KEDGE_E_NONE : 0);
        if (n > 0)
            assert_int_equal(kedge_le32(b.body), n);
        kedge_put_le32(b.body, n + 1);
        for (uint32_t again = 0; again <= n % 3; again++)
            assert_int_equal(kedge_journal_take_over(&b.journal), 0);
        if (n % 2 == 0)
            assert_int_equal(kedge_journal_append(&b.journal, KEDGE_RECORD_SEAL, 0), 0);
    }
    board_free(&b);
}

/* PEERS.md's goal of one journal erase an update, and SWAP.md's cost: 1 erase and the words. */
static void a_take_over_costs_one_erase(void **state)
{
    struct board b;

    (void)state;
    board_make(&b, 64, 0);
    (void)kedge_journal_open(&b.journal, NULL, NULL);
    assert_int_equal(kedge_journal_take_over(&b.journal), 0);
    kedge_sim_power_on(b.sim);
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), 0);
    kedge_sim_arm(b.sim, NULL);
    assert_int_equal(kedge_journal_take_over(&b.journal), 0);
    /* erase, 2 pieces of body, piece with the CRC, bump, mark; no reaffirm: there is no rival */
    assert_int_equal(kedge_sim_operations(b.sim), 6);
    board_free(&b);
}

/* One operation that fails or is silently not done, at each place of a take-over: tried again, and
 * never reported as done when it is not. */
static void one_bad_operation_is_absorbed(void **state)
{
    (void)state;
    for (uint32_t n = 1; n < 400; n++) {
        for (unsigned ignored = 0; ignored < 2; ignored++) {
            const struct kedge_sim_faults faults = {
                .seed = n, .op_fail_at = ignored ? 0 : n, .op_ignore_at = ignored ? n : 0};
            struct board b;
            int rc;

            board_make(&b, 64, 0);
            (void)kedge_journal_open(&b.journal, NULL, NULL);
            memset(b.body, 1, 64);
            assert_int_equal(kedge_journal_take_over(&b.journal), 0);
            kedge_sim_power_on(b.sim);
            assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), 0);
            kedge_sim_arm(b.sim, &faults);
            memset(b.body, 2, 64);
            assert_int_equal(kedge_journal_take_over(&b.journal), 0);
            rc = kedge_journal_append(&b.journal, KEDGE_RECORD_SEAL, 0);
            assert_int_equal(kedge_journal_room(&b.journal) == 0, rc != 0); /* [J9] */
            kedge_sim_arm(b.sim, NULL);
            kedge_sim_power_on(b.sim);
            memset(b.body, 3, 64);
            assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), 0);
            assert_int_equal(b.body[0], 2);
            assert_int_equal(b.journal.sealed, rc == 0);
            kedge_sim_destroy(b.sim);
        }
    }
}

/* [J7] A region that cannot hold the journal is refused before anything is written. */
static void impossible_sizes_are_refused(void **state)
{
    struct board b;

    (void)state;
    board_make(&b, 64, 0);
    b.journal.region.size = 1024;
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), KEDGE_E_SPACE);
    b.journal.region.size = 0;
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), KEDGE_E_SPACE);
    b.journal.region.size = REGION;
    b.journal.body.size = 4096;
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), KEDGE_E_SPACE);
    b.journal.body.size = 256; /* and its CRC do not fit in 256 bytes */
    b.journal.reserve = 256;
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), KEDGE_E_SPACE);
    b.journal.reserve = 0;
    b.flash.geometry.write_block = 64;
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), KEDGE_E_SPACE);
    b.flash.geometry.write_block = 256;
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), KEDGE_E_SPACE);
    b.journal.region.flash = NULL;
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), KEDGE_E_UNSUPPORTED);
    assert_int_equal(kedge_sim_operations(b.sim), 0);
    board_free(&b);
}

/* [J7] A body may grow within its reserve: an older reader still reads its part. */
static void a_body_may_grow(void **state)
{
    struct board b;

    (void)state;
    board_make(&b, 600, 1024);
    (void)kedge_journal_open(&b.journal, NULL, NULL);
    for (size_t i = 0; i < 600; i++)
        b.body[i] = (uint8_t)i;
    assert_int_equal(kedge_journal_take_over(&b.journal), 0);
    b.journal.body.size = 32;
    memset(b.body, 0, sizeof b.body);
    assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), 0);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(b.body[i], (uint8_t)i);
    assert_int_equal(b.body[32], 0);
    board_free(&b);
}

/* A single decayed bit in BODY of the authority: never a mixed state; the older one, or none. */
static void a_decayed_bit_is_noticed(void **state)
{
    (void)state;
    for (uint32_t bit = 0; bit < 68 * 8; bit += 5) {
        struct board b;

        board_make(&b, 64, 0);
        (void)kedge_journal_open(&b.journal, NULL, NULL);
        memset(b.body, 1, 64);
        assert_int_equal(kedge_journal_take_over(&b.journal), 0);
        memset(b.body, 2, 64);
        assert_int_equal(kedge_journal_take_over(&b.journal), 0);
        kedge_sim_decay(b.sim, KEDGE_INTERNAL, 8192 + (bit / 8 < 64 ? bit / 8 : 252 + bit / 8 - 64),
                        (uint8_t)(1u << bit % 8));
        assert_int_equal(kedge_journal_open(&b.journal, NULL, NULL), 0);
        for (size_t i = 0; i < 64; i++)
            assert_int_equal(b.body[i], 1);
        assert_false(b.journal.sealed);
        board_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factory_is_no_state),
        cmocka_unit_test(state_comes_back),
        cmocka_unit_test(an_empty_log_is_empty),
        cmocka_unit_test(appends_only_to_its_own_sector),
        cmocka_unit_test(quiet_boots_write_nothing),
        cmocka_unit_test(log_fills_to_the_last_cell),
        cmocka_unit_test(a_long_life),
        cmocka_unit_test(a_take_over_costs_one_erase),
        cmocka_unit_test(one_bad_operation_is_absorbed),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(a_body_may_grow),
        cmocka_unit_test(a_decayed_bit_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
