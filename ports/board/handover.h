/* What the loader leaves in RAM for the application, at a place that neither of them clears
 * (`link_handover` of both linker scripts): the boot report, and what the loader did to both
 * flashes. FORMAT.md "Handover". */
#ifndef KEDGE_HANDOVER_H
#define KEDGE_HANDOVER_H

#include "kedge/boot.h"

#define HANDOVER_MAGIC   0x4F48444Bu /* "KDHO" */
#define HANDOVER_VERSION 1u
#define HANDOVER_RESET   0x5354u

struct handover {
    uint32_t magic;
    uint16_t version, size; /* of this struct */
    struct kedge_boot_report report;
    struct kedge_counts counts[KEDGE_DEVICES][KEDGE_PHASES];
    uint32_t crc; /* CRC-32 of all before */
    /* The application's own, kept over the reset that it asks for: the request (service.h). */
    uint32_t reset_peer;
    uint32_t reset_seen; /* HANDOVER_RESET: yes */
    uint8_t reset_sequence;
};
extern struct handover link_handover;

void handover_put(const struct kedge_boot_report *report, const struct kedge_recorder *recorder);

/* Takes it: there is one only once. False, and nothing changed, when no loader of this version left
 * one. */
bool handover_get(struct kedge_boot_report *report, struct kedge_recorder *recorder);

#endif
