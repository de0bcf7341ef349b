/* The rig: one device in memory, with the product's default layout, the strict simulator, the real
 * loader, driver and agent; and the hands of a test: a debugger's, a client's, and one on the power
 * switch. Whatever does not hold ends the case at once (rig_fail does not return). */
#ifndef KEDGE_TOOL_TESTPLAN_RIG_H
#define KEDGE_TOOL_TESTPLAN_RIG_H

#include <setjmp.h>

#include "kedge/agent.h"
#include "kedge/swap.h"
#include "random.h"
#include "state.h"
#include "testplan_image.h"

#define RIG_IMAGES 8
#define RIG_WHY    16384 /* a command with three paths */
#define RIG_KEYS   8

struct rig {
    /* set by who opens it */
    const struct plan_keys *plan_keys;
    const char *keep; /* a folder for the device of a failure; NULL: none */
    const char *name; /* of the case */
    uint64_t seed;
    void (*tick)(void); /* now and then: progress */
    /* the case may change these */
    const struct kedge_strategy *strategy;
    struct kedge_key keys[RIG_KEYS];
    size_t key_count;
    uint8_t *der[RIG_KEYS]; /* of keys that rig_trust added; allocated */

    struct state state;
    struct kedge_boot_report report; /* of the last boot */
    struct kedge_agent agent;
    struct kedge_boot_config boot_config;
    struct kedge_agent_config agent_config;
    uint8_t unit[4096], body[8192], scratch[4096];

    struct plan_image images[RIG_IMAGES];
    size_t image_count;
    const struct plan_image *old_image, *new_image; /* of most cases */
    struct kedge_random random;
    unsigned boots;
    bool used_up; /* a cut at the last operation may have cost the trial */

    /* of a sweep, for what is said about a failure */
    struct kedge_sim_snapshot *start;
    struct kedge_sim_faults faults; /* of its first life */
    bool cut_in_boot;
    uint32_t journal_operations[1024]; /* numbers of those that went to the journal */
    size_t journal_count;

    jmp_buf power, failed;
    char why[RIG_WHY];
};

/* A new device, both flashes erased, power off. 0, or an exit code, said. */
int rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* Run a case; true when it passed. Otherwise rig->why says what happened. */
bool rig_passes(struct rig *rig, void (*run)(struct rig *rig));

/* ---- what must hold ---- */
_Noreturn void rig_fail(struct rig *rig, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The last boot chose this image, for this reason. */
void rig_expect(struct rig *rig, const struct plan_image *image, enum kedge_reason reason);
/* Nothing booted, for this verdict on the primary. */
void rig_expect_nothing(struct rig *rig, enum kedge_verdict verdict);
/* The old image runs, untouched; the candidate was refused for this; the request is gone; another
 * boot is a quiet one. */
void rig_expect_refused(struct rig *rig, enum kedge_verdict verdict);
/* The slot holds the image, every byte of it, at whatever base. */
void rig_expect_holds(struct rig *rig, enum kedge_slot_name slot, const struct plan_image *image);
bool rig_holds(struct rig *rig, enum kedge_slot_name slot, const struct plan_image *image);
void rig_expect_status(struct rig *rig, int status, int wanted, const char *what);
/* Boot: nothing is written, the image is the same. */
void rig_expect_quiet(struct rig *rig, const struct plan_image *image);

/* One more key that the device trusts. */
void rig_trust(struct rig *rig, const struct kedge_signature *type, const struct key *key);

/* ---- images ---- */
const struct plan_image *rig_image(struct rig *rig, const struct plan_image_spec *spec);
/* Bytes of header and payload of an image that takes so many units, the last one not full. */
uint32_t rig_size(const struct rig *rig, uint32_t units);
/* A copy with one byte changed, `from_end` bytes before the end or, negative, `-from_end` behind
 * the beginning. */
const struct plan_image *rig_altered(struct rig *rig, const struct plan_image *image,
                                     long from_end);

/* ---- a debugger's hands ---- */
void rig_put(struct rig *rig, enum kedge_slot_name slot, unsigned base,
             const struct plan_image *image);
/* The secondary's trailer as imgtool --pad [--confirm] makes it. */
void rig_ask(struct rig *rig, bool permanent);
bool rig_mailbox_blank(struct rig *rig);
/* Old image in the primary, booted once; new one in the secondary at `base`. Sizes in units. */
void rig_prepare(struct rig *rig, uint32_t old_units, uint32_t new_units, unsigned base);
/* The same with images of `units` that differ in the first and the last one only. */
void rig_prepare_sparse(struct rig *rig, uint32_t units);

/* ---- power ---- */
/* One power-on, loader only. False: power failed in it. */
bool rig_boot(struct rig *rig);
/* The same, which must not fail; then the agent starts. */
void rig_run(struct rig *rig);

/* ---- a client's hands: of the agent that runs ---- */
int rig_upload(struct rig *rig, const struct plan_image *image);
int rig_request(struct rig *rig, const struct plan_image *image, bool confirm);
void rig_confirm(struct rig *rig); /* the running image; must succeed */
void rig_policy(struct rig *rig, const char *key, const char *value);

/* ---- sweeps ---- */
struct rig_sweep {
    unsigned rounds;                /* lives to try */
    unsigned cuts;                  /* power cuts in each */
    void (*app)(struct rig *rig);   /* what runs behind the loader, in every life; NULL: nothing */
    void (*check)(struct rig *rig); /* what must be true then */
};
/* From the present state, again and again: lives with power cuts at random operations, then check.
 * The first round goes without a cut, and counts the operations. */
void rig_sweep(struct rig *rig, const struct rig_sweep *sweep);
/* Keep the present state; go back to it with these faults armed. */
void rig_mark(struct rig *rig);
void rig_back(struct rig *rig, const struct kedge_sim_faults *faults);
/* Power on until a life (loader, then `app`) comes to its end, and break no rule of the flash. */
void rig_settle(struct rig *rig, void (*app)(struct rig *rig));

#endif
