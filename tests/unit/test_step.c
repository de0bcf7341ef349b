/* If this fails, the program of an update copies a wrong unit, writes outside a slot, or works more
 * than the units that differ need: the rows of SWAP.md 5.2, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/swap.h"

#define UNITS 20

static uint8_t plan[KEDGE_PLAN_TABLES + 8 * UNITS];

static void make(unsigned method, unsigned k_old, unsigned k_new, unsigned base, unsigned old_base)
{
    memset(plan, 0, sizeof(plan));
    plan[KEDGE_PLAN_UNITS] = UNITS;
    plan[KEDGE_PLAN_TYPE] = KEDGE_TYPE_TEST;
    plan[KEDGE_PLAN_METHOD] = (uint8_t)method;
    plan[KEDGE_PLAN_K_OLD] = (uint8_t)k_old;
    plan[KEDGE_PLAN_K_NEW] = (uint8_t)k_new;
    plan[KEDGE_PLAN_BASE] = (uint8_t)base;
    plan[KEDGE_PLAN_OLD_BASE] = (uint8_t)old_base;
    plan[KEDGE_PLAN_SPARE] = (uint8_t)(base != 0 ? 0 : kedge_plan_k(plan));
}

static void equal(unsigned i)
{
    plan[KEDGE_PLAN_SAME + i / 8] |= (uint8_t)(1u << i % 8);
}

static void expect(unsigned pc, unsigned from_slot, unsigned from, unsigned to_slot, unsigned to,
                   unsigned index, bool old)
{
    struct kedge_copy copy;
    assert_true(kedge_step(plan, pc, &copy));
    assert_int_equal(copy.from_slot, from_slot);
    assert_int_equal(copy.from, from);
    assert_int_equal(copy.to_slot, to_slot);
    assert_int_equal(copy.to, to);
    assert_int_equal(copy.index, index);
    assert_int_equal(copy.old, old);
}

static void expect_nothing(unsigned pc)
{
    struct kedge_copy copy;
    assert_false(kedge_step(plan, pc, &copy));
}

static unsigned copies(void)
{
    struct kedge_copy copy;
    unsigned count = 0;
    for (unsigned pc = 0; pc <= 3 * UNITS + 5; pc++)
        count += kedge_step(plan, pc, &copy);
    return count;
}

static void test_toggle_down(void **state)
{
    (void)state;
    make(KEDGE_METHOD_TOGGLE, 3, 2, 0, 2);
    expect_nothing(0);
    expect(1, KEDGE_PRIMARY, 2, KEDGE_SECONDARY, 4, 2, true);
    expect_nothing(2); /* the new image has no unit 2 */
    expect(4, KEDGE_PRIMARY, 1, KEDGE_SECONDARY, 3, 1, true);
    expect(5, KEDGE_SECONDARY, 1, KEDGE_PRIMARY, 1, 1, false);
    expect_nothing(6);
    expect(7, KEDGE_PRIMARY, 0, KEDGE_SECONDARY, 2, 0, true);
    expect(8, KEDGE_SECONDARY, 0, KEDGE_PRIMARY, 0, 0, false);
    expect_nothing(10);
    assert_int_equal(kedge_step_clear(plan), 0);
}

static void test_toggle_up_keeps_equal_units(void **state)
{
    (void)state;
    make(KEDGE_METHOD_TOGGLE, 3, 3, 1, 0);
    equal(1);
    expect(1, KEDGE_PRIMARY, 0, KEDGE_SECONDARY, 0, 0, true);
    expect(2, KEDGE_SECONDARY, 1, KEDGE_PRIMARY, 0, 0, false);
    expect(4, KEDGE_PRIMARY, 1, KEDGE_SECONDARY, 1, 1, true);
    expect_nothing(5); /* equal: saved, not loaded */
    assert_int_equal(copies(), 5);
    assert_int_equal(kedge_step_clear(plan), -1); /* its header was overwritten */
    make(KEDGE_METHOD_TOGGLE, 1, 3, 2, 0);
    assert_int_equal(kedge_step_clear(plan), 2); /* the old one is too short to do that */
}

static void test_inplace_works_on_what_differs(void **state)
{
    (void)state;
    make(KEDGE_METHOD_INPLACE, 4, 3, 0, 0);
    equal(0);
    equal(2);
    assert_int_equal(copies(), 3 + 1);
    expect(4, KEDGE_PRIMARY, 1, KEDGE_SECONDARY, 4, 1, true);
    expect(5, KEDGE_SECONDARY, 1, KEDGE_PRIMARY, 1, 1, false);
    expect(6, KEDGE_SECONDARY, 4, KEDGE_SECONDARY, 1, 1, true);
    expect(10, KEDGE_PRIMARY, 3, KEDGE_SECONDARY, 3, 3, true); /* of the old image alone */
    expect_nothing(11);
    expect_nothing(12);
    make(KEDGE_METHOD_INPLACE, 1, 2, 2, 2);
    expect(1, KEDGE_PRIMARY, 0, KEDGE_SECONDARY, 0, 0, true);
    expect(3, KEDGE_SECONDARY, 0, KEDGE_SECONDARY, 2, 0, true);
    expect_nothing(4); /* of the new image alone */
    expect(5, KEDGE_SECONDARY, 3, KEDGE_PRIMARY, 1, 1, false);
    assert_int_equal(kedge_step_clear(plan), 0);
}

static void test_overwrite_and_backup(void **state)
{
    (void)state;
    make(KEDGE_METHOD_OVERWRITE, 2, 2, 1, 1);
    assert_int_equal(copies(), 2);
    expect(2, KEDGE_SECONDARY, 1, KEDGE_PRIMARY, 0, 0, false);
    make(KEDGE_METHOD_BACKUP, 2, 2, 0, 0);
    plan[KEDGE_PLAN_BACKED] = 1;
    assert_int_equal(copies(), 3);
    expect(4, KEDGE_PRIMARY, 1, KEDGE_BACKUP, 1, 1, true);
    kedge_plan_reverse(plan);
    assert_int_equal(copies(), 2);
    expect(2, KEDGE_BACKUP, 0, KEDGE_PRIMARY, 0, 0, false);
}

static void test_restore_undoes_the_loads_that_began(void **state)
{
    (void)state;
    make(KEDGE_METHOD_TOGGLE, 3, 3, 0, 1);
    kedge_put_le16(plan + KEDGE_PLAN_PC, 5); /* load of unit 1 failed */
    kedge_plan_start(plan, KEDGE_TYPE_RESTORE, 0);
    assert_int_equal(copies(), 2);
    expect(2, KEDGE_SECONDARY, 3, KEDGE_PRIMARY, 2, 2, true);
    expect(5, KEDGE_SECONDARY, 2, KEDGE_PRIMARY, 1, 1, true);
    make(KEDGE_METHOD_INPLACE, 3, 3, 0, 0);
    kedge_put_le16(plan + KEDGE_PLAN_PC, 6); /* the way back from the spare failed */
    kedge_plan_start(plan, KEDGE_TYPE_RESTORE, 0);
    expect(2, KEDGE_SECONDARY, 0, KEDGE_PRIMARY, 0, 0, true);
    expect(5, KEDGE_SECONDARY, 3, KEDGE_PRIMARY, 1, 1, true);
    assert_int_equal(copies(), 2);
}

static void test_reverse_is_its_own_inverse(void **state)
{
    uint8_t before[sizeof(plan)];
    (void)state;
    for (unsigned method = 0; method < KEDGE_METHODS; method++) {
        make(method, 7, 4, 0, 2);
        for (size_t i = KEDGE_PLAN_SIZE_OLD; i < sizeof(plan); i++)
            plan[i] = (uint8_t)(i * 7 + 1);
        plan[KEDGE_PLAN_UNITS] = UNITS;
        memcpy(before, plan, sizeof(plan));
        kedge_plan_reverse(plan);
        assert_memory_not_equal(before, plan, sizeof(plan));
        kedge_plan_reverse(plan);
        assert_memory_equal(before, plan, sizeof(plan));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toggle_down),
        cmocka_unit_test(test_toggle_up_keeps_equal_units),
        cmocka_unit_test(test_inplace_works_on_what_differs),
        cmocka_unit_test(test_overwrite_and_backup),
        cmocka_unit_test(test_restore_undoes_the_loads_that_began),
        cmocka_unit_test(test_reverse_is_its_own_inverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
