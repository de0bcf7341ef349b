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

struct kedge_engine;
struct kedge_copy;
struct kedge_confidential;

/* A strategy: which methods a plan may use, and how a unit is stored. A port names one; INSTALL,
 * REVERT and RESTORE follow from it. */
struct kedge_strategy {
    uint8_t method; /* when most units differ */
    uint8_t sparse; /* when at most half of them do */
    uint16_t body;  /* bytes of the journal's BODY behind the plan's tables: 0 or KEDGE_PLAN_KEYS */
    /* Store the unit buffer at region offset `at` of the slot: the copy of the plan's pc. */
    int (*store)(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at,
                 uint32_t piece);
    /* Or NULL: before the plan in RAM becomes durable; may erase what neither it nor the last one
     * takes anything from. */
    void (*begin)(struct kedge_engine *engine);
    /* The verdict on the source: kedge_image_verify, or confidential.h's, which looks inside. The
     * tap's ctx is the engine. */
    enum kedge_verdict (*verify)(const struct kedge_source *source, struct kedge_verify *v);
    /* confidential.h's, or NULL: mask or unmask `data`, which lies `at` bytes into the copy's unit
     * as it is, or will be, outside of the primary. */
    int (*crypt)(struct kedge_engine *engine, const struct kedge_copy *copy, uint32_t at,
                 struct kedge_buf data);
    const struct kedge_confidential *confidential;
};
extern const struct kedge_strategy kedge_swap, kedge_overwrite, kedge_backup;
/* kedge_swap, one device at a time: less code, more time. */
extern const struct kedge_strategy kedge_swap_serial;

struct kedge_boot_hooks {
    void (*feed)(void *ctx); /* watchdog; in every bounded loop */
    void (*progress)(void *ctx, uint32_t done, uint32_t total); /* steps of the program */
    bool (*hold)(void *ctx);       /* requests wait in this boot: the battery is low */
    uint32_t (*now_ms)(void *ctx); /* for the history; may wrap */
    void *ctx;
    /* kedge_history_effort, where the history shall say what an update cost; before: its memory,
     * KEDGE_EFFORTS words that kedge_history_begin() fills before the boot. */
    void (*effort)(struct kedge_engine *engine);
    uint32_t *before;
};

enum kedge_slot_name { KEDGE_PRIMARY, KEDGE_SECONDARY, KEDGE_BACKUP };

/* Unit `from` of slot from_slot goes to unit `to` of to_slot; the content is unit `index` of the
 * new or the old image. */
struct kedge_copy {
    unsigned from_slot, from, to_slot, to, index;
    bool old; /* content: the old image's unit, else the new one's */
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
#define KEDGE_PAGE 256u
struct kedge_engine {
    uint8_t *plan; /* journal.body.at */
    const struct kedge_pair *pair;
    uint8_t *unit; /* unit_size bytes: exactly one unit */
    uint32_t unit_size;
    uint8_t *page; /* KEDGE_PAGE bytes */
    const struct kedge_strategy *strategy;
    const struct kedge_boot_hooks *hooks; /* NULL: none */
    struct kedge_recorder *recorder;      /* NULL: none */
    uint32_t retries, repaired;
    struct kedge_trailer_place place; /* of all slots of the pair */
    bool old;                         /* tap: fill crc_old, else crc_new and `same` */
    bool ahead;                       /* the next copy was made while the last one was */
    bool hollow;                      /* the first copy's place was erased ahead */
    bool checked;                     /* step VERIFY of the last run found the primary good */
    bool resumed;                     /* the program is one of an earlier power-on */
    bool refuse_older;                /* policy downgrade = refuse */
    uint8_t confidential; /* policy confidential = on: nothing plain leaves for the secondary */
    bool install;         /* a candidate comes without an old image to keep */
    bool equal;           /* one equal to the running image will do */
    struct kedge_slot_view
        view; /* of the last look; off the stack, on which signatures are computed */
    struct kedge_source source;
    struct kedge_verify verify;   /* keys; result of the last look */
    struct kedge_journal journal; /* body.at is the plan */
};

const struct kedge_slot *kedge_engine_slot(const struct kedge_engine *engine, unsigned name);

/* Bytes of the new or old image in its unit i; 0 behind its end. */
uint32_t kedge_engine_bytes(const struct kedge_engine *engine, bool old, unsigned i);

/* Switch the recorder's phase. */
void kedge_engine_phase(const struct kedge_engine *engine, uint8_t phase);

/* Record a fact in the plan and in the log; takes over when this power-on may not append (J2) or
 * the log is full. */
int kedge_engine_log(struct kedge_engine *engine, unsigned kind, unsigned value);

/* Parse, hash and check the signature of the image at `base` of a slot; engine->verify has the
 * details. The signature is not computed again for a digest that had a good one in this power-on.
 * tables: fill the old half and crc_old from the primary, which is only looked at for it
 * (look_only) unless the strategy masks; the new half, crc_new and, by comparing with the primary,
 * `same` from elsewhere, from exactly the bytes that were authenticated; the unhashed TLVs are read
 * twice. The half may be overwritten whatever the verdict. */
enum kedge_verdict kedge_engine_look(struct kedge_engine *engine, unsigned name, unsigned base,
                                     bool tables);

/* Read the copy's unit into the unit buffer until its CRC is right: up to 4 reads, then the repair
 * of one bit. What lies behind the image in it is filled as erased. */
int kedge_engine_fetch(struct kedge_engine *engine, const struct kedge_copy *copy);

/* Does the page `o` bytes into the unit at region offset `at` hold what the unit buffer has there?
 * One reading. */
bool kedge_engine_page_holds(struct kedge_engine *engine, const struct kedge_slot *slot,
                             uint32_t at, uint32_t o);

/* Does the unit at region offset `at` hold the unit buffer? A difference is read up to 3 times. */
bool kedge_engine_holds(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at);

/* Are the `size` bytes, a page at most, at region offset `at` erased? One reading. */
bool kedge_engine_blank(const struct kedge_engine *engine, const struct kedge_slot *slot,
                        uint32_t at, uint32_t size);

/* Unit buffer -> flash: erase, program what is not blank in pieces, read back; up to 3 times. The
 * plain store of a strategy. */
int kedge_engine_store(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at,
                       uint32_t piece);

/* Erase the unit and see it blank. Up to 3 tries. Leaves the unit buffer erased. */
int kedge_engine_wipe(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at);

/* The same for the mailbox sector. */
int kedge_engine_clear_mail(struct kedge_engine *engine);

/* Is the mailbox sector blank? Up to 3 readings, for one flipped bit on the bus makes a blank page
 * look written, never the other way round. Leaves the unit buffer erased. */
bool kedge_engine_no_mail(struct kedge_engine *engine);

/* Region offset of the sector of mailbox or trailer. */
static inline uint32_t kedge_engine_gap(const struct kedge_slot *slot)
{
    return slot->gap * slot->unit;
}

/* Write the primary's trailer for a plan of this type: erase, flags, magic last; read back. */
int kedge_engine_trailer(struct kedge_engine *engine, unsigned type);

/* True when the primary's trailer reads 8 times as the one of an image on trial, exactly: as it was
 * written, or with the application's word. */
bool kedge_engine_on_trial(struct kedge_engine *engine, bool confirmed);

/* Run the program from the plan's pc to its end. 0: done, the state is TRIAL or IDLE. Else a step
 * failed after all its retries, pc points at it, and nothing needed was destroyed. */
int kedge_engine_run(struct kedge_engine *engine);

/* Plans, made in the RAM copy only; kedge_journal_take_over() makes them durable.
 * candidate: authenticate what lies at every base of the secondary (3 passes), and choose the first
 * one that is not the running image; that one only when there is no other. The old half must be
 * there already (a look with tables at the primary) unless engine->install: there is no old one to
 * keep, and the backup is looked at too. -> verdict of the candidate; GOOD: the plan is complete
 * but for kedge_plan_start(). */
enum kedge_verdict kedge_plan_candidate(struct kedge_engine *engine);
/* Start a program of `type` at pc 0. */
void kedge_plan_start(uint8_t *plan, unsigned type, unsigned flags);
/* Is every unit that a revert would load intact? KEDGE_E_SOURCE when not, or a flash error. */
int kedge_plan_old_intact(struct kedge_engine *engine);

#endif
