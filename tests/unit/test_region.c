/* Bounds and alignment. If this fails, a wrong length in one module erases another module's sector.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "board.h"

#define SECTOR 4096u

static struct kedge_sim_board board;
static struct kedge_region region;

static int open_board(void **state)
{
    const struct kedge_sim_config config = {.internal = &kedge_sim_nrf52840,
                                            .external = &kedge_sim_mx25r64};
    char why[160];

    (void)state;
    region =
        (struct kedge_region){.flash = &board.internal, .start = 2 * SECTOR, .size = 3 * SECTOR};
    return kedge_sim_board_open(&board, &config, why);
}

static int close_board(void **state)
{
    (void)state;
    kedge_sim_board_close(&board);
    return 0;
}

/* A length that wraps around 2^32 passes the check and reaches a foreign sector. */
static void refuses_what_leaves_the_region(void **state)
{
    static const struct {
        uint32_t at, size;
    } outside[] = {{3 * SECTOR, 4}, {3 * SECTOR - 4, 8},      {0, 3 * SECTOR + 4}, {0xFFFFFFFC, 8},
                   {4, 0xFFFFFFFC}, {0xFFFFFFFF, 0xFFFFFFFF}, {3 * SECTOR + 1, 0}};
    uint8_t byte[8] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        const uint32_t at = outside[i].at, size = outside[i].size;

        assert_int_equal(kedge_region_read(&region, at, kedge_buf(byte, size)), KEDGE_E_BOUNDS);
        assert_int_equal(kedge_region_program(&region, at, kedge_bytes(byte, size)),
                         KEDGE_E_BOUNDS);
        assert_int_equal(kedge_region_erase(&region, at, size), KEDGE_E_BOUNDS);
    }
    assert_int_equal(kedge_sim_operations(board.sim), 0);
    assert_int_equal(kedge_sim_violations(board.sim), 0);
}

/* A half word or half a sector is passed on and the controller faults or rounds. */
static void refuses_what_is_not_aligned(void **state)
{
    uint8_t bytes[8] = {0};

    (void)state;
    assert_int_equal(kedge_region_program(&region, 2, kedge_bytes(bytes, 4)), KEDGE_E_ALIGN);
    assert_int_equal(kedge_region_program(&region, 0, kedge_bytes(bytes, 3)), KEDGE_E_ALIGN);
    assert_int_equal(kedge_region_erase(&region, 2048, SECTOR), KEDGE_E_ALIGN);
    assert_int_equal(kedge_region_erase(&region, 0, 2048), KEDGE_E_ALIGN);
    assert_int_equal(kedge_sim_operations(board.sim), 0);
}

/* Offsets are taken for device addresses, and the loader's own code is erased. */
static void adds_its_start(void **state)
{
    static const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t back[8];

    (void)state;
    kedge_sim_fill(board.sim, KEDGE_INTERNAL, 0x00);
    assert_int_equal(kedge_region_erase(&region, SECTOR, 2 * SECTOR), 0);
    assert_int_equal(kedge_region_program(&region, 3 * SECTOR - 8, kedge_bytes(bytes, 8)), 0);
    assert_int_equal(kedge_region_sync(&region), 0);
    assert_int_equal(kedge_region_read(&region, 3 * SECTOR - 8, kedge_buf(back, 8)), 0);
    assert_memory_equal(back, bytes, 8);
    for (uint32_t at = 0; at < 0x100000; at += SECTOR) {
        const uint8_t expected = at == 3 * SECTOR || at == 4 * SECTOR ? 0xFF : 0x00;

        assert_int_equal(kedge_sim_contents(board.sim, KEDGE_INTERNAL)[at], expected);
    }
}

/* Nothing to do becomes a device access, or a missing region a crash. */
static void bears_nothing_and_nowhere(void **state)
{
    const struct kedge_region nowhere = {.flash = NULL};
    uint8_t byte;
    bool blank = true;

    (void)state;
    assert_int_equal(kedge_region_erase(&region, 3 * SECTOR, 0), 0);
    assert_int_equal(kedge_region_program(&region, 3 * SECTOR, kedge_bytes(NULL, 0)), 0);
    assert_int_equal(kedge_region_read(&region, 3 * SECTOR, kedge_buf(NULL, 0)), 0);
    assert_int_equal(kedge_sim_operations(board.sim), 0);
    assert_int_equal(kedge_region_read(&nowhere, 0, kedge_buf(&byte, 1)), KEDGE_E_BOUNDS);
    assert_int_equal(kedge_region_erase(&nowhere, 0, 0), KEDGE_E_BOUNDS);
    assert_int_equal(kedge_region_sync(&nowhere), KEDGE_E_BOUNDS);
    assert_int_equal(kedge_region_blank(&nowhere, 0, 1, kedge_buf(&byte, 1), &blank),
                     KEDGE_E_BOUNDS);
    assert_false(blank);
}

/* One programmed byte at the end is overlooked, and the sector is programmed without an erase. */
static void sees_a_single_programmed_byte(void **state)
{
    static const uint32_t places[] = {0, 99, 100, 101, 2 * SECTOR - 1};
    static const uint8_t zero = 0;
    uint8_t scratch[100];
    bool blank;

    (void)state;
    assert_int_equal(
        kedge_region_blank(&region, 0, 3 * SECTOR, kedge_buf(scratch, sizeof scratch), &blank), 0);
    assert_true(blank);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        kedge_sim_fill(board.sim, KEDGE_INTERNAL, 0xFF);
        kedge_sim_poke(board.sim, KEDGE_INTERNAL, region.start + places[i], kedge_bytes(&zero, 1));
        assert_int_equal(
            kedge_region_blank(&region, 0, 2 * SECTOR, kedge_buf(scratch, sizeof scratch), &blank),
            0);
        assert_false(blank);
    }
    assert_int_equal(
        kedge_region_blank(&region, 0, 2 * SECTOR - 1, kedge_buf(scratch, sizeof scratch), &blank),
        0);
    assert_true(blank);
}

/* A layout with two regions on the same sectors is accepted. */
static void finds_overlaps(void **state)
{
    const struct kedge_region
        before = {.flash = &board.internal, .start = 0, .size = 2 * SECTOR},
        inside = {.flash = &board.internal, .start = 3 * SECTOR, .size = SECTOR},
        behind = {.flash = &board.internal, .start = 5 * SECTOR, .size = SECTOR},
        other = {.flash = &board.external, .start = 2 * SECTOR, .size = 3 * SECTOR},
        tail = {.flash = &board.internal, .start = 4 * SECTOR, .size = 4 * SECTOR},
        nowhere = {.flash = NULL};

    (void)state;
    assert_true(kedge_region_overlap(&region, &region));
    assert_true(kedge_region_overlap(&region, &inside));
    assert_true(kedge_region_overlap(&inside, &region));
    assert_true(kedge_region_overlap(&region, &tail));
    assert_true(kedge_region_overlap(&tail, &region));
    assert_false(kedge_region_overlap(&region, &before));
    assert_false(kedge_region_overlap(&before, &region));
    assert_false(kedge_region_overlap(&region, &behind));
    assert_false(kedge_region_overlap(&region, &other));
    assert_false(kedge_region_overlap(&nowhere, &nowhere));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_what_leaves_the_region, open_board, close_board),
        cmocka_unit_test_setup_teardown(refuses_what_is_not_aligned, open_board, close_board),
        cmocka_unit_test_setup_teardown(adds_its_start, open_board, close_board),
        cmocka_unit_test_setup_teardown(bears_nothing_and_nowhere, open_board, close_board),
        cmocka_unit_test_setup_teardown(sees_a_single_programmed_byte, open_board, close_board),
        cmocka_unit_test_setup_teardown(finds_overlaps, open_board, close_board),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
