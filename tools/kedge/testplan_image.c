/* Images of the test plan. */
#include "testplan_image.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "report.h"
#include "sign_image.h"

int plan_keys_make(struct plan_keys *keys)
{
    static const char *const kinds[PLAN_SIGNERS] = {"ed25519", "ecdsa-p256", "ed25519"};

    for (size_t i = 0; i < PLAN_SIGNERS; i++) {
        const int result = key_make(key_kind_by_name(kinds[i]), &keys->key[i]);

        if (result != 0) {
            return result;
        }
        size_t size = 0;
        uint8_t *const der = key_public_der(&keys->key[i], &size);

        keys->der[i] = kedge_bytes(der, size);
    }
    return 0;
}

void plan_keys_free(struct plan_keys *keys)
{
    for (size_t i = 0; i < PLAN_SIGNERS; i++) {
        key_free(&keys->key[i]);
        free((void *)(uintptr_t)keys->der[i].at);
    }
}

/* A payload that looks like nothing else, or like every other sparse one but for its first bytes.
 */
static uint8_t *make_payload(const struct plan_image_spec *spec, size_t size)
{
    struct kedge_random random = {.state = spec->sparse ? 1000 : spec->major};
    uint8_t *const payload = grab(size);

    kedge_random_fill(&random, payload, size);
    if (spec->sparse) {
        payload[0] = spec->major;
    }
    return payload;
}

static const struct key *signer_of(const struct plan_keys *keys, const struct plan_image_spec *spec)
{
    return spec->other != NULL             ? spec->other
           : spec->signer == PLAN_UNSIGNED ? NULL
                                           : &keys->key[spec->signer];
}

static void add_dependency(struct sign_request *request, const struct plan_image_spec *spec)
{
    struct sign_dependency *const needed = &request->dependencies[0];

    if (spec->dependency == PLAN_DEPENDS_NOTHING) {
        return;
    }
    request->dependency_count = 1;
    needed->image = spec->dependency == PLAN_DEPENDS_OTHER_IMAGE ? 1 : 0;
    needed->version.major = spec->major;
    needed->version.revision = spec->dependency == PLAN_DEPENDS_NEWER ? 1 : 0;
}

/* The hash as the image carries it. */
static void note_hash(struct plan_image *image, const char *sha)
{
    const uint16_t type = sha[0] == '2' ? 0x10 : sha[0] == '3' ? 0x11 : 0x12;
    const size_t payload_end = kedge_le16(image->bytes.at + 8) + kedge_le32(image->bytes.at + 12);
    const size_t area = payload_end + kedge_le16(image->bytes.at + 10);

    /* info header, then the hash TLV first of all */
    if (kedge_le16(image->bytes.at + area + 4) != type) {
        exit(fail("the tool's own image has no hash at its place: this is a bug"));
    }
    image->hash_size = (uint8_t)(atoi(sha) / 8);
    memcpy(image->hash, image->bytes.at + area + 8, sizeof(image->hash));
}

int plan_image_make(struct plan_image *image, const struct plan_keys *keys,
                    const struct plan_image_spec *spec)
{
    const struct key *const key = signer_of(keys, spec);
    const char *const sha = spec->sha != NULL             ? spec->sha
                            : key == NULL                 ? "256"
                            : key->kind->hashes[0] == '3' ? "384"
                                                          : "256";
    struct sign_request request = {
        .version = {.major = spec->major},
        .header_size = PLAN_HEADER,
        .align = 4,
        .max_align = 8,
        .max_sectors = 128,
        .load_address = spec->load_address,
        .erased = 0xff,
        .pad_header = true,
        .non_bootable = spec->non_bootable,
        .key = key,
        .sha = sha,
        .pure = spec->pure,
        .encrypt_for = spec->encrypt_for,
        .encrypt_bytes = 16,
        .has_counter = spec->has_counter,
        .counter = spec->counter,
    };
    struct signed_image made;
    const size_t size = spec->size - PLAN_HEADER;
    uint8_t *const payload = make_payload(spec, size);

    add_dependency(&request, spec);
    const int result = sign_image(&request, kedge_bytes(payload, size), &made);

    free(payload);
    if (result != 0) {
        return result;
    }
    blob_free(&made.signature);
    *image = (struct plan_image){.bytes = made.bytes, .version = request.version};
    note_hash(image, sha);
    return 0;
}
