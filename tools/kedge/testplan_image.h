/* Keys and images of the test plan: new keys in each run, images signed by the tool's own code. */
#ifndef KEDGE_TOOL_TESTPLAN_IMAGE_H
#define KEDGE_TOOL_TESTPLAN_IMAGE_H

#include "blob.h"
#include "kedge/image.h"
#include "key.h"

/* The device trusts the first two, and Ed25519 with SHA-512 by the first one. */
enum plan_signer { PLAN_ED25519, PLAN_P256, PLAN_STRANGER, PLAN_SIGNERS, PLAN_UNSIGNED };

struct plan_keys {
    struct key key[PLAN_SIGNERS];
    struct kedge_bytes der[PLAN_SIGNERS]; /* public, as the loader wants it; allocated */
};
/* 0 or an exit code, said. */
int plan_keys_make(struct plan_keys *keys);
void plan_keys_free(struct plan_keys *keys);

struct plan_image {
    struct blob bytes; /* header to last TLV */
    uint8_t hash[32];  /* image hash, the first 32 bytes of it */
    uint8_t hash_size;
    struct kedge_version version;
};

struct plan_image_spec {
    uint8_t major; /* version; chooses the payload too */
    uint32_t size; /* of header and payload, bytes */
    enum plan_signer signer;
    const struct key *other; /* signed by this key instead */
    const char *sha;         /* NULL: the key's default */
    bool pure;
    bool sparse; /* the payload is that of every other sparse image but for a few bytes */
    bool has_counter, non_bootable;
    uint32_t counter, load_address;
    const struct key *encrypt_for;
    int dependency; /* PLAN_DEPENDS_... */
};
enum { PLAN_DEPENDS_NOTHING, PLAN_DEPENDS_MET, PLAN_DEPENDS_NEWER, PLAN_DEPENDS_OTHER_IMAGE };

#define PLAN_HEADER                                                                                \
    0x200u /* bytes reserved for the header, as firmware for Nordic parts has them */

/* 0 or an exit code, said. */
int plan_image_make(struct plan_image *image, const struct plan_keys *keys,
                    const struct plan_image_spec *spec);

#endif
