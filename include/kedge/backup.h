/* The backup region as agent and loader share it (strategy `backup`): the agent copies the running
 * image into it while it has nothing else to do, so that the loader need not at the next update.
 * Unit i of the image lies in unit i of the region. The last unit, when the image leaves it free,
 * is the agent's record of its copy:
 *
 *   0                16          256
 *   | u32 magic "KBAK" | id[8] | u32 crc of these 12 | ... | cell 0 | cell 1 | ...
 *
 * A cell is one write block of the region's device, all its bits programmed: the unit was written
 * and read back before the cell was begun [B-1]. Cells are only written in a sector that the same
 * power-on erased [B-2]. So a unit whose cell reads as set is stable, whatever the cell will read
 * tomorrow; a unit that reads right and has no cell may be one that a cut left to look so. */
#ifndef KEDGE_BACKUP_H
#define KEDGE_BACKUP_H

#include <string.h>

#include "kedge/slot.h"

#define KEDGE_BACKUP_MAGIC 0x4B41424Bu /* "KBAK" */
#define KEDGE_BACKUP_HEAD  16u
#define KEDGE_BACKUP_CELLS 256u
#define KEDGE_BACKUP_CELL  32u /* bytes of the longest cell */
#define KEDGE_BACKUP_ID    8u  /* first bytes of the image hash */

/* Region offset of the record; 0: an image of `k` units leaves no room for it. */
static inline uint32_t kedge_backup_record(const struct kedge_slot *slot, unsigned k)
{
    const uint32_t cells = k * slot->region.flash->geometry.write_block;
    return k < slot->units && KEDGE_BACKUP_CELLS + cells <= slot->unit
               ? (slot->units - 1u) * slot->unit
               : 0;
}

/* Does `head` (KEDGE_BACKUP_HEAD bytes) say that this is the record of the image `id`? */
static inline bool kedge_backup_is(const uint8_t *head, const uint8_t *id)
{
    return kedge_le32(head) == KEDGE_BACKUP_MAGIC && memcmp(head + 4, id, KEDGE_BACKUP_ID) == 0 &&
           kedge_le32(head + 12) == kedge_crc32(0, kedge_bytes(head, 12));
}

/* Region offset of the cell of unit i, from the record. */
static inline uint32_t kedge_backup_cell(const struct kedge_slot *slot, unsigned i)
{
    return KEDGE_BACKUP_CELLS + i * slot->region.flash->geometry.write_block;
}

#endif
