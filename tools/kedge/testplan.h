/* The executable test plan: the test plans that this field has published, as named cases. A case is
 * a function that makes a whole device in memory (testplan_rig.h), puts images into it, lets the
 * real loader and agent run, cuts their power, and compares both slots byte by byte. Names are
 * those of MCUboot's simulator where it has such a case. */
#ifndef KEDGE_TOOL_TESTPLAN_H
#define KEDGE_TOOL_TESTPLAN_H

#include <stddef.h>

struct rig;

struct testplan_case {
    const char *name;
    const char *proves; /* one sentence */
    void (*run)(struct rig *rig);
};

struct testplan_part {
    const char *title;
    const struct testplan_case *cases;
    size_t count;
};

extern const struct testplan_part testplan_candidates, testplan_swaps, testplan_trials,
    testplan_faults;

#endif
