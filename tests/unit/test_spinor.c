/* The SPI-NOR driver on the strict chip. If this fails, a device in the field does not boot, or
 * hangs, because of its external flash. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "board.h"
#include "random.h"

static struct kedge_sim_board board;
static struct kedge_flash *chip = &board.external;

static void open_part(const struct kedge_sim_part *part, enum kedge_sim_time time)
{
    const struct kedge_sim_config config = {
        .internal = &kedge_sim_nrf52840, .external = part, .time = (uint8_t)time, .seed = 7};
    char why[160] = "";

    if (board.sim != NULL)
        kedge_sim_board_close(&board);
    if (kedge_sim_board_open(&board, &config, why) != 0)
        fail_msg("%s", why);
}

static int close_board(void **state)
{
    (void)state;
    if (board.sim != NULL)
        kedge_sim_board_close(&board);
    return 0;
}

static void pattern(uint8_t *to, size_t size, uint64_t seed)
{
    struct kedge_random random = {.state = seed};

    kedge_random_fill(&random, to, size);
}

static void assert_clean(void)
{
    assert_string_equal(kedge_sim_violation(board.sim), "");
}

/* Write `size` pattern bytes at `at` of an erased chip and read them back. */
static void write_and_read(uint32_t at, uint32_t size)
{
    static uint8_t bytes[4096], back[4096];

    pattern(bytes, size, at + size);
    assert_int_equal(chip->ops->program(chip->ctx, at, kedge_bytes(bytes, size)), 0);
    assert_int_equal(chip->ops->read(chip->ctx, at, kedge_buf(back, size)), 0);
    assert_memory_equal(bytes, back, size);
    assert_memory_equal(kedge_sim_contents(board.sim, KEDGE_EXTERNAL) + at, bytes, size);
    assert_clean();
}

/* A supported chip is not recognised, or is driven with another chip's geometry. */
static void knows_its_parts(void **state)
{
    static const struct kedge_sim_part *const parts[] = {&kedge_sim_mx25r64, &kedge_sim_w25q64,
                                                         &kedge_sim_gd25q16, &kedge_sim_mx25l25645};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        for (unsigned time = 0; time < 3; time++) {
            open_part(parts[i], (enum kedge_sim_time)time);
            assert_int_equal(board.nor.error, 0);
            assert_memory_equal(&chip->geometry, &parts[i]->geometry, sizeof chip->geometry);
            assert_int_equal(board.nor.part->flags & (KEDGE_SPINOR_32K | KEDGE_SPINOR_64K),
                             KEDGE_SPINOR_32K | KEDGE_SPINOR_64K);
            assert_true(board.nor.part->erase_max_us >= parts[i]->erase_max_us);
            assert_true(board.nor.part->block_max_us >= parts[i]->block64_max_us);
            assert_true(board.nor.part->page_max_us >= parts[i]->page_max_us);
            write_and_read(0x1000, 700);
        }
    }
}

/* A board without a table entry for its chip does not start. */
static void generic_part_lives_by_sfdp(void **state)
{
    (void)state;
    open_part(&kedge_sim_w25q64, KEDGE_SIM_TIME_TYPICAL);
    assert_int_equal(kedge_spinor_open(&board.nor, &board.bus, &kedge_spinor_generic, chip), 0);
    assert_memory_equal(&chip->geometry, &kedge_sim_w25q64.geometry, sizeof chip->geometry);
    write_and_read(0x7FFF00, 256);
}

/* Without SFDP a known chip is refused, or an unknown one accepted. */
static void table_serves_where_sfdp_is_missing(void **state)
{
    struct kedge_sim_part mute = kedge_sim_mx25r64;

    (void)state;
    mute.sfdp_size = 0;
    open_part(&mute, KEDGE_SIM_TIME_TYPICAL);
    assert_int_equal(board.nor.error, 0);
    assert_int_equal(chip->geometry.size, 0x800000);
    assert_int_equal(kedge_spinor_open(&board.nor, &board.bus, &kedge_spinor_generic, chip),
                     KEDGE_E_FOREIGN);
    assert_int_equal(kedge_spinor_open(&board.nor, &board.bus, &kedge_spinor_mx25r64_table, chip),
                     0);
    write_and_read(0, 4096);
}

/* The driver lets a program wrap inside its page, and old bytes are overwritten. */
static void splits_at_page_boundaries(void **state)
{
    static const struct {
        uint32_t at, size, pages;
    } cases[] = {{0x10000, 256, 1}, {0x11080, 256, 2}, {0x120FF, 1, 1},
                 {0x130FF, 2, 2},   {0x14001, 700, 3}, {0x15000, 4096, 16}};

    (void)state;
    open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_TYPICAL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kedge_sim_arm(board.sim, NULL);
        write_and_read(cases[i].at, cases[i].size);
        assert_int_equal(kedge_sim_operations(board.sim), cases[i].pages);
    }
}

struct erases {
    uint32_t size[64];
    unsigned count;
};

static void note_erase(void *ctx, const struct kedge_sim_event *event)
{
    struct erases *erases = ctx;

    assert_int_equal(event->operation, KEDGE_OP_ERASE);
    assert_true(erases->count < 64);
    erases->size[erases->count++] = event->size;
}

/* A slot is erased sector by sector where blocks are ten times faster, or a block reaches too far.
 */
static void picks_the_largest_erase(void **state)
{
    static const uint32_t expected[] = {0x1000, 0x8000, 0x10000, 0x10000, 0x8000, 0x1000, 0x1000};
    struct erases erases = {.count = 0};
    const struct kedge_sim_hooks hooks = {.ctx = &erases, .trace = note_erase};
    const uint8_t *contents;

    (void)state;
    open_part(&kedge_sim_w25q64, KEDGE_SIM_TIME_TYPICAL);
    kedge_sim_fill(board.sim, KEDGE_EXTERNAL, 0x00);
    kedge_sim_hooks(board.sim, &hooks);
    assert_int_equal(chip->ops->erase(chip->ctx, 0x7000, 0x33000), 0);
    assert_int_equal(chip->ops->sync(chip->ctx), 0);
    assert_int_equal(erases.count, sizeof expected / sizeof expected[0]);
    assert_memory_equal(erases.size, expected, sizeof expected);
    contents = kedge_sim_contents(board.sim, KEDGE_EXTERNAL);
    for (uint32_t at = 0; at < 0x800000; at += 256)
        assert_int_equal(contents[at], at >= 0x7000 && at < 0x3A000 ? 0xFF : 0x00);
    assert_clean();
}

/* The processor stands still for half a second an erase, and the overlapped swap is not faster. */
static void posts_the_last_operation(void **state)
{
    uint64_t before;
    uint8_t byte;

    (void)state;
    open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_TYPICAL);
    assert_int_equal(chip->ops->sync(chip->ctx), 0);
    before = kedge_sim_now_us(board.sim);
    assert_int_equal(chip->ops->erase(chip->ctx, 0x10000, 0x10000), 0);
    assert_true(kedge_sim_now_us(board.sim) - before < 100);
    kedge_sim_wait_us(board.sim, 480000);
    assert_int_equal(chip->ops->sync(chip->ctx), 0);
    assert_true(kedge_sim_now_us(board.sim) - before < 480200);
    assert_int_equal(chip->ops->erase(chip->ctx, 0x10000, 0x1000), 0);
    before = kedge_sim_now_us(board.sim);
    assert_int_equal(chip->ops->read(chip->ctx, 0x10000, kedge_buf(&byte, 1)), 0);
    assert_in_range(kedge_sim_now_us(board.sim) - before, 47900, 49000);
    assert_clean();
}

/* A chip with four address bytes is written in its lowest 16 MiB instead. */
static void reaches_beyond_16_mib(void **state)
{
    uint8_t low[256], back[256];

    (void)state;
    open_part(&kedge_sim_mx25l25645, KEDGE_SIM_TIME_TYPICAL);
    /* an application used the chip's four-byte mode; then a watchdog reset */
    assert_int_equal(board.bus.transact(board.bus.ctx, kedge_bytes("\xB7", 1), kedge_bytes(NULL, 0),
                                        kedge_buf(NULL, 0)),
                     0);
    kedge_sim_warm_reset(board.sim);
    assert_int_equal(chip->ops->probe(chip->ctx), 0);
    write_and_read(0x0012300, 256);
    write_and_read(0x1012300, 256);
    write_and_read(0x1FFFF80, 128);
    pattern(low, sizeof low, 0x0012300 + 256);
    assert_int_equal(chip->ops->erase(chip->ctx, 0x1012000, 0x1000), 0);
    assert_int_equal(chip->ops->read(chip->ctx, 0x1012300, kedge_buf(back, 256)), 0);
    assert_true(kedge_all(kedge_bytes(back, 256), 0xFF));
    assert_int_equal(chip->ops->read(chip->ctx, 0x0012300, kedge_buf(back, 256)), 0);
    assert_memory_equal(low, back, 256);
    assert_int_equal(chip->ops->erase(chip->ctx, 0x1FF0000, 0x10000), 0);
    assert_int_equal(chip->ops->sync(chip->ctx), 0);
    assert_int_equal(kedge_sim_contents(board.sim, KEDGE_EXTERNAL)[0x1FFFF80], 0xFF);
    assert_clean();
}

static void assert_every_operation(int error)
{
    uint8_t bytes[4] = {0};

    assert_int_equal(chip->ops->read(chip->ctx, 0, kedge_buf(bytes, 4)), error);
    assert_int_equal(chip->ops->program(chip->ctx, 0, kedge_bytes(bytes, 4)), error);
    assert_int_equal(chip->ops->erase(chip->ctx, 0, 4096), error);
    assert_int_equal(chip->ops->sync(chip->ctx), error);
}

/* A broken chip stops the boot, or its silence is taken for an empty flash. */
static void names_a_dead_chip(void **state)
{
    (void)state;
    for (unsigned zero = 0; zero < 2; zero++) {
        const struct kedge_sim_faults faults = {.external_dead = true, .dead_zero = zero != 0};

        open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_TYPICAL);
        kedge_sim_arm(board.sim, &faults);
        assert_int_equal(kedge_sim_board_power_on(&board), KEDGE_E_DEAD);
        assert_int_equal(chip->geometry.size, 0x800000);
        assert_every_operation(KEDGE_E_DEAD);
        kedge_sim_arm(board.sim, NULL);
        assert_every_operation(KEDGE_E_DEAD);
        assert_int_equal(chip->ops->probe(chip->ctx), 0);
        write_and_read(0, 16);
    }
}

/* A chip that dies in operation reads as an erased one, and a good image is taken for gone. */
static void notices_death_in_operation(void **state)
{
    const struct kedge_sim_faults faults = {.dead_from = 1};

    (void)state;
    open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_TYPICAL);
    kedge_sim_arm(board.sim, &faults);
    assert_int_equal(chip->ops->erase(chip->ctx, 0, 4096), 0);
    assert_every_operation(KEDGE_E_DEAD);
}

/* A chip of zeros takes writes that go nowhere, and the driver says that all is well. */
static void notices_that_write_enable_has_no_effect(void **state)
{
    const struct kedge_sim_faults faults = {.external_dead = true, .dead_zero = true};
    uint8_t bytes[4] = {0};

    (void)state;
    open_part(&kedge_sim_w25q64, KEDGE_SIM_TIME_TYPICAL);
    kedge_sim_arm(board.sim, &faults);
    assert_int_equal(chip->ops->program(chip->ctx, 0, kedge_bytes(bytes, 4)), KEDGE_E_DEAD);
    assert_int_equal(chip->ops->erase(chip->ctx, 0, 4096), KEDGE_E_DEAD);
}

/* A chip that never finishes hangs the boot for ever. */
static void gives_up_on_a_busy_chip(void **state)
{
    const struct kedge_sim_faults faults = {.busy_forever = true};
    uint64_t before;

    (void)state;
    open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_TYPICAL);
    kedge_sim_arm(board.sim, &faults);
    assert_int_equal(chip->ops->erase(chip->ctx, 0, 4096), 0);
    before = kedge_sim_now_us(board.sim);
    assert_int_equal(chip->ops->sync(chip->ctx), KEDGE_E_BUSY);
    assert_in_range(kedge_sim_now_us(board.sim) - before, 384000, 410000);
    before = kedge_sim_now_us(board.sim);
    assert_every_operation(KEDGE_E_BUSY);
    assert_int_equal(kedge_sim_now_us(board.sim), before);
    assert_int_equal(chip->ops->probe(chip->ctx), KEDGE_E_BUSY);
    assert_true(kedge_sim_now_us(board.sim) - before < 5000000);
}

/* The slowest chip that its data sheet allows is called broken. */
static void waits_for_the_slowest_chip(void **state)
{
    (void)state;
    open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_MAXIMUM);
    assert_int_equal(chip->ops->erase(chip->ctx, 0, 0x19000), 0);
    assert_int_equal(chip->ops->sync(chip->ctx), 0);
    write_and_read(0, 4096);
    write_and_read(0x10001, 3);
}

/* Another chip than the one configured is written with the wrong commands. */
static void names_a_foreign_chip(void **state)
{
    struct kedge_sim_part half = kedge_sim_mx25r64;

    (void)state;
    open_part(&kedge_sim_w25q64, KEDGE_SIM_TIME_TYPICAL);
    assert_int_equal(kedge_spinor_open(&board.nor, &board.bus, &kedge_spinor_mx25r64, chip),
                     KEDGE_E_FOREIGN);
    assert_every_operation(KEDGE_E_FOREIGN);
    assert_int_equal(kedge_sim_operations(board.sim), 0);
    /* the right id, but SFDP tells of a quarter of the size: a relabelled chip */
    half.sfdp = kedge_sim_gd25q16.sfdp;
    half.sfdp_size = kedge_sim_gd25q16.sfdp_size;
    open_part(&half, KEDGE_SIM_TIME_TYPICAL);
    assert_int_equal(board.nor.error, KEDGE_E_FOREIGN);
}

/* Programs into protected blocks vanish without a word. */
static void names_protected_blocks(void **state)
{
    uint8_t bytes[4] = {0};

    (void)state;
    open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_TYPICAL);
    for (unsigned level = 1; level < 16; level++) {
        kedge_sim_protect(board.sim, (uint8_t)(level << 2));
        assert_int_equal(chip->ops->program(chip->ctx, 0x7FFF00, kedge_bytes(bytes, 4)),
                         KEDGE_E_PROTECTED);
        assert_int_equal(chip->ops->erase(chip->ctx, 0x7FF000, 4096), KEDGE_E_PROTECTED);
        assert_int_equal(chip->ops->read(chip->ctx, 0x7FFF00, kedge_buf(bytes, 4)), 0);
        assert_int_equal(kedge_sim_board_power_on(&board), 0);
    }
    assert_int_equal(kedge_sim_operations(board.sim), 0);
    kedge_sim_protect(board.sim, 0x40); /* quad enable protects nothing */
    write_and_read(0x7FFF00, 256);
}

/* An application that let the chip sleep makes it look dead to the loader. */
static void wakes_a_sleeping_chip(void **state)
{
    (void)state;
    open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_TYPICAL);
    kedge_sim_deep_power_down(board.sim);
    assert_every_operation(KEDGE_E_DEAD);
    kedge_sim_deep_power_down(board.sim);
    assert_int_equal(chip->ops->probe(chip->ctx), 0);
    write_and_read(0, 100);
}

/* After a watchdog reset in the middle of an erase the chip is called dead, or disturbed. */
static void waits_for_what_a_warm_reset_left(void **state)
{
    static const uint32_t sizes[] = {0x1000, 0x8000, 0x10000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct kedge_sim_faults faults = {.cut_at = 1, .cut_kind = KEDGE_SIM_RESET_WARM};

        open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_MAXIMUM);
        kedge_sim_fill(board.sim, KEDGE_EXTERNAL, 0x00);
        kedge_sim_arm(board.sim, &faults);
        assert_int_not_equal(chip->ops->erase(chip->ctx, 0, sizes[i]), 0);
        assert_true(kedge_sim_is_off(board.sim));
        assert_int_equal(kedge_sim_board_power_on(&board), 0);
        assert_int_equal(kedge_sim_contents(board.sim, KEDGE_EXTERNAL)[sizes[i] - 1], 0xFF);
        write_and_read(sizes[i] - 256, 256);
    }
}

/* The chip stays in its slow mode and an update takes three times as long. */
static void switches_the_mx25r_to_high_performance(void **state)
{
    uint64_t before;
    uint8_t page[256] = {0};

    (void)state;
    open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_TYPICAL);
    for (unsigned life = 0; life < 2; life++) {
        assert_int_equal(chip->ops->sync(chip->ctx), 0);
        before = kedge_sim_now_us(board.sim);
        assert_int_equal(chip->ops->program(chip->ctx, life * 256, kedge_bytes(page, 256)), 0);
        assert_int_equal(chip->ops->sync(chip->ctx), 0);
        assert_in_range(kedge_sim_now_us(board.sim) - before, 896, 1250);
        assert_int_equal(kedge_sim_board_power_on(&board), 0);
    }
    /* quad enable is left as it was */
    kedge_sim_protect(board.sim, 0x40);
    assert_int_equal(kedge_sim_board_power_on(&board), 0);
    assert_int_equal(chip->ops->sync(chip->ctx), 0);
    assert_clean();
}

/* One disturbed bit on the bus makes the chip look foreign, dead, smaller, or idle while it works.
 */
static void survives_any_flipped_answer(void **state)
{
    static const struct kedge_sim_part *const parts[] = {&kedge_sim_mx25r64, &kedge_sim_gd25q16};
    uint8_t zero[300] = {0}, config[2];

    (void)state;
    for (size_t p = 0; p < 2; p++) {
        open_part(parts[p], KEDGE_SIM_TIME_TYPICAL);
        for (uint32_t at = 1; at < 60; at++) {
            for (uint64_t seed = 0; seed < 24; seed++) {
                const struct kedge_sim_faults faults = {.answer_flip_at = at, .seed = seed};

                kedge_sim_arm(board.sim, &faults);
                assert_int_equal(kedge_sim_board_power_on(&board), 0);
                assert_memory_equal(&chip->geometry, &parts[p]->geometry, sizeof chip->geometry);
                assert_int_equal(chip->ops->erase(chip->ctx, 0, 8192), 0);
                assert_int_equal(chip->ops->program(chip->ctx, 0xF0, kedge_bytes(zero, 300)), 0);
                assert_int_equal(chip->ops->sync(chip->ctx), 0);
                assert_true(kedge_all(
                    kedge_bytes(kedge_sim_contents(board.sim, KEDGE_EXTERNAL) + 0xF0, 300), 0));
                assert_clean();
                /* the bits that can be set only once in a chip's life are not */
                kedge_sim_faults(board.sim)->answer_flip_at = 0;
                assert_int_equal(board.bus.transact(board.bus.ctx, kedge_bytes("\x15", 1),
                                                    kedge_bytes(NULL, 0), kedge_buf(config, 2)),
                                 0);
                assert_int_equal(config[0], 0);
            }
        }
    }
}

/* SFDP is input: a chip's nonsense crashes the loader, or makes it program past the end. */
static void bears_any_sfdp(void **state)
{
    struct kedge_random random = {.state = 42};
    struct kedge_sim_part part = kedge_sim_w25q64;
    uint8_t sfdp[0xC0];
    unsigned accepted = 0;

    (void)state;
    part.sfdp = sfdp;
    part.sfdp_size = sizeof sfdp;
    memcpy(sfdp, kedge_sim_w25q64.sfdp, sizeof sfdp);
    open_part(&part, KEDGE_SIM_TIME_NONE);
    for (unsigned round = 0; round < 20000; round++) {
        const unsigned bytes = 1 + kedge_random_below(&random, 6);
        int error;

        memcpy(sfdp, kedge_sim_w25q64.sfdp, sizeof sfdp);
        for (unsigned i = 0; i < bytes; i++) {
            const uint32_t base = kedge_random_below(&random, 2) == 0 ? 0 : 0x80;

            sfdp[base + kedge_random_below(&random, base == 0 ? 16 : 44)] =
                (uint8_t)kedge_random_next(&random);
        }
        error = kedge_spinor_open(&board.nor, &board.bus, &kedge_spinor_generic, chip);
        if (error != 0) {
            assert_int_equal(error, KEDGE_E_FOREIGN);
            continue;
        }
        accepted++;
        assert_true(chip->geometry.size >= 0x10000);
        assert_int_equal(chip->geometry.size % chip->geometry.erase_size, 0);
        assert_in_range(chip->geometry.page_size, 1, 256);
        assert_int_equal(256 % chip->geometry.page_size, 0);
        assert_in_range(chip->geometry.erase_size, 4096, 65536);
        assert_true(board.nor.part->erase_max_us <= 16000000 &&
                    board.nor.part->block_max_us <= 16000000);
        error = kedge_spinor_open(&board.nor, &board.bus, &kedge_spinor_w25q64, chip);
        assert_true(error == 0 ? chip->geometry.size == 0x800000 : error == KEDGE_E_FOREIGN);
    }
    assert_true(accepted > 1000 && accepted < 19000);
    memcpy(sfdp, kedge_sim_w25q64.sfdp, sizeof sfdp);
    sfdp[11] = 8; /* words: too short for the erase types */
    assert_int_equal(kedge_spinor_open(&board.nor, &board.bus, &kedge_spinor_generic, chip),
                     KEDGE_E_FOREIGN);
    memset(sfdp, 0, sizeof sfdp);
    assert_int_equal(kedge_spinor_open(&board.nor, &board.bus, &kedge_spinor_generic, chip),
                     KEDGE_E_FOREIGN);
    assert_int_equal(kedge_spinor_open(&board.nor, &board.bus, &kedge_spinor_w25q64, chip), 0);
}

/* A failing controller is taken for a failing chip, or for success. */
static void passes_on_bus_errors(void **state)
{
    struct kedge_sim_faults faults = {.read_fail_at = 1, .op_fail_at = 1};
    uint8_t bytes[4] = {0};

    (void)state;
    open_part(&kedge_sim_mx25r64, KEDGE_SIM_TIME_TYPICAL);
    kedge_sim_arm(board.sim, &faults);
    assert_int_equal(chip->ops->read(chip->ctx, 0, kedge_buf(bytes, 4)), KEDGE_E_IO);
    assert_int_equal(chip->ops->program(chip->ctx, 0, kedge_bytes(bytes, 4)), KEDGE_E_IO);
    write_and_read(0, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_its_parts),
        cmocka_unit_test(generic_part_lives_by_sfdp),
        cmocka_unit_test(table_serves_where_sfdp_is_missing),
        cmocka_unit_test(splits_at_page_boundaries),
        cmocka_unit_test(picks_the_largest_erase),
        cmocka_unit_test(posts_the_last_operation),
        cmocka_unit_test(reaches_beyond_16_mib),
        cmocka_unit_test(names_a_dead_chip),
        cmocka_unit_test(notices_death_in_operation),
        cmocka_unit_test(notices_that_write_enable_has_no_effect),
        cmocka_unit_test(gives_up_on_a_busy_chip),
        cmocka_unit_test(waits_for_the_slowest_chip),
        cmocka_unit_test(names_a_foreign_chip),
        cmocka_unit_test(names_protected_blocks),
        cmocka_unit_test(wakes_a_sleeping_chip),
        cmocka_unit_test(waits_for_what_a_warm_reset_left),
        cmocka_unit_test(switches_the_mx25r_to_high_performance),
        cmocka_unit_test(survives_any_flipped_answer),
        cmocka_unit_test(bears_any_sfdp),
        cmocka_unit_test(passes_on_bus_errors),
    };

    return cmocka_run_group_tests(tests, NULL, close_board);
}
