/* The loader: collects facts, decides (pure), acts. SWAP.md is its design. */
#ifndef KEDGE_BOOT_H
#define KEDGE_BOOT_H

#include "kedge/policy.h"
#include "kedge/swap.h"

/* Why a boot ended as it did; with a verdict beside it where an image was refused. */
enum kedge_reason {
    KEDGE_REASON_NORMAL,        /* the confirmed image */
    KEDGE_REASON_TESTING,       /* a new image on trial */
    KEDGE_REASON_UPDATED,       /* permanent update done */
    KEDGE_REASON_CONFIRMED,     /* first boot after the application confirmed */
    KEDGE_REASON_REVERTED,      /* unconfirmed: the old image is back */
    KEDGE_REASON_RESTORED,      /* an update failed half-way and was undone */
    KEDGE_REASON_INSTALLED,     /* primary was bad; installed from external flash */
    KEDGE_REASON_REFUSED,       /* candidate refused (verdict says why), running image booted */
    KEDGE_REASON_TORN_REQUEST,  /* half-written request cleared */
    KEDGE_REASON_HELD,          /* a request waits: policy hold */
    KEDGE_REASON_DEGRADED,      /* external chip dead in the middle of an update; primary whole */
    KEDGE_REASON_REVERT_WAITS,  /* revert due, external chip dead */
    KEDGE_REASON_CANNOT_REVERT, /* revert due, old image gone: kept the new one */
    KEDGE_REASON_REPLACED,      /* primary flashed from outside during an update */
    KEDGE_REASON_NO_CHIP,       /* external chip dead; nothing was pending that we know of */
    KEDGE_REASON_NOTHING        /* nothing bootable: recovery */
};
const char *kedge_reason_text(enum kedge_reason reason);

/* Everything the loader tells the application (shared RAM) and the history. */
struct kedge_boot_report {
    uint8_t boots;   /* 1: jump to the primary; 0: recovery mode */
    uint8_t reason;  /* enum kedge_reason */
    uint8_t verdict; /* enum kedge_verdict of a refused candidate (or of the primary: NOTHING) */
    uint8_t external_alive;
    uint8_t resumed;  /* this boot went on with an interrupted program */
    uint8_t attempts; /* trials so far of a testing image */
    uint8_t settled;  /* no update and no trial is under way: what boots stays, even where the torn
                       * word of a confirmation reads otherwise from now on */
    struct kedge_version version, from_version; /* of what boots; of what was there before */
    uint8_t hash[32];                           /* first 32 bytes of the image hash of what boots */
    uint32_t entry; /* device address of the payload: header_size behind the primary's start */
    uint32_t retries, repaired; /* copy retries, bits repaired */
};

struct kedge_boot_config {
    const struct kedge_layout *layout;
    const struct kedge_strategy *strategy;
    const struct kedge_key *keys;
    size_t key_count;
    const struct kedge_policy *defaults;
    struct kedge_recorder *recorder;      /* NULL: none */
    const struct kedge_boot_hooks *hooks; /* NULL: none */
    struct kedge_buf unit;  /* one unit of the pair (4096 with 4 KiB sectors), at least 512 */
    struct kedge_buf state; /* kedge_boot_state_size(layout): journal body (plan, history) */
};

size_t kedge_boot_state_size(const struct kedge_layout *layout);

/* Runs to a decision: at most 32 rounds of the decision table, questions included. Never returns a
 * report with boots = 1 unless the primary was authenticated in this power-on. After a cut at any
 * operation the next call continues or undoes. 0, or KEDGE_E_SPACE when unit or state is too small.
 */
int kedge_boot(const struct kedge_boot_config *config, struct kedge_boot_report *report);

#endif
