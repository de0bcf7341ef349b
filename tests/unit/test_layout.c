/* Layouts: which sectors belong to what. If this fails, a spare, a mailbox or the journal lies on
 * top of an image, or a layout that cannot work is only noticed in the field. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "array_flash.h"
#include "kedge/layout.h"

#define KIB 1024u
#define WHY 160

static struct array_flash internal, external;

/* PRODUCT.md's default layout. */
struct board {
    struct kedge_region primary, secondary, backup;
    struct kedge_pair pair;
    struct kedge_layout layout;
};

static struct kedge_region in(struct array_flash *array, uint32_t start, uint32_t size)
{
    return (struct kedge_region){.flash = &array->flash, .start = start, .size = size};
}

static void make_board(struct board *board)
{
    array_flash_open(&internal, NULL, 1024 * KIB, 4 * KIB);
    array_flash_open(&external, NULL, 8192 * KIB, 4 * KIB);
    *board = (struct board){
        .primary = in(&internal, 0xc000, 0x71000),
        .secondary = in(&external, 0, 0x73000),
        .backup = in(&external, 0x73000, 0x70000),
        .layout = {.pairs = &board->pair,
                   .pair_count = 1,
                   .journal = in(&internal, 0x7d000, 0x2000),
                   .settings = in(&internal, 0x7f000, 0x2000),
                   .staging = in(&external, 0xe3000, 0x71d000)},
    };
}

static int make_pair(struct board *board)
{
    return kedge_pair_make(&board->pair, &board->primary, &board->secondary, &board->backup, 8);
}

/* The default board wastes a sector, or puts mailbox and spares elsewhere than applications look.
 */
static void lays_out_the_default_board(void **state)
{
    struct board board;
    char why[WHY];

    (void)state;
    make_board(&board);
    assert_int_equal(make_pair(&board), 0);
    assert_int_equal(board.pair.spares, 2);
    assert_int_equal(board.pair.primary.units, 112);
    assert_int_equal(board.pair.primary.gap, 112);
    assert_int_equal(board.pair.primary.last_base, 0);
    assert_int_equal(board.pair.secondary.units, 114);
    assert_int_equal(board.pair.secondary.gap, 112);
    assert_int_equal(board.pair.secondary.last_base, 2);
    assert_int_equal(board.pair.backup.units, 112);
    assert_int_equal(board.pair.backup.gap, KEDGE_SLOT_NO_GAP);
    assert_int_equal(kedge_pair_max_image(&board.pair), 458752); /* SWAP.md 2 */
    assert_int_equal(kedge_layout_check(&board.layout, why), 0);
    assert_string_equal(why, "");
}

/* With other sector counts an image overlaps mailbox or end. Sweep: every image that the pair
 * promises fits at every base it promises, and in the primary. */
static void keeps_its_promises_for_every_size(void **state)
{
    static const struct {
        uint32_t p, s, spares, max, gap;
    } expected[] = {
        {10, 12, 2, 9, 9}, {10, 11, 1, 9, 9}, {10, 10, 2, 7, 9},
        {10, 20, 2, 9, 9}, {10, 8, 2, 5, 7},  {244, 246, 2, 243, 243},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct board board;

        make_board(&board);
        board.backup.flash = NULL;
        board.primary.size = expected[i].p * 4 * KIB;
        board.secondary.size = expected[i].s * 4 * KIB;
        assert_int_equal(make_pair(&board), 0);
        assert_int_equal(board.pair.spares, expected[i].spares);
        assert_int_equal(board.pair.secondary.gap, expected[i].gap);
        assert_int_equal(kedge_pair_max_image(&board.pair), expected[i].max * 4 * KIB);
        assert_null(board.pair.backup.region.flash);
    }
    for (uint32_t p = 1; p < 20; p++) {
        for (uint32_t s = 1; s < 20; s++) {
            struct board board;

            make_board(&board);
            board.backup.flash = NULL;
            board.primary.size = p * 4 * KIB;
            board.secondary.size = s * 4 * KIB;
            if (make_pair(&board) != 0) {
                assert_true(p < 2 || s < 2 || (s <= p && s < 4)); /* no unit beside the spares */
                continue;
            }
            const struct kedge_slot *const slot = &board.pair.secondary;
            const uint32_t k = kedge_pair_max_image(&board.pair) / slot->unit;

            assert_in_range(k, 1, p - 1);
            assert_true(slot->last_base + k <= slot->units);
            const uint32_t last = kedge_slot_unit_at(slot, slot->last_base + k - 1u);

            assert_true(last + slot->unit <= slot->region.size);
            assert_int_not_equal(last / slot->unit, slot->gap);
        }
    }
}

/* Devices with unequal sectors: a unit that is half a sector erases its neighbour. */
static void takes_the_larger_sector_as_unit(void **state)
{
    struct board board;

    (void)state;
    make_board(&board);
    internal.flash.geometry.erase_size = 8 * KIB;
    board.backup.flash = NULL;
    assert_int_equal(make_pair(&board), KEDGE_E_ALIGN);
    board.primary.size = 0x72000;
    board.secondary.size = 0x76000;
    assert_int_equal(make_pair(&board), 0);
    assert_int_equal(board.pair.primary.unit, 8 * KIB);
    assert_int_equal(board.pair.secondary.unit, 8 * KIB);
    assert_int_equal(board.pair.secondary.units, 58);
}

/* A layout for which the plan's tables have no room is accepted. */
static void refuses_what_cannot_hold_an_image(void **state)
{
    struct board board;

    (void)state;
    make_board(&board);
    board.backup.flash = NULL;
    board.primary.size = 0;
    assert_int_equal(make_pair(&board), KEDGE_E_SPACE);
    board.primary.size = 256 * 4 * KIB;
    board.secondary.size = 258 * 4 * KIB;
    assert_int_equal(make_pair(&board), KEDGE_E_SPACE);
    board.primary.size = 0x71000;
    board.secondary.size = 0;
    assert_int_equal(make_pair(&board), KEDGE_E_SPACE);
    make_board(&board);
    board.backup.size = 0x6f000;
    assert_int_equal(make_pair(&board), KEDGE_E_SPACE);
    board.backup.size = 0x70800;
    assert_int_equal(make_pair(&board), KEDGE_E_ALIGN);
}

static void must_say(const struct board *board, int error, const char *words)
{
    char why[WHY + 1];

    why[WHY] = 'x';
    const int result = kedge_layout_check(&board->layout, why);

    assert_int_equal(why[WHY], 'x');
    if (result != error || strstr(why, words) == NULL) {
        fail_msg("%d, \"%s\" instead of %d, \"%s\"", result, why, error, words);
    }
}

/* A wrong layout is accepted, or refused without a word that helps. */
static void says_what_is_wrong(void **state)
{
    struct board good, board;

    (void)state;
    make_board(&good);
    assert_int_equal(make_pair(&good), 0);

#define ALTER(change, error, words)                                                                \
    do {                                                                                           \
        board = good;                                                                              \
        board.layout.pairs = &board.pair;                                                          \
        change;                                                                                    \
        must_say(&board, error, words);                                                            \
    } while (0)

    ALTER(board.layout.pair_count = 2, KEDGE_E_UNSUPPORTED, "one pair");
    ALTER(board.layout.journal.flash = NULL, KEDGE_E_NONE, "journal region");
    ALTER(board.layout.journal.start = 0x7c000, KEDGE_E_BOUNDS, "primary region (0xc000, 0x71000");
    ALTER(board.layout.journal.start = 0x7c000, KEDGE_E_BOUNDS, "overlaps the journal region");
    ALTER(board.layout.journal.size = 0x1000, KEDGE_E_SPACE, "two equal sectors");
    ALTER(board.layout.settings.size = 0x1800, KEDGE_E_ALIGN, "settings region");
    ALTER(board.layout.staging.size = 0x71e000, KEDGE_E_BOUNDS,
          "past its device's end at 0x800000");
    ALTER(board.layout.staging.start = 0xfffff000, KEDGE_E_BOUNDS, "staging region");
    ALTER(board.layout.staging.size = 0, KEDGE_E_SPACE, "empty");
    ALTER(board.pair.primary.region.start = 0xc100, KEDGE_E_ALIGN, "sector, 0x1000");
    ALTER(board.pair.secondary.region.start = 0x1000, KEDGE_E_BOUNDS, "overlaps the backup");
    ALTER(board.pair.secondary.region.size = 0x3000, KEDGE_E_SPACE, "no image fits");
    ALTER(board.pair.primary.max_align = 4, KEDGE_E_ALIGN, "8, 16 or 32");
    ALTER(board.pair.secondary.units = 115, KEDGE_E_STATE, "kedge_pair_make");
    ALTER(board.layout.staging.flash = NULL, 0, "");
    ALTER(board.pair.backup.region.flash = NULL, 0, "");
#undef ALTER
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lays_out_the_default_board),
        cmocka_unit_test(keeps_its_promises_for_every_size),
        cmocka_unit_test(takes_the_larger_sector_as_unit),
        cmocka_unit_test(refuses_what_cannot_hold_an_image),
        cmocka_unit_test(says_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
