#include "device.h"

#include <monocypher-ed25519.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER    32u
#define SIGNATURE 64u

/* ---- signatures, remembered ------------------------------------------------------------------ */

#define MEMOS 1024

struct memo {
    uint8_t key[32], digest[32], signature[SIGNATURE];
    int verdict;
    bool used;
};

static struct memo memos[MEMOS];
bool device_signature_memo = true;

static int verify(struct kedge_bytes key, struct kedge_bytes digest, struct kedge_bytes signature)
{
    if (!device_signature_memo || digest.size != 32 || signature.size != SIGNATURE || key.size < 32)
        return kedge_ed25519.verify(key, digest, signature);
    struct memo *m = &memos[kedge_crc32(kedge_crc32(0, digest), signature) % MEMOS];
    const uint8_t *tail = key.at + key.size - 32;
    if (!m->used || memcmp(m->key, tail, 32) != 0 || memcmp(m->digest, digest.at, 32) != 0 ||
        memcmp(m->signature, signature.at, SIGNATURE) != 0) {
        m->used = true;
        memcpy(m->key, tail, 32);
        memcpy(m->digest, digest.at, 32);
        memcpy(m->signature, signature.at, SIGNATURE);
        m->verdict = kedge_ed25519.verify(key, digest, signature);
    }
    return m->verdict;
}

static struct kedge_signature remembered; /* kedge_ed25519 with the memo before it */

/* ---- images ---------------------------------------------------------------------------------- */

static const uint8_t spki[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                               0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
static uint8_t public_key[sizeof(spki) + 32];
static uint8_t secret_key[64];

static void make_keys(void)
{
    uint8_t seed[32];
    memset(seed, 0x5a, sizeof(seed));
    memcpy(public_key, spki, sizeof(spki));
    crypto_ed25519_key_pair(secret_key, public_key + sizeof(spki), seed);
}

static uint8_t *put_tlv(uint8_t *at, uint16_t type, const void *data, size_t size)
{
    kedge_put_le16(at, type);
    kedge_put_le16(at + 2, (uint16_t)size);
    memcpy(at + 4, data, size);
    return at + 4 + size;
}

static uint8_t mix(uint32_t at, uint32_t seed)
{
    uint32_t x = at * 2654435761u + seed * 40503u;
    x ^= x >> 15;
    x *= 2246822519u;
    return (uint8_t)(x >> 13);
}

/* ---- encryption ------------------------------------------------------------------------------ */

/* The device's key: shared, since unwrapping it is quick and sweeps do it thousands of times. */
static const uint8_t device_secret[16] = "kedge test kek.";
static const struct kedge_device_key device_key = {
    .type = &kedge_wrap_aes,
    .cipher = &kedge_aes_tables,
    .secret = {device_secret, sizeof(device_secret)},
};
const struct kedge_device_keys device_own_keys = {&device_key, 1};

#define WRAPPED 24u

static void content_key(uint8_t seed, uint8_t key[16])
{
    for (unsigned i = 0; i < 16; i++)
        key[i] = (uint8_t)(seed + i);
}

static void wrap_key(const uint8_t key[16], uint8_t wrapped[WRAPPED])
{
    EVP_CIPHER_CTX *const ctx = EVP_CIPHER_CTX_new();
    int done = 0;
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    KEDGE_ASSERT(EVP_EncryptInit_ex(ctx, EVP_aes_128_wrap(), NULL, device_secret, NULL) == 1 &&
                 EVP_EncryptUpdate(ctx, wrapped, &done, key, 16) == 1 && done == (int)WRAPPED);
    EVP_CIPHER_CTX_free(ctx);
}

/* By another library than the loader's. */
static void mask(const uint8_t key[16], uint8_t *at, uint32_t size)
{
    static const uint8_t zero[16];
    EVP_CIPHER_CTX *const ctx = EVP_CIPHER_CTX_new();
    int done = 0;
    KEDGE_ASSERT(EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, zero) == 1 &&
                 EVP_EncryptUpdate(ctx, at, &done, at, (int)size) == 1);
    EVP_CIPHER_CTX_free(ctx);
}

static void make_outside(const struct device *d, struct device_image *image, uint8_t seed,
                         uint32_t payload)
{
    uint8_t key[16];
    memcpy(image->outside, image->bytes, sizeof(image->outside));
    if (seed != 0)
        content_key(seed, key);
    else if (!d->shape.confidential ||
             kedge_key_derive(&device_own_keys, kedge_bytes(image->hash, 32),
                              kedge_bytes("kedge-old-image", 15), kedge_buf(key, 16)) != 0)
        return;
    mask(key, image->outside + HEADER, payload);
}

void device_image_make(const struct device *d, struct device_image *image,
                       const struct device_image_spec *spec)
{
    const uint32_t protected_size = spec->counter != 0 ? 12 : 0;
    const uint32_t tlvs = 4 + 3 * 4 + 64 + SIGNATURE + (spec->key != 0 ? 4 + WRAPPED : 0);
    const uint32_t payload = spec->size - HEADER - protected_size - tlvs;
    uint8_t *at = image->bytes;
    uint8_t key_hash[32], signature[SIGNATURE];
    memset(image->bytes, 0xFF, sizeof(image->bytes));
    memset(at, 0, HEADER);
    image->size = spec->size;
    image->version = (struct kedge_version){.major = spec->major};
    kedge_put_le32(at, KEDGE_IMAGE_MAGIC);
    kedge_put_le16(at + 8, HEADER);
    kedge_put_le16(at + 10, (uint16_t)protected_size);
    kedge_put_le32(at + 12, payload);
    kedge_put_le32(at + 16, spec->key != 0 ? KEDGE_IMAGE_AES128 : 0);
    at[20] = spec->major;
    for (uint32_t i = HEADER; i < HEADER + payload; i++) {
        const uint32_t unit = i / d->shape.unit;
        if (spec->fill == 0 || i % d->shape.unit < spec->fill)
            image->bytes[i] = mix(i, (spec->differs >> (unit % 64)) & 1 ? spec->major : 0);
    }
    at += HEADER + payload;
    if (protected_size != 0) {
        uint8_t counter[4];
        kedge_put_le32(counter, spec->counter);
        kedge_put_le16(at, 0x6908);
        kedge_put_le16(at + 2, (uint16_t)protected_size);
        at = put_tlv(at + 4, 0x50, counter, 4);
    }
    kedge_hash_once(&kedge_sha256, kedge_bytes(image->bytes, (size_t)(at - image->bytes)),
                    image->hash);
    kedge_hash_once(&kedge_sha256, kedge_bytes(public_key, sizeof(public_key)), key_hash);
    crypto_ed25519_sign(signature, secret_key, image->hash, 32);
    kedge_put_le16(at, 0x6907);
    kedge_put_le16(at + 2, (uint16_t)tlvs);
    at = put_tlv(at + 4, 0x10, image->hash, 32);
    at = put_tlv(at, 0x01, key_hash, 32);
    at = put_tlv(at, kedge_ed25519.tlv, signature, SIGNATURE);
    if (spec->key != 0) {
        uint8_t key[16], wrapped[WRAPPED];
        content_key(spec->key, key);
        wrap_key(key, wrapped);
        at = put_tlv(at, KEDGE_TLV_ENC_KW, wrapped, WRAPPED);
    }
    KEDGE_ASSERT(at == image->bytes + spec->size);
    make_outside(d, image, spec->key, payload);
}

/* ---- the device ------------------------------------------------------------------------------ */

bool device_no_leak(struct device *d, bool whole)
{
    if (d->secrets == NULL)
        return true;
    const uint8_t *flash = kedge_sim_contents(d->sim, KEDGE_EXTERNAL);
    const uint32_t size = kedge_sim_part(d->sim, KEDGE_EXTERNAL)->geometry.size;
    uint32_t from = 0, to = size;
    if (!whole) { /* a window may begin before what was written */
        from = d->touched < LEAK_WINDOW ? 0 : d->touched - (LEAK_WINDOW - 1);
        to = d->touched + d->touched_size + (LEAK_WINDOW - 1);
        to = to < size ? to : size;
    }
    const bool clean =
        d->touched_size == 0 && !whole
            ? true
            : leak_find(d->secrets, kedge_bytes(flash + from, to - from)) == SIZE_MAX;
    d->touched_size = 0;
    d->leaks += !clean;
    return clean;
}

/* An operation begins: the one before it is done. */
static void on_operation(void *ctx, const struct kedge_sim_event *event)
{
    struct device *d = ctx;
    (void)device_no_leak(d, false);
    if (event->device == KEDGE_EXTERNAL && event->operation == KEDGE_OP_PROGRAM) {
        d->touched = event->at;
        d->touched_size = event->size;
    }
}

static void on_cut(void *ctx)
{
    struct device *d = ctx;
    (void)device_no_leak(d, false);
    longjmp(d->power, 1);
}

static void wrap(struct device *d, uint8_t which)
{
    if (which == KEDGE_EXTERNAL && d->shape.driver) {
        kedge_sim_bus(d->sim, &d->bus);
        d->part = kedge_sim_driver_part(kedge_sim_part(d->sim, which));
        (void)kedge_spinor_open(&d->nor, &d->bus, &d->part, &d->raw[which]);
    } else {
        kedge_sim_flash(d->sim, which, &d->raw[which]);
    }
    d->times[which] = kedge_sim_times(kedge_sim_part(d->sim, which));
    d->recorded[which] = (struct kedge_recorded){.inner = &d->raw[which],
                                                 .recorder = &d->recorder,
                                                 .times = &d->times[which],
                                                 .device = which};
    kedge_recorder_wrap(&d->recorded[which], &d->flash[which]);
}

static uint32_t or_default(uint32_t value, uint32_t standard)
{
    return value != 0 ? value : standard;
}

static struct kedge_region cut_region(struct device *d, uint8_t which, uint32_t *at, uint32_t size)
{
    const struct kedge_region region = {&d->flash[which], *at, size};
    *at += size;
    return region;
}

static uint32_t power_of_two(uint32_t least)
{
    uint32_t size = 1;
    while (size < least)
        size *= 2;
    return size;
}

void device_open(struct device *d, const struct device_shape *shape)
{
    char why[160];
    memset(d, 0, sizeof(*d));
    d->shape = *shape;
    struct device_shape *s = &d->shape;
    s->unit = or_default(s->unit, 1024);
    s->sectors = or_default(s->sectors, 5);
    s->spares = or_default(s->spares, 2);
    if (s->strategy == NULL)
        s->strategy = &kedge_swap;
    const uint32_t slot = s->sectors * s->unit;
    const uint32_t log = s->unit > 4096 ? s->unit : 4096;
    const struct kedge_sim_part internal =
        s->internal != NULL ? *s->internal
                            : kedge_sim_small_internal(power_of_two(slot + 4 * log), s->unit);
    const struct kedge_sim_part external =
        s->external != NULL
            ? *s->external
            : kedge_sim_small_external(power_of_two(2 * slot + s->spares * s->unit), s->unit);
    const struct kedge_sim_config config = {
        .internal = &internal,
        .external = &external,
        .time = s->slow    ? KEDGE_SIM_TIME_MAXIMUM
                : s->timed ? KEDGE_SIM_TIME_TYPICAL
                           : KEDGE_SIM_TIME_NONE,
        .seed = 1,
    };
    d->sim = kedge_sim_create(&config, why);
    if (d->sim == NULL) {
        fprintf(stderr, "simulator: %s\n", why);
        abort();
    }
    const struct kedge_sim_hooks hooks = {.ctx = d, .cut = on_cut, .trace = on_operation};
    kedge_sim_hooks(d->sim, &hooks);
    wrap(d, KEDGE_INTERNAL);
    wrap(d, KEDGE_EXTERNAL);
    uint32_t in = 0, ex = 0;
    const struct kedge_region primary = cut_region(d, KEDGE_INTERNAL, &in, slot);
    d->layout.journal = cut_region(d, KEDGE_INTERNAL, &in, 2 * log);
    d->layout.settings = cut_region(d, KEDGE_INTERNAL, &in, 2 * log);
    const struct kedge_region secondary =
        cut_region(d, KEDGE_EXTERNAL, &ex, slot + s->spares * s->unit);
    const struct kedge_region backup = cut_region(d, KEDGE_EXTERNAL, &ex, slot - s->unit);
    if (kedge_pair_make(&d->pair, &primary, &secondary, s->backup ? &backup : NULL, 8) != 0) {
        fprintf(stderr, "no such pair\n");
        abort();
    }
    d->layout.pairs = &d->pair;
    d->layout.pair_count = 1;
    d->policy = kedge_policy_default;
    d->policy.value[KEDGE_POLICY_CONFIDENTIAL] = s->confidential;
    d->confidential = (struct kedge_confidential){
        .inner = s->strategy, .keys = &device_own_keys, .cipher = &kedge_aes, .opened = &d->opened};
    d->strategy =
        (struct kedge_strategy)KEDGE_CONFIDENTIAL_STRATEGY(s->strategy->method, &d->confidential);
    d->hooks = (struct kedge_boot_hooks){.effort = s->effort ? kedge_history_effort : NULL,
                                         .before = d->effort};
    make_keys();
    remembered = kedge_ed25519;
    remembered.verify = verify;
    d->key = (struct kedge_key){&remembered, kedge_bytes(public_key, sizeof(public_key))};
}

void device_close(struct device *d)
{
    kedge_sim_destroy(d->sim);
}

static const struct kedge_slot *slot_of(const struct device *d, unsigned slot)
{
    return slot == KEDGE_PRIMARY     ? &d->pair.primary
           : slot == KEDGE_SECONDARY ? &d->pair.secondary
                                     : &d->pair.backup;
}

static uint8_t chip_of(unsigned slot)
{
    return slot == KEDGE_PRIMARY ? KEDGE_INTERNAL : KEDGE_EXTERNAL;
}

static uint32_t place(const struct device *d, unsigned slot, uint32_t unit)
{
    const struct kedge_slot *s = slot_of(d, slot);
    return s->region.start + kedge_slot_unit_at(s, unit);
}

static const uint8_t *bytes_in(const struct device_image *image, unsigned slot)
{
    return slot == KEDGE_PRIMARY ? image->bytes : image->outside;
}

void device_put(struct device *d, unsigned slot, unsigned base, const struct device_image *image)
{
    for (uint32_t at = 0; at < image->size; at += d->shape.unit)
        kedge_sim_poke(d->sim, chip_of(slot), place(d, slot, base + at / d->shape.unit),
                       kedge_bytes(bytes_in(image, slot) + at, d->shape.unit));
}

bool device_has(struct device *d, unsigned slot, unsigned base, const struct device_image *image)
{
    const uint8_t *flash = kedge_sim_contents(d->sim, chip_of(slot));
    for (uint32_t at = 0; at < image->size; at += d->shape.unit) {
        const uint32_t left = image->size - at;
        const uint32_t size = left < d->shape.unit ? left : d->shape.unit;
        if (memcmp(flash + place(d, slot, base + at / d->shape.unit), bytes_in(image, slot) + at,
                   size) != 0)
            return false;
    }
    return true;
}

void device_request(struct device *d, bool permanent)
{
    const struct kedge_slot *s = &d->pair.secondary;
    uint8_t tail[40];
    memset(tail, 0xFF, sizeof(tail));
    tail[0] = permanent ? KEDGE_SWAP_PERMANENT : KEDGE_SWAP_TEST;
    if (permanent)
        tail[16] = 1;
    kedge_trailer_magic(8, tail + 24);
    kedge_sim_poke(d->sim, KEDGE_EXTERNAL,
                   s->region.start + (s->gap + 1u) * s->unit - (uint32_t)sizeof(tail),
                   kedge_bytes(tail, sizeof(tail)));
}

void device_confirm(struct device *d)
{
    static const uint8_t word[8] = {1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    const struct kedge_slot *s = &d->pair.primary;
    struct kedge_trailer t;
    if (kedge_slot_trailer(s, 1, &t) == 0 && t.magic == KEDGE_MAGIC_GOOD &&
        t.image_ok == KEDGE_FLAG_UNSET)
        (void)kedge_region_program(&s->region, (s->gap + 1u) * s->unit - 24,
                                   kedge_bytes(word, sizeof(word)));
}

bool device_mailbox_blank(struct device *d)
{
    const struct kedge_slot *s = &d->pair.secondary;
    const uint8_t *flash = kedge_sim_contents(d->sim, KEDGE_EXTERNAL);
    return kedge_all(kedge_bytes(flash + s->region.start + s->gap * s->unit, s->unit), 0xFF);
}

enum device_outcome device_boot(struct device *d)
{
    const struct kedge_boot_config config = {
        .layout = &d->layout,
        .strategy = d->shape.confidential ? &d->strategy : d->shape.strategy,
        .keys = &d->key,
        .key_count = 1,
        .defaults = &d->policy,
        .recorder = &d->recorder,
        .hooks = &d->hooks,
        .unit = kedge_buf(d->unit, d->shape.unit),
        .state = kedge_buf(d->state, sizeof(d->state)),
    };
    memset(d->state, 0xA5, sizeof(d->state)); /* RAM holds nothing across a power-on */
    memset(d->unit, 0xA5, sizeof(d->unit));
    kedge_opened_forget(&d->opened);
    if (setjmp(d->power) != 0)
        return DEVICE_CUT;
    kedge_sim_power_on(d->sim);
    kedge_history_begin(&d->hooks, &d->recorder);
    if (kedge_boot(&config, &d->report) != 0) {
        fprintf(stderr, "kedge_boot refused its configuration\n");
        abort();
    }
    kedge_opened_forget(&d->opened);
    (void)device_no_leak(d, false);
    return d->report.boots != 0 ? DEVICE_BOOTED : DEVICE_NOTHING;
}

enum device_outcome device_settle(struct device *d, unsigned limit)
{
    enum device_outcome outcome = DEVICE_CUT;
    for (unsigned i = 0; i < limit && outcome == DEVICE_CUT; i++)
        outcome = device_boot(d);
    return outcome;
}

bool device_history(struct device *d, unsigned index, struct kedge_history *record)
{
    static uint8_t body[KEDGE_PLAN_TABLES + 8 * 255];
    struct kedge_journal journal = {.region = d->layout.journal,
                                    .body = kedge_buf(body, kedge_plan_size(&d->pair)),
                                    .reserve = kedge_plan_reserve(&d->pair)};
    return kedge_journal_open(&journal, kedge_plan_fold, body) == 0 &&
           kedge_history_read(kedge_bytes(body, journal.body.size), &d->layout, index, record) == 0;
}

const char *device_violation(struct device *d)
{
    return kedge_sim_violation(d->sim);
}
