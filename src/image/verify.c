/* Is this image complete, unaltered, and signed by a key we trust (facts 7.2)? */
#include <string.h>

#include "image/parts.h"

#define SCRATCH_MIN 256
/* Signatures by known keys that are computed for one image. A hostile image may carry thousands;
 * each costs up to half a second. */
#define TRIES 4

#define NOT_IN_PLACE                                                                               \
    (KEDGE_IMAGE_NON_BOOTABLE | KEDGE_IMAGE_RAM_LOAD | KEDGE_IMAGE_LZMA1 | KEDGE_IMAGE_LZMA2)

/* The key that KEYHASH or PUBKEY data names; NULL: we do not know it. */
static const struct kedge_key *find_key(const struct kedge_pass *pass, uint16_t type,
                                        const uint8_t *at, size_t size)
{
    const struct kedge_verify *const v = pass->verify;
    uint8_t digest[KEDGE_DIGEST_MAX];

    for (size_t i = 0; i < v->key_count; i++) {
        struct kedge_bytes name = v->keys[i].der;

        if (v->keys[i].type->hash != pass->hash) {
            continue;
        }
        if (type == KEDGE_TLV_KEYHASH) {
            kedge_hash_once(pass->hash, name, digest);
            name = kedge_bytes(digest, pass->hash->size);
        }
        if (size == name.size && memcmp(at, name.at, size) == 0) {
            return &v->keys[i];
        }
    }
    return NULL;
}

static int compute(const struct kedge_pass *pass, const struct kedge_key *key, const uint8_t *at,
                   size_t size)
{
    const struct kedge_signature *const type = key->type;
    const struct kedge_bytes signature = {at, size};

    if (!pass->pure) {
        return type->verify(key->der, kedge_bytes(pass->verify->digest, pass->hash->size),
                            signature);
    }
    return type->verify_pure == NULL ? KEDGE_E_UNSUPPORTED
                                     : type->verify_pure(key->der, signature, pass);
}

static void check_signature(struct kedge_pass *pass, uint16_t type, const uint8_t *at, size_t size)
{
    const struct kedge_key *const key = pass->key;

    pass->key = NULL; /* it was named for one signature */
    if (pass->signature == KEDGE_IMAGE_GOOD || (pass->hash_seen && !pass->hash_good)) {
        return;
    }
    if (key == NULL || key->type->tlv != type) {
        if (pass->signature == KEDGE_IMAGE_NO_SIGNATURE) {
            pass->signature = KEDGE_IMAGE_UNKNOWN_KEY;
        }
        return;
    }
    pass->signature = KEDGE_IMAGE_BAD_SIGNATURE;
    if (pass->tries == TRIES) {
        return;
    }
    pass->tries++;
    const int error = compute(pass, key, at, size);

    if (error == 0) {
        pass->signature = KEDGE_IMAGE_GOOD;
        pass->verify->key_index = (uint8_t)(key - pass->verify->keys);
    } else if (error == KEDGE_E_IO) {
        pass->signature = KEDGE_IMAGE_UNREADABLE;
    }
}

static void judge_tlv(struct kedge_pass *pass, uint16_t type, const uint8_t *at, size_t size)
{
    if (type == KEDGE_TLV_KEYHASH || type == KEDGE_TLV_PUBKEY) {
        pass->key = find_key(pass, type, at, size);
    } else if (type == KEDGE_TLV_SIG_PURE) {
        pass->pure = size == 1 && at[0] == 1;
    } else if (type == pass->hash->tlv) {
        if (pass->verify->look_only && size == pass->hash->size) {
            memcpy(pass->verify->digest, at, size);
        }
        pass->hash_good = !pass->hash_seen && size == pass->hash->size &&
                          memcmp(at, pass->verify->digest, size) == 0;
        pass->hash_seen = true;
    } else if (type >= KEDGE_TLV_SHA256 && type <= KEDGE_TLV_SHA512) {
        pass->other_hash = true;
    } else if (type >= KEDGE_TLV_RSA2048 && type <= KEDGE_TLV_ED25519) {
        check_signature(pass, type, at, size);
    }
}

/* What all that comes to, in the order of the verdicts. */
static enum kedge_verdict conclude(const struct kedge_pass *pass)
{
    const uint32_t flags = pass->verify->image.flags;

    if (!pass->hash_seen) {
        return pass->other_hash ? KEDGE_IMAGE_UNKNOWN_KEY : KEDGE_IMAGE_NO_HASH;
    }
    if (!pass->hash_good) {
        return (flags & (KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256)) != 0 ? KEDGE_IMAGE_ENCRYPTED
                                                                        : KEDGE_IMAGE_BAD_HASH;
    }
    if (pass->signature != KEDGE_IMAGE_GOOD) {
        return pass->signature;
    }
    return (flags & NOT_IN_PLACE) != 0 ? KEDGE_IMAGE_NOT_BOOTABLE : KEDGE_IMAGE_GOOD;
}

/* One reading, with one of the hashes. */
static enum kedge_verdict read_through(struct kedge_pass *pass)
{
    struct kedge_verify *const v = pass->verify;
    enum kedge_verdict verdict;

    v->counter = 0;
    v->depends = false;
    verdict = kedge_pass_hashed(pass, NULL, 0, v->digest);
    if (verdict != KEDGE_IMAGE_GOOD) {
        return verdict;
    }
    v->digest_size = pass->hash->size;
    pass->signature = v->look_only || memcmp(v->trusted, v->digest, v->digest_size) == 0
                          ? KEDGE_IMAGE_GOOD
                          : KEDGE_IMAGE_NO_SIGNATURE;
    verdict = kedge_pass_area(pass, KEDGE_TLV_UNPROTECTED, 0, judge_tlv);
    return verdict != KEDGE_IMAGE_GOOD ? verdict : conclude(pass);
}

enum kedge_verdict kedge_image_verify(const struct kedge_source *source, struct kedge_verify *v)
{
    enum kedge_verdict verdict = KEDGE_IMAGE_UNKNOWN_KEY;

    KEDGE_ASSERT(v->scratch.size >= SCRATCH_MIN);
    for (size_t i = 0; i < v->key_count; i++) {
        struct kedge_pass pass = {.source = source, .verify = v, .hash = v->keys[i].type->hash};

        if (i != 0 && pass.hash == v->keys[i - 1].type->hash) {
            continue;
        }
        verdict = read_through(&pass);
        if (verdict == KEDGE_IMAGE_GOOD && !v->look_only) {
            memcpy(v->trusted, v->digest, v->digest_size);
        }
        if (verdict != KEDGE_IMAGE_UNKNOWN_KEY) {
            break;
        }
    }
    return verdict;
}
