/* Policies: words, limits, locks, and a `policy set` under power cuts. If this fails, a device
 * forgets that it was told to hold, or wakes up with a policy that nobody chose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/sim.h"
#include "kedge/policy.h"

struct board {
    struct kedge_sim *sim;
    struct kedge_flash flash;
    struct kedge_region settings;
    struct kedge_policy policy;
};

static void board_make(struct board *b)
{
    const struct kedge_sim_part internal = kedge_sim_small_internal(8192, 4096);
    const struct kedge_sim_part external = kedge_sim_small_external(65536, 4096);
    const struct kedge_sim_config config = {
        .internal = &internal, .external = &external, .time = KEDGE_SIM_TIME_NONE, .seed = 1};
    char why[160];

    memset(b, 0, sizeof *b);
    b->sim = kedge_sim_create(&config, why);
    assert_non_null(b->sim);
    kedge_sim_flash(b->sim, KEDGE_INTERNAL, &b->flash);
    b->settings = (struct kedge_region){.flash = &b->flash, .start = 0, .size = 8192};
    b->policy = kedge_policy_default;
}

static void board_free(struct board *b)
{
    assert_int_equal(kedge_sim_violations(b->sim), 0);
    kedge_sim_destroy(b->sim);
}

static struct kedge_policy load(const struct board *b)
{
    struct kedge_policy policy;

    kedge_policy_load(&b->settings, &kedge_policy_default, &policy);
    return policy;
}

static struct kedge_bytes text(const char *word)
{
    return kedge_bytes(word, strlen(word));
}

/* PRODUCT.md's table, literally. */
static void words_are_the_products(void **state)
{
    static const struct {
        const char *key, *value;
        int k, v;
    } table[] = {
        {"after_confirm", "keep", 0, 0},
        {"after_confirm", "trailer", 0, 1},
        {"after_confirm", "wipe", 0, 2},
        {"hold", "off", 1, 0},
        {"hold", "on", 1, 1},
        {"hold", "for-1", 1, 2},
        {"hold", "for-15", 1, 16},
        {"attempts", "1", 2, 1},
        {"attempts", "9", 2, 9},
        {"attempts", "10", 2, 10},
        {"attempts", "15", 2, 15},
        {"erase_pending", "allow", 3, 0},
        {"erase_pending", "refuse", 3, 1},
        {"downgrade", "allow", 4, 0},
        {"downgrade", "refuse", 4, 1},
        {"confidential", "off", 5, 0},
        {"confidential", "on", 5, 1},
    };
    static const char *const wrong[][2] = {
        {"attempts", "0"},      {"attempts", "16"},       {"attempts", "01"},
        {"attempts", ""},       {"attempts", "1 "},       {"hold", "ON"},
        {"hold", "o"},          {"hold", "offf"},         {"hold", "1"},
        {"hold", "allow"},      {"after_confirm", "wip"}, {"downgrade", "on"},
        {"attempts", "999999"}, {"attempts", "-1"},       {"hold", "for-0"},
        {"hold", "for-16"},     {"hold", "for-"},         {"hold", "for-01"},
    };
    static const char *const unknown[] = {"", "hol", "holds", "HOLD", "attempts ", "\n"};
    enum kedge_policy_key k;
    uint8_t v;
    char word[8];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(kedge_policy_parse(text(table[i].key), text(table[i].value), &k, &v), 0);
        assert_int_equal(k, table[i].k);
        assert_int_equal(v, table[i].v);
        assert_string_equal(kedge_policy_key_text(k), table[i].key);
        assert_int_equal(kedge_policy_value_text(k, v, word), strlen(table[i].value));
        assert_string_equal(word, table[i].value);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(kedge_policy_parse(text(wrong[i][0]), text(wrong[i][1]), &k, &v),
                         KEDGE_E_FORMAT);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(kedge_policy_parse(text(unknown[i]), text("on"), &k, &v), KEDGE_E_NONE);
    assert_null(kedge_policy_key_text(KEDGE_POLICY_KEYS));
    assert_int_equal(kedge_policy_value_text(KEDGE_POLICY_HOLD, 17, word), 0);
    assert_string_equal(word, "");
}

/* [S-2] A device without settings, or with trash there, runs by the build's defaults. */
static void unreadable_means_defaults(void **state)
{
    const struct kedge_region none = {0};
    struct kedge_policy policy;
    struct board b;

    (void)state;
    board_make(&b);
    policy = load(&b);
    assert_memory_equal(&policy, &kedge_policy_default, sizeof policy);
    kedge_sim_fill(b.sim, KEDGE_INTERNAL, 0x00);
    policy = load(&b);
    assert_memory_equal(&policy, &kedge_policy_default, sizeof policy);
    kedge_policy_load(&none, &kedge_policy_default, &policy);
    assert_memory_equal(&policy, &kedge_policy_default, sizeof policy);
    assert_int_equal(kedge_policy_store(&none, &policy, KEDGE_POLICY_HOLD, 1), KEDGE_E_UNSUPPORTED);
    assert_int_equal(kedge_policy_settle(&none), 0);
    assert_int_equal(policy.value[KEDGE_POLICY_HOLD], 0);
    board_free(&b);
}

/* Every key and value survives a power cycle, and setting one leaves the others. */
static void stored_is_loaded(void **state)
{
    struct kedge_policy policy;
    struct board b;

    (void)state;
    board_make(&b);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned key = 0; key < KEDGE_POLICY_KEYS; key++) {
            for (unsigned value = 0; value < 256; value++) {
                const bool fine = kedge_policy_allows(key, (uint8_t)value);
                const int rc = kedge_policy_store(&b.settings, &b.policy,
                                                  (enum kedge_policy_key)key, (uint8_t)value);

                assert_int_equal(rc, fine ? 0 : KEDGE_E_FORMAT);
                policy = load(&b);
                assert_memory_equal(&policy, &b.policy, sizeof policy);
                if (fine)
                    assert_int_equal(policy.value[key], value);
            }
        }
    }
    assert_int_equal(kedge_policy_store(&b.settings, &b.policy, KEDGE_POLICY_KEYS, 0),
                     KEDGE_E_FORMAT);
    board_free(&b);
}

/* A fleet tool that sets the same policy every hour must not wear the flash out. */
static void setting_the_same_writes_nothing(void **state)
{
    struct board b;

    (void)state;
    board_make(&b);
    assert_int_equal(kedge_policy_store(&b.settings, &b.policy, KEDGE_POLICY_HOLD, 1), 0);
    kedge_sim_arm(b.sim, NULL);
    assert_int_equal(kedge_policy_store(&b.settings, &b.policy, KEDGE_POLICY_HOLD, 1), 0);
    assert_int_equal(kedge_policy_settle(&b.settings), 0);
    (void)load(&b);
    assert_int_equal(kedge_sim_operations(b.sim), 0);
    board_free(&b);
}

/* [S-4] A locked key cannot be set, and what was stored before the lock does not count. */
static void locks_hold(void **state)
{
    struct kedge_policy locked = kedge_policy_default, policy;
    struct board b;

    (void)state;
    board_make(&b);
    assert_int_equal(kedge_policy_store(&b.settings, &b.policy, KEDGE_POLICY_DOWNGRADE, 1), 0);
    assert_int_equal(kedge_policy_store(&b.settings, &b.policy, KEDGE_POLICY_HOLD, 1), 0);
    locked.locked = 1u << KEDGE_POLICY_DOWNGRADE;
    kedge_policy_load(&b.settings, &locked, &policy);
    assert_int_equal(policy.value[KEDGE_POLICY_DOWNGRADE], 0);
    assert_int_equal(policy.value[KEDGE_POLICY_HOLD], 1);
    kedge_sim_arm(b.sim, NULL);
    assert_int_equal(kedge_policy_store(&b.settings, &policy, KEDGE_POLICY_DOWNGRADE, 1),
                     KEDGE_E_REFUSED);
    assert_int_equal(kedge_sim_operations(b.sim), 0);
    board_free(&b);
}

/* After a cut inside `set attempts 7`: 3 or 7, and the other keys as they were. */
static uint8_t attempts_after(const struct board *b)
{
    const struct kedge_policy policy = load(b);

    assert_int_equal(policy.value[KEDGE_POLICY_HOLD], 1);
    assert_int_equal(policy.value[KEDGE_POLICY_AFTER_CONFIRM], 0);
    assert_int_equal(policy.value[KEDGE_POLICY_DOWNGRADE], 0);
    assert_true(policy.value[KEDGE_POLICY_ATTEMPTS] == 3 ||
                policy.value[KEDGE_POLICY_ATTEMPTS] == 7);
    return policy.value[KEDGE_POLICY_ATTEMPTS];
}

/* One cut, then the agent's start; returns whether the cut struck. */
static bool set_under_cut(struct board *b, const struct kedge_sim_snapshot *before,
                          const struct kedge_sim_faults *faults)
{
    const struct kedge_policy policy = b->policy;
    uint8_t settled;

    kedge_sim_restore(b->sim, before);
    kedge_sim_arm(b->sim, faults);
    kedge_sim_power_on(b->sim);
    (void)kedge_policy_store(&b->settings, &b->policy, KEDGE_POLICY_ATTEMPTS, 7);
    b->policy = policy;
    if (!kedge_sim_is_off(b->sim))
        return false;
    kedge_sim_power_on(b->sim);
    (void)attempts_after(b);
    kedge_sim_power_on(b->sim);
    assert_int_equal(kedge_policy_settle(&b->settings), 0);
    settled = attempts_after(b);
    for (unsigned boot = 0; boot < 3; boot++) {
        kedge_sim_power_on(b->sim);
        assert_int_equal(attempts_after(b), settled);
    }
    return true;
}

/* [S-3] A cut at any operation of a `set`, of any kind: the old value or the new one, never trash,
 * never another key's; and once the agent ran, the same at every boot. */
static void a_cut_leaves_old_or_new(void **state)
{
    static const uint8_t kinds[][3] = {
        {KEDGE_SIM_CUT_BEFORE, 0, 0},
        {KEDGE_SIM_CUT_AFTER, 0, 0},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SUBSET, KEDGE_SIM_ERASE_OLD},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_UNSTABLE, KEDGE_SIM_ERASE_MIX},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SPARSE, KEDGE_SIM_ERASE_SPARSE},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_HIDDEN, KEDGE_SIM_ERASE_WEAK},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SUBSET, KEDGE_SIM_ERASE_ZERO},
    };
    struct kedge_sim_snapshot *before;
    struct board b;
    unsigned struck = 0;

    (void)state;
    board_make(&b);
    assert_int_equal(kedge_policy_store(&b.settings, &b.policy, KEDGE_POLICY_HOLD, 1), 0);
    assert_int_equal(kedge_policy_store(&b.settings, &b.policy, KEDGE_POLICY_ATTEMPTS, 3), 0);
    before = kedge_sim_snapshot_make(b.sim);
    for (uint8_t weak = KEDGE_SIM_WEAK_CONSTANT; weak <= KEDGE_SIM_WEAK_RANDOM; weak++) {
        for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
            struct kedge_sim_faults faults = {.weak = weak,
                                              .cut_kind = kinds[kind][0],
                                              .torn_program = kinds[kind][1],
                                              .torn_erase = kinds[kind][2],
                                              .cut_at = 1};

            for (faults.seed = 1; set_under_cut(&b, before, &faults); faults.seed++) {
                faults.cut_at = 1 + (uint32_t)faults.seed / 8;
                struck++;
            }
        }
    }
    print_message("%u cuts\n", struck);
    assert_true(struck > 14 * 6 * 8);
    kedge_sim_snapshot_free(before);
    board_free(&b);
}

/* Bonds lie behind the policies: neither may lose the other, and a store that changes nothing costs
 * no erase. */
static void what_is_kept_and_policies_live_together(void **state)
{
    uint8_t kept[KEDGE_SETTINGS_KEPT];
    uint8_t found[KEDGE_SETTINGS_KEPT];
    struct board b;

    (void)state;
    board_make(&b);
    for (size_t i = 0; i < sizeof kept; i++) {
        kept[i] = (uint8_t)(i * 5 + 1);
    }
    assert_int_equal(kedge_settings_load(&b.settings, kedge_buf(found, sizeof found)),
                     KEDGE_E_NONE);
    assert_int_equal(kedge_policy_store(&b.settings, &b.policy, KEDGE_POLICY_HOLD, 1), 0);
    assert_int_equal(kedge_settings_store(&b.settings, kedge_bytes(kept, sizeof kept)), 0);
    assert_int_equal(kedge_policy_store(&b.settings, &b.policy, KEDGE_POLICY_ATTEMPTS, 3), 0);
    assert_int_equal(kedge_settings_load(&b.settings, kedge_buf(found, sizeof found)), 0);
    assert_memory_equal(found, kept, sizeof kept);
    assert_int_equal(load(&b).value[KEDGE_POLICY_HOLD], 1);
    assert_int_equal(load(&b).value[KEDGE_POLICY_ATTEMPTS], 3);
    kedge_sim_arm(b.sim, NULL); /* counts from here */
    assert_int_equal(kedge_settings_store(&b.settings, kedge_bytes(kept, 100)), 0);
    assert_int_equal(kedge_policy_settle(&b.settings), 0);
    assert_int_equal(kedge_sim_operations(b.sim), 0);
    board_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_the_products),
        cmocka_unit_test(unreadable_means_defaults),
        cmocka_unit_test(stored_is_loaded),
        cmocka_unit_test(setting_the_same_writes_nothing),
        cmocka_unit_test(locks_hold),
        cmocka_unit_test(a_cut_leaves_old_or_new),
        cmocka_unit_test(what_is_kept_and_policies_live_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
