/* Firmware in, MCUboot image out; the bytes are imgtool's (facts/mcuboot-format.md 7.1-7.5). */
#ifndef KEDGE_TOOL_SIGN_IMAGE_H
#define KEDGE_TOOL_SIGN_IMAGE_H

#include "blob.h"
#include "file.h"
#include "kedge/image.h"
#include "key.h"

#define SIGN_DEPENDENCIES 32
#define SIGN_CUSTOM       64

struct sign_dependency {
    uint8_t image;
    struct kedge_version version;
};

struct sign_custom {
    uint16_t type;
    struct blob data;
};

struct sign_request {
    struct kedge_version version;
    uint32_t header_size, slot_size; /* slot_size 0: not given */
    uint32_t align, max_align, max_sectors;
    uint32_t load_address, rom_fixed;
    uint8_t erased;
    bool pad_header, pad, test, confirm, overwrite_only, non_bootable;

    const struct key *key; /* NULL: unsigned, or with a signature made elsewhere */
    const struct key *fixed_key;
    struct blob fixed_signature;
    const char *sha; /* "256", "384", "512" */
    bool full_key, pure, pad_signature;

    const struct key *encrypt_for;
    uint32_t encrypt_bytes; /* 16 or 32 */
    bool clear, save_enctlv, hmac512;

    bool has_counter;
    uint32_t counter;
    const char *boot_record; /* NULL: none */
    struct sign_dependency dependencies[SIGN_DEPENDENCIES];
    size_t dependency_count;
    struct sign_custom custom[SIGN_CUSTOM];
    size_t custom_count;
    const char *vector; /* NULL, "payload", "digest": only what an external signer needs */
};

struct signed_image {
    struct blob bytes; /* without padding and trailer */
    struct blob signature;
    uint32_t trailer_size;
};

/* 0; or an exit code after saying why. */
int sign_image(const struct sign_request *r, struct kedge_bytes firmware,
               struct signed_image *image);

/* Padding and trailer behind the image, so that it fills the slot. */
void sign_pad(const struct sign_request *r, struct signed_image *image);

/* The same as Intel HEX from `address`: image and trailer, nothing between them. Allocated. */
char *sign_hex(const struct sign_request *r, const struct signed_image *image, uint32_t address,
               size_t *size);

#endif
