/* History: a ring of 8 records in the journal's BODY, written with the take-overs that happen
 * anyway; a quiet boot adds nothing. A record is made when an update begins (with the reason it
 * will end for) or ends otherwise; what it cost comes with the SEAL before the jump. */
#ifndef KEDGE_HISTORY_H
#define KEDGE_HISTORY_H

#include "kedge/layout.h"

#define KEDGE_HISTORY_RECORDS     8
#define KEDGE_HISTORY_RECORD_SIZE 48

/*  u32 number | reason, verdict, resumed, attempts | version from, to (8 each) | hash[8]
 *  | erases internal, external | u16 retries, repaired | 10 reserved */
struct kedge_history {
    uint32_t number; /* counts up; 0: empty record */
    uint8_t reason, verdict, resumed, attempts;
    struct kedge_version from, to;
    uint8_t hash[8];                          /* first bytes of the image hash of `to` */
    uint8_t erases_internal, erases_external; /* saturating counts */
    uint16_t retries, repaired;
};

/* Read record `index` (0: oldest) from a journal body opened with kedge_plan_fold as replay.
 * KEDGE_E_NONE past the newest; KEDGE_E_FORMAT: not a plan of this layout. */
int kedge_history_read(struct kedge_bytes body, const struct kedge_layout *layout, unsigned index,
                       struct kedge_history *record);

/* ---- for the loader: on the RAM copy of BODY ---- */

/* Begin a record: from version_old to version_new of the plan. `back`: the other way round. */
void kedge_history_note(uint8_t *plan, uint8_t reason, uint8_t verdict, bool back);
/* The effort of the newest record, as SEAL carries it: retries in bits 0..5, repairs in
 * bits 6..11. 0: leaves it as it is. */
void kedge_history_effort(uint8_t *plan, uint16_t value);
/* A version as the plan and the records hold it: major, minor, revision u16, build u32. */
struct kedge_version kedge_history_version(const uint8_t *at);
void kedge_history_put_version(uint8_t *at, const struct kedge_version *version);

#endif
