/* A small seedable random source (splitmix64): the same seed gives the same bytes on every machine.
 * Simulator and tests share it; nothing in it is fit for keys. */
#ifndef KEDGE_RANDOM_H
#define KEDGE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct kedge_random {
    uint64_t state;
};

/* A well-mixed value of `x`: the step function of splitmix64, usable as a hash of a counter. */
static inline uint64_t kedge_random_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

static inline uint64_t kedge_random_next(struct kedge_random *random)
{
    random->state += 0x9E3779B97F4A7C15ull;
    return kedge_random_mix(random->state);
}

/* 0 <= result < limit; limit > 0. */
static inline uint32_t kedge_random_below(struct kedge_random *random, uint32_t limit)
{
    return (uint32_t)(((kedge_random_next(random) >> 32) * limit) >> 32);
}

static inline void kedge_random_fill(struct kedge_random *random, uint8_t *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(kedge_random_next(random) >> 24);
}

#endif
