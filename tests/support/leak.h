/* Looks for secrets where none may be: on the external flash. */
#ifndef KEDGE_TEST_LEAK_H
#define KEDGE_TEST_LEAK_H

#include "kedge/base.h"

#define LEAK_WINDOW 16u
#define LEAK_VALUES 8u /* different bytes in a window that is worth hiding */
#define LEAK_SLOTS  (1u << 18)

struct leak {
    uint32_t count;
    uint64_t windows[LEAK_SLOTS]; /* hashes of windows; 0: free */
};

/* No secrets yet. */
void leak_clear(struct leak *leak);

/* Every window of `secret` that has at least LEAK_VALUES different bytes. */
void leak_add(struct leak *leak, struct kedge_bytes secret);

/* Offset of the first window of `in` that is a secret; SIZE_MAX: none. (By 64-bit hashes: a chance
 * hit in a test run has the odds of 2^-30.) */
size_t leak_find(const struct leak *leak, struct kedge_bytes in);

#endif
