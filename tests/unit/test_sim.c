/* The simulator's strictness. If this fails, every proof that was made on it is worth nothing: a
 * bug that loses images in the field passes all other tests. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "board.h"
#include "random.h"

#define SECTOR 4096u

static struct kedge_sim *sim;
static struct kedge_flash flash[KEDGE_DEVICES];
static struct kedge_spi_bus bus;

static void open_timed(enum kedge_sim_time time)
{
    const struct kedge_sim_part internal = kedge_sim_small_internal(8 * SECTOR, SECTOR),
                                external = kedge_sim_small_external(16 * SECTOR, SECTOR);
    const struct kedge_sim_config config = {
        .internal = &internal, .external = &external, .time = (uint8_t)time, .seed = 1};
    char why[160] = "";

    if (sim != NULL)
        kedge_sim_destroy(sim);
    sim = kedge_sim_create(&config, why);
    if (sim == NULL)
        fail_msg("%s", why);
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++)
        kedge_sim_flash(sim, d, &flash[d]);
    kedge_sim_bus(sim, &bus);
}

static int open_sim(void **state)
{
    (void)state;
    open_timed(KEDGE_SIM_TIME_TYPICAL);
    return 0;
}

static int close_sim(void **state)
{
    (void)state;
    if (sim != NULL)
        kedge_sim_destroy(sim);
    sim = NULL;
    return 0;
}

static int program(uint8_t d, uint32_t at, const void *bytes, size_t size)
{
    return flash[d].ops->program(flash[d].ctx, at, kedge_bytes(bytes, size));
}

static int erase(uint8_t d, uint32_t at, uint32_t size)
{
    return flash[d].ops->erase(flash[d].ctx, at, size);
}

static int read_back(uint8_t d, uint32_t at, void *to, size_t size)
{
    return flash[d].ops->read(flash[d].ctx, at, kedge_buf(to, size));
}

static int command(const void *head, size_t head_size, const void *out, size_t out_size, void *in,
                   size_t in_size)
{
    return bus.transact(bus.ctx, kedge_bytes(head, head_size), kedge_bytes(out, out_size),
                        kedge_buf(in, in_size));
}

static uint8_t status(void)
{
    uint8_t value = 0;

    assert_int_equal(command("\x05", 1, NULL, 0, &value, 1), 0);
    return value;
}

/* Exactly one rule was broken, and the message says which. */
static void assert_broken(const char *words)
{
    if (kedge_sim_violations(sim) == 0 || strstr(kedge_sim_violation(sim), words) == NULL)
        fail_msg("expected \"%s\", got \"%s\"", words, kedge_sim_violation(sim));
    kedge_sim_forgive(sim);
}

static void assert_clean(void)
{
    assert_string_equal(kedge_sim_violation(sim), "");
}

/* ---- rules ---- */

/* A program over old bits passes, and reads wrong on a real chip. */
static void detects_programs_over_programmed_cells(void **state)
{
    (void)state;
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        assert_int_equal(program(d, 0, "\xF0\xF0\xF0\xF0", 4), 0);
        assert_int_equal(program(d, 0, "\xF0\xF0\xF0\xF0", 4), 0); /* the same bits: allowed */
        assert_int_equal(flash[d].ops->sync(flash[d].ctx), 0);
        assert_clean();
        assert_int_equal(erase(d, SECTOR, SECTOR), 0);
        assert_int_equal(program(d, SECTOR, "\xF0\xF0\xF0\xF0", 4), 0);
        assert_int_equal(program(d, SECTOR, "\x00\xF0\xF0\xF0", 4), 0);
        assert_broken("not erased");
        assert_int_equal(program(d, 2 * SECTOR, "\xF0\xF0\xF0\xF0", 4), 0);
        assert_int_equal(program(d, 2 * SECTOR, "\xF1\xF0\xF0\xF0", 4), 0);
        assert_broken("1 over a 0");
        assert_int_equal(flash[d].ops->sync(flash[d].ctx), 0);
        assert_int_equal(kedge_sim_contents(sim, d)[2 * SECTOR], 0xF0); /* AND, not copy */
    }
}

/* A word written a third time is out of the part's specification. */
static void detects_a_third_write(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(program(KEDGE_INTERNAL, 8, "\1\2\3\4", 4), 0);
    assert_clean();
    assert_int_equal(program(KEDGE_INTERNAL, 8, "\1\2\3\4", 4), 0);
    assert_broken("write number 3");
    assert_int_equal(erase(KEDGE_INTERNAL, 0, SECTOR), 0);
    assert_int_equal(program(KEDGE_INTERNAL, 8, "\1\2\3\4", 4), 0);
    assert_clean();
}

/* Accesses beside the device, or of half words, wrap or fault on a real part. */
static void detects_wrong_places(void **state)
{
    uint8_t bytes[8] = {0};

    (void)state;
    assert_int_not_equal(program(KEDGE_INTERNAL, 8 * SECTOR - 4, bytes, 8), 0);
    assert_broken("leave the device");
    assert_int_not_equal(program(KEDGE_INTERNAL, 2, bytes, 4), 0);
    assert_broken("not aligned");
    assert_int_not_equal(erase(KEDGE_EXTERNAL, 16 * SECTOR, SECTOR), 0);
    assert_broken("leave the device");
    assert_int_not_equal(erase(KEDGE_EXTERNAL, 128, SECTOR), 0);
    assert_broken("not aligned");
    assert_int_not_equal(read_back(KEDGE_EXTERNAL, 16 * SECTOR, bytes, 1), 0);
    assert_broken("leave the device");
    assert_int_equal(command("\x03\x01\x00\x00", 4, NULL, 0, bytes, 4), 0);
    assert_broken("outside the device");
    assert_int_equal(kedge_sim_operations(sim), 0);
}

/* ---- the chip's commands ---- */

/* A driver that forgets write enable, or believes it lasts, works here and not in the field. */
static void write_enable_clears_itself(void **state)
{
    uint8_t byte;

    (void)state;
    assert_int_equal(command("\x02\0\0\0", 4, "\x55", 1, NULL, 0), 0); /* without */
    assert_int_equal(status(), 0x00);
    assert_int_equal(command("\x06", 1, NULL, 0, NULL, 0), 0);
    assert_int_equal(status(), 0x02);
    assert_int_equal(command("\x02\0\0\0", 4, "\x55", 1, NULL, 0), 0);
    assert_int_equal(status(), 0x03);
    kedge_sim_wait_us(sim, 1000);
    assert_int_equal(status(), 0x00);
    assert_int_equal(command("\x02\0\0\1", 4, "\x55", 1, NULL, 0), 0);
    assert_int_equal(command("\x0B\0\0\0\0", 5, NULL, 0, &byte, 1), 0);
    assert_int_equal(byte, 0x55);
    assert_int_equal(command("\x03\0\0\1", 4, NULL, 0, &byte, 1), 0);
    assert_int_equal(byte, 0xFF);
    assert_int_equal(kedge_sim_operations(sim), 1);
    assert_clean();
}

/* A busy chip obeys, so a driver that does not wait is never caught. */
static void busy_chip_answers_its_status_only(void **state)
{
    uint8_t byte = 0;

    (void)state;
    assert_int_equal(command("\x06", 1, NULL, 0, NULL, 0), 0);
    assert_int_equal(command("\x20\0\0\0", 4, NULL, 0, NULL, 0), 0);
    assert_int_equal(status() & 1, 1);
    assert_int_equal(command("\x03\0\0\0", 4, NULL, 0, &byte, 1), 0);
    assert_int_equal(byte, 0xFF);
    assert_broken("busy");
    assert_int_equal(command("\x06", 1, NULL, 0, NULL, 0), 0);
    assert_broken("busy");
    kedge_sim_wait_us(sim, 46000);
    assert_int_equal(status(), 0);
}

/* A program that crosses its page lands behind the boundary here and at the page's start there. */
static void programs_wrap_inside_their_page(void **state)
{
    const uint8_t *contents;

    (void)state;
    assert_int_equal(command("\x06", 1, NULL, 0, NULL, 0), 0);
    assert_int_equal(command("\x02\0\0\xFE", 4, "\1\2\3\4", 4, NULL, 0), 0);
    assert_broken("crosses the page");
    kedge_sim_wait_us(sim, 1000);
    contents = kedge_sim_contents(sim, KEDGE_EXTERNAL);
    assert_memory_equal(contents + 0xFE, "\1\2\xFF\xFF", 4);
    assert_memory_equal(contents, "\3\4\xFF\xFF", 4);
}

/* Block protection, deep power-down, a dead chip: each is silent, as in the field. */
static void refuses_silently(void **state)
{
    uint8_t id[3];

    (void)state;
    kedge_sim_protect(sim, 0x04); /* the topmost 64 KiB: all of this chip */
    assert_int_equal(command("\x06", 1, NULL, 0, NULL, 0), 0);
    assert_int_equal(command("\x20\0\0\0", 4, NULL, 0, NULL, 0), 0);
    assert_int_equal(status(), 0x04);
    assert_int_equal(kedge_sim_operations(sim), 0);
    kedge_sim_protect(sim, 0);
    assert_int_equal(command("\xB9", 1, NULL, 0, NULL, 0), 0);
    assert_int_equal(command("\x9F", 1, NULL, 0, id, 3), 0);
    assert_memory_equal(id, "\xFF\xFF\xFF", 3);
    assert_int_equal(command("\xAB", 1, NULL, 0, NULL, 0), 0);
    assert_int_equal(status(), 0xFF); /* waking takes its time */
    kedge_sim_wait_us(sim, 50);
    assert_int_equal(command("\x9F", 1, NULL, 0, id, 3), 0);
    assert_memory_equal(id, kedge_sim_part(sim, KEDGE_EXTERNAL)->id, 3);
    kedge_sim_faults(sim)->external_dead = true;
    assert_int_equal(status(), 0xFF);
    kedge_sim_faults(sim)->dead_zero = true;
    assert_int_equal(status(), 0x00);
    assert_clean();
}

/* ---- cuts ---- */

static void fill_old_and_new(uint8_t *old, uint8_t *new)
{
    struct kedge_random random = {.state = 99};

    kedge_random_fill(&random, old, SECTOR);
    kedge_random_fill(&random, new, SECTOR);
}

/* A cut strikes at another operation than asked, so that one is never tested. */
static void cuts_at_the_operation_asked(void **state)
{
    static const uint8_t zero[512];

    (void)state;
    for (uint32_t n = 1; n <= 6; n++) {
        for (uint8_t kind = 0; kind < 3; kind++) {
            const struct kedge_sim_faults faults = {.cut_at = n, .cut_kind = kind, .seed = n};
            int results[3];
            uint8_t byte;

            open_timed(KEDGE_SIM_TIME_TYPICAL);
            kedge_sim_arm(sim, &faults);
            results[0] = program(KEDGE_INTERNAL, 0, zero, 512);     /* 1, 2 */
            results[1] = program(KEDGE_EXTERNAL, 0, zero, 512);     /* 3, 4 */
            results[2] = erase(KEDGE_EXTERNAL, SECTOR, 2 * SECTOR); /* 5, 6 */
            for (uint32_t i = 0; i < 3; i++)
                assert_int_equal(results[i], n <= 2 * (i + 1) ? KEDGE_E_CUT : 0);
            assert_true(kedge_sim_is_off(sim));
            assert_int_equal(kedge_sim_operations(sim), n);
            assert_int_equal(read_back(KEDGE_INTERNAL, 0, &byte, 1), KEDGE_E_CUT);
            assert_int_equal(command("\x05", 1, NULL, 0, &byte, 1), KEDGE_E_CUT);
            kedge_sim_power_on(sim);
            assert_false(kedge_sim_is_off(sim));
            assert_int_equal(erase(KEDGE_EXTERNAL, 0, SECTOR), 0);
            assert_int_equal(kedge_sim_operations(sim), n + 1);
        }
    }
}

/* "Before" leaves a trace, or "after" is not complete. */
static void before_is_nothing_and_after_is_all(void **state)
{
    uint8_t old[SECTOR], new[SECTOR];

    (void)state;
    fill_old_and_new(old, new);
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        for (uint8_t kind = KEDGE_SIM_CUT_BEFORE; kind <= KEDGE_SIM_CUT_AFTER; kind++) {
            const struct kedge_sim_faults faults = {.cut_at = 1, .cut_kind = kind};
            const bool done = kind == KEDGE_SIM_CUT_AFTER;

            open_timed(KEDGE_SIM_TIME_TYPICAL);
            kedge_sim_poke(sim, d, SECTOR, kedge_bytes(old, SECTOR));
            kedge_sim_arm(sim, &faults);
            assert_int_equal(program(d, 0, new, 256), KEDGE_E_CUT);
            kedge_sim_power_on(sim);
            assert_memory_equal(kedge_sim_contents(sim, d), done ? new : old, done ? 256 : 0);
            assert_int_equal(kedge_all(kedge_bytes(kedge_sim_contents(sim, d), 256), 0xFF), !done);
            kedge_sim_arm(sim, &faults);
            assert_int_equal(erase(d, SECTOR, SECTOR), KEDGE_E_CUT);
            kedge_sim_power_on(sim);
            assert_int_equal(
                kedge_all(kedge_bytes(kedge_sim_contents(sim, d) + SECTOR, SECTOR), 0xFF), done);
            assert_int_equal(kedge_sim_unstable(sim, d, 0, 2 * SECTOR), 0);
        }
    }
}

/* A torn program touches bits that it should not, or is always the same prefix. */
static void torn_programs_change_any_subset(void **state)
{
    uint8_t old[SECTOR], new[SECTOR];
    bool sparse_none = false, sparse_all = false, first_old_last_new = false;

    (void)state;
    fill_old_and_new(old, new);
    for (uint64_t seed = 0; seed < 400; seed++) {
        const uint8_t how = (uint8_t)(seed % 5), d = seed & 1;
        const struct kedge_sim_faults faults = {.cut_at = 1, .torn_program = how, .seed = seed};
        const uint8_t *is;
        uint32_t weak, done = 0, wanted = 0;

        open_timed(KEDGE_SIM_TIME_TYPICAL);
        kedge_sim_poke(sim, d, 256, kedge_bytes(old, 256));
        kedge_sim_arm(sim, &faults);
        assert_int_equal(program(d, 0, new, 256), KEDGE_E_CUT);
        is = kedge_sim_contents(sim, d);
        weak = kedge_sim_unstable(sim, d, 0, 256);
        for (unsigned i = 0; i < 256; i++) {
            assert_int_equal(is[i] & new[i], new[i]); /* no 0 where none is to be */
            done += (uint32_t)__builtin_popcount((uint8_t)~is[i]);
            wanted += (uint32_t)__builtin_popcount((uint8_t) ~new[i]);
        }
        assert_memory_equal(is + 256, old, 256);
        assert_int_equal(kedge_sim_unstable(sim, d, 256, 8 * SECTOR - 256), 0);
        first_old_last_new |= is[0] != new[0] && is[255] == new[255] && new[255] != 0xFF;
        if (how == KEDGE_SIM_PROGRAM_SUBSET)
            assert_int_equal(weak, 0);
        if (how == KEDGE_SIM_PROGRAM_UNSTABLE)
            assert_true(weak > 100);
        if (how == KEDGE_SIM_PROGRAM_SPARSE || how == KEDGE_SIM_PROGRAM_HIDDEN)
            assert_int_equal(weak, 1);
        if (how == KEDGE_SIM_PROGRAM_HIDDEN)
            assert_int_equal(done, 0);
        sparse_none |= how == KEDGE_SIM_PROGRAM_SPARSE && done == 0;
        sparse_all |= how == KEDGE_SIM_PROGRAM_SPARSE && done == wanted;
        assert_clean();
    }
    assert_true(sparse_none && sparse_all && first_old_last_new);
}

/* A torn erase never leaves what loses images: zeros, a mix, ones that are weak. */
static void torn_erases_leave_what_they_may(void **state)
{
    uint8_t old[SECTOR], new[SECTOR];
    unsigned seen[6] = {0};

    (void)state;
    fill_old_and_new(old, new);
    for (uint64_t seed = 0; seed < 240; seed++) {
        const uint8_t how = (uint8_t)(seed % 6), d = seed & 1;
        const struct kedge_sim_faults faults = {.cut_at = 1, .torn_erase = how, .seed = seed};
        const uint8_t *is;
        uint32_t weak;
        uint8_t got;

        open_timed(KEDGE_SIM_TIME_TYPICAL);
        kedge_sim_poke(sim, d, SECTOR, kedge_bytes(old, SECTOR));
        kedge_sim_arm(sim, &faults);
        assert_int_equal(erase(d, SECTOR, SECTOR), KEDGE_E_CUT);
        is = kedge_sim_contents(sim, d) + SECTOR;
        weak = kedge_sim_unstable(sim, d, SECTOR, SECTOR);
        if (memcmp(is, old, SECTOR) == 0)
            got = KEDGE_SIM_ERASE_OLD;
        else if (kedge_all(kedge_bytes(is, SECTOR), 0x00))
            got = KEDGE_SIM_ERASE_ZERO;
        else if (!kedge_all(kedge_bytes(is, SECTOR), 0xFF))
            got = KEDGE_SIM_ERASE_MIX;
        else
            got = weak == 1 ? KEDGE_SIM_ERASE_SPARSE : KEDGE_SIM_ERASE_WEAK;
        assert_true(how == KEDGE_SIM_ERASE_ANY || how == got);
        if (got == KEDGE_SIM_ERASE_OLD || got == KEDGE_SIM_ERASE_ZERO)
            assert_int_equal(weak, 0);
        if (got == KEDGE_SIM_ERASE_WEAK || got == KEDGE_SIM_ERASE_MIX)
            assert_true(weak > 100);
        if (how == KEDGE_SIM_ERASE_ANY)
            seen[got]++;
        assert_true(kedge_all(kedge_bytes(is - SECTOR, SECTOR), 0xFF));
        assert_true(kedge_all(kedge_bytes(is + SECTOR, SECTOR), 0xFF));
        assert_int_equal(kedge_sim_unstable(sim, d, 0, 8 * SECTOR), weak);
    }
    for (unsigned i = KEDGE_SIM_ERASE_OLD; i <= KEDGE_SIM_ERASE_SPARSE; i++)
        assert_true(seen[i] > 0);
}

/* The external chip finishes its work without power: an overlapped swap looks safer than it is. */
static void a_cut_tears_the_other_chips_work_too(void **state)
{
    static const uint8_t zero[256];
    struct kedge_sim_faults faults = {
        .cut_at = 2, .cut_kind = KEDGE_SIM_CUT_BEFORE, .torn_erase = KEDGE_SIM_ERASE_ZERO};

    (void)state;
    kedge_sim_arm(sim, &faults);
    assert_int_equal(erase(KEDGE_EXTERNAL, 0, SECTOR), 0);
    assert_int_equal(program(KEDGE_INTERNAL, 0, zero, 4), KEDGE_E_CUT);
    assert_true(kedge_all(kedge_bytes(kedge_sim_contents(sim, KEDGE_EXTERNAL), SECTOR), 0x00));
    /* had the processor waited, nothing could have happened to it */
    open_timed(KEDGE_SIM_TIME_TYPICAL);
    kedge_sim_arm(sim, &faults);
    assert_int_equal(erase(KEDGE_EXTERNAL, 0, SECTOR), 0);
    assert_int_equal(flash[KEDGE_EXTERNAL].ops->sync(flash[KEDGE_EXTERNAL].ctx), 0);
    assert_int_equal(program(KEDGE_INTERNAL, 0, zero, 4), KEDGE_E_CUT);
    assert_true(kedge_all(kedge_bytes(kedge_sim_contents(sim, KEDGE_EXTERNAL), SECTOR), 0xFF));
    /* a reset of the processor alone leaves it working */
    open_timed(KEDGE_SIM_TIME_TYPICAL);
    kedge_sim_fill(sim, KEDGE_EXTERNAL, 0x00);
    faults.cut_kind = KEDGE_SIM_RESET_WARM;
    kedge_sim_arm(sim, &faults);
    assert_int_equal(erase(KEDGE_EXTERNAL, 0, SECTOR), 0);
    assert_int_equal(program(KEDGE_INTERNAL, 0, zero, 4), KEDGE_E_CUT);
    kedge_sim_power_on(sim);
    assert_int_equal(status() & 1, 1);
    kedge_sim_wait_us(sim, 45000);
    assert_int_equal(status(), 0);
    assert_true(kedge_all(kedge_bytes(kedge_sim_contents(sim, KEDGE_EXTERNAL), SECTOR), 0xFF));
}

static void jump(void *ctx)
{
    longjmp(*(jmp_buf *)ctx, 1);
}

/* Code that ignores an error goes on after its death. */
static void a_cut_ends_the_life(void **state)
{
    static const uint8_t zero[4];
    const struct kedge_sim_faults faults = {.cut_at = 1};
    jmp_buf power;
    const struct kedge_sim_hooks hooks = {.ctx = &power, .cut = jump};

    (void)state;
    kedge_sim_hooks(sim, &hooks);
    kedge_sim_arm(sim, &faults);
    if (setjmp(power) == 0) {
        (void)program(KEDGE_INTERNAL, 0, zero, 4);
        fail();
    }
    kedge_sim_power_on(sim);
    assert_int_equal(kedge_sim_lives(sim), 1);
}

/* ---- unstable bits ---- */

/* Unstable bits read the same for ever, or move in the model where they must not. */
static void unstable_bits_read_as_their_model_says(void **state)
{
    uint8_t first[64], again[64];
    unsigned moved_in_life = 0, moved_between = 0;

    (void)state;
    for (uint8_t model = 0; model < 2; model++) {
        open_timed(KEDGE_SIM_TIME_TYPICAL);
        kedge_sim_faults(sim)->weak = model;
        for (uint32_t i = 0; i < 64; i++)
            kedge_sim_weaken(sim, KEDGE_INTERNAL, i, 0x0F);
        for (unsigned life = 0; life < 8; life++) {
            uint8_t before[64];

            memcpy(before, first, sizeof before);
            assert_int_equal(read_back(KEDGE_INTERNAL, 0, first, 64), 0);
            moved_between += life > 0 && memcmp(before, first, 64) != 0;
            for (unsigned i = 0; i < 8; i++) {
                assert_int_equal(read_back(KEDGE_INTERNAL, 0, again, 64), 0);
                moved_in_life += memcmp(first, again, 64) != 0;
                assert_int_equal(again[i] & 0xF0, 0xF0);
            }
            assert_int_equal(read_back(KEDGE_INTERNAL, 32, again, 32), 0);
            if (model == KEDGE_SIM_WEAK_CONSTANT)
                assert_memory_equal(first + 32, again, 32); /* whatever the read's start */
            kedge_sim_power_on(sim);
        }
        assert_int_equal(moved_between, 7);
        assert_int_equal(moved_in_life, model == KEDGE_SIM_WEAK_CONSTANT ? 0 : 64);
        moved_between = moved_in_life = 0;
    }
}

/* A weak cell is cured by nothing, or by anything. */
static void unstable_bits_are_cured_by_erase_or_the_same_bits(void **state)
{
    (void)state;
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        open_timed(KEDGE_SIM_TIME_NONE);
        kedge_sim_weaken(sim, d, 0, 0x03);
        assert_int_equal(program(d, 0, "\xFC\xFF\xFF\xFF", 4), 0);
        assert_broken("not erased"); /* zeros cure, but nobody may know that they do */
        assert_int_equal(kedge_sim_unstable(sim, d, 0, 4), 0);
        kedge_sim_weaken(sim, d, 0, 0x03);
        assert_int_equal(erase(d, 0, SECTOR), 0);
        assert_int_equal(kedge_sim_unstable(sim, d, 0, SECTOR), 0);
        kedge_sim_weaken(sim, d, 0, 0x03);
        assert_int_equal(program(d, 0, "\xFE\xFF\xFF\xFF", 4), 0);
        assert_broken("1 over an unstable bit");
        assert_int_equal(kedge_sim_unstable(sim, d, 0, 4), 1);
    }
}

/* Finishing a torn program with the same bits is called a broken rule, or other bits are not. */
static void torn_words_may_be_finished_but_not_mixed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        const struct kedge_sim_faults faults = {
            .cut_at = 1, .torn_program = KEDGE_SIM_PROGRAM_UNSTABLE, .seed = seed};
        const uint8_t d = seed & 1;
        uint8_t back[4];

        open_timed(KEDGE_SIM_TIME_NONE);
        kedge_sim_arm(sim, &faults);
        assert_int_equal(program(d, 0, "\x12\x34\x56\x00", 4), KEDGE_E_CUT);
        kedge_sim_power_on(sim);
        assert_int_equal(program(d, 0, "\x12\x34\x56\x00", 4), 0);
        assert_clean();
        assert_int_equal(kedge_sim_unstable(sim, d, 0, 4), 0);
        assert_int_equal(read_back(d, 0, back, 4), 0);
        assert_memory_equal(back, "\x12\x34\x56\x00", 4);
        /* a hidden torn word, blank to the eye, and other bits over it */
        kedge_sim_arm(sim, &faults);
        kedge_sim_faults(sim)->torn_program = KEDGE_SIM_PROGRAM_HIDDEN;
        assert_int_equal(program(d, 8, "\x00\x00\x00\x00", 4), KEDGE_E_CUT);
        kedge_sim_power_on(sim);
        assert_int_equal(program(d, 8, "\x12\x34\x56\x78", 4), 0);
        assert_true(kedge_sim_violations(sim) > 0);
    }
}

/* ---- other faults ---- */

/* A fault that the caller planned does not happen, and the test that relies on it tests nothing. */
static void planned_faults_strike_once(void **state)
{
    struct kedge_sim_faults faults = {.read_flip_at = 2, .read_fail_at = 3, .seed = 5};
    uint8_t old[SECTOR], new[SECTOR], back[SECTOR];
    unsigned bits = 0;

    (void)state;
    fill_old_and_new(old, new);
    kedge_sim_poke(sim, KEDGE_EXTERNAL, 0, kedge_bytes(old, SECTOR));
    kedge_sim_arm(sim, &faults);
    assert_int_equal(read_back(KEDGE_INTERNAL, 0, back, 16), 0); /* not counted */
    for (unsigned i = 1; i < 5; i++) {
        const int error = read_back(KEDGE_EXTERNAL, 0, back, SECTOR);

        assert_int_equal(error, i == 3 ? KEDGE_E_IO : 0);
        for (unsigned k = 0; i == 2 && k < SECTOR; k++)
            bits += (unsigned)__builtin_popcount(back[k] ^ old[k]);
        if (i != 2 && i != 3)
            assert_memory_equal(back, old, SECTOR);
    }
    assert_int_equal(bits, 1);

    faults = (struct kedge_sim_faults){.op_fail_at = 1, .op_ignore_at = 2, .write_flip_at = 3};
    kedge_sim_arm(sim, &faults);
    assert_int_equal(program(KEDGE_EXTERNAL, SECTOR, new, 256), KEDGE_E_IO);
    assert_int_equal(program(KEDGE_EXTERNAL, SECTOR, new, 256), 0);
    assert_int_equal(read_back(KEDGE_EXTERNAL, SECTOR, back, 256), 0);
    assert_true(kedge_all(kedge_bytes(back, 256), 0xFF));
    assert_int_equal(program(KEDGE_EXTERNAL, SECTOR, new, 256), 0);
    assert_int_equal(read_back(KEDGE_EXTERNAL, SECTOR, back, 256), 0);
    bits = 0;
    for (unsigned k = 0; k < 256; k++)
        bits += (unsigned)__builtin_popcount(back[k] ^ new[k]);
    assert_int_equal(bits, 1);
    faults = (struct kedge_sim_faults){.write_flip_at = 1};
    kedge_sim_arm(sim, &faults);
    assert_int_equal(erase(KEDGE_EXTERNAL, 0, SECTOR), 0);
    assert_int_equal(read_back(KEDGE_EXTERNAL, 0, back, SECTOR), 0);
    bits = 0;
    for (unsigned k = 0; k < SECTOR; k++)
        bits += (unsigned)__builtin_popcount((uint8_t)~back[k]);
    assert_int_equal(bits, 1);
    assert_clean();
}

/* A chip that dies does so too late, or comes back too early. */
static void a_chip_dies_for_a_boot_or_for_ever(void **state)
{
    uint8_t byte;

    (void)state;
    for (uint32_t lives = 0; lives < 3; lives++) {
        const struct kedge_sim_faults faults = {.dead_from = 2, .dead_lives = lives};

        open_timed(KEDGE_SIM_TIME_TYPICAL);
        kedge_sim_arm(sim, &faults);
        assert_int_equal(erase(KEDGE_EXTERNAL, 0, SECTOR), 0);
        assert_int_equal(read_back(KEDGE_EXTERNAL, 0, &byte, 1), 0);
        assert_int_equal(erase(KEDGE_INTERNAL, 0, SECTOR), 0);
        for (uint32_t life = 0; life < 5; life++) {
            const bool dead = lives == 0 || life < lives;

            assert_int_equal(read_back(KEDGE_EXTERNAL, 0, &byte, 1), dead ? KEDGE_E_DEAD : 0);
            assert_int_equal(status(), dead ? 0xFF : 0x00);
            kedge_sim_power_on(sim);
        }
    }
}

/* Stuck and decayed cells heal by themselves. */
static void stuck_and_decayed_cells_stay(void **state)
{
    const struct kedge_sim_faults faults = {
        .stuck = {{.at = 5, .device = KEDGE_INTERNAL, .mask = 0x11, .value = 0x01}}};
    uint8_t back[8];

    (void)state;
    kedge_sim_arm(sim, &faults);
    assert_int_equal(program(KEDGE_INTERNAL, 4, "\0\0\0\0", 4), 0);
    assert_int_equal(read_back(KEDGE_INTERNAL, 0, back, 8), 0);
    assert_int_equal(back[5], 0x01);
    assert_int_equal(erase(KEDGE_INTERNAL, 0, SECTOR), 0);
    assert_int_equal(read_back(KEDGE_INTERNAL, 5, back, 1), 0);
    assert_int_equal(back[0], 0xEF);
    kedge_sim_decay(sim, KEDGE_INTERNAL, 7, 0x80);
    assert_int_equal(read_back(KEDGE_INTERNAL, 7, back, 1), 0);
    assert_int_equal(back[0], 0x7F);
    assert_int_equal(erase(KEDGE_INTERNAL, 0, SECTOR), 0);
    assert_int_equal(read_back(KEDGE_INTERNAL, 7, back, 1), 0);
    assert_int_equal(back[0], 0xFF);
}

/* ---- time, traces, repeatability ---- */

/* Work takes no time or the wrong time, and the table of update times is fiction. */
static void time_is_the_parts_time(void **state)
{
    static const uint8_t zero[256];
    uint64_t before = kedge_sim_now_us(sim);

    (void)state;
    assert_int_equal(erase(KEDGE_INTERNAL, 0, SECTOR), 0);
    assert_int_equal(program(KEDGE_INTERNAL, 0, zero, 256), 0);
    assert_int_equal(kedge_sim_now_us(sim) - before, 85000 + 64 * 41);
    before = kedge_sim_now_us(sim);
    assert_int_equal(erase(KEDGE_EXTERNAL, 0, SECTOR), 0);
    assert_int_equal(kedge_sim_now_us(sim) - before, 0);
    assert_int_equal(erase(KEDGE_INTERNAL, 0, SECTOR), 0); /* at the same time */
    assert_int_equal(flash[KEDGE_EXTERNAL].ops->sync(flash[KEDGE_EXTERNAL].ctx), 0);
    assert_int_equal(kedge_sim_now_us(sim) - before, 85000);
    open_timed(KEDGE_SIM_TIME_NONE);
    assert_int_equal(erase(KEDGE_EXTERNAL, 0, SECTOR), 0);
    assert_int_equal(status(), 0);
    assert_int_equal(program(KEDGE_INTERNAL, 0, zero, 256), 0);
    assert_int_equal(kedge_sim_now_us(sim), 0);
}

struct log {
    struct kedge_sim_event event[16];
    unsigned count;
    uint64_t paced_us;
    unsigned violated;
};

static void note(void *ctx, const struct kedge_sim_event *event)
{
    struct log *log = ctx;

    assert_true(log->count < 16);
    log->event[log->count++] = *event;
}

static void pace(void *ctx, uint64_t now_us)
{
    struct log *log = ctx;

    assert_true(now_us >= log->paced_us);
    log->paced_us = now_us;
}

static void note_violation(void *ctx, const char *message)
{
    struct log *log = ctx;

    assert_non_null(message);
    log->violated++;
}

/* An operation is missing in DIR/trace, and the picture of both flashes shows less than was done.
 */
static void hooks_hear_everything(void **state)
{
    static const uint8_t zero[300];
    struct log log = {.count = 0};
    const struct kedge_sim_hooks hooks = {
        .ctx = &log, .trace = note, .pace = pace, .violated = note_violation};

    (void)state;
    kedge_sim_hooks(sim, &hooks);
    assert_int_equal(erase(KEDGE_INTERNAL, SECTOR, SECTOR), 0);
    assert_int_equal(program(KEDGE_EXTERNAL, 128, zero, 300), 0);
    assert_int_equal(log.count, 3);
    assert_int_equal(log.event[0].operation, KEDGE_OP_ERASE);
    assert_int_equal(log.event[0].device, KEDGE_INTERNAL);
    assert_int_equal(log.event[0].at, SECTOR);
    assert_int_equal(log.event[0].size, SECTOR);
    assert_int_equal(log.event[0].number, 1);
    assert_int_equal(log.event[0].time_us, 0);
    assert_int_equal(log.event[2].operation, KEDGE_OP_PROGRAM);
    assert_int_equal(log.event[2].device, KEDGE_EXTERNAL);
    assert_int_equal(log.event[2].at, 256);
    assert_int_equal(log.event[2].size, 172);
    assert_true(log.event[2].time_us >= 85000 + 400);
    assert_int_equal(log.paced_us, kedge_sim_now_us(sim));
    assert_int_equal(log.violated, 0);
    assert_int_equal(program(KEDGE_EXTERNAL, 128, "\1", 1), 0);
    assert_int_equal(log.violated, 1);
}

/* Random work that follows the rules, cuts in between; ends powered. */
static void live(struct kedge_random *random, unsigned operations)
{
    uint8_t bytes[64];

    for (unsigned i = 0; i < operations; i++) {
        const uint8_t d = (uint8_t)kedge_random_below(random, 2);
        const uint32_t sector = kedge_random_below(random, 8) * SECTOR;

        kedge_sim_faults(sim)->cut_at =
            kedge_random_below(random, 4) == 0 ? kedge_sim_operations(sim) + 1 : 0;
        if (erase(d, sector, SECTOR) == 0) {
            kedge_random_fill(random, bytes, sizeof bytes);
            (void)program(d, sector + 4 * kedge_random_below(random, 900), bytes, sizeof bytes);
        }
        if (kedge_sim_is_off(sim))
            kedge_sim_power_on(sim);
        (void)flash[KEDGE_EXTERNAL].ops->sync(flash[KEDGE_EXTERNAL].ctx);
    }
}

static uint32_t digest(void)
{
    static uint8_t all[16 * SECTOR];
    uint32_t crc = 0;

    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        const uint32_t size = flash[d].geometry.size;

        assert_int_equal(read_back(d, 0, all, size), 0);
        crc = kedge_crc32(crc, kedge_bytes(all, size));
    }
    return crc;
}

/* A failure cannot be reproduced from its seed. */
static void the_same_seed_gives_the_same_bytes(void **state)
{
    uint32_t first[4];

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t seed = 0; seed < 4; seed++) {
            const struct kedge_sim_faults faults = {.seed = seed, .weak = seed & 1};
            struct kedge_random random = {.state = 3};

            open_timed(KEDGE_SIM_TIME_TYPICAL);
            kedge_sim_arm(sim, &faults);
            live(&random, 40);
            if (round == 0)
                first[seed] = digest();
            else
                assert_int_equal(digest(), first[seed]);
        }
    }
    assert_int_not_equal(first[0], first[2]);
}

/* A restored snapshot differs from the state it was taken of: cut sweeps test another device. */
static void snapshots_bring_everything_back(void **state)
{
    struct kedge_random random = {.state = 17};
    struct kedge_sim_snapshot *a, *b;
    uint32_t digest_a, digest_b;

    (void)state;
    kedge_sim_arm(sim, NULL);
    live(&random, 30);
    a = kedge_sim_snapshot_make(sim);
    digest_a = digest();
    kedge_sim_restore(sim, a);
    live(&random, 30);
    b = kedge_sim_snapshot_make(sim);
    digest_b = digest();
    assert_int_not_equal(digest_a, digest_b);
    for (unsigned round = 0; round < 50; round++) {
        const bool take = (round & 1) != 0;
        uint32_t after[2];

        live(&random, kedge_random_below(&random, 10));
        kedge_sim_restore(sim, take ? b : a);
        assert_int_equal(digest(), take ? digest_b : digest_a);
        assert_true(kedge_sim_same(sim, take ? b : a, KEDGE_INTERNAL, 0, 8 * SECTOR));
        assert_true(kedge_sim_same(sim, take ? b : a, KEDGE_EXTERNAL, 0, 16 * SECTOR));
        assert_false(kedge_sim_same(sim, take ? a : b, KEDGE_INTERNAL, 0, 8 * SECTOR) &&
                     kedge_sim_same(sim, take ? a : b, KEDGE_EXTERNAL, 0, 16 * SECTOR));
        /* the future is the same too: torn bits, unstable bits, counters */
        for (unsigned twice = 0; twice < 2; twice++) {
            struct kedge_random same = {.state = round};

            kedge_sim_restore(sim, take ? b : a);
            live(&same, 12);
            after[twice] = digest() + kedge_sim_operations(sim) + kedge_sim_violations(sim);
        }
        assert_int_equal(after[0], after[1]);
        if (round % 10 == 9) {
            kedge_sim_snapshot_take(sim, a);
            digest_a = digest();
            kedge_sim_restore(sim, a);
        }
    }
    kedge_sim_snapshot_free(a);
    kedge_sim_snapshot_free(b);
}

/* ---- files ---- */

static char directory[] = "/tmp/kedge-sim-XXXXXX";
static char internal_file[64], external_file[64];

static struct kedge_sim *open_files(const struct kedge_sim_part *external, char *why)
{
    const struct kedge_sim_part internal = kedge_sim_small_internal(8 * SECTOR, SECTOR);
    const struct kedge_sim_config config = {.internal = &internal,
                                            .external = external,
                                            .internal_file = internal_file,
                                            .external_file = external_file};

    return kedge_sim_create(&config, why);
}

static int make_directory(void **state)
{
    (void)state;
    memcpy(directory + sizeof directory - 7, "XXXXXX", 6);
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(internal_file, sizeof internal_file, "%s/internal.bin", directory);
    snprintf(external_file, sizeof external_file, "%s/external.bin", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(internal_file);
    unlink(external_file);
    char torn[80];
    snprintf(torn, sizeof torn, "%s.torn", external_file);
    unlink(torn);
    return rmdir(directory);
}

/* In a process of its own each: power fails in the middle of a program; the sector is erased, or
 * not; the same bytes are programmed once more. A virtual device that is stopped in between is as
 * strict as one that is not, and no stricter. */
static void torn_programs_outlive_the_process(void **state)
{
    const struct kedge_sim_part part = kedge_sim_small_external(16 * SECTOR, SECTOR);

    (void)state;
    for (unsigned seed = 1; seed <= 30; seed++) {
        const bool torn_erase = seed % 2 == 0;
        const struct kedge_sim_faults in_program = {.seed = seed,
                                                    .cut_at = 1,
                                                    .cut_kind = KEDGE_SIM_CUT_TORN,
                                                    .torn_program = KEDGE_SIM_PROGRAM_SUBSET};
        const struct kedge_sim_faults in_erase = {.seed = seed,
                                                  .cut_at = 1,
                                                  .cut_kind = KEDGE_SIM_CUT_TORN,
                                                  .torn_erase = KEDGE_SIM_ERASE_MIX};
        const uint8_t bytes[16] = {0x5a, 0x3c, 0x0f, 0x81, 0x66, 0x99, 0x42, 0x18};
        char why[160] = "";
        bool left = false;

        for (unsigned life = 0; life < 3; life++) {
            struct kedge_sim *const one = open_files(&part, why);
            struct kedge_flash f;

            assert_non_null(one);
            kedge_sim_flash(one, KEDGE_EXTERNAL, &f);
            kedge_sim_power_on(one);
            if (life == 0) {
                assert_int_equal(f.ops->erase(f.ctx, 0, SECTOR), 0);
                kedge_sim_arm(one, &in_program);
                (void)f.ops->program(f.ctx, 0, kedge_bytes(bytes, sizeof bytes));
            } else if (life == 1 && torn_erase) {
                kedge_sim_arm(one, &in_erase);
                (void)f.ops->erase(f.ctx, 0, SECTOR);
            } else if (life == 2) {
                const uint8_t *const is = kedge_sim_contents(one, KEDGE_EXTERNAL);

                for (unsigned i = 0; i < sizeof bytes; i++)
                    left = left || (is[i] != 0xFF && is[i] != bytes[i]);
                (void)f.ops->program(f.ctx, 0, kedge_bytes(bytes, sizeof bytes));
                assert_int_equal(kedge_sim_violations(one) > 0, torn_erase && left);
            }
            kedge_sim_destroy(one);
        }
    }
}

/* A virtual device that is killed loses what it had written. */
static void contents_survive_kill_9(void **state)
{
    const struct kedge_sim_part part = kedge_sim_small_external(16 * SECTOR, SECTOR);
    struct kedge_sim *second;
    struct kedge_flash again;
    struct stat info;
    char why[160] = "";
    int result;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        struct kedge_sim *first = open_files(&part, why);

        if (first == NULL)
            _exit(1);
        kedge_sim_flash(first, KEDGE_INTERNAL, &again);
        (void)again.ops->program(again.ctx, 64, kedge_bytes("abcdefgh", 8));
        kedge_sim_poke(first, KEDGE_EXTERNAL, 4096, kedge_bytes("xyz", 3));
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    assert_int_equal(stat(internal_file, &info), 0);
    assert_int_equal(info.st_size, 8 * SECTOR);
    second = open_files(&part, why);
    assert_non_null(second);
    assert_memory_equal(kedge_sim_contents(second, KEDGE_INTERNAL) + 64, "abcdefgh", 8);
    assert_int_equal(kedge_sim_contents(second, KEDGE_INTERNAL)[63], 0xFF);
    assert_memory_equal(kedge_sim_contents(second, KEDGE_EXTERNAL) + 4096, "xyz\xFF", 4);
    /* what lies there counts as written once */
    kedge_sim_flash(second, KEDGE_INTERNAL, &again);
    assert_int_equal(again.ops->program(again.ctx, 64, kedge_bytes("abcd", 4)), 0);
    assert_int_equal(kedge_sim_violations(second), 0);
    assert_int_equal(again.ops->program(again.ctx, 64, kedge_bytes("abcd", 4)), 0);
    assert_int_equal(kedge_sim_violations(second), 1);
    assert_int_equal(again.ops->program(again.ctx, 68, kedge_bytes("\0\0\0\0", 4)), 0);
    assert_true(kedge_sim_violations(second) > 1);
    kedge_sim_destroy(second);
}

/* A file of another chip is stretched or cut, and its contents are lost. */
static void refuses_a_file_of_another_size(void **state)
{
    const struct kedge_sim_part part = kedge_sim_small_external(16 * SECTOR, SECTOR),
                                other = kedge_sim_small_external(32 * SECTOR, SECTOR);
    struct kedge_sim *first;
    struct stat info;
    char why[160] = "";

    (void)state;
    first = open_files(&part, why);
    assert_non_null(first);
    kedge_sim_destroy(first);
    assert_null(open_files(&other, why));
    assert_non_null(strstr(why, "65536 bytes"));
    assert_non_null(strstr(why, "131072"));
    assert_int_equal(stat(external_file, &info), 0);
    assert_int_equal(info.st_size, 16 * SECTOR);
}

/* A part whose numbers do not fit makes the simulator lie. */
static void refuses_unsound_parts(void **state)
{
    const struct kedge_sim_part good = kedge_sim_small_external(16 * SECTOR, SECTOR);
    const struct kedge_sim_part bad[] = {kedge_sim_small_internal(8 * SECTOR, 3000),
                                         kedge_sim_small_internal(8 * SECTOR + 4, SECTOR),
                                         kedge_sim_small_internal(0, SECTOR),
                                         kedge_sim_small_internal(8 * SECTOR, 0)};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct kedge_sim_config config = {.internal = &bad[i], .external = &good};
        char why[160] = "";

        assert_null(kedge_sim_create(&config, why));
        assert_non_null(strstr(why, "do not fit"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(detects_programs_over_programmed_cells, open_sim,
                                        close_sim),
        cmocka_unit_test_setup_teardown(detects_a_third_write, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(detects_wrong_places, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(write_enable_clears_itself, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(busy_chip_answers_its_status_only, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(programs_wrap_inside_their_page, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(refuses_silently, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(cuts_at_the_operation_asked, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(before_is_nothing_and_after_is_all, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(torn_programs_change_any_subset, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(torn_erases_leave_what_they_may, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(a_cut_tears_the_other_chips_work_too, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(a_cut_ends_the_life, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(unstable_bits_read_as_their_model_says, open_sim,
                                        close_sim),
        cmocka_unit_test_setup_teardown(unstable_bits_are_cured_by_erase_or_the_same_bits, open_sim,
                                        close_sim),
        cmocka_unit_test_setup_teardown(torn_words_may_be_finished_but_not_mixed, open_sim,
                                        close_sim),
        cmocka_unit_test_setup_teardown(planned_faults_strike_once, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(a_chip_dies_for_a_boot_or_for_ever, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(stuck_and_decayed_cells_stay, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(time_is_the_parts_time, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(hooks_hear_everything, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(the_same_seed_gives_the_same_bytes, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(snapshots_bring_everything_back, open_sim, close_sim),
        cmocka_unit_test_setup_teardown(contents_survive_kill_9, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(torn_programs_outlive_the_process, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(refuses_a_file_of_another_size, make_directory,
                                        remove_directory),
        cmocka_unit_test(refuses_unsound_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
