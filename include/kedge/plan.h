/* The plan: what an update is going to do, made durable once; then a program counter walks through
 * it. The plan *is* the BODY of the journal; these are its offsets (FORMAT.md, "Journal body").
 * There is no second copy: everybody works on the RAM copy of BODY through kedge_le16/32. */
#ifndef KEDGE_PLAN_H
#define KEDGE_PLAN_H

#include "kedge/history.h"
#include "kedge/layout.h"

#define KEDGE_PLAN_MAGIC 0x314e524au

/*  offset  field
 *       0  u32 magic
 *       4  u8  state      u8 attempts   u8 type       u8 method
 *       8  u8  flags      u8 spare      u8 units      u8 reserved
 *      12  u16 pc         u16 pc_abort
 *      16  u32 counter    u32 counter_new               security counter: accepted, of the new one
 *      24  half new, half old, 24 B each:
 *          u8 k (units)  u8 base  u8 key  u8 reserved  u32 size  u8 version[8]  u8 id[8]
 *          version: major, minor, revision u16, build u32; id: first bytes of the image hash;
 *          base of the old half: where the old image goes in the secondary; key: the payload lies
 *          masked there, opened by this key record (1, 2); 0: it lies plain
 *      72  u32 notes                                    number of the newest history record
 *      76  history: 8 records of 48 B
 *     460  u8  same[32]  u8 backed[32]                  bit i: unit i is equal / already in backup
 *     524  u32 crc_new[units], crc_old[units]           over exactly the image's bytes in the unit
 *          key records 1 and 2 (encrypted.h), of a loader that has confidential.h; else erased
 */
#define KEDGE_PLAN_STATE       4
#define KEDGE_PLAN_ATTEMPTS    5
#define KEDGE_PLAN_TYPE        6
#define KEDGE_PLAN_METHOD      7
#define KEDGE_PLAN_FLAGS       8
#define KEDGE_PLAN_SPARE       9
#define KEDGE_PLAN_UNITS       10
#define KEDGE_PLAN_PC          12
#define KEDGE_PLAN_PC_ABORT    14
#define KEDGE_PLAN_COUNTER     16
#define KEDGE_PLAN_COUNTER_NEW 20
#define KEDGE_PLAN_NEW         24
#define KEDGE_PLAN_OLD         48
#define KEDGE_PLAN_NOTES       72
#define KEDGE_PLAN_HISTORY     76
#define KEDGE_PLAN_SAME        460
#define KEDGE_PLAN_BACKED      492
#define KEDGE_PLAN_TABLES      524

/* A half: what the plan says of one of its two images. Old and new lie alike and side by side, and
 * so do their tables: to reverse a plan is to exchange them. */
#define KEDGE_HALF_K           0
#define KEDGE_HALF_BASE        1
#define KEDGE_HALF_KEY         2
#define KEDGE_HALF_SIZE        4
#define KEDGE_HALF_VERSION     8
#define KEDGE_HALF_ID          16
#define KEDGE_HALF             24
#define KEDGE_PLAN_K_NEW       (KEDGE_PLAN_NEW + KEDGE_HALF_K)
#define KEDGE_PLAN_K_OLD       (KEDGE_PLAN_OLD + KEDGE_HALF_K)
#define KEDGE_PLAN_BASE        (KEDGE_PLAN_NEW + KEDGE_HALF_BASE)
#define KEDGE_PLAN_OLD_BASE    (KEDGE_PLAN_OLD + KEDGE_HALF_BASE)
#define KEDGE_PLAN_SIZE_NEW    (KEDGE_PLAN_NEW + KEDGE_HALF_SIZE)
#define KEDGE_PLAN_SIZE_OLD    (KEDGE_PLAN_OLD + KEDGE_HALF_SIZE)
#define KEDGE_PLAN_VERSION_NEW (KEDGE_PLAN_NEW + KEDGE_HALF_VERSION)
#define KEDGE_PLAN_VERSION_OLD (KEDGE_PLAN_OLD + KEDGE_HALF_VERSION)
#define KEDGE_PLAN_ID_NEW      (KEDGE_PLAN_NEW + KEDGE_HALF_ID)
#define KEDGE_PLAN_ID_OLD      (KEDGE_PLAN_OLD + KEDGE_HALF_ID)

enum kedge_state { KEDGE_STATE_IDLE, KEDGE_STATE_RUN, KEDGE_STATE_TRIAL };

/* The first three are the swap_info bytes of MCUboot's trailer. */
enum kedge_type {
    KEDGE_TYPE_TEST = 2,
    KEDGE_TYPE_PERMANENT = 3,
    KEDGE_TYPE_REVERT = 4,
    KEDGE_TYPE_RESTORE = 5, /* undo a program that failed half-way */
    KEDGE_TYPE_INSTALL = 6  /* the primary is bad: take any good image, there is none to keep */
};

enum kedge_method {
    KEDGE_METHOD_TOGGLE,      /* all units; the images change places, shifted by the spares */
    KEDGE_METHOD_INPLACE,     /* units that differ, by way of one spare */
    KEDGE_METHOD_OVERWRITE,   /* secondary -> primary */
    KEDGE_METHOD_BACKUP,      /* primary -> backup, secondary -> primary */
    KEDGE_METHOD_FROM_BACKUP, /* backup -> primary: its revert */
    KEDGE_METHODS
};

/* Flags: cleared by every PHASE record. */
#define KEDGE_PLAN_TRAILER_DONE 0x01 /* the primary's trailer was written early (chip dead) */
#define KEDGE_PLAN_REQUESTED    0x02 /* made from the mailbox, which must be consumed */
#define KEDGE_PLAN_WIPE         0x04 /* the secondary is to be erased (policy after_confirm) */

#define KEDGE_PLAN_COUNTED      0x08 /* attempts come from the last SEAL, not from BODY */

/* Value of a SEAL: trials of the image that is about to be booted, 0: this boot is no trial. Count
 * and seal are one word: a cut before it costs no trial. */

/* Bytes of the RAM copy of BODY for a pair, without the key records. */
static inline uint32_t kedge_plan_size(const struct kedge_pair *pair)
{
    return KEDGE_PLAN_TABLES + 8u * pair->primary.units;
}

/* The key records' bytes, and what the journal reserves on flash: with them, so that whoever reads
 * a journal finds it at the same place, whether its loader has them or not. */
#define KEDGE_PLAN_KEYS (2u * 268u)
static inline uint16_t kedge_plan_reserve(const struct kedge_pair *pair)
{
    return (uint16_t)(kedge_plan_size(pair) + KEDGE_PLAN_KEYS + 4u);
}

/* An empty plan: IDLE, nothing known. */
void kedge_plan_clear(uint8_t *plan, const struct kedge_pair *pair);

/* True when `plan` was written for this primary and no field makes a table be read outside of it.
 * The CRC of BODY vouches for the bytes; this guards against a layout that changed under the
 * journal. A base or spare behind the secondary's end is left to the region, whose error fails the
 * step. */
bool kedge_plan_fits(const uint8_t *plan, const struct kedge_pair *pair);

/* Fold one LOG record into the plan: the replay function of the loader's journal. `plan` is the
 * uint8_t * of BODY. */
void kedge_plan_fold(void *plan, uint16_t kind, uint16_t value);

/* Accept the new image's security counter; it never goes down. */
void kedge_plan_accept(uint8_t *plan);

/* Exchange old and new: the plan that undoes a finished one. Its own inverse. */
void kedge_plan_reverse(uint8_t *plan);

/* Offset in the plan of the CRC of unit i of the new (old: false) or old image. */
static inline uint32_t kedge_plan_crc_at(const uint8_t *plan, bool old, unsigned i)
{
    return KEDGE_PLAN_TABLES + 4u * (i + (old ? plan[KEDGE_PLAN_UNITS] : 0u));
}

/* Bit i of `same` or `backed`. */
bool kedge_plan_bit(const uint8_t *plan, unsigned bitmap, unsigned i);

/* Unit i is not the same in both images. */
void kedge_plan_differs(uint8_t *plan, unsigned i);

#endif
