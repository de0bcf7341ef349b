/* History: a ring of 8 records in the journal's BODY, written with the take-overs that happen
 * anyway; a quiet boot adds nothing. A record is made when an update begins (with the reason it
 * will end for) or ends otherwise, and when a boot refuses something for the first time; what it
 * cost is added just before the SEAL. */
#ifndef KEDGE_HISTORY_H
#define KEDGE_HISTORY_H

#include "kedge/layout.h"

#define KEDGE_HISTORY_RECORDS     8
#define KEDGE_HISTORY_RECORD_SIZE 48

/*  u32 number | u8 reason, verdict | u16 0 | version from, to (8 each) | hash[8]
 *  | u16 efforts[7] | u8 resumed, attempts */
#define KEDGE_HISTORY_REASON   4
#define KEDGE_HISTORY_VERDICT  5
#define KEDGE_HISTORY_FROM     8
#define KEDGE_HISTORY_TO       16
#define KEDGE_HISTORY_HASH     24
#define KEDGE_HISTORY_EFFORTS  32
#define KEDGE_HISTORY_RESUMED  46
#define KEDGE_HISTORY_ATTEMPTS 47

/* What an update cost, each a saturating u16: the sum over the power-ons that came to their end.
 * What a power-on did that was cut is lost with it; `resumed` says how many there were. */
enum kedge_effort {
    KEDGE_EFFORT_ERASES_INTERNAL, /* smallest sectors */
    KEDGE_EFFORT_ERASES_EXTERNAL,
    KEDGE_EFFORT_PAGES_INTERNAL, /* programmed: 256 bytes each, rounded up */
    KEDGE_EFFORT_PAGES_EXTERNAL,
    KEDGE_EFFORT_RETRIES,  /* reads, programs and erases that were done again */
    KEDGE_EFFORT_REPAIRED, /* bits */
    KEDGE_EFFORT_TIME,     /* of the loader, in hundredths of a second; 0: it has no clock */
    KEDGE_EFFORTS
};

struct kedge_history {
    uint32_t number; /* counts up; 0: empty record */
    uint8_t reason, verdict, attempts;
    uint8_t resumed; /* power-ons that went on with what a cut had interrupted */
    struct kedge_version from, to;
    uint8_t hash[8]; /* first bytes of the image hash of `to` */
    uint16_t effort[KEDGE_EFFORTS];
};

/* Read record `index` (0: oldest) from a journal body opened with kedge_plan_fold as replay.
 * KEDGE_E_NONE past the newest; KEDGE_E_FORMAT: not a plan of this layout. */
int kedge_history_read(struct kedge_bytes body, const struct kedge_layout *layout, unsigned index,
                       struct kedge_history *record);

/* ---- for the loader: on the RAM copy of BODY ---- */

/* Begin a record: from version_old to version_new of the plan. `back`: the other way round. */
void kedge_history_note(uint8_t *plan, uint8_t reason, uint8_t verdict, bool back);
/* The newest record; a place that is all 0 when there is none. */
uint8_t *kedge_history_newest(uint8_t *plan);
/* A version as the plan and the records hold it: major, minor, revision u16, build u32. */
struct kedge_version kedge_history_version(const uint8_t *at);
void kedge_history_put_version(uint8_t *at, const struct kedge_version *version);

/* The hook `effort` of a loader that has a recorder (kedge_boot_hooks): what this power-on did
 * since kedge_history_begin(), into the log and so into the newest record. */
struct kedge_engine;
struct kedge_boot_hooks;
struct kedge_recorder;
void kedge_history_begin(const struct kedge_boot_hooks *hooks,
                         const struct kedge_recorder *recorder);
void kedge_history_effort(struct kedge_engine *engine);

#endif
