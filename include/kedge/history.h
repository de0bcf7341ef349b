/* History: a ring of 8 records in the journal's BODY, written with the take-overs that happen
 * anyway; a quiet boot adds nothing. */
#ifndef KEDGE_HISTORY_H
#define KEDGE_HISTORY_H

#include "kedge/boot.h"

#define KEDGE_HISTORY_RECORDS 8
#define KEDGE_HISTORY_RECORD_SIZE 48

struct kedge_history {
    uint32_t number; /* counts up; 0: empty record */
    uint8_t reason, verdict, resumed, attempts;
    struct kedge_version from, to;
    uint8_t hash[8]; /* first bytes of the image hash of `to` */
    uint8_t erases_internal, erases_external; /* saturating counts */
    uint16_t retries, repaired;
};

/* Read record `index` (0: oldest) from an opened journal body. KEDGE_E_NONE past the newest. */
int kedge_history_read(struct kedge_bytes body, const struct kedge_layout *layout, unsigned index,
                       struct kedge_history *record);

#endif
