/* What a file is, told from its first bytes; words. */
#include "kedge/image.h"
#include "kedge/pipe.h"
#include "kedge/stage.h"

#define PLAIN_HEAD  32u         /* bytes of an image header */
#define DELTA_MAGIC 0x31544C44u /* "DLT1": FORMAT.md, Patches */

enum kedge_stage_kind kedge_stage_kind_of(struct kedge_bytes head)
{
    if (head.size < PLAIN_HEAD || kedge_le32(head.at) != KEDGE_IMAGE_MAGIC) {
        return KEDGE_STAGE_ANY;
    }
    const uint32_t flags = kedge_le32(head.at + 16);

    if ((flags & KEDGE_IMAGE_NON_BOOTABLE) != 0) {
        if (head.size < KEDGE_ENVELOPE_HEAD) {
            return KEDGE_STAGE_ANY;
        }
        return kedge_le32(head.at + PLAIN_HEAD) == DELTA_MAGIC ? KEDGE_STAGE_DELTA
                                                               : KEDGE_STAGE_SEALED;
    }
    return (flags & (KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256)) != 0 ? KEDGE_STAGE_ENCRYPTED
                                                                    : KEDGE_STAGE_PLAIN;
}

const char *kedge_stage_kind_text(uint8_t kind)
{
    static const char text[KEDGE_STAGE_KINDS][10] = {"any", "plain", "encrypted", "sealed",
                                                     "delta"};

    return kind < KEDGE_STAGE_KINDS ? text[kind] : NULL;
}

const char *kedge_stage_state_text(uint8_t state)
{
    static const char text[][10] = {"empty",    "receiving", "spoilt", "hashing",
                                    "decoding", "failed",    "decoded"};

    return state < sizeof(text) / sizeof(text[0]) ? text[state] : NULL;
}
