/* If this fails, a power cut inside some flash operation of an update, a revert or a recovery loses
 * an image, boots the wrong one, or leaves a device that does not come up. The real loader on the
 * strict simulator: every operation of a scenario x every kind of cut; for the short ones every
 * operation of the recovery x every kind again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"

#define LIVES 8 /* power-ons until it must have settled */

enum event {
    ASK_TEST,      /* a request lies in the mailbox: the next boot swaps and tries */
    ASK_PERMANENT,
    REVERT,        /* the trial is over, not confirmed */
    CONFIRM,       /* the trial is over, confirmed */
    SECOND_TRIAL,  /* attempts = 2: the second boot of an unconfirmed image */
    LOST_PRIMARY,  /* the primary is bad, a good image lies in the secondary */
    ASK_BROKEN,    /* the candidate is damaged */
    TORN_REQUEST,
    WIPE,          /* confirmed, policy after_confirm = wipe */
    ASK_IN_TRIAL   /* a request made during a trial must not outlive the revert */
};

struct scenario {
    const char *name;
    const struct kedge_strategy *strategy;
    uint32_t spares, base;
    uint32_t k_old, k_new; /* units */
    uint64_t differs;
    enum event event;
    bool twice; /* also every cut of every recovery */
};

#define ALL (~(uint64_t)0)

static const struct scenario scenarios[] = {
    {"swap down, two spares", &kedge_swap, 2, 0, 3, 3, ALL, ASK_TEST, false},
    {"swap up from base 2", &kedge_swap, 2, 2, 3, 3, ALL, ASK_TEST, false},
    {"swap up from base 1 of two", &kedge_swap, 2, 1, 3, 3, ALL, ASK_TEST, false},
    {"swap down, one spare", &kedge_swap, 1, 0, 3, 3, ALL, ASK_TEST, false},
    {"swap up, one spare", &kedge_swap, 1, 1, 3, 3, ALL, ASK_TEST, false},
    {"growing", &kedge_swap, 2, 0, 2, 4, ALL, ASK_TEST, false},
    {"growing, up", &kedge_swap, 1, 1, 1, 4, ALL, ASK_TEST, false},
    {"shrinking", &kedge_swap, 2, 0, 4, 2, ALL, ASK_TEST, false},
    {"shrinking, up", &kedge_swap, 1, 1, 4, 1, ALL, ASK_TEST, false},
    {"one unit", &kedge_swap, 2, 0, 1, 1, ALL, ASK_TEST, true},
    {"some units equal", &kedge_swap, 2, 0, 4, 4, 6, ASK_TEST, false},
    {"in place", &kedge_swap, 2, 0, 4, 4, 0, ASK_TEST, false},
    {"in place at base 2", &kedge_swap, 2, 2, 4, 4, 0, ASK_TEST, false},
    {"in place, one spare, base 1", &kedge_swap, 1, 1, 4, 4, 0, ASK_TEST, false},
    {"permanent", &kedge_swap, 2, 0, 2, 2, ALL, ASK_PERMANENT, false},
    {"revert", &kedge_swap, 2, 0, 3, 3, ALL, REVERT, false},
    {"revert, up", &kedge_swap, 2, 2, 3, 3, ALL, REVERT, false},
    {"revert, one spare, grown", &kedge_swap, 1, 0, 2, 4, ALL, REVERT, false},
    {"revert, one spare, shrunk", &kedge_swap, 1, 1, 4, 2, ALL, REVERT, false},
    {"revert, one unit", &kedge_swap, 1, 0, 1, 1, ALL, REVERT, true},
    {"revert in place", &kedge_swap, 2, 0, 4, 4, 0, REVERT, false},
    {"confirm", &kedge_swap, 2, 0, 2, 2, ALL, CONFIRM, true},
    {"second trial", &kedge_swap, 2, 0, 1, 1, ALL, SECOND_TRIAL, true},
    {"overwrite", &kedge_overwrite, 2, 0, 3, 3, ALL, ASK_TEST, false},
    {"backup", &kedge_backup, 2, 0, 3, 3, ALL, ASK_TEST, false},
    {"backup, revert", &kedge_backup, 2, 0, 3, 2, ALL, REVERT, false},
    {"lost primary", &kedge_swap, 2, 0, 2, 2, ALL, LOST_PRIMARY, true},
    {"lost primary, base 2", &kedge_swap, 2, 2, 1, 3, ALL, LOST_PRIMARY, false},
    {"broken candidate", &kedge_swap, 2, 0, 2, 2, ALL, ASK_BROKEN, true},
    {"torn request", &kedge_swap, 2, 0, 2, 2, ALL, TORN_REQUEST, true},
    {"wipe", &kedge_swap, 2, 0, 2, 2, ALL, WIPE, false},
    {"request during the trial", &kedge_swap, 2, 0, 2, 2, ALL, ASK_IN_TRIAL, false},
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* Kinds of cut. torn variants of programs and erases go together: an operation is one of them. */
static const struct cut_kind {
    uint8_t kind, program, erase;
} kinds[] = {
    {KEDGE_SIM_CUT_BEFORE, 0, 0},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SUBSET, KEDGE_SIM_ERASE_OLD},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_UNSTABLE, KEDGE_SIM_ERASE_MIX},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SPARSE, KEDGE_SIM_ERASE_ZERO},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_HIDDEN, KEDGE_SIM_ERASE_WEAK},
    {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SPARSE, KEDGE_SIM_ERASE_SPARSE},
    {KEDGE_SIM_CUT_AFTER, 0, 0},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct device device;
static struct device_image old_image, new_image;
static const struct scenario *now;
static struct kedge_sim_snapshot *start;
static uint64_t runs, boots;
static char where[160];

#define require(holds)                                                                             \
    do {                                                                                           \
        if (!(holds))                                                                              \
            fail_msg("%s: %s: %s (booted %u, reason %u, verdict %u)%s", now->name, where, #holds,  \
                     device.report.version.major, device.report.reason, device.report.verdict,     \
                     device_violation(&device));                                                   \
    } while (0)

static uint32_t size_of(uint32_t units)
{
    return units * device.shape.unit - 300; /* the last unit is not full */
}

/* Where the image that was in the primary lies after a finished swap of an image at `base`. */
static unsigned other_base(unsigned base)
{
    const uint32_t k = now->k_old > now->k_new ? now->k_old : now->k_new;
    const bool inplace = now->differs == 0 && 2 * 2 <= k;
    if (inplace)
        return base;
    return base != 0 ? 0 : now->spares;
}

static bool keeps_old(void)
{
    return now->strategy != &kedge_overwrite && now->event != LOST_PRIMARY;
}

static bool old_is_kept(void)
{
    if (now->strategy == &kedge_backup)
        return device_has(&device, KEDGE_BACKUP, 0, &old_image);
    return device_has(&device, KEDGE_SECONDARY, other_base(now->base), &old_image);
}

static bool new_is_kept(void)
{
    return device_has(&device, KEDGE_SECONDARY, now->base, &new_image);
}

static enum device_outcome boot(void)
{
    boots++;
    return device_boot(&device);
}

static void boot_clean(unsigned major)
{
    require(boot() == DEVICE_BOOTED);
    require(device.report.version.major == major);
}

static void damage_primary(void)
{
    static const uint8_t zero[4] = {0};
    kedge_sim_poke(device.sim, KEDGE_INTERNAL, 100, kedge_bytes(zero, sizeof(zero)));
}

/* A world in which the next power-on is the interesting one. */
static void prepare(const struct scenario *s)
{
    const struct device_shape shape = {.unit = 512, .spares = s->spares, .strategy = s->strategy,
                                       .backup = s->strategy == &kedge_backup};
    now = s;
    device_open(&device, &shape);
    const struct device_image_spec old_spec = {.size = size_of(s->k_old), .fill = 250, .major = 1,
                                               .differs = s->differs};
    const struct device_image_spec new_spec = {.size = size_of(s->k_new), .fill = 250, .major = 2,
                                               .differs = s->differs};
    device_image_make(&device, &old_image, &old_spec);
    device_image_make(&device, &new_image, &new_spec);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    strcpy(where, "preparing");
    boot_clean(1);
    device_put(&device, KEDGE_SECONDARY, s->base, &new_image);
    if (s->event == SECOND_TRIAL)
        device.policy.value[KEDGE_POLICY_ATTEMPTS] = 2;
    if (s->event == WIPE)
        device.policy.value[KEDGE_POLICY_AFTER_CONFIRM] = 2;
    switch (s->event) {
    case ASK_TEST: device_request(&device, false); break;
    case ASK_PERMANENT: device_request(&device, true); break;
    case LOST_PRIMARY: damage_primary(); break;
    case ASK_BROKEN:
        device_request(&device, false);
        kedge_sim_decay(device.sim, KEDGE_EXTERNAL, s->base * device.shape.unit + 60, 3);
        break;
    case TORN_REQUEST:
        device_request(&device, false);
        kedge_sim_decay(device.sim, KEDGE_EXTERNAL, device.shape.sectors * device.shape.unit - 3, 9);
        break;
    default:
        device_request(&device, false);
        boot_clean(2);
        require(device.report.reason == KEDGE_REASON_TESTING);
        if (s->event == CONFIRM || s->event == WIPE)
            device_confirm(&device);
        if (s->event == ASK_IN_TRIAL)
            device_request(&device, true);
        break;
    }
    start = kedge_sim_snapshot_make(device.sim);
}

static void finish(void)
{
    kedge_sim_snapshot_free(start);
    device_close(&device);
}

/* A boot without anything to do writes nothing. A torn SEAL may have read as whole once and not
 * again: then one more power-on makes the state its own first. */
static void quiet_boot(unsigned major)
{
    kedge_sim_arm(device.sim, NULL);
    boot_clean(major);
    if (kedge_sim_operations(device.sim) == 0)
        return;
    kedge_sim_arm(device.sim, NULL);
    boot_clean(major);
    require(kedge_sim_operations(device.sim) == 0);
}

/* After a test boot: first what it must look like, then the revert, then quiet. */
static void check_trial(bool used_up)
{
    if (used_up && device.report.version.major == 1) {
        require(device.report.reason == KEDGE_REASON_REVERTED);
    } else {
        require(device.report.version.major == 2);
        require(device.report.reason == KEDGE_REASON_TESTING);
        require(device_has(&device, KEDGE_PRIMARY, 0, &new_image));
        require(old_is_kept());
        require(device_mailbox_blank(&device));
        kedge_sim_arm(device.sim, NULL);
        boot_clean(1);
        require(device.report.reason == KEDGE_REASON_REVERTED);
    }
    require(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
    require(new_is_kept());
}

/* The device has settled: is everything as it must be? used_up: power was cut at the last operation
 * before a jump, the one moment that may cost a trial. */
static void check(bool used_up)
{
    const unsigned major = device.report.version.major;
    switch (now->event) {
    case ASK_TEST:
        if (keeps_old()) {
            check_trial(used_up);
            quiet_boot(1);
            break;
        }
        /* without an old image to go back to a test is permanent */
        /* fall through */
    case ASK_PERMANENT:
        require(major == 2);
        require(device_has(&device, KEDGE_PRIMARY, 0, &new_image));
        require(!keeps_old() || old_is_kept());
        quiet_boot(2);
        break;
    case REVERT:
    case ASK_IN_TRIAL:
        require(major == 1);
        require(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
        require(new_is_kept());
        quiet_boot(1);
        break;
    case CONFIRM:
        require(major == 2);
        require(old_is_kept());
        quiet_boot(2);
        break;
    case WIPE:
        require(major == 2);
        require(!old_is_kept());
        quiet_boot(2);
        break;
    case SECOND_TRIAL:
        require(major == 2 || used_up);
        if (major == 2)
            boot_clean(1);
        require(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
        require(new_is_kept());
        quiet_boot(1);
        break;
    case LOST_PRIMARY:
        require(major == 2);
        quiet_boot(2);
        break;
    case ASK_BROKEN:
    case TORN_REQUEST:
        require(major == 1);
        quiet_boot(1);
        break;
    }
    require(device_mailbox_blank(&device));
    require(kedge_sim_violations(device.sim) == 0);
}

static void arm(uint32_t at, const struct cut_kind *kind, uint64_t seed, uint8_t weak)
{
    const struct kedge_sim_faults faults = {
        .seed = seed,
        .cut_at = at,
        .cut_kind = kind->kind,
        .torn_program = kind->program,
        .torn_erase = kind->erase,
        .weak = weak,
    };
    kedge_sim_arm(device.sim, &faults);
}

/* No more cuts; the weak bits stay as they are. */
static void disarm(uint64_t seed, uint8_t weak)
{
    const struct kedge_sim_faults faults = {.seed = seed, .weak = weak};
    kedge_sim_arm(device.sim, &faults);
}

static void settle(void)
{
    unsigned lives = 0;
    while (boot() == DEVICE_CUT)
        require(++lives < LIVES);
    require(device.report.boots != 0);
}

static void recover_with_cuts(uint32_t first, bool used_up, uint64_t seed, uint8_t weak)
{
    struct kedge_sim_snapshot *torn = kedge_sim_snapshot_make(device.sim);
    disarm(seed, weak);
    settle();
    const uint32_t count = kedge_sim_operations(device.sim);
    for (uint32_t n = 1; n <= count; n++)
        for (size_t k = 0; k < KINDS; k++) {
            kedge_sim_restore(device.sim, torn);
            arm(n, &kinds[k], seed + n, weak);
            snprintf(where, sizeof(where), "cut %u, then %u of %u, kind %zu, seed %u, weak %u",
                     first, n, count, k, (unsigned)seed, weak);
            /* weak bits may have made this recovery shorter */
            const bool cut = boot() == DEVICE_CUT;
            if (cut)
                settle();
            runs++;
            check(used_up || n == count || (cut && n >= kedge_sim_operations(device.sim)));
        }
    kedge_sim_snapshot_free(torn);
}

static uint32_t count_operations(void)
{
    strcpy(where, "no cut");
    kedge_sim_arm(device.sim, NULL);
    require(boot() == DEVICE_BOOTED);
    const uint32_t count = kedge_sim_operations(device.sim);
    check(false);
    return count;
}

static void run_scenario(const struct scenario *s, bool twice)
{
    prepare(s);
    const uint64_t before = runs;
    const uint32_t count = count_operations();
    for (uint8_t weak = 0; weak < 2; weak++)
        for (uint32_t n = 1; n <= count; n++)
            for (size_t k = 0; k < KINDS; k++) {
                const uint64_t seed = n * KINDS + k;
                kedge_sim_restore(device.sim, start);
                arm(n, &kinds[k], seed, weak);
                snprintf(where, sizeof(where), "cut %u of %u, kind %zu, weak %u", n, count, k, weak);
                require(boot() == DEVICE_CUT);
                if (twice) {
                    recover_with_cuts(n, n == count, seed, weak);
                    continue;
                }
                settle();
                runs++;
                check(n == count);
            }
    print_message("%-30s %4u operations %8llu runs\n", s->name, count,
                  (unsigned long long)(runs - before));
    finish();
}

static void test_one_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < SCENARIOS; i++)
        run_scenario(&scenarios[i], false);
    print_message("%llu runs, %llu boots\n", (unsigned long long)runs, (unsigned long long)boots);
}

static void test_a_cut_in_every_recovery(void **state)
{
    (void)state;
    for (size_t i = 0; i < SCENARIOS; i++)
        if (scenarios[i].twice)
            run_scenario(&scenarios[i], true);
    print_message("%llu runs, %llu boots\n", (unsigned long long)runs, (unsigned long long)boots);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_cut_anywhere),
        cmocka_unit_test(test_a_cut_in_every_recovery),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
