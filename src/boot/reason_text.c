/* Words for people; the loader itself does not link them. */
#include "kedge/boot.h"

const char *kedge_reason_text(enum kedge_reason reason)
{
    static const char *const text[] = {
        [KEDGE_REASON_NORMAL] = "the confirmed image",
        [KEDGE_REASON_TESTING] = "a new image on trial",
        [KEDGE_REASON_UPDATED] = "permanent update done",
        [KEDGE_REASON_CONFIRMED] = "first boot after the application confirmed",
        [KEDGE_REASON_REVERTED] = "not confirmed: the old image is back",
        [KEDGE_REASON_RESTORED] = "an update failed half-way and was undone",
        [KEDGE_REASON_INSTALLED] = "the primary image was bad; installed another one",
        [KEDGE_REASON_REFUSED] = "the candidate was refused",
        [KEDGE_REASON_TORN_REQUEST] = "a half-written request was cleared",
        [KEDGE_REASON_HELD] = "a request waits: policy hold is on",
        [KEDGE_REASON_DEGRADED] = "external flash dead in the middle of an update",
        [KEDGE_REASON_REVERT_WAITS] = "revert due, but the external flash is dead",
        [KEDGE_REASON_CANNOT_REVERT] = "revert due, but the old image is gone: kept the new one",
        [KEDGE_REASON_REPLACED] = "the primary was flashed from outside during an update",
        [KEDGE_REASON_NO_CHIP] = "the external flash does not answer",
        [KEDGE_REASON_NOTHING] = "no bootable image: recovery",
    };
    const unsigned count = sizeof(text) / sizeof(text[0]);
    return (unsigned)reason < count ? text[reason] : "unknown reason";
}
