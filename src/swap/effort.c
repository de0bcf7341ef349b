/* What the loader did in this power-on, for the history. A hook: a loader without a recorder does
 * not carry it. */
#include "kedge/swap.h"

#define PAGE 256u

/* Counts since the recorder began. */
static void count(const struct kedge_boot_hooks *hooks, const struct kedge_recorder *recorder,
                  uint32_t now[KEDGE_EFFORTS])
{
    const struct kedge_counts in = kedge_recorder_total(recorder, KEDGE_INTERNAL);
    const struct kedge_counts ex = kedge_recorder_total(recorder, KEDGE_EXTERNAL);
    now[KEDGE_EFFORT_ERASES_INTERNAL] = in.erases;
    now[KEDGE_EFFORT_ERASES_EXTERNAL] = ex.erases;
    now[KEDGE_EFFORT_PAGES_INTERNAL] = in.program_bytes;
    now[KEDGE_EFFORT_PAGES_EXTERNAL] = ex.program_bytes;
    now[KEDGE_EFFORT_RETRIES] = 0;
    now[KEDGE_EFFORT_REPAIRED] = 0;
    now[KEDGE_EFFORT_TIME] = hooks->now_ms != NULL ? hooks->now_ms(hooks->ctx) : 0;
}

/* How many of the counts are one of the record's. */
static uint32_t grain(unsigned effort)
{
    if (effort == KEDGE_EFFORT_TIME)
        return 10;
    return effort / 2 == KEDGE_EFFORT_PAGES_INTERNAL / 2 ? PAGE : 1;
}

void kedge_history_begin(const struct kedge_boot_hooks *hooks,
                         const struct kedge_recorder *recorder)
{
    count(hooks, recorder, hooks->before);
}

void kedge_history_effort(struct kedge_engine *engine)
{
    const uint32_t *before = engine->hooks->before;
    uint32_t now[KEDGE_EFFORTS];
    count(engine->hooks, engine->recorder, now);
    now[KEDGE_EFFORT_RETRIES] = engine->retries;
    now[KEDGE_EFFORT_REPAIRED] = engine->repaired;
    for (unsigned i = 0; i < KEDGE_EFFORTS; i++) {
        const uint8_t *at =
            kedge_history_newest(engine->plan) + KEDGE_HISTORY_EFFORTS + 2 * (size_t)i;
        const uint32_t sum = kedge_le16(at) + (now[i] - before[i] + grain(i) - 1) / grain(i);
        if (now[i] != before[i])
            (void)kedge_engine_log(engine, KEDGE_RECORD_EFFORT + i, sum < 0xFFFF ? sum : 0xFFFF);
    }
}
