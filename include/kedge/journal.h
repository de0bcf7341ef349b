/* An append-only log in two sectors that survives cuts inside any operation: the loader's private
 * truth (SWAP.md 3, rules J1-J6; FORMAT.md "Journal"), and, a second instance, the settings. A torn
 * record is an absent one; a power-on writes only in a sector that it erased itself.
 *
 *   sector   | BODY, erased filling, CRC | MARKS: 16 x {bump, mark} | LOG: one cell a record ... |
 *            0                    marks_at                     + 32 cells
 *
 * Sequence of a power-on: open; fold what replay said into body; if not sealed, or if anything is
 * to be written, take_over; append as often as there is room; append SEAL last of all. */
#ifndef KEDGE_JOURNAL_H
#define KEDGE_JOURNAL_H

#include "kedge/flash.h"

#define KEDGE_JOURNAL_SECTOR_MIN 4096 /* bytes */
#define KEDGE_JOURNAL_NOBODY     0xFF

struct kedge_journal {
    /* set by the caller before open */
    struct kedge_region region; /* two sectors of equal size, each >= 4096 B; write block <= 32 B */
    struct kedge_buf body;      /* RAM copy of BODY without the CRC; multiple of 4 bytes */
    uint16_t reserve; /* bytes on flash for BODY and CRC, a multiple of 256, so that a body
                       * may grow; 0: what body needs */
    /* owned by the journal */
    uint8_t authority; /* 0, 1, or KEDGE_JOURNAL_NOBODY */
    bool own;          /* the authority was erased in this power-on: appending is allowed */
    bool sealed;   /* last record is SEAL and no later take-over was begun: the state is stable */
    uint8_t rival; /* not 0: the other sector shows a rank: reaffirm before it is erased [J3] */
    uint8_t cell;  /* bytes of one record: 8, or the write block if larger */
    uint16_t next; /* next free LOG index in the authority */
    uint16_t capacity; /* records that fit in LOG */
    uint32_t sector;   /* bytes of one sector: half the region */
    uint32_t marks_at; /* offset of MARKS in a sector = bytes that BODY and its CRC take */
    uint32_t highest;  /* highest rank in any exact bump or mark of either sector */
};

enum kedge_record {
    KEDGE_RECORD_PC = 1,
    KEDGE_RECORD_PHASE,
    KEDGE_RECORD_ATTEMPT,
    KEDGE_RECORD_SEAL,
    KEDGE_RECORD_EFFORT = 8 /* + enum kedge_effort */
};

/* Called for each exact LOG record (SEAL too), in order, during open. */
typedef void (*kedge_journal_replay)(void *ctx, uint16_t kind, uint16_t value);

/* Read only. Fills body from the authority and replays its log (`replay` may be NULL).
 * Ensures: on 0 body and replay give one state, from one read of each byte that decided.
 * Errors: KEDGE_E_NONE: no valid sector (factory, or destroyed; a word that the flash cannot read,
 * as torn ones behind ECC, counts as not exact): body is undefined, take_over is
 * allowed. KEDGE_E_SPACE: the region cannot hold such a journal, KEDGE_E_UNSUPPORTED: there is no
 * region: call nothing else. */
int kedge_journal_open(struct kedge_journal *journal, kedge_journal_replay replay, void *ctx);

/* Make journal->body the state, in a sector erased now (J3).
 * Requires: open in this power-on; the caller folded everything that counts into body.
 * Ensures: own, not sealed, log empty. After a cut: the state is the old one or the new one, never
 * a mix; it may read as either until the next take-over, which is why an unsealed one comes first
 * (J4). Errors: KEDGE_E_READBACK or the flash's own after three tries: the old state stands. */
int kedge_journal_take_over(struct kedge_journal *journal);

/* Append one record and read it back.
 * Errors: KEDGE_E_SPACE when the log is full or the sector is not our own (J2): take over first.
 * KEDGE_E_READBACK or the flash's own: the log has ended here (own is false), take over. */
int kedge_journal_append(struct kedge_journal *journal, uint16_t kind, uint16_t value);

/* Room left in LOG, in records; 0 unless own. */
uint16_t kedge_journal_room(const struct kedge_journal *journal);

#endif
