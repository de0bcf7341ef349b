/* MCUboot's image format: parse, hash, verify; a verdict with its reason (facts/mcuboot-format.md
 * 7.1, 7.2). Every length in it is hostile. */
#ifndef KEDGE_IMAGE_H
#define KEDGE_IMAGE_H

#include "kedge/crypto.h"

/* Where the bytes of an image come from: a slot at a base, a file, a decrypting view. */
struct kedge_source {
    /* Never called for bytes outside [0, size). 0 or a negative error. */
    int (*read)(const void *ctx, uint32_t at, struct kedge_buf to);
    const void *ctx;
    uint32_t size; /* bytes that may be read: the most that an image may occupy */
};

struct kedge_version {
    uint8_t major, minor;
    uint16_t revision;
    uint32_t build;
};

/* Headers and plans hold it so, in little endian. To and from there: */
_Static_assert(sizeof(struct kedge_version) == 8, "no gaps in a version");
KEDGE_INLINE struct kedge_version kedge_version_get(const uint8_t *at)
{
    struct kedge_version version;
    __builtin_memcpy(&version, at, sizeof(version));
    if (!KEDGE_LITTLE_ENDIAN) {
        version.revision = kedge_le16(at + 2);
        version.build = kedge_le32(at + 4);
    }
    return version;
}
KEDGE_INLINE void kedge_version_put(uint8_t *at, const struct kedge_version *version)
{
    __builtin_memcpy(at, version, sizeof(*version));
    if (!KEDGE_LITTLE_ENDIAN) {
        kedge_put_le16(at + 2, version->revision);
        kedge_put_le32(at + 4, version->build);
    }
}

#define KEDGE_IMAGE_MAGIC        0x96f3b83du
#define KEDGE_IMAGE_AES128       0x0004u
#define KEDGE_IMAGE_AES256       0x0008u
#define KEDGE_IMAGE_NON_BOOTABLE 0x0010u
#define KEDGE_IMAGE_RAM_LOAD     0x0020u
#define KEDGE_IMAGE_ROM_FIXED    0x0100u
#define KEDGE_IMAGE_LZMA1        0x0200u
#define KEDGE_IMAGE_LZMA2        0x0400u

/* A parsed image: offsets are from the image's first byte, sizes in bytes. */
struct kedge_image {
    /* in the order of the header */
    uint32_t load_address;
    uint16_t header_size;
    uint16_t protected_size; /* whole protected area, 0: none */
    uint32_t payload_size;
    uint32_t flags;
    struct kedge_version version;
    /* follows from them, and from the TLVs */
    uint32_t tlv_at; /* first TLV info header = header_size + payload_size */
    uint32_t size;   /* everything, last TLV included */
};

/* Result of looking at an image. Multi-bit constants come with the hardening of the loader; the
 * order here is the order of the checks. */
enum kedge_verdict {
    KEDGE_IMAGE_GOOD,
    KEDGE_IMAGE_ABSENT,     /* no header magic: erased or something else */
    KEDGE_IMAGE_UNREADABLE, /* the flash failed */
    KEDGE_IMAGE_BAD_HEADER, /* sizes impossible, v1 magic, both encryption flags */
    KEDGE_IMAGE_TOO_LARGE,  /* does not fit into the slot */
    KEDGE_IMAGE_BAD_TLV,    /* TLV area missing, torn, overlapping, running out of the slot */
    KEDGE_IMAGE_NO_HASH,
    KEDGE_IMAGE_BAD_HASH,
    KEDGE_IMAGE_NO_SIGNATURE, /* unsigned */
    KEDGE_IMAGE_UNKNOWN_KEY,  /* signed, by nobody we know */
    KEDGE_IMAGE_BAD_SIGNATURE,
    KEDGE_IMAGE_NOT_BOOTABLE, /* NON_BOOTABLE, RAM_LOAD or a compression flag */
    KEDGE_IMAGE_COUNTER,      /* security counter lower than the stored one, or absent */
    KEDGE_IMAGE_DEPENDENCY,
    KEDGE_IMAGE_DOWNGRADE,
    KEDGE_IMAGE_ENCRYPTED, /* encrypted, and no key here to look inside */
    KEDGE_IMAGE_PLAIN,     /* plain where the policy wants everything confidential */
    KEDGE_IMAGE_FOREIGN    /* encrypted for another device */
};
const char *kedge_verdict_text(enum kedge_verdict verdict);

/* Reads header and TLV info headers only. GOOD, ABSENT, UNREADABLE, BAD_HEADER, TOO_LARGE, BAD_TLV.
 * Ensures with GOOD: header, payload and both areas lie in [0, source->size), image->size is their
 * end. BAD_HEADER also for an empty payload: there is nothing to run. */
enum kedge_verdict kedge_image_parse(const struct kedge_source *source, struct kedge_image *image);

/* Walks the TLVs of both areas in order. */
struct kedge_tlv {
    uint16_t type, size;
    uint32_t at; /* of the data, from the image's first byte */
    bool is_protected;
};
struct kedge_tlv_walk {
    const struct kedge_source *source;
    const struct kedge_image *image;
    uint32_t at, end;
    bool in_protected;
};
void kedge_tlv_start(struct kedge_tlv_walk *walk, const struct kedge_source *source,
                     const struct kedge_image *image);
/* 1: *tlv is the next one; 0: no more; negative: flash error or KEDGE_E_FORMAT. */
int kedge_tlv_next(struct kedge_tlv_walk *walk, struct kedge_tlv *tlv);
/* First TLV of `type` in either area: its size, with up to to.size bytes of its data in `to`;
 * KEDGE_E_NONE, KEDGE_E_FORMAT or a flash error. */
int kedge_tlv_find(const struct kedge_source *source, const struct kedge_image *image,
                   uint16_t type, struct kedge_buf to, struct kedge_tlv *tlv);

/* What a verification is told and what it tells. */
struct kedge_verify {
    /* out; first, because a short offset is a short instruction */
    uint8_t digest_size;
    uint8_t key_index; /* which key it was */
    bool depends; /* on an image, or on a version of image 0, that a device of one image has not */
    /* in: only look. Nothing is hashed, no signature computed, `digest` is the hash as it is
     * stored: GOOD then says neither who made the image nor that its bytes are whole, and is not
     * trusted later. What becomes the old image is looked at so; nobody boots by such a verdict. */
    bool look_only;
    uint32_t counter; /* security counter TLV; 0: none */
    struct kedge_image image;
    /* in */
    const struct kedge_key *keys;
    size_t key_count;
    /* Read buffer, at least 256 bytes, 512 with an RSA-3072 key; more is faster. */
    struct kedge_buf scratch;
    /* Sees every byte of the image, [0, image.size), in order, exactly as it was hashed (and the
     * unhashed TLVs behind), once; again from 0 when the image is read again. No piece crosses a
     * multiple of scratch.size. NULL: nobody looks. Negative: stop with UNREADABLE. */
    int (*tap)(void *ctx, uint32_t at, struct kedge_bytes data);
    void *tap_ctx;
    /* out */
    uint8_t digest[KEDGE_DIGEST_MAX];
    /* kept from one verification to the next, zeros at first: the digest whose signature was good.
     * When an image has it, the hash is checked, the signature not computed again. */
    uint8_t trusted[KEDGE_DIGEST_MAX];
};
/* Parse, hash, compare, check a signature by one of the keys. Requires: source and the inputs of
 * *v. Ensures: GOOD only when one of the keys signed exactly the bytes that the tap saw; the
 * outputs of *v are meaningful from BAD_HASH on (they come from the hashed bytes), version and
 * sizes from BAD_TLV on. Checks are made in the order of the verdicts; COUNTER, DEPENDENCY,
 * DOWNGRADE and PLAIN are the caller's to judge, and whether load_address fits when ROM_FIXED is
 * set.
 *   - The image hash that counts is the one that goes with the first of the keys that has one here
 *     (0x10..0x12); it must be there once. An image with other hashes only gives UNKNOWN_KEY. An
 * image that says UNKNOWN_KEY is read again, by the tap too, for the next key with another hash.
 *   - KEYHASH or PUBKEY names the key of the next signature; of several such pairs any good one by
 *     a known key authenticates (at most 4 are computed). Those areas are not signed: unknown
 *     entries in them are ignored.
 *   - SIG_PURE: the key's type must have verify_pure; the image is then read twice.
 *   - A hash that does not match is reported as ENCRYPTED when the encryption flag is set: source
 *     must give the payload in plain.
 * Reads only. */
enum kedge_verdict kedge_image_verify(const struct kedge_source *source, struct kedge_verify *v);

/* The image hash TLV as stored (nothing verified), SHA-256 before 384 before 512, into `digest`
 * (KEDGE_DIGEST_MAX bytes): size 32, 48 or 64; KEDGE_E_NONE, KEDGE_E_FORMAT, a flash error. */
int kedge_image_hash(const struct kedge_source *source, const struct kedge_image *image,
                     uint8_t *digest);

/* Major, minor, revision, build: <0, 0, >0. */
int kedge_version_compare(const struct kedge_version *a, const struct kedge_version *b);
/* "1.2.3" or, with a build number, "1.2.3.4" (SMP's form), and a NUL; chars written without it. */
#define KEDGE_VERSION_TEXT_SIZE 25
size_t kedge_version_text(const struct kedge_version *version, char *to);

#endif
