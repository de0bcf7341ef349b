/* An append-only log in two sectors that survives cuts inside any operation: the loader's private
 * truth (SWAP.md 3, rules J1-J6), and, a second instance, the settings. A torn record is an absent
 * one; a power-on writes only in a sector that it erased itself.
 *
 *   sector   | BODY (padded to pages, ends in its CRC) | MARKS 256 B | LOG: one cell a record ... |
 */
#ifndef KEDGE_JOURNAL_H
#define KEDGE_JOURNAL_H

#include "kedge/flash.h"

struct kedge_journal {
    /* set by the caller */
    struct kedge_region region; /* two sectors of equal size, each >= 4096 B */
    struct kedge_buf body;      /* RAM copy of BODY without the CRC; multiple of 4 bytes */
    /* owned by the journal */
    uint32_t sector;     /* bytes of one sector */
    uint32_t highest;    /* highest rank in any exact bump or mark of either sector */
    uint16_t next;       /* next free LOG index in the authority */
    uint16_t capacity;   /* records that fit in LOG */
    uint8_t authority;   /* 0, 1, or KEDGE_JOURNAL_NOBODY */
    bool own;            /* the authority was erased in this power-on: appending is allowed */
    bool sealed;         /* last record is SEAL */
};
#define KEDGE_JOURNAL_NOBODY 0xFF

enum kedge_record { KEDGE_RECORD_PC = 1, KEDGE_RECORD_PHASE, KEDGE_RECORD_ATTEMPT, KEDGE_RECORD_SEAL };

/* Called for each exact LOG record, in order, during open. */
typedef void (*kedge_journal_replay)(void *ctx, uint16_t kind, uint16_t value);

/* Read only. Fills body from the authority and replays its log. KEDGE_E_NONE: no valid sector
 * (factory, or destroyed): body is left as the caller filled it. */
int kedge_journal_open(struct kedge_journal *journal, kedge_journal_replay replay, void *ctx);

/* Make journal->body the state, in a sector erased now (J3). Requires: the caller folded everything
 * that counts into body. After a cut: either the old state or the new, never a mix. */
int kedge_journal_take_over(struct kedge_journal *journal);

/* Append one record (J2: takes over is the caller's duty when !own or when full, KEDGE_E_SPACE). */
int kedge_journal_append(struct kedge_journal *journal, uint16_t kind, uint16_t value);

/* Room left in LOG, in records; 0 unless own. */
uint16_t kedge_journal_room(const struct kedge_journal *journal);

#endif
