/* The swap engine. step() is pure: it maps a plan and a program counter to one copy. run() is the
 * only one that touches flash: erase, program, read back, then log; always in this order.
 *
 *   pc   0     1 .. 3k                   3k+1    3k+2   3k+3     3k+4
 *        MAIL  unit t, h = save/load/2nd VERIFY  CLEAR  TRAILER  END   */
#ifndef KEDGE_SWAP_H
#define KEDGE_SWAP_H

#include "kedge/journal.h"
#include "kedge/plan.h"
#include "kedge/recorder.h"

/* A strategy is data: which methods a plan may use. A port names one; INSTALL, REVERT and RESTORE
 * follow from it. */
struct kedge_strategy {
    uint8_t method; /* when most units differ */
    uint8_t sparse; /* when at most half of them do */
};
extern const struct kedge_strategy kedge_swap, kedge_overwrite, kedge_backup;

struct kedge_boot_hooks {
    void (*feed)(void *ctx); /* watchdog; in every bounded loop */
    void (*progress)(void *ctx, uint32_t done, uint32_t total); /* steps of the program */
    void *ctx;
};

enum kedge_slot_name { KEDGE_PRIMARY, KEDGE_SECONDARY, KEDGE_BACKUP };

/* Unit `from` of slot from_slot goes to unit `to` of to_slot; the content is unit `index` of the
 * new or the old image. */
struct kedge_copy {
    uint8_t from_slot, to_slot;
    bool old; /* content: the old image's unit, else the new one's */
    uint16_t from, to, index;
};

/* Units of the longer image. */
static inline unsigned kedge_plan_k(const uint8_t *plan)
{
    return plan[KEDGE_PLAN_K_OLD] > plan[KEDGE_PLAN_K_NEW] ? plan[KEDGE_PLAN_K_OLD]
                                                           : plan[KEDGE_PLAN_K_NEW];
}

/* The copy of step `pc`. False: a no-op, or not a copy at all. */
bool kedge_step(const uint8_t *plan, unsigned pc, struct kedge_copy *copy);

/* The unit of the secondary that step CLEAR erases, so that nobody takes a left-over header for an
 * image: -1 when there is none. */
int kedge_step_clear(const uint8_t *plan);

/* Everything the engine works with; memory of the caller. */
struct kedge_engine {
    const struct kedge_pair *pair;
    const struct kedge_boot_hooks *hooks; /* NULL: none */
    struct kedge_recorder *recorder;      /* NULL: none */
    struct kedge_buf unit;                /* one unit; the page is elsewhere */
    uint8_t *page;                        /* KEDGE_PAGE bytes */
    struct kedge_journal journal;         /* body.at is the plan */
    struct kedge_verify verify;           /* keys; result of the last look */
    uint8_t trusted[KEDGE_DIGEST_MAX];    /* digest that a signature vouched for in this power-on */
    uint8_t trusted_size;                 /* 0: none */
    bool compare;                         /* tap: also compare with the primary */
    bool old;                             /* tap: fill crc_old instead of crc_new */
    bool ahead;                           /* the next copy was made while the last one was */
    bool checked;                         /* step VERIFY of the last run found the primary good */
    bool resumed;      /* this power-on goes on with a program of an earlier one */
    uint32_t tail_crc; /* tap: over the bytes behind the hashed ones */
    uint32_t retries, repaired;
};
#define KEDGE_PAGE 256u

const struct kedge_slot *kedge_engine_slot(const struct kedge_engine *engine, unsigned name);

/* Bytes of the new or old image in its unit i; 0 behind its end. */
uint32_t kedge_engine_bytes(const struct kedge_engine *engine, bool old, unsigned i);

/* Switch the recorder's phase; -> the one before. */
uint8_t kedge_engine_phase(const struct kedge_engine *engine, uint8_t phase);

/* Record a fact in the plan and in the log; takes over when this power-on may not append (J2) or
 * the log is full. */
int kedge_engine_log(struct kedge_engine *engine, uint16_t kind, uint16_t value);

/* Parse, hash and check the signature of the image at `base` of a slot; engine->verify has the
 * details. tables: fill crc_new (or crc_old when engine->old) and, when engine->compare, `same`,
 * from exactly the bytes that were authenticated; the unhashed TLVs are read twice. */
enum kedge_verdict kedge_engine_look(struct kedge_engine *engine, unsigned name, uint8_t base,
                                     bool tables);

/* Read unit copy->from until its CRC is right: up to 4 reads, then the repair of one bit. */
int kedge_engine_fetch(struct kedge_engine *engine, const struct kedge_copy *copy);

/* Is the unit at region offset `at` blank? Up to 3 readings. */
int kedge_engine_blank(struct kedge_engine *engine, unsigned name, uint32_t at, bool *blank);

/* Erase the unit at region offset `at` and see it blank. Up to 3 tries. */
int kedge_engine_wipe(struct kedge_engine *engine, unsigned name, uint32_t at);

/* Write the primary's trailer for a plan of this type: erase, flags, magic last; read back. */
int kedge_engine_trailer(struct kedge_engine *engine, uint8_t type);

/* True when the primary's trailer reads the same 8 times; its tail is in engine->unit then. */
bool kedge_engine_tail(struct kedge_engine *engine);

/* True when the primary's trailer steadily says: an image on trial, not confirmed. */
bool kedge_engine_on_trial(struct kedge_engine *engine);

/* Run the program from the plan's pc to its end. 0: done, the state is TRIAL or IDLE. Else a step
 * failed after all its retries, pc points at it, and nothing needed was destroyed. */
int kedge_engine_run(struct kedge_engine *engine);

/* Plans, made in the RAM copy only; kedge_journal_take_over() makes them durable.
 * candidate: authenticate every base of the secondary (3 passes), fill the tables and choose; the
 * old image's half must be there already (look with engine->old) unless `install`.
 * -> verdict of the candidate; GOOD: base, k_new, ... are set. */
struct kedge_rules {
    const struct kedge_strategy *strategy;
    bool install;      /* no old image to keep; the backup is looked at too */
    bool refuse_older; /* policy downgrade = refuse */
};
enum kedge_verdict kedge_plan_candidate(struct kedge_engine *engine,
                                        const struct kedge_rules *rules);
/* Copy what engine->verify found about the primary into the plan's old half. */
void kedge_plan_old(struct kedge_engine *engine);
/* Start a program of `type` at pc 0. */
void kedge_plan_start(uint8_t *plan, uint8_t type, uint8_t flags);
/* Is every unit that a revert would load intact? KEDGE_E_SOURCE when not, or a flash error. */
int kedge_plan_old_intact(struct kedge_engine *engine);

#endif
