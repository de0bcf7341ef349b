/* The strategy that masks. What it decides, it decides when a plan is made, and writes it into the
 * plan: by which key record each image leaves for the secondary and comes back. A cut changes
 * nothing of it; a policy that changes in the middle neither. */
#include "kedge/confidential.h"

#include <string.h>

_Static_assert(KEDGE_PLAN_KEYS == 2 * KEDGE_KEY_RECORD, "key records");

/* The key field of a half whose image may not leave: there is nothing to mask it with. */
#define NO_KEY 0xFF

static uint8_t *half_of(const struct kedge_engine *engine, bool old)
{
    return engine->plan + (old ? KEDGE_PLAN_OLD : KEDGE_PLAN_NEW);
}

/* Key record and view 0 belong to the image that is the new one when a plan is made, 1 to the old
 * one; a plan that is reversed exchanges the halves, which keep their numbers. */
static uint8_t *record_of(const struct kedge_engine *engine, unsigned r)
{
    return engine->plan + KEDGE_PLAN_TABLES + 8u * engine->plan[KEDGE_PLAN_UNITS] +
           r * KEDGE_KEY_RECORD;
}

/* View r, of an image in engine->source or of none yet. */
static struct kedge_plain_view *view_of(struct kedge_engine *engine, unsigned r)
{
    const struct kedge_confidential *c = engine->strategy->confidential;
    c->opened->views[r].cipher = c->cipher;
    return &c->opened->views[r];
}

int kedge_confidential_crypt(struct kedge_engine *engine, const struct kedge_copy *copy,
                             uint32_t at, struct kedge_buf data)
{
    const struct kedge_confidential *c = engine->strategy->confidential;
    const unsigned r = half_of(engine, copy->old)[KEDGE_HALF_KEY] - 1u;
    if (r + 1 == 0)
        return 0;
    if (r > 1)
        return KEDGE_E_KEY;
    struct kedge_plain_view *view = view_of(engine, r);
    if ((c->opened->open & (1u << r)) == 0) {
        const int rc = kedge_plain_view_reopen(view, record_of(engine, r), c->keys);
        if (rc != 0)
            return rc;
        c->opened->open |= (uint8_t)(1u << r);
    }
    kedge_plain_view_crypt(view, copy->index * engine->unit_size + at, data);
    return 0;
}

int kedge_confidential_store(struct kedge_engine *engine, const struct kedge_slot *slot,
                             uint32_t at, uint32_t piece)
{
    struct kedge_copy copy;
    int rc = 0;
    if (slot != &engine->pair->primary) {
        (void)kedge_step(engine->plan, kedge_le16(engine->plan + KEDGE_PLAN_PC), &copy);
        rc = kedge_confidential_crypt(
            engine, &copy, 0,
            kedge_buf(engine->unit, kedge_engine_bytes(engine, copy.old, copy.index)));
    }
    return rc != 0 ? rc : engine->strategy->confidential->inner->store(engine, slot, at, piece);
}

/* Open the parsed image in engine->source as record and view r. */
static int open(struct kedge_engine *engine, unsigned r, enum kedge_lies lies)
{
    const struct kedge_confidential *c = engine->strategy->confidential;
    struct kedge_plain_view *view = view_of(engine, r);
    c->opened->open &= (uint8_t) ~(1u << r);
    view->inner = engine->source;
    const int rc =
        kedge_plain_view_open(view, &engine->verify.image, c->keys, lies, record_of(engine, r));
    c->opened->open |= (uint8_t)((unsigned)(rc == 0) << r);
    return rc;
}

/* By which key the image in the primary leaves. Plain only where plain is allowed. */
static uint8_t key_to_leave(struct kedge_engine *engine, unsigned r)
{
    if (kedge_image_is_encrypted(&engine->verify.image) && open(engine, r, KEDGE_LIES_WRAPPED) == 0)
        return (uint8_t)(r + 1);
    if (!engine->confidential)
        return 0;
    /* the hash that it is derived from must be the one that a signature vouched for: of two images
     * with a forged one in common the key would be the same */
    return open(engine, r, KEDGE_LIES_DERIVED) == 0 &&
                   memcmp(record_of(engine, r) + KEDGE_KEY_RECORD_DATA, engine->verify.digest,
                          engine->verify.digest_size) == 0
               ? (uint8_t)(r + 1)
               : NO_KEY;
}

/* Images in the primary are plain. With tables a plan is being made, and this is its old image.
 * Else it may be one on trial whose revert is going to save it: if it came plain and the policy was
 * switched on since, it leaves masked. */
static enum kedge_verdict verify_primary(struct kedge_engine *engine)
{
    const enum kedge_verdict verdict = kedge_image_verify(&engine->source, &engine->verify);
    uint8_t *fresh = half_of(engine, false);
    if (verdict != KEDGE_IMAGE_GOOD)
        return verdict == KEDGE_IMAGE_ENCRYPTED ? KEDGE_IMAGE_BAD_HASH : verdict;
    if (engine->verify.tap != NULL)
        half_of(engine, true)[KEDGE_HALF_KEY] = key_to_leave(engine, 1);
    else if (engine->plan[KEDGE_PLAN_STATE] == KEDGE_STATE_TRIAL && fresh[KEDGE_HALF_KEY] == 0 &&
             memcmp(engine->verify.digest, fresh + KEDGE_HALF_ID, 8) == 0)
        fresh[KEDGE_HALF_KEY] = key_to_leave(engine, 0);
    return verdict;
}

static enum kedge_verdict attempt(struct kedge_engine *engine, enum kedge_lies lies)
{
    const struct kedge_source raw = engine->source;
    half_of(engine, false)[KEDGE_HALF_KEY] = lies != KEDGE_LIES_PLAIN;
    memset(engine->plan + KEDGE_PLAN_SAME, 0xFF, 32);
    if (lies == KEDGE_LIES_PLAIN)
        return kedge_image_verify(&raw, &engine->verify);
    if (open(engine, 0, lies) != 0)
        return KEDGE_IMAGE_FOREIGN;
    engine->source = kedge_plain_view_source(view_of(engine, 0));
    const enum kedge_verdict verdict = kedge_image_verify(&engine->source, &engine->verify);
    engine->source = raw;
    return verdict == KEDGE_IMAGE_ENCRYPTED ? KEDGE_IMAGE_BAD_HASH : verdict;
}

/* A candidate lies as images of its kind do, or as a finished update, a debugger or another policy
 * left it. The first verdict counts unless a later one is good. */
static enum kedge_verdict verify_outside(struct kedge_engine *engine)
{
    static const uint8_t ways[] = {KEDGE_LIES_WRAPPED, KEDGE_LIES_DERIVED, KEDGE_LIES_PLAIN,
                                   KEDGE_LIES_DERIVED};
    enum kedge_verdict verdict = kedge_image_parse(&engine->source, &engine->verify.image);
    if (verdict != KEDGE_IMAGE_GOOD)
        return verdict;
    const unsigned first = kedge_image_is_encrypted(&engine->verify.image) ? 0 : 2;
    const unsigned end = first == 0 ? 3 : 4;
    for (unsigned i = first; i < end; i++) {
        const enum kedge_verdict last = attempt(engine, ways[i]);
        if (i == first)
            verdict = last;
        if (last == KEDGE_IMAGE_GOOD) /* where the primary is bad, any authentic image boots */
            return ways[i] == KEDGE_LIES_PLAIN && engine->confidential && !engine->install
                       ? KEDGE_IMAGE_PLAIN
                       : last;
        if (last != KEDGE_IMAGE_BAD_HASH && last < KEDGE_IMAGE_ENCRYPTED)
            break;
    }
    return verdict;
}

enum kedge_verdict kedge_confidential_verify(const struct kedge_source *source,
                                             struct kedge_verify *v)
{
    struct kedge_engine *engine = v->tap_ctx;
    KEDGE_ASSERT(source == &engine->source && v == &engine->verify);
    return engine->old ? verify_primary(engine) : verify_outside(engine);
}

void kedge_opened_forget(struct kedge_opened *opened)
{
    kedge_wipe(opened, sizeof(*opened));
}
