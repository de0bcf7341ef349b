/* Words for the named errors. Kept apart from everything that makes them, so that a loader that
 * speaks to nobody does not carry the words. */
#include "kedge/error.h"

static const char *const text[] = {
    [-KEDGE_OK] = "done",
    [-KEDGE_E_BOUNDS] = "the address is outside the region or the device",
    [-KEDGE_E_ALIGN] = "the address or length does not fit the device's block size",
    [-KEDGE_E_FORBIDDEN] = "a recorder rule forbids this device in this phase",
    [-KEDGE_E_DEAD] = "the flash chip does not answer",
    [-KEDGE_E_FOREIGN] = "another flash chip answers than the one configured",
    [-KEDGE_E_BUSY] = "the flash chip stays busy beyond its longest time",
    [-KEDGE_E_PROTECTED] = "the place is write-protected in the flash chip",
    [-KEDGE_E_IO] = "the bus or the flash controller reported a failure",
    [-KEDGE_E_READBACK] = "what was written does not read back",
    [-KEDGE_E_SOURCE] = "the source does not match its checksum and cannot be repaired",
    [-KEDGE_E_FORMAT] = "the bytes do not follow their format",
    [-KEDGE_E_SPACE] = "it does not fit",
    [-KEDGE_E_NONE] = "there is no such thing",
    [-KEDGE_E_STATE] = "not allowed in this state",
    [-KEDGE_E_REFUSED] = "refused by a policy or a lock",
    [-KEDGE_E_UNSUPPORTED] = "not supported",
    [-KEDGE_E_HASH] = "the digest differs",
    [-KEDGE_E_SIGNATURE] = "not signed by a known key",
    [-KEDGE_E_CUT] = "power failed in this operation",
    [-KEDGE_E_KEY] = "made for another device key, or damaged",
};

const char *kedge_error_text(int error)
{
    if (error > 0 || error <= -(int)(sizeof(text) / sizeof(text[0]))) {
        return "an error without a name";
    }
    return text[-error];
}
