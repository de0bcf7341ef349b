/* If this fails, some combination of facts makes the loader boot what it must not, or give up a
 * device that could boot: the invariants I1..I6 of SWAP.md 0 over every combination of facts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/decide.h"

#define TORN (1 + KEDGE_REQUEST_TORN)
#define NONE (1 + KEDGE_REQUEST_NONE)

static bool asks(enum kedge_action a)
{
    return a <= KEDGE_ASK_ANY;
}

static bool boots(enum kedge_action a)
{
    return a == KEDGE_DO_TRY || a == KEDGE_DO_DEGRADED || a == KEDGE_DO_WAIT || a == KEDGE_DO_BOOT;
}

static bool touches_chip(enum kedge_action a)
{
    switch (a) {
    case KEDGE_ASK_REQUEST:
    case KEDGE_ASK_OLD:
    case KEDGE_ASK_CANDIDATE:
    case KEDGE_ASK_ANY:
    case KEDGE_DO_RUN:
    case KEDGE_DO_RESTORE:
    case KEDGE_DO_REVERT:
    case KEDGE_DO_INSTALL:
    case KEDGE_DO_PLAN:
    case KEDGE_DO_CLEAR:
    case KEDGE_DO_REFUSE:
    case KEDGE_DO_WIPE:
        return true;
    default:
        return false;
    }
}

/* Every property that an action must have, given the facts it was chosen by. */
static const char *broken(const struct kedge_facts *f, enum kedge_action a)
{
    const bool good = f->primary > KEDGE_PRIMARY_BAD;
    const bool ours = f->primary > KEDGE_PRIMARY_OTHER;
    const bool trial = f->state == KEDGE_STATE_TRIAL;
    const bool request = f->request > NONE && f->request != TORN;

    if (!f->stable)
        return a == KEDGE_DO_TAKE_OVER ? NULL : "I5: acts on a state that is not stable";
    if (a == KEDGE_DO_TAKE_OVER)
        return "I4: takes over a stable state";
    if (boots(a) && !good)
        return "I1: boots what was not authenticated";
    if (a == KEDGE_DO_RECOVER && f->primary != KEDGE_PRIMARY_BAD)
        return "I1: gives up with a good primary, or without looking";
    if (a == KEDGE_DO_RECOVER && f->alive == KEDGE_YES && f->any != KEDGE_NO)
        return "I1: gives up without having looked everywhere";
    if (f->alive != KEDGE_YES && touches_chip(a))
        return "I6: works on a chip that does not answer";
    if (f->alive == KEDGE_NO && good && !asks(a) && !boots(a) && a != KEDGE_DO_LATCH &&
        a != KEDGE_DO_REPLACED)
        return "I6: does not boot a good primary because the chip is dead";
    if (f->alive == KEDGE_NO && (a == KEDGE_DO_GIVE_UP || a == KEDGE_DO_KEEP))
        return "I3: gives up an image for a chip that may come back";
    if (trial && f->confirmed == KEDGE_YES && !asks(a) && a != KEDGE_DO_LATCH &&
        a != KEDGE_DO_REPLACED)
        return "I2: a confirmed image is not kept";
    if (a == KEDGE_DO_LATCH && !(trial && f->confirmed == KEDGE_YES))
        return "I2: confirms what was not confirmed";
    if (a == KEDGE_DO_TRY && !(trial && f->confirmed == KEDGE_NO && f->attempts < f->limit))
        return "I2: one trial too many";
    if (a == KEDGE_DO_BOOT && f->state != KEDGE_STATE_IDLE)
        return "I2: an unconfirmed image is booted as if it were confirmed";
    if (a == KEDGE_DO_WAIT && !(trial && f->alive == KEDGE_NO && f->attempts >= f->limit))
        return "I2: the revert waits for nothing";
    if (a == KEDGE_DO_KEEP && !(trial && f->old == KEDGE_NO))
        return "I2: not reverted though the old image is there";
    if (a == KEDGE_DO_REVERT && !(trial && ours && f->old == KEDGE_YES &&
                                  f->confirmed == KEDGE_NO && f->attempts >= f->limit))
        return "I2: reverted too early, or without an old image to go back to";
    if (a == KEDGE_DO_DEGRADED && !(f->state == KEDGE_STATE_RUN && f->alive == KEDGE_NO))
        return "I6: degraded with a living chip";
    if (a == KEDGE_DO_INSTALL && !(f->primary == KEDGE_PRIMARY_BAD && f->any == KEDGE_YES))
        return "I3: installs over a good primary, or installs nothing";
    if (a == KEDGE_DO_PLAN &&
        !(f->state == KEDGE_STATE_IDLE && request && !f->held && f->candidate == KEDGE_YES))
        return "I4: more than was asked for";
    if (a == KEDGE_DO_REFUSE && !(request && !f->held && f->candidate == KEDGE_NO))
        return "I3: refuses without having looked, or one that waits";
    if (a == KEDGE_DO_CLEAR && f->request != TORN)
        return "I3: clears a request that is whole";
    if (a == KEDGE_DO_WIPE && !(f->state == KEDGE_STATE_IDLE && f->wipe && f->request == NONE))
        return "I3: wipes a secondary that somebody wants";
    /* on trial is the new image; whatever else lies there was put there by somebody */
    const bool foreign = (f->state == KEDGE_STATE_RUN && f->primary == KEDGE_PRIMARY_OTHER) ||
                         (trial && good && f->primary != KEDGE_PRIMARY_NEW);
    if (a == KEDGE_DO_REPLACED && !foreign)
        return "replaced by what?";
    if (foreign && !asks(a) && a != KEDGE_DO_REPLACED)
        return "I1: a primary flashed from outside is swapped over or reverted";
    if (a == KEDGE_DO_RUN && !(f->state == KEDGE_STATE_RUN && !f->failed))
        return "I4: runs a program that has just failed";
    if (a == KEDGE_DO_RESTORE &&
        !(f->state == KEDGE_STATE_RUN && f->failed && f->type != KEDGE_TYPE_RESTORE &&
          f->type != KEDGE_TYPE_INSTALL && f->method != KEDGE_METHOD_OVERWRITE))
        return "I4: undoes what cannot be undone";
    if (a == KEDGE_DO_GIVE_UP && !(f->state == KEDGE_STATE_RUN && f->failed && good))
        return "I3: gives up a program that was not tried";
    return NULL;
}

/* A question is only asked when its answer is not known. */
static bool known(const struct kedge_facts *f, enum kedge_action a)
{
    switch (a) {
    case KEDGE_ASK_ALIVE:
        return f->alive != KEDGE_UNKNOWN;
    case KEDGE_ASK_REQUEST:
        return f->request != 0;
    case KEDGE_ASK_CONFIRMED:
        return f->confirmed != KEDGE_UNKNOWN;
    case KEDGE_ASK_PRIMARY:
        return f->primary != KEDGE_PRIMARY_UNKNOWN;
    case KEDGE_ASK_OLD:
        return f->old != KEDGE_UNKNOWN;
    case KEDGE_ASK_CANDIDATE:
        return f->candidate != KEDGE_UNKNOWN;
    case KEDGE_ASK_ANY:
        return f->any != KEDGE_UNKNOWN;
    default:
        return false;
    }
}

/* Mixed radix: digit i of `n` counts up to limit[i]. */
static const uint8_t limits[] = {2, 3, 7, KEDGE_METHODS, 2, 3, 2, 2, 3, 5, 3, 5, 3, 3, 3};

static bool next_combination(uint8_t *digit)
{
    for (size_t i = 0; i < sizeof(limits); i++) {
        if (++digit[i] < limits[i])
            return true;
        digit[i] = 0;
    }
    return false;
}

static struct kedge_facts facts_of(const uint8_t *d)
{
    return (struct kedge_facts){
        .stable = d[0],
        .state = d[1],
        .type = d[2],
        .method = d[3],
        .failed = d[4],
        .attempts = d[5],
        .limit = 1,
        .held = d[6],
        .wipe = d[7],
        .alive = d[8],
        .request = d[9],
        .confirmed = d[10],
        .primary = d[11],
        .old = d[12],
        .candidate = d[13],
        .any = d[14],
    };
}

static void test_every_combination_keeps_the_invariants(void **state)
{
    uint8_t digit[sizeof(limits)] = {0};
    uint32_t count = 0;
    (void)state;
    do {
        const struct kedge_facts f = facts_of(digit);
        const enum kedge_action a = kedge_decide(&f);
        const char *why = broken(&f, a);
        if (why == NULL && known(&f, a))
            why = "asks what is known";
        if (why != NULL)
            fail_msg("%s: action %d, state %d alive %d request %d confirmed %d primary %d old %d "
                     "candidate %d any %d failed %d attempts %d type %d method %d",
                     why, a, f.state, f.alive, f.request, f.confirmed, f.primary, f.old,
                     f.candidate, f.any, f.failed, f.attempts, f.type, f.method);
        count++;
    } while (next_combination(digit));
    print_message("%u combinations\n", count);
}

/* What boot.c does to the facts, with every outcome that the world may choose: the longest chain of
 * actions until a boot. `bad` says that the primary was seen bad on the way. */
static unsigned longest(struct kedge_facts f, unsigned actions, bool bad);

static unsigned most(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static struct kedge_facts forget(struct kedge_facts f)
{
    f.confirmed = f.old = f.candidate = f.any = KEDGE_UNKNOWN;
    return f;
}

static struct kedge_facts settled(struct kedge_facts f)
{
    f = forget(f);
    f.state = KEDGE_STATE_IDLE;
    f.type = 0;
    return f;
}

static unsigned after_run(struct kedge_facts f, unsigned actions, bool bad)
{
    unsigned n = 0;
    f = forget(f);
    f.request = 0;
    f.primary = KEDGE_PRIMARY_UNKNOWN;
    struct kedge_facts done = f;
    done.state = f.type == KEDGE_TYPE_TEST ? KEDGE_STATE_TRIAL : KEDGE_STATE_IDLE;
    done.attempts = 0;
    done.request = NONE; /* the program consumed it */
    n = most(n, longest(done, actions, bad));
    f.failed = 1;
    for (uint8_t alive = KEDGE_NO; alive <= KEDGE_YES; alive++) {
        f.alive = alive;
        n = most(n, longest(f, actions, bad));
    }
    return n;
}

#define ANSWERS(field, first, last)                                                                \
    for (uint8_t v = (first); v <= (last); v++) {                                                  \
        f.field = v;                                                                               \
        n = most(n, longest(f, actions, bad));                                                     \
    }                                                                                              \
    return n

static unsigned longest(struct kedge_facts f, unsigned actions, bool bad)
{
    const enum kedge_action a = kedge_decide(&f);
    unsigned n = 0;
    bad = bad || f.primary == KEDGE_PRIMARY_BAD;
    if (a >= KEDGE_DO_TRY)
        return actions;
    if (a >= KEDGE_DO_TAKE_OVER && ++actions > 8) {
        assert_true(bad); /* a device with a good primary never runs out of rounds */
        return actions;
    }
    switch (a) {
    case KEDGE_ASK_ALIVE:
        ANSWERS(alive, KEDGE_NO, KEDGE_YES);
    case KEDGE_ASK_REQUEST:
        ANSWERS(request, NONE, TORN);
    case KEDGE_ASK_CONFIRMED:
        ANSWERS(confirmed, KEDGE_NO, KEDGE_YES);
    case KEDGE_ASK_PRIMARY:
        ANSWERS(primary, KEDGE_PRIMARY_BAD, KEDGE_PRIMARY_NEW);
    case KEDGE_ASK_OLD:
        ANSWERS(old, KEDGE_NO, KEDGE_YES);
    case KEDGE_ASK_CANDIDATE:
        ANSWERS(candidate, KEDGE_NO, KEDGE_YES);
    case KEDGE_ASK_ANY:
        ANSWERS(any, KEDGE_NO, KEDGE_YES);
    case KEDGE_DO_TAKE_OVER:
        f.stable = 1;
        break;
    case KEDGE_DO_RUN:
        return after_run(f, actions, bad);
    case KEDGE_DO_RESTORE:
        f = forget(f);
        f.failed = 0;
        f.type = KEDGE_TYPE_RESTORE;
        break;
    case KEDGE_DO_REVERT:
        f = forget(f);
        f.failed = 0;
        f.state = KEDGE_STATE_RUN;
        f.type = KEDGE_TYPE_REVERT;
        f.primary = KEDGE_PRIMARY_OLD;
        break;
    case KEDGE_DO_INSTALL:
        f = forget(f);
        f.failed = 0;
        f.state = KEDGE_STATE_RUN;
        f.type = KEDGE_TYPE_INSTALL;
        f.method = KEDGE_METHOD_OVERWRITE;
        break;
    case KEDGE_DO_PLAN:
        f = forget(f);
        f.failed = 0;
        f.state = KEDGE_STATE_RUN;
        f.type = f.request == 1 + KEDGE_REQUEST_TEST ? KEDGE_TYPE_TEST : KEDGE_TYPE_PERMANENT;
        f.primary = KEDGE_PRIMARY_OLD;
        break;
    case KEDGE_DO_LATCH:
    case KEDGE_DO_KEEP:
        f = settled(f);
        break;
    case KEDGE_DO_REPLACED:
    case KEDGE_DO_GIVE_UP:
        f = settled(f);
        f.request = NONE;
        break;
    case KEDGE_DO_CLEAR:
    case KEDGE_DO_REFUSE:
        f.request = NONE;
        break;
    default:
        f.wipe = 0;
        break;
    }
    return longest(f, actions, bad);
}

static void test_a_boot_is_bounded(void **state)
{
    unsigned n = 0;
    (void)state;
    for (uint8_t s = 0; s < 3; s++)
        for (uint8_t method = 0; method < KEDGE_METHODS; method++)
            for (uint8_t type = KEDGE_TYPE_TEST; type <= KEDGE_TYPE_INSTALL; type++)
                for (uint8_t attempts = 0; attempts < 3; attempts++)
                    for (uint8_t held = 0; held < 2; held++) {
                        const struct kedge_facts f = {.state = s,
                                                      .method = method,
                                                      .type = type,
                                                      .attempts = attempts,
                                                      .limit = 2,
                                                      .held = held,
                                                      .wipe = s == 0};
                        n = most(n, longest(f, 0, false));
                    }
    print_message("longest chain: %u actions\n", n);
    assert_true(n >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_combination_keeps_the_invariants),
        cmocka_unit_test(test_a_boot_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
