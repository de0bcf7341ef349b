/* What the files of this room share: the numbers of the format (facts 7.1), the decoding of a
 * header, and the pass: one reading of an image, front to back. */
#ifndef KEDGE_IMAGE_PARTS_H
#define KEDGE_IMAGE_PARTS_H

#include "kedge/image.h"

#define KEDGE_HEADER_SIZE     32u
#define KEDGE_TLV_HEAD        4u /* {u16 type, u16 size}, and {u16 magic, u16 total} */

#define KEDGE_TLV_PROTECTED   0x6908u
#define KEDGE_TLV_UNPROTECTED 0x6907u

#define KEDGE_TLV_KEYHASH     0x01u
#define KEDGE_TLV_PUBKEY      0x02u
#define KEDGE_TLV_SHA256      0x10u
#define KEDGE_TLV_SHA512      0x12u
#define KEDGE_TLV_RSA2048     0x20u /* first and last of the signature types */
#define KEDGE_TLV_ED25519     0x24u
#define KEDGE_TLV_SIG_PURE    0x25u
#define KEDGE_TLV_DEPENDENCY  0x40u
#define KEDGE_TLV_COUNTER     0x50u

/* The 32 bytes of a header into the fields that come from it, of an image that may have `most`
 * bytes: GOOD, ABSENT, BAD_HEADER, TOO_LARGE. */
enum kedge_verdict kedge_header_decode(const uint8_t *header, uint32_t most,
                                       struct kedge_image *image);

/* A pass reads every byte once, and what it hashes, shows to the tap and parses is that byte: flash
 * that reads differently the next time cannot give one image to the hash and another to the parser.
 *
 *   | header | payload | protected TLVs |   unprotected TLVs   |
 *   '----------- hashed --------------'      seen by the tap only */
struct kedge_pass {
    const struct kedge_source *source;
    struct kedge_verify *verify; /* what is read of the image goes there; scratch, tap */
    const struct kedge_hash *hash;
    struct kedge_hash_state *state; /* NULL: what is read is not hashed */
    uint32_t at;
    /* what the unprotected TLVs said so far */
    const struct kedge_key *key; /* of the next signature; NULL: none, or unknown */
    enum kedge_verdict signature;
    uint8_t tries;
    bool hash_seen, hash_good, other_hash, pure;
};

/* Called behind each TLV; its size is 0 when it is longer than the scratch buffer. */
typedef void (*kedge_pass_tlv)(struct kedge_pass *pass, uint16_t type, const uint8_t *at,
                               size_t size);

/* From the first byte to the end of what is hashed: digest of `lead` and that. */
enum kedge_verdict kedge_pass_hashed(struct kedge_pass *pass, const uint8_t *lead, size_t lead_size,
                                     uint8_t *digest);

/* The TLV area at pass->at; total 0: as long as its head says. The image ends behind it. */
enum kedge_verdict kedge_pass_area(struct kedge_pass *pass, uint16_t magic, uint32_t total,
                                   kedge_pass_tlv on_tlv);

#endif
