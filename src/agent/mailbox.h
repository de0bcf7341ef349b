/* The secondary's mailbox sector as the agent uses it (FORMAT.md, Upload record):
 *
 *    low end                                                      high end
 *   | upload record 96 B | complete cell | cell of sector 0 | 1 | ... | trailer |
 *
 * The record and its cells are the agent's own; the trailer is MCUboot's, read by the loader. Cells
 * are only written in a sector that this power-on erased, so a torn one never gets a second chance
 * to be read differently: a resume writes the whole record anew. */
#ifndef KEDGE_AGENT_MAILBOX_H
#define KEDGE_AGENT_MAILBOX_H

#include "kedge/agent.h"

struct kedge_upload_record {
    uint32_t length, image;
    uint8_t head[KEDGE_UPLOAD_HEAD]; /* image header: whose is the one that lies in sector 0? */
    uint8_t depth;                   /* transforms in a row that the file goes through; 0: none */
    uint32_t slot_length;            /* bytes that the slot gets; with depth 0 it is length */
    uint8_t sha_size;
    uint8_t sha[32];
    bool complete;
    uint32_t marked; /* sectors 0..marked-1 hold their bytes */
};

/* 0; KEDGE_E_NONE: no exact record; or a flash error. */
int kedge_mailbox_find(struct kedge_agent *agent, struct kedge_upload_record *record);

/* True when a half-way upload is all that the slot holds: nothing in it may be offered. */
bool kedge_mailbox_half_way(struct kedge_agent *agent);

/* Erase the sector (a request in it is gone first), write record->marked cells, then the record.
 * After a cut: the old sector, or a blank one, or no exact record, or the new record. */
int kedge_mailbox_open(struct kedge_agent *agent, const struct kedge_upload_record *record);

/* Sector `i` of the slot was written and read back / the whole upload is there. */
int kedge_mailbox_mark(struct kedge_agent *agent, uint32_t i);
int kedge_mailbox_complete(struct kedge_agent *agent);

int kedge_mailbox_erase(struct kedge_agent *agent);

/* The slot holds the whole file of the record: erase a record of an earlier power-on, whose
 * `complete` cell may be a torn one that reads so now and otherwise later. A request stays. */
int kedge_mailbox_retire(struct kedge_agent *agent);

/* Write a request: the last bytes of the slot as they shall be. Order: magic, image_ok, then what
 * MCUboot ignores. After a cut: none, torn, a test (also when permanent was asked), or all of it.
 */
int kedge_mailbox_request(struct kedge_agent *agent, const uint8_t *tail);

#endif
