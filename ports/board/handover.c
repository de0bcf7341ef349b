#include "handover.h"

#include <string.h>

/* [H-1]: a report of other bytes is another HANDOVER_VERSION. */
_Static_assert(offsetof(struct handover, counts) == 76, "report: 68 bytes");
_Static_assert(offsetof(struct handover, crc) == 76 + 2 * KEDGE_PHASES * 32, "counts: words");

static uint32_t crc_of(const struct handover *handover)
{
    return kedge_crc32(0, kedge_bytes(handover, offsetof(struct handover, crc)));
}

void handover_put(const struct kedge_boot_report *report, const struct kedge_recorder *recorder)
{
    struct handover *to = &link_handover;
    to->magic = HANDOVER_MAGIC;
    to->version = HANDOVER_VERSION;
    to->size = sizeof *to;
    to->report = *report;
    memcpy(to->counts, recorder->counts, sizeof to->counts);
    to->crc = crc_of(to);
}

bool handover_get(struct kedge_boot_report *report, struct kedge_recorder *recorder)
{
    struct handover *from = &link_handover;
    if (from->magic != HANDOVER_MAGIC || from->version != HANDOVER_VERSION ||
        from->size != sizeof *from || from->crc != crc_of(from)) {
        return false;
    }
    *report = from->report;
    memcpy(recorder->counts, from->counts, sizeof recorder->counts);
    from->magic = 0;
    return true;
}
