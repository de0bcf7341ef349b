/* What the files of this room share: the numbers of the format (facts 7.1) and the decoding of a
 * header. */
#ifndef KEDGE_IMAGE_PARTS_H
#define KEDGE_IMAGE_PARTS_H

#include "kedge/image.h"

#define KEDGE_HEADER_SIZE 32u
#define KEDGE_TLV_HEAD 4u /* {u16 type, u16 size}, and {u16 magic, u16 total} */

#define KEDGE_TLV_PROTECTED 0x6908u
#define KEDGE_TLV_UNPROTECTED 0x6907u

#define KEDGE_TLV_KEYHASH 0x01u
#define KEDGE_TLV_PUBKEY 0x02u
#define KEDGE_TLV_SHA256 0x10u
#define KEDGE_TLV_SHA512 0x12u
#define KEDGE_TLV_SIG_PURE 0x25u
#define KEDGE_TLV_COUNTER 0x50u

/* source->read inside its bounds; KEDGE_E_BOUNDS outside. */
int kedge_source_read(const struct kedge_source *source, uint32_t at, struct kedge_buf to);

/* The 32 bytes of a header into the fields that come from it; nothing is judged. */
void kedge_header_decode(const uint8_t *header, struct kedge_image *image);

#endif
