/* Kinds of cut that sweeps go through: before, after, and inside with each that a torn program and
 * a torn erase may leave (an operation is one of both). */
#ifndef KEDGE_TEST_CUT_KINDS_H
#define KEDGE_TEST_CUT_KINDS_H

#include "sim.h"

#define CUT_KINDS       7u
#define CUT_KIND_HIDDEN 4u /* the torn word reads as if it had not been touched */

static inline struct kedge_sim_faults cut_kind_faults(size_t kind, uint32_t at, uint64_t seed,
                                                      uint8_t weak)
{
    static const struct {
        uint8_t kind, program, erase;
    } kinds[CUT_KINDS] = {
        {KEDGE_SIM_CUT_BEFORE, 0, 0},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SUBSET, KEDGE_SIM_ERASE_OLD},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_UNSTABLE, KEDGE_SIM_ERASE_MIX},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SPARSE, KEDGE_SIM_ERASE_ZERO},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_HIDDEN, KEDGE_SIM_ERASE_WEAK},
        {KEDGE_SIM_CUT_TORN, KEDGE_SIM_PROGRAM_SPARSE, KEDGE_SIM_ERASE_SPARSE},
        {KEDGE_SIM_CUT_AFTER, 0, 0},
    };
    return (struct kedge_sim_faults){.seed = seed,
                                     .cut_at = at,
                                     .cut_kind = kinds[kind].kind,
                                     .torn_program = kinds[kind].program,
                                     .torn_erase = kinds[kind].erase,
                                     .weak = weak};
}

#endif
