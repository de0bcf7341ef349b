/* Is this image complete, unaltered, and signed by a key we trust (facts 7.2)? */
#include "image/parts.h"

#define SCRATCH_MIN 256
/* Signatures by known keys that are computed for one image. A hostile image may carry thousands;
 * each costs up to half a second. */
#define TRIES 4

#define NOT_IN_PLACE                                                                               \
    (KEDGE_IMAGE_NON_BOOTABLE | KEDGE_IMAGE_RAM_LOAD | KEDGE_IMAGE_LZMA1 | KEDGE_IMAGE_LZMA2)

/* Looks for the first image hash that goes with one of the keys; pass->signature says meanwhile
 * what it means that there is none. */
static void choose_hash(struct kedge_pass *pass, uint16_t type, struct kedge_bytes data)
{
    const struct kedge_verify *const v = pass->verify;

    (void)data;
    if (pass->hash != NULL || type < KEDGE_TLV_SHA256 || type > KEDGE_TLV_SHA512) {
        return;
    }
    pass->signature = KEDGE_IMAGE_UNKNOWN_KEY;
    for (size_t i = 0; i < v->key_count; i++) {
        if (v->keys[i].type->hash->tlv == type) {
            pass->hash = v->keys[i].type->hash;
        }
    }
}

/* Walks the unprotected TLVs. */
static enum kedge_verdict walk(struct kedge_pass *pass, kedge_pass_tlv on_tlv)
{
    const struct kedge_image *const image = &pass->verify->image;

    pass->at = image->tlv_at + image->protected_size;
    return kedge_pass_area(pass, KEDGE_TLV_UNPROTECTED, image->size - pass->at, on_tlv);
}

/* The key that KEYHASH or PUBKEY data names; NULL: we do not know it. */
static const struct kedge_key *find_key(const struct kedge_pass *pass, uint16_t type,
                                        struct kedge_bytes data)
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
        if (data.size == name.size && kedge_equal(data.at, name.at, name.size)) {
            return &v->keys[i];
        }
    }
    return NULL;
}

/* For a pure signature: the same image once more. Both digests must fit, so flash that reads
 * differently by accident is caught; flash that lies on purpose is not, and a loader therefore
 * verifies in the internal flash, where nobody can. */
static int digest_again(const void *ctx, struct kedge_bytes lead, uint8_t *digest)
{
    const struct kedge_pass *const first = ctx;
    struct kedge_pass pass = {
        .source = first->source,
        .verify = first->verify,
        .hash = first->hash,
        .untapped = true,
    };

    return kedge_pass_hashed(&pass, lead, digest) == KEDGE_IMAGE_GOOD ? 0 : KEDGE_E_IO;
}

static int compute(const struct kedge_pass *pass, const struct kedge_key *key,
                   struct kedge_bytes signature)
{
    const struct kedge_signature *const type = key->type;
    const struct kedge_message message = {.digest = digest_again, .ctx = pass};

    if (!pass->pure) {
        return type->verify(key->der, kedge_bytes(pass->verify->digest, pass->hash->size),
                            signature);
    }
    return type->verify_pure == NULL ? KEDGE_E_UNSUPPORTED
                                     : type->verify_pure(key->der, signature, &message);
}

static void check_signature(struct kedge_pass *pass, uint16_t type, struct kedge_bytes signature)
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
    const int error = compute(pass, key, signature);

    if (error == 0) {
        pass->signature = KEDGE_IMAGE_GOOD;
        pass->verify->key_index = (uint8_t)(key - pass->verify->keys);
    } else if (error == KEDGE_E_IO) {
        pass->signature = KEDGE_IMAGE_UNREADABLE;
    }
}

static void judge_tlv(struct kedge_pass *pass, uint16_t type, struct kedge_bytes data)
{
    if (type == KEDGE_TLV_KEYHASH || type == KEDGE_TLV_PUBKEY) {
        pass->key = find_key(pass, type, data);
    } else if (type == KEDGE_TLV_SIG_PURE) {
        pass->pure = data.size == 1 && data.at[0] == 1;
    } else if (type == pass->hash->tlv) {
        pass->hash_good = !pass->hash_seen && data.size == pass->hash->size &&
                          kedge_equal(data.at, pass->verify->digest, data.size);
        pass->hash_seen = true;
    } else if (type >= KEDGE_TLV_RSA2048 && type <= KEDGE_TLV_ED25519) {
        check_signature(pass, type, data);
    }
}

/* What all that comes to, in the order of the verdicts. */
static enum kedge_verdict conclude(const struct kedge_pass *pass)
{
    const uint32_t flags = pass->verify->image.flags;

    if (!pass->hash_good) {
        return (flags & (KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256)) != 0 ? KEDGE_IMAGE_ENCRYPTED
                                                                        : KEDGE_IMAGE_BAD_HASH;
    }
    if (pass->signature != KEDGE_IMAGE_GOOD) {
        return pass->signature;
    }
    return (flags & NOT_IN_PLACE) != 0 ? KEDGE_IMAGE_NOT_BOOTABLE : KEDGE_IMAGE_GOOD;
}

enum kedge_verdict kedge_image_verify(const struct kedge_source *source, struct kedge_verify *v)
{
    struct kedge_pass pass = {
        .source = source,
        .verify = v,
        .untapped = true,
        .signature = KEDGE_IMAGE_NO_HASH,
    };
    enum kedge_verdict verdict = kedge_image_parse(source, &v->image);

    KEDGE_ASSERT(v->scratch.size >= SCRATCH_MIN);
    v->has_counter = false;
    v->depends = false;
    v->digest_size = 0;
    if (verdict == KEDGE_IMAGE_GOOD) {
        verdict = walk(&pass, choose_hash);
    }
    if (verdict == KEDGE_IMAGE_GOOD && pass.hash == NULL) {
        verdict = pass.signature;
    }
    pass.untapped = false;
    if (verdict == KEDGE_IMAGE_GOOD) {
        verdict = kedge_pass_hashed(&pass, kedge_bytes(NULL, 0), v->digest);
    }
    if (verdict != KEDGE_IMAGE_GOOD) {
        return verdict;
    }
    v->digest_size = pass.hash->size;
    pass.signature = KEDGE_IMAGE_NO_SIGNATURE;
    if (v->known.size == v->digest_size && kedge_equal(v->known.at, v->digest, v->digest_size)) {
        pass.signature = KEDGE_IMAGE_GOOD;
    }
    verdict = walk(&pass, judge_tlv);
    return verdict != KEDGE_IMAGE_GOOD ? verdict : conclude(&pass);
}
