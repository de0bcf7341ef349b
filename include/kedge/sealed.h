/* Sealed files: authenticated encryption in segments, so that a device gives out no byte before the
 * segment that it lies in is authenticated, and can go on at any segment. Bytes and rules:
 * FORMAT.md, "Sealed file".
 *
 *   | head 40 B | wrapped key | tag | segment 0 | tag | segment 1 | tag | ... the last one is
 * shorter
 *
 * The file's key is a random one, wrapped for a device (device_key.h), or comes from a key that
 * many devices share; HKDF with the file's id makes of it the key that is used. What is
 * authenticated with a segment: the head (id, sizes), and its number. */
#ifndef KEDGE_SEALED_H
#define KEDGE_SEALED_H

#include "kedge/aead.h"
#include "kedge/device_key.h"
#include "kedge/transform.h"

#define KEDGE_SEALED_MAGIC       0x314c534bu /* "KSL1" */
#define KEDGE_SEALED_HEAD        40
#define KEDGE_SEALED_ID          16
#define KEDGE_SEALED_SEGMENT_LOG 12 /* default: 4096 bytes of plain text, a sector of NOR */
#define KEDGE_SEALED_LOG_LEAST   8
#define KEDGE_SEALED_SEGMENT     (1u << KEDGE_SEALED_SEGMENT_LOG) /* the most that a device holds */
#define KEDGE_SEALED_SHARED      0 /* for kedge_sealed_head.wrap; else the TLV type of device_key.h */

/* Offsets in the head, little endian. */
enum kedge_sealed_field {
    KEDGE_SEALED_AEAD_AT = 4,     /* u8, kedge_aead.id */
    KEDGE_SEALED_WRAP_AT = 5,     /* u8 */
    KEDGE_SEALED_LOG_AT = 6,      /* u8, log2 of a segment's plain bytes */
    KEDGE_SEALED_RESERVED_AT = 7, /* 0 */
    KEDGE_SEALED_SIZE_AT = 8,     /* u32, plain bytes in all */
    KEDGE_SEALED_WRAPPED_AT = 12, /* u16, bytes of the wrapped key */
    KEDGE_SEALED_ZERO_AT = 14,    /* u16, 0 */
    KEDGE_SEALED_ID_AT = 16,      /* random, never used twice */
    KEDGE_SEALED_KEY_ID_AT = 32   /* 8 bytes: which key, for people; of a shared one checked */
};

/* What a device has to open them: env->keys. */
struct kedge_sealed_keys {
    const struct kedge_aead *aead;
    const struct kedge_device_keys *device; /* NULL: none */
    struct kedge_bytes shared;              /* 32 bytes; size 0: none */
};

/* The key that a file is sealed with, from its secret (unwrapped, or shared) and its id. */
void kedge_sealed_key(struct kedge_bytes secret, const uint8_t *id, uint8_t key[KEDGE_AEAD_KEY]);
/* The id of a shared key: it tells nothing of the key. */
void kedge_sealed_shared_id(struct kedge_bytes shared, uint8_t id[8]);
/* The info under which a key is wrapped for sealed files. */
extern const struct kedge_bytes kedge_info_sealed;

/* What a segment is authenticated with, beside its text, and its nonce. The head has the nonce of
 * this number, and is authenticated as it stands up to its tag. */
#define KEDGE_SEALED_NUMBER_OF_HEAD UINT32_MAX
struct kedge_sealed_also {
    uint8_t bytes[KEDGE_SEALED_HEAD + 4];
    uint8_t nonce[KEDGE_AEAD_NONCE];
};
void kedge_sealed_also(struct kedge_sealed_also *also, const uint8_t *head, uint32_t number);

/* State of the transform: private to src/transform/sealed.c but for its size. Holds the file's key.
 */
struct kedge_sealed {
    uint8_t key[KEDGE_AEAD_KEY];
    uint8_t head[KEDGE_SEALED_HEAD];
    uint32_t number;       /* the next segment */
    uint16_t filled, want; /* bytes of `segment`: there, and when it is complete */
    uint16_t ready, given; /* plain bytes in `segment`, and how many of them are out */
    uint16_t head_size;    /* of the file, wrapped key and tag included */
    uint8_t phase;
    char words[64]; /* reason() with the number of a segment */
    uint8_t segment[KEDGE_SEALED_SEGMENT + KEDGE_AEAD_TAG];
};

/* push(): KEDGE_E_FORMAT, KEDGE_E_UNSUPPORTED (another version, larger segments); KEDGE_E_NONE:
 * this device has no key of that kind; KEDGE_E_KEY: sealed for another key; KEDGE_E_HASH: head or
 * segment was changed, or a segment stands where another belongs. finish(): KEDGE_E_FORMAT when
 * segments are missing. seek(): to any segment; also when output was pulled already. */
extern const struct kedge_transform kedge_sealed;

#endif
