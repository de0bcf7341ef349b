/* The loader's decision, pure: facts in, action out. A fact that is not known yet and matters makes
 * the answer "ask"; so nothing is read that does not matter. Rows: SWAP.md 4. */
#ifndef KEDGE_DECIDE_H
#define KEDGE_DECIDE_H

#include "kedge/swap.h"

enum kedge_fact { KEDGE_UNKNOWN, KEDGE_NO, KEDGE_YES };

/* What the primary slot holds. */
enum kedge_primary_fact {
    KEDGE_PRIMARY_UNKNOWN,
    KEDGE_PRIMARY_BAD,
    KEDGE_PRIMARY_OTHER, /* authentic, but neither image of the plan */
    KEDGE_PRIMARY_OLD,
    KEDGE_PRIMARY_NEW
};

struct kedge_facts {
    /* as the plan has them, in its order */
    uint8_t state;    /* enum kedge_state */
    uint8_t attempts; /* trials so far */
    uint8_t type;     /* of the plan */
    uint8_t method;   /* of the plan */
    /* made unknown together, when the plan or the secondary changed */
    uint8_t confirmed; /* kedge_fact: the application set its word, and it reads so steadily */
    uint8_t old;       /* kedge_fact: every unit that a revert needs is intact */
    uint8_t candidate; /* kedge_fact: an authentic, acceptable candidate */
    uint8_t any;       /* kedge_fact: any authentic image to install */
    uint8_t stable;    /* sealed, or taken over in this power-on (J4) */
    uint8_t failed;    /* the program failed in this power-on */
    uint8_t limit;     /* trials before the revert */
    uint8_t held;      /* requests wait */
    uint8_t wipe;      /* the secondary is to be erased, and no application has run since */
    uint8_t alive;     /* kedge_fact: the external chip answers as configured */
    uint8_t request;   /* 0 unknown, else 1 + enum kedge_request */
    uint8_t primary;   /* kedge_primary_fact */
};

enum kedge_action {
    /* find out */
    KEDGE_ASK_ALIVE,
    KEDGE_ASK_REQUEST,
    KEDGE_ASK_CONFIRMED,
    KEDGE_ASK_PRIMARY,
    KEDGE_ASK_OLD,
    KEDGE_ASK_CANDIDATE,
    KEDGE_ASK_ANY,
    /* do, then decide again */
    KEDGE_DO_TAKE_OVER,
    KEDGE_DO_RUN,
    KEDGE_DO_RESTORE,
    KEDGE_DO_REVERT,
    KEDGE_DO_INSTALL,
    KEDGE_DO_PLAN,
    KEDGE_DO_LATCH, /* the confirmation */
    KEDGE_DO_REPLACED,
    KEDGE_DO_GIVE_UP, /* the program; the primary is good */
    KEDGE_DO_WIPE,    /* the secondary, after a confirmation */
    KEDGE_DO_KEEP,    /* the new image: the old one is gone */
    KEDGE_DO_CLEAR,   /* the torn request */
    KEDGE_DO_REFUSE,  /* the candidate */
    /* the end */
    KEDGE_DO_TRY,
    KEDGE_DO_DEGRADED,
    KEDGE_DO_WAIT, /* boot the image on trial; the revert waits for the chip */
    KEDGE_DO_BOOT,
    KEDGE_DO_RECOVER
};

enum kedge_action kedge_decide(const struct kedge_facts *facts);

#endif
