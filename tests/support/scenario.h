/* Scenarios of updates, and what a device must look like once one is over: shared by the checkers
 * that cut power and those that break the bus. One scenario at a time, in `scenario`. */
#ifndef KEDGE_TEST_SCENARIO_H
#define KEDGE_TEST_SCENARIO_H

#include "device.h"

#define SCENARIO_LIVES 8 /* power-ons until it must have settled */

enum event {
    ASK_TEST, /* a request lies in the mailbox: the next boot swaps and tries */
    ASK_PERMANENT,
    REVERT,       /* the trial is over, not confirmed */
    CONFIRM,      /* the trial is over, confirmed */
    SECOND_TRIAL, /* attempts = 2: the second boot of an unconfirmed image */
    LOST_PRIMARY, /* the primary is bad, a good image lies in the secondary */
    ASK_BROKEN,   /* the candidate is damaged */
    TORN_REQUEST,
    WIPE,            /* confirmed, policy after_confirm = wipe */
    ASK_IN_TRIAL,    /* a request made during a trial must not outlive the revert */
    CONFIRM_TRAILER, /* confirmed, asked for the old one; after_confirm = trailer drops that */
    ASK_PREPARED     /* ASK_TEST, after the agent copied the running image to the backup */
};

/* How its images are kept secret. */
enum scenario_secrecy {
    SCENARIO_PLAIN,
    SCENARIO_ENCRYPTED, /* both images have a key each */
    SCENARIO_FACTORY    /* the old one came without: the device hides it with a key of its own */
};

struct scenario {
    const char *name;
    const struct kedge_strategy *strategy;
    uint32_t spares, base;
    uint32_t k_old, k_new; /* units */
    uint64_t differs;
    enum event event;
    bool twice; /* also every cut of every recovery */
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* The one that is being played, its device, its images, and the world before the power-on that
 * matters. */
extern const struct scenario *scenario;
extern struct device device;
extern struct device_image old_image, new_image;
extern struct kedge_sim_snapshot *scenario_start;
extern uint64_t scenario_boots;
extern bool scenario_driver; /* play with the real SPI-NOR driver between */
extern bool scenario_effort; /* and with what it cost in the history */
extern enum scenario_secrecy scenario_secrecy;
extern char where[160]; /* words for a failure */

void scenario_prepare(const struct scenario *s);
/* The agent of the running image starts and works until it is idle; a cut goes to device.power. */
void scenario_agent(void);
void scenario_finish(void);
/* One power-on; counted. */
enum device_outcome scenario_boot(void);
/* Power-ons until no cut strikes; a good image must boot, within SCENARIO_LIVES. */
void scenario_settle(void);
/* The device has settled: is everything as it must be? used_up: power was cut at the last operation
 * before a jump, the one moment that may cost a trial. */
void scenario_check(bool used_up);
/* A boot with no faults that has nothing to do. */
void scenario_quiet(unsigned major);

#define require(holds)                                                                             \
    do {                                                                                           \
        if (!(holds))                                                                              \
            scenario_fail(#holds);                                                                 \
    } while (0)
void scenario_fail(const char *what);

#endif
