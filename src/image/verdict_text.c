/* Words for the verdicts. Kept apart from what makes them, so that a loader that speaks to nobody
 * does not carry the words. */
#include "kedge/image.h"

static const char *const text[] = {
    [KEDGE_IMAGE_GOOD] = "the image is good",
    [KEDGE_IMAGE_ABSENT] = "there is no image: no header magic at its place",
    [KEDGE_IMAGE_UNREADABLE] =
        "the image cannot be read from flash, or reads differently each time",
    [KEDGE_IMAGE_BAD_HEADER] = "the image header is damaged or of a format that is not supported",
    [KEDGE_IMAGE_TOO_LARGE] = "the image does not fit: it is cut short, or larger than the slot",
    [KEDGE_IMAGE_BAD_TLV] = "the TLV area behind the payload is missing, damaged or cut short",
    [KEDGE_IMAGE_NO_HASH] = "the image carries no hash of a kind that this device's keys use",
    [KEDGE_IMAGE_BAD_HASH] = "the contents do not match the image hash: damaged or altered",
    [KEDGE_IMAGE_NO_SIGNATURE] = "the image is not signed",
    [KEDGE_IMAGE_UNKNOWN_KEY] = "the image is signed by a key this device does not know",
    [KEDGE_IMAGE_BAD_SIGNATURE] = "the signature is wrong: altered after signing, or forged",
    [KEDGE_IMAGE_NOT_BOOTABLE] =
        "the image is flagged as not to be run in place (non-bootable, RAM-load or compressed)",
    [KEDGE_IMAGE_COUNTER] =
        "the security counter is missing or lower than one this device has already accepted",
    [KEDGE_IMAGE_DEPENDENCY] = "the image depends on another image that this device does not have",
    [KEDGE_IMAGE_DOWNGRADE] = "the image is older than the running one and the policy refuses that",
    [KEDGE_IMAGE_ENCRYPTED] = "the image is encrypted and this device has no key that opens it",
    [KEDGE_IMAGE_PLAIN] = "the image is not encrypted and the policy demands that it is",
    [KEDGE_IMAGE_FOREIGN] =
        "the image is encrypted for another device: none of this device's keys opens it",
};

const char *kedge_verdict_text(enum kedge_verdict verdict)
{
    if ((unsigned)verdict >= sizeof(text) / sizeof(text[0])) {
        return "a verdict without a name";
    }
    return text[verdict];
}
