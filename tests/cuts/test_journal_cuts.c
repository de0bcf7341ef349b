/* The journal under cuts: the loader's only memory. If it loses, revives or mixes a state, a swap
 * resumes at the wrong step and overwrites the last copy of an image.
 *
 * A *count* stands for the loader's state: it is in BODY, and each PC record raises it by one. The
 * test knows at every moment which counts the flash may show:
 *
 *     low    the last one that a finished call made durable, or that was acted on
 *     high   the last one that was begun
 *
 * KEDGE_LIVES and KEDGE_SEED choose the random lives; the default takes seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/random.h"
#include "../../ports/sim/sim.h"
#include "kedge/journal.h"

#define SECTOR 1024 /* smaller than on any board, so that the log also fills up */
#define BODY   40

struct world {
    struct kedge_sim *sim;
    struct kedge_flash flash;
    struct kedge_journal journal;
    uint8_t body[BODY];
    uint32_t count, low, high;
    bool started; /* some state was made durable */
};

/* How a cut is made: everything of SWAP.md 0. */
struct cut {
    uint8_t kind, program, erase;
};
static const struct cut cuts[] = {
    {KEDGE_SIM_CUT_BEFORE, 0, 0},
    {KEDGE_SIM_CUT_AFTER, 0, 0},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SUBSET, KEDGE_SIM_ERASE_OLD},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_UNSTABLE, KEDGE_SIM_ERASE_MIX},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SPARSE, KEDGE_SIM_ERASE_SPARSE},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_HIDDEN, KEDGE_SIM_ERASE_WEAK},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_HIDDEN, KEDGE_SIM_ERASE_ZERO},
};
#define CUTS (sizeof cuts / sizeof cuts[0])

/* ---- a power-on ------------------------------------------------------------------------------ */

static void fill_body(uint8_t *body, uint32_t count)
{
    for (uint32_t i = 0; i < BODY; i += 4)
        kedge_put_le32(body + i, count + i * 0x01000193u);
}

static void replay(void *ctx, uint16_t kind, uint16_t value)
{
    struct world *w = ctx;

    if (kind == KEDGE_RECORD_SEAL)
        return;
    assert_int_equal(kind, KEDGE_RECORD_PC);
    assert_int_equal(value, (uint16_t)(w->count + 1));
    w->count++;
}

/* The body is checked before replay sees it: replay counts from it. */
static void replay_first(void *ctx, uint16_t kind, uint16_t value)
{
    struct world *w = ctx;

    if (w->count == UINT32_MAX)
        w->count = kedge_le32(w->body);
    replay(ctx, kind, value);
}

static void open_and_check(struct world *w)
{
    uint8_t expected[BODY];
    int rc;

    memset(w->body, 0xA5, BODY);
    w->count = UINT32_MAX;
    w->journal = (struct kedge_journal){
        .region = {.flash = &w->flash, .start = 0, .size = 2 * SECTOR},
        .body = kedge_buf(w->body, BODY),
    };
    rc = kedge_journal_open(&w->journal, replay_first, w);
    if (rc == KEDGE_E_NONE) {
        assert_false(w->started); /* lost */
        w->count = 0;
        return;
    }
    assert_int_equal(rc, 0);
    fill_body(expected, kedge_le32(w->body));
    assert_memory_equal(w->body, expected, BODY); /* mixed */
    if (w->count == UINT32_MAX)
        w->count = kedge_le32(w->body);
    assert_in_range(w->count, w->low, w->high); /* stale, or never made */
}

static bool take_over(struct world *w, uint32_t count)
{
    int rc;

    fill_body(w->body, count);
    w->high = count > w->high ? count : w->high;
    rc = kedge_journal_take_over(&w->journal);
    if (kedge_sim_is_off(w->sim))
        return false;
    assert_int_equal(rc, 0);
    w->count = w->low = w->high = count;
    w->started = true;
    return true;
}

static bool append(struct world *w, uint16_t kind)
{
    const bool counts = kind == KEDGE_RECORD_PC;
    int rc;

    if (kedge_journal_room(&w->journal) == 0 && !take_over(w, w->count))
        return false;
    w->high = w->count + counts;
    rc = kedge_journal_append(&w->journal, kind, counts ? (uint16_t)(w->count + 1) : 0);
    if (kedge_sim_is_off(w->sim))
        return false;
    assert_int_equal(rc, 0);
    w->count += counts;
    w->low = w->high = w->count;
    return true;
}

/* What a power-on is to do. */
struct work {
    uint8_t steps;   /* records */
    uint8_t replans; /* take-overs with a new count, each before a record */
    bool jumps;      /* SEAL at the end */
};

/* As the loader: open; a state that is not sealed is taken over first; a sealed one is acted on,
 * quietly or by a new plan, which is one take-over, or by a record. */
static void power_on(struct world *w, struct work work)
{
    open_and_check(w);
    if (w->journal.sealed)
        w->low = w->high = w->count; /* acted on: it can never go back, nor on by itself */
    else if (!take_over(w, w->count))
        return;
    if (w->journal.sealed && work.steps == 0 && work.replans == 0)
        return;
    for (unsigned i = 0; i < work.steps || i < work.replans; i++) {
        if (i < work.replans && !take_over(w, w->count + 1))
            return;
        if (i < work.steps && !append(w, KEDGE_RECORD_PC))
            return;
    }
    if (work.jumps && append(w, KEDGE_RECORD_SEAL))
        assert_true(w->journal.sealed);
}

/* ---- worlds ---------------------------------------------------------------------------------- */

/* A bump that was torn twice without a trace is written a third time: nobody can see it. The
 * simulator counts that as a broken rule; it is the limit of [J6], so it is counted here. */
static void hear_violation(void *ctx, const char *message)
{
    if (strstr(message, "write number") == NULL)
        fail_msg("rule broken: %s", message);
    (*(unsigned long *)ctx)++;
}
static unsigned long third_writes;

/* A part whose erased bytes read 0x00 (STM32L0 and L1): the simulator's, with every bit turned. */
static int read_turned(void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct kedge_flash *inner = ctx;
    const int rc = inner->ops->read(inner->ctx, at, to);

    for (size_t i = 0; i < to.size; i++)
        to.at[i] = (uint8_t)~to.at[i];
    return rc;
}

static int program_turned(void *ctx, uint32_t at, struct kedge_bytes from)
{
    const struct kedge_flash *inner = ctx;
    uint8_t turned[64];

    assert_true(from.size <= sizeof turned);
    for (size_t i = 0; i < from.size; i++)
        turned[i] = (uint8_t)~from.at[i];
    return inner->ops->program(inner->ctx, at, kedge_bytes(turned, from.size));
}

static int erase_turned(void *ctx, uint32_t at, uint32_t size)
{
    const struct kedge_flash *inner = ctx;

    return inner->ops->erase(inner->ctx, at, size);
}

static void turn(struct kedge_flash *inner, struct kedge_flash *flash)
{
    static const struct kedge_flash_ops ops = {
        .read = read_turned, .program = program_turned, .erase = erase_turned};

    *flash = (struct kedge_flash){.ops = &ops, .ctx = inner, .geometry = inner->geometry};
    flash->geometry.erased = 0x00;
}

static void world_make(struct world *w, uint32_t write_block, uint8_t erased)
{
    static struct kedge_flash plain;
    struct kedge_sim_part part = kedge_sim_small_internal(2 * SECTOR, SECTOR);
    struct kedge_sim_config config = {.internal = &part, .time = KEDGE_SIM_TIME_NONE, .seed = 1};
    struct kedge_sim_part external = kedge_sim_small_external(65536, 4096);
    const struct kedge_sim_hooks hooks = {.ctx = &third_writes, .violated = hear_violation};
    char why[160];

    /* Two operations a cell where the part allows it: cuts between the words of a cell as well. */
    part.geometry.write_block = write_block;
    part.geometry.page_size = part.burst = write_block > 4 ? write_block : 4;
    config.external = &external;
    memset(w, 0, sizeof *w);
    w->sim = kedge_sim_create(&config, why);
    if (w->sim == NULL)
        fail_msg("%s", why);
    kedge_sim_hooks(w->sim, &hooks);
    kedge_sim_flash(w->sim, KEDGE_INTERNAL, &w->flash);
    if (erased == 0x00) {
        plain = w->flash;
        turn(&plain, &w->flash);
    }
}

/* A world together with the test's knowledge of it. */
struct saved {
    struct kedge_sim_snapshot *snapshot;
    struct world world;
};

static void save(struct world *w, struct saved *saved)
{
    if (saved->snapshot == NULL)
        saved->snapshot = kedge_sim_snapshot_make(w->sim);
    else
        kedge_sim_snapshot_take(w->sim, saved->snapshot);
    saved->world = *w;
}

static void restore(struct world *w, const struct saved *saved)
{
    kedge_sim_restore(w->sim, saved->snapshot);
    *w = saved->world;
}

static void plan_cut(struct world *w, uint32_t at, const struct cut *cut, uint8_t weak,
                     uint64_t seed)
{
    const struct kedge_sim_faults faults = {
        .seed = seed,
        .cut_at = at,
        .cut_kind = cut->kind,
        .torn_program = cut->program,
        .torn_erase = cut->erase,
        .weak = weak,
    };

    kedge_sim_arm(w->sim, &faults);
}

/* Boots without cuts: whatever a weak bit reads, the same count for ever, then quiet. */
static void settle(struct world *w, uint8_t weak, uint64_t seed)
{
    static const struct work jump = {.jumps = true};
    uint32_t count;

    plan_cut(w, 0, &cuts[0], weak, seed);
    kedge_sim_power_on(w->sim);
    power_on(w, jump);
    count = w->count;
    for (unsigned i = 0; i < 3; i++) {
        kedge_sim_power_on(w->sim);
        power_on(w, jump);
        assert_int_equal(w->count, count);
    }
    assert_int_equal(kedge_sim_operations(w->sim) == 0 || w->journal.sealed, 1);
}

/* ---- every operation, then every operation of the recovery ----------------------------------- */

static const struct work first = {.steps = 2, .replans = 1, .jumps = true};
static const struct work second = {.steps = 1, .replans = 0, .jumps = true};

/* Power-on `work` from `from`, cut at operation `at`; false when the operation is past its end. */
static bool strike(struct world *w, const struct saved *from, struct work work, uint32_t at,
                   const struct cut *cut, uint8_t weak, uint64_t seed)
{
    restore(w, from);
    plan_cut(w, at, cut, weak, seed * 4096 + at * 8u + (uint32_t)(cut - cuts));
    kedge_sim_power_on(w->sim);
    power_on(w, work);
    return kedge_sim_is_off(w->sim);
}

static unsigned long sweep_pairs(struct world *w, uint8_t weak)
{
    static struct saved start, between;
    unsigned long runs = 0;

    save(w, &start);
    for (size_t a = 0; a < CUTS; a++) {
        for (uint32_t n = 1; strike(w, &start, first, n, &cuts[a], weak, 1); n++) {
            save(w, &between);
            for (size_t b = 0; b < CUTS; b++) {
                for (uint32_t m = 1; strike(w, &between, second, m, &cuts[b], weak, n); m++) {
                    settle(w, weak, n * 7919u + m);
                    runs++;
                }
            }
        }
    }
    kedge_sim_snapshot_free(start.snapshot);
    kedge_sim_snapshot_free(between.snapshot);
    start.snapshot = between.snapshot = NULL;
    return runs;
}

/* [J1]..[J6] A cut at any operation, another at any operation of the power-on behind it: if a state
 * is lost, revived or mixed here, so it is on the first bad battery. */
static void every_pair_of_cuts(void **state)
{
    static const struct work once = {.steps = 1, .jumps = true};

    (void)state;
    for (uint8_t weak = KEDGE_SIM_WEAK_CONSTANT; weak <= KEDGE_SIM_WEAK_RANDOM; weak++) {
        struct world w;
        unsigned long factory, sealed;

        world_make(&w, 4, 0xFF);
        factory = sweep_pairs(&w, weak);
        kedge_sim_destroy(w.sim);
        world_make(&w, 4, 0xFF);
        kedge_sim_power_on(w.sim);
        power_on(&w, once);
        sealed = sweep_pairs(&w, weak);
        kedge_sim_destroy(w.sim);
        print_message("weak model %u: %lu pairs from the factory, %lu from a sealed state\n", weak,
                      factory, sealed);
        assert_true(factory > 1000 && sealed > 1000);
    }
    assert_int_equal(third_writes, 0);
}

/* From a sealed state, by every cut into boots that find nothing to do: what the first one acts on
 * must be what the others read. Many seeds, since the one weak bit that makes a mark come and go is
 * rare. */
static unsigned long sweep_quiet(struct world *w, uint8_t weak)
{
    static struct saved start;
    unsigned long runs = 0;

    kedge_sim_power_on(w->sim);
    power_on(w, second);
    save(w, &start);
    for (size_t a = 0; a < CUTS; a++) {
        for (uint64_t seed = 0; seed < 16; seed++) {
            for (uint32_t n = 1; strike(w, &start, first, n, &cuts[a], weak, seed); n++) {
                settle(w, weak, seed * 31 + n);
                runs++;
            }
        }
    }
    kedge_sim_snapshot_free(start.snapshot);
    start.snapshot = NULL;
    return runs;
}

/* [J4], [J7] On parts with words of 1 to 16 bytes, and on one whose erased bytes read 0x00. */
static void every_cut_then_quiet_boots(void **state)
{
    static const struct {
        uint8_t block, erased;
    } parts[] = {{1, 0xFF}, {2, 0xFF}, {4, 0xFF}, {8, 0xFF}, {16, 0xFF}, {4, 0x00}, {8, 0x00}};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof parts / sizeof parts[0]; i++) {
        struct world w;
        unsigned long runs;

        world_make(&w, parts[i / 2].block, parts[i / 2].erased);
        runs = sweep_quiet(&w, (uint8_t)(i % 2));
        kedge_sim_destroy(w.sim);
        print_message("write block %u, erased 0x%02X: %lu cuts\n", parts[i / 2].block,
                      parts[i / 2].erased, runs);
        assert_true(runs > 1000);
    }
    assert_int_equal(third_writes, 0);
}

/* ---- random lives ---------------------------------------------------------------------------- */

static unsigned long number_from(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoul(text, NULL, 0) : otherwise;
}

/* One power-on with a cut somewhere, mostly early: in the words that decide. */
static void interrupted(struct world *w, struct kedge_random *random, uint8_t weak)
{
    const struct work work = {
        .steps = (uint8_t)kedge_random_below(random, kedge_random_below(random, 16) == 0 ? 80 : 4),
        .replans = (uint8_t)kedge_random_below(random, 3),
        .jumps = kedge_random_below(random, 2) != 0,
    };
    const struct cut *cut = &cuts[kedge_random_below(random, CUTS)];
    const uint32_t reach = kedge_random_below(random, 2) != 0 ? 8 : 48;

    plan_cut(w, 1 + kedge_random_below(random, reach), cut, weak, kedge_random_next(random));
    kedge_sim_power_on(w->sim);
    power_on(w, work);
}

static void live(struct world *w, struct kedge_random *random, uint8_t weak)
{
    for (unsigned chains = 1 + kedge_random_below(random, 6); chains > 0; chains--) {
        for (unsigned n = kedge_random_below(random, 25); n > 0; n--)
            interrupted(w, random, weak);
        settle(w, weak, kedge_random_next(random));
    }
}

/* [J3] Up to 24 interrupted power-ons in a row, again and again, in both models of an unstable bit:
 * a device on a dying battery must come back with the state it had. */
static void random_lives(void **state)
{
    const unsigned long lives = number_from("KEDGE_LIVES", 3000);
    const unsigned long seed = number_from("KEDGE_SEED", 20261124);
    static struct saved factory;
    struct world w;

    (void)state;
    print_message("KEDGE_SEED=%lu KEDGE_LIVES=%lu\n", seed, lives);
    world_make(&w, 4, 0xFF);
    save(&w, &factory);
    for (unsigned long i = 0; i < lives; i++) {
        struct kedge_random random = {kedge_random_mix(seed + i)};

        restore(&w, &factory);
        live(&w, &random, (uint8_t)(i % 2));
    }
    print_message("%lu times a word was written more than twice\n", third_writes);
    assert_true(third_writes <= 1 + lives / 500);
    kedge_sim_snapshot_free(factory.snapshot);
    kedge_sim_destroy(w.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_then_quiet_boots),
        cmocka_unit_test(every_pair_of_cuts),
        cmocka_unit_test(random_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
