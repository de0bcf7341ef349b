/* Verification: hash, key, signature, flags. If this fails, a device runs firmware that nobody
 * signed, or refuses firmware that is good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "random.h"

static uint8_t image_bytes[FIXTURE_MAX];
static uint8_t scratch[512];
static struct kedge_key keys[FIXTURE_KEYS + 1];

/* What the tap saw. */
struct seen {
    uint8_t bytes[FIXTURE_MAX];
    uint32_t size;
    bool in_order;
    uint32_t stop_at; /* the tap refuses at this offset; 0: never */
};

static int watch(void *ctx, uint32_t at, struct kedge_bytes data)
{
    struct seen *const seen = ctx;

    if (at == 0) { /* also when the image is read again, with another hash */
        seen->size = 0;
    }
    if (at != seen->size) {
        seen->in_order = false;
    }
    if (seen->stop_at != 0 && at + data.size > seen->stop_at) {
        return -1;
    }
    if (data.size > 0) {
        memcpy(seen->bytes + at, data.at, data.size);
    }
    seen->size = at + (uint32_t)data.size;
    return 0;
}

static struct kedge_verify with_keys(const char *names)
{
    return (struct kedge_verify){
        .keys = keys,
        .key_count = fixture_keys(names, keys),
        .scratch = kedge_buf(scratch, sizeof(scratch)),
    };
}

static enum kedge_verdict verify_again(const struct fixture_source *memory, struct kedge_verify *v)
{
    const struct kedge_source source = fixture_source(memory);

    return kedge_image_verify(&source, v);
}

/* Without what an earlier verification vouches for. */
static enum kedge_verdict verify(const struct fixture_source *memory, struct kedge_verify *v)
{
    memset(v->trusted, 0, sizeof(v->trusted));
    return verify_again(memory, v);
}

static struct fixture_source load(const char *name)
{
    return (struct fixture_source){.at = image_bytes,
                                   .size = (uint32_t)fixture_load(name, image_bytes)};
}

/* Offset of the data of the first TLV of this type. */
static uint32_t find(const struct fixture_source *memory, uint16_t type)
{
    const struct kedge_source source = fixture_source(memory);
    struct kedge_image image;
    struct kedge_tlv tlv;

    assert_int_equal(kedge_image_parse(&source, &image), KEDGE_IMAGE_GOOD);
    assert_true(kedge_tlv_find(&source, &image, type, kedge_buf(NULL, 0), &tlv) >= 0);
    return tlv.at;
}

/* Every kind of image that users make, against every kind of device: the right verdict and reason.
 */
static void judges_images_of_every_kind(void **state)
{
    static const struct {
        const char *image, *keys;
        enum kedge_verdict verdict;
    } cases[] = {
        {"p256.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256_header512.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256_pubkey.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256_padsig.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256_counter.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256_protected.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256_romfixed.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256_clear.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256_test.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256_confirmed.img", "p256", KEDGE_IMAGE_GOOD},
        {"p256.img", "all", KEDGE_IMAGE_GOOD},
        {"p384.img", "all", KEDGE_IMAGE_GOOD},
        {"p384.img", "p384", KEDGE_IMAGE_GOOD},
        {"ed25519.img", "all", KEDGE_IMAGE_GOOD},
        {"ed25519_sha512.img", "all", KEDGE_IMAGE_GOOD},
        {"ed25519_pure.img", "all", KEDGE_IMAGE_GOOD},
        {"ed25519_pure_counter.img", "ed25519", KEDGE_IMAGE_GOOD},
        {"rsa2048.img", "all", KEDGE_IMAGE_GOOD},
        {"rsa3072.img", "all", KEDGE_IMAGE_GOOD},
        {"two_signers.img", "p256", KEDGE_IMAGE_GOOD},
        {"two_signers.img", "stranger", KEDGE_IMAGE_GOOD},
        {"two_signers.img", "rsa2048", KEDGE_IMAGE_UNKNOWN_KEY},
        {"p256_encrypted.img", "p256", KEDGE_IMAGE_ENCRYPTED},
        {"stranger.img", "all", KEDGE_IMAGE_UNKNOWN_KEY},
        {"p256_pubkey.img", "stranger", KEDGE_IMAGE_UNKNOWN_KEY},
        {"rsa2048.img", "p256", KEDGE_IMAGE_UNKNOWN_KEY},
        {"rsa3072.img", "p256", KEDGE_IMAGE_UNKNOWN_KEY},
        {"p384.img", "p256", KEDGE_IMAGE_UNKNOWN_KEY},
        {"ed25519_pure.img", "p256", KEDGE_IMAGE_UNKNOWN_KEY},
        {"unsigned.img", "all", KEDGE_IMAGE_NO_SIGNATURE},
        {"p256_nonbootable.img", "p256", KEDGE_IMAGE_NOT_BOOTABLE},
        {"p256_ramload.img", "p256", KEDGE_IMAGE_NOT_BOOTABLE},
        {"p256_lzma2.img", "p256", KEDGE_IMAGE_NOT_BOOTABLE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct fixture_source memory = load(cases[i].image);
        struct kedge_verify v = with_keys(cases[i].keys);
        const enum kedge_verdict verdict = verify(&memory, &v);

        if (verdict != cases[i].verdict) {
            fail_msg("%s with keys %s: %s", cases[i].image, cases[i].keys,
                     kedge_verdict_text(verdict));
        }
    }
}

/* The loader acts on a version, counter or hash that is not the image's. */
static void reports_what_was_verified(void **state)
{
    const struct fixture_source memory = load("p256_protected.img");
    struct kedge_verify v = with_keys("all");

    (void)state;
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_GOOD);
    assert_int_equal(v.image.version.revision, 3);
    assert_int_equal(v.image.size, memory.size);
    assert_int_equal(v.counter, 0x01020304);
    assert_true(v.depends); /* on image 1; what it needs of image 0 it is itself */
    assert_int_equal(v.digest_size, 32);
    assert_memory_equal(v.digest, image_bytes + find(&memory, 0x10), 32);
    assert_ptr_equal(v.keys[v.key_index].type, &kedge_ecdsa_p256);

    const struct fixture_source plain = load("p256.img");

    assert_int_equal(verify(&plain, &v), KEDGE_IMAGE_GOOD);
    assert_int_equal(v.counter, 0);
    assert_false(v.depends);
}

/* Tables of a swap are made from other bytes than those that were authenticated. */
static void shows_the_tap_every_byte_once_in_order(void **state)
{
    static const char *const images[] = {"p256_protected.img", "ed25519_pure_counter.img",
                                         "rsa3072.img", "p256_header512.img"};
    static const size_t sizes[] = {256, 257, 300, 512};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t s = 0; s < 4; s++) {
            const struct fixture_source memory = load(images[i]);
            struct seen seen = {.in_order = true};
            struct kedge_verify v = with_keys("all");

            v.scratch.size = strcmp(images[i], "rsa3072.img") == 0 ? 512 : sizes[s];
            v.tap = watch;
            v.tap_ctx = &seen;
            assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_GOOD);
            assert_true(seen.in_order);
            assert_int_equal(seen.size, memory.size);
            assert_memory_equal(seen.bytes, image_bytes, memory.size);
        }
    }
}

/* A comparison that failed in the tap is overlooked. */
static void stops_when_the_tap_says_so(void **state)
{
    const struct fixture_source memory = load("p256_counter.img");

    (void)state;
    for (uint32_t at = 1; at < memory.size; at++) {
        struct seen seen = {.in_order = true, .stop_at = at};
        struct kedge_verify v = with_keys("p256");

        v.tap = watch;
        v.tap_ctx = &seen;
        assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_UNREADABLE);
        assert_in_range(seen.size, 0, at);
    }
}

/* An image that is cut short boots. */
static void refuses_every_truncation(void **state)
{
    (void)state;
    struct fixture_source memory = load("p256_protected.img");

    for (const uint32_t whole = memory.size; memory.size > 0;) {
        struct kedge_verify v = with_keys("p256");

        memory.size--;
        assert_in_range(memory.size, 0, whole);
        assert_int_not_equal(verify(&memory, &v), KEDGE_IMAGE_GOOD);
    }
}

/* Flips each bit of the image outside [free_from, free_to): none may verify. */
static void flip_every_bit(const char *name, uint32_t free_from, uint32_t free_to)
{
    const struct fixture_source memory = load(name);

    for (uint32_t bit = 0; bit < memory.size * 8; bit++) {
        struct kedge_verify v = with_keys("all");

        if (bit / 8 >= free_from && bit / 8 < free_to) {
            continue;
        }
        image_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (verify(&memory, &v) == KEDGE_IMAGE_GOOD) {
            fail_msg("%s verifies with bit %u of byte %u flipped", name, bit % 8, bit / 8);
        }
        image_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* The same for all but the signature's own bytes, which cost a computation per bit: p256.img pays
 * it. */
static void flip_all_but_the_signature(const char *name, uint16_t type)
{
    const struct fixture_source memory = load(name);
    const uint32_t at = find(&memory, type);

    flip_every_bit(name, at, at + kedge_le16(image_bytes + at - 2));
}

/* One changed bit anywhere, and the altered image boots. Every byte of these images counts: header
 * and its gap, payload, all TLVs with types and lengths. */
static void refuses_every_flipped_bit(void **state)
{
    (void)state;
    flip_every_bit("p256.img", 0, 0);
    flip_every_bit("ed25519.img", 0, 0);
    flip_every_bit("ed25519_pure_counter.img", 0, 0);
    flip_all_but_the_signature("p256_header512.img", 0x22);
    flip_all_but_the_signature("p256_protected.img", 0x22);
    flip_all_but_the_signature("p256_pubkey.img", 0x22);
    flip_all_but_the_signature("p384.img", 0x22);
    flip_all_but_the_signature("rsa2048.img", 0x20);
    flip_all_but_the_signature("rsa3072.img", 0x23);
}

/* Where unsigned bytes do not matter (the key of an encrypted image behind its signature; its
 * damage shows when the image is to be encrypted again; the other signer's pair), all others must.
 */
static void knows_which_bits_do_not_matter(void **state)
{
    (void)state;
    const struct fixture_source clear = load("p256_clear.img");
    const uint32_t key_at = find(&clear, 0x32);
    const uint32_t signature_at = find(&clear, 0x22);
    struct kedge_verify v = with_keys("all");

    flip_every_bit("p256_clear.img", signature_at, clear.size);
    for (uint32_t at = key_at; at < clear.size; at++) {
        image_bytes[at] ^= 0x10;
    }
    assert_int_equal(verify(&clear, &v), KEDGE_IMAGE_GOOD);

    const struct fixture_source two = load("two_signers.img");

    image_bytes[find(&two, 0x01)] ^= 1;
    image_bytes[find(&two, 0x22)] ^= 1;
    assert_int_equal(verify(&two, &v), KEDGE_IMAGE_GOOD);
}

/* External flash that reads one bit differently the second time: the loader takes version, counter
 * or bytes for verified that were never hashed. */
static void believes_only_the_bytes_it_hashed(void **state)
{
    static const char *const images[] = {"p256_protected.img", "ed25519_pure_counter.img"};
    struct kedge_random random = {.state = 20240613};
    unsigned good = 0;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)random.state);
    for (size_t i = 0; i < 2; i++) {
        struct fixture_source memory = load(images[i]);
        struct kedge_verify right = with_keys("all");

        assert_int_equal(verify(&memory, &right), KEDGE_IMAGE_GOOD);

        const uint32_t step = i == 0 ? 3 : 1; /* P-256 costs 6 ms a time */

        for (uint32_t at = kedge_random_below(&random, step); at < memory.size; at += step) {
            for (unsigned visit = 1; visit <= 5 - step; visit++) {
                struct seen seen = {.in_order = true};
                struct kedge_verify v = with_keys("all");

                memory.flip_at = at;
                memory.flip_mask = (uint8_t)(1u << kedge_random_below(&random, 8));
                memory.flip_visit = visit;
                memory.visits = 0;
                v.tap = watch;
                v.tap_ctx = &seen;
                if (verify(&memory, &v) != KEDGE_IMAGE_GOOD) {
                    continue;
                }
                good++;
                assert_memory_equal(&v.image, &right.image, sizeof(v.image));
                assert_int_equal(v.counter, right.counter);
                assert_memory_equal(v.digest, right.digest, right.digest_size);
                assert_memory_equal(seen.bytes, image_bytes, memory.size);
            }
        }
    }
    assert_true(good > 100); /* the visits that never came */
}

/* One failing read makes a good image look unsigned or forged for ever. */
static void says_unreadable_when_a_read_fails(void **state)
{
    static const char *const images[] = {"p256_protected.img", "ed25519_pure_counter.img"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture_source memory = load(images[i]);
        struct kedge_verify v = with_keys("all");

        assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_GOOD);
        const unsigned reads = memory.reads;

        assert_true(reads > 10);
        for (unsigned n = 1; n <= reads; n++) {
            memory.reads = 0;
            memory.fail_read = n;
            assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_UNREADABLE);
        }
    }
}

/* A hostile length in any TLV, header or area sends the verification astray. Reads outside fail the
 * test in the source; what is behind the image is not zero, so nothing passes by luck. */
static void survives_hostile_lengths(void **state)
{
    static const uint16_t values[] = {0, 1, 3, 4, 31, 33, 0x7fff, 0x8000, 0xfffc, 0xffff};
    struct fixture_source memory = load("p256_protected.img");

    (void)state;
    const uint32_t end = memory.size;

    memset(image_bytes + end, 0xa5, FIXTURE_MAX - end);
    memory.size = FIXTURE_MAX;
    for (uint32_t at = 4; at + 2 <= end; at++) {
        const uint16_t kept = kedge_le16(image_bytes + at);

        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            struct kedge_verify v = with_keys("p256");

            kedge_put_le16(image_bytes + at, values[i]);
            const enum kedge_verdict verdict = verify(&memory, &v);

            if (verdict == KEDGE_IMAGE_GOOD && values[i] != kept) {
                fail_msg("value %u at %u verifies (was %u)", values[i], at, kept);
            }
        }
        kedge_put_le16(image_bytes + at, kept);
    }
}

/* A key hash that names one trusted key lets another one's signature through, or hides it. */
static void uses_the_key_that_is_named(void **state)
{
    const struct fixture_source memory = load("p256.img");
    struct kedge_verify v = with_keys("p256");
    uint8_t digest[KEDGE_DIGEST_MAX];
    const uint32_t name = find(&memory, 0x01);

    (void)state;
    v.key_count += fixture_keys("stranger", keys + 1);
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_GOOD);
    assert_int_equal(v.key_index, 0);
    kedge_hash_once(&kedge_sha256, keys[1].der, digest);
    memcpy(image_bytes + name, digest, 32);
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_BAD_SIGNATURE);
    image_bytes[name - 4] = 0x02; /* the hash where a whole key should be */
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_UNKNOWN_KEY);
}

/* No key is named: a signature must not be tried with a key by guess, nor with the last one. */
static void forgets_the_key_after_its_signature(void **state)
{
    struct fixture_source memory = load("p256.img");
    struct kedge_verify v = with_keys("p256");
    const uint32_t at = find(&memory, 0x22);
    const uint16_t size = kedge_le16(image_bytes + at - 2);
    uint8_t good[80];

    (void)state;
    memcpy(good, image_bytes + at, size);
    image_bytes[at + 20] ^= 1;
    memory.size =
        (uint32_t)fixture_append_tlv(image_bytes, memory.size, 0x22, kedge_bytes(good, size));
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_BAD_SIGNATURE);
}

/* A hostile image with very many signatures keeps the device from booting for hours. */
static void computes_a_bounded_number_of_signatures(void **state)
{
    (void)state;
    for (unsigned bad = 0; bad < 6; bad++) {
        struct fixture_source memory = load("p256.img");
        struct kedge_verify v = with_keys("p256");
        const uint32_t at = find(&memory, 0x22);
        const struct kedge_bytes name = kedge_bytes(image_bytes + find(&memory, 0x01), 32);
        uint8_t good[80];
        const struct kedge_bytes signature = kedge_bytes(good, kedge_le16(image_bytes + at - 2));

        memcpy(good, image_bytes + at, signature.size);
        if (bad > 0) {
            image_bytes[at + 20] ^= 1;
        }
        for (unsigned i = 1; i <= bad; i++) {
            memory.size = (uint32_t)fixture_append_tlv(image_bytes, memory.size, 0x01, name);
            good[20] ^= i < bad ? 1 : 0;
            memory.size = (uint32_t)fixture_append_tlv(image_bytes, memory.size, 0x22, signature);
            good[20] ^= i < bad ? 1 : 0;
        }
        assert_int_equal(verify(&memory, &v),
                         bad < 4 ? KEDGE_IMAGE_GOOD : KEDGE_IMAGE_BAD_SIGNATURE);
    }
}

/* Two hashes, one right: which one the rest of the device shows is chance. */
static void wants_the_hash_exactly_once(void **state)
{
    struct fixture_source memory = load("p256.img");
    struct kedge_verify v = with_keys("p256");
    const uint32_t at = find(&memory, 0x10);
    uint8_t hash[32];

    (void)state;
    memcpy(hash, image_bytes + at, 32);
    memory.size =
        (uint32_t)fixture_append_tlv(image_bytes, memory.size, 0x10, kedge_bytes(hash, 32));
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_BAD_HASH);
    image_bytes[at - 4] = 0x99; /* now only the second one is left, behind the signature */
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_GOOD);
    image_bytes[memory.size - 36] = 0x98;
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_NO_HASH);
}

/* A hash cut short to nothing equals every digest. */
static void wants_the_whole_hash(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 32; size++) {
        struct fixture_source memory = load("p256.img");
        struct kedge_verify v = with_keys("p256");
        const uint32_t at = find(&memory, 0x10);
        uint8_t hash[32];

        memcpy(hash, image_bytes + at, 32);
        image_bytes[at - 4] = 0x99;
        memory.size =
            (uint32_t)fixture_append_tlv(image_bytes, memory.size, 0x10, kedge_bytes(hash, size));
        assert_int_equal(verify(&memory, &v), size == 32 ? KEDGE_IMAGE_GOOD : KEDGE_IMAGE_BAD_HASH);
    }
}

/* Unknown entries, also very long ones, behind the signature make a good image bad. */
static void ignores_what_it_does_not_know(void **state)
{
    static uint8_t long_data[2000];
    struct fixture_source memory = load("p256.img");
    struct kedge_verify v = with_keys("p256");

    (void)state;
    memory.size = (uint32_t)fixture_append_tlv(image_bytes, memory.size, 0x77,
                                               kedge_bytes(long_data, sizeof(long_data)));
    memory.size =
        (uint32_t)fixture_append_tlv(image_bytes, memory.size, 0x78, kedge_bytes(long_data, 0));
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_GOOD);
}

/* An unsigned security counter counts: an old image passes for a new one. */
static void takes_the_counter_from_the_signed_area_only(void **state)
{
    static const uint8_t high[4] = {0xff, 0xff, 0xff, 0x7f};
    struct fixture_source memory = load("p256.img");
    struct kedge_verify v = with_keys("p256");

    (void)state;
    memory.size =
        (uint32_t)fixture_append_tlv(image_bytes, memory.size, 0x50, kedge_bytes(high, 4));
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_GOOD);
    assert_int_equal(v.counter, 0);
}

/* Never called with more bytes than the scratch buffer holds. */
static int expect_nothing(struct kedge_bytes key, struct kedge_bytes digest,
                          struct kedge_bytes signature)
{
    (void)key;
    (void)digest;
    assert_int_equal(signature.size, 0);
    return KEDGE_E_FORMAT;
}

/* A signature longer than the loader's buffer makes it read behind the buffer. */
static void does_not_read_behind_its_scratch_buffer(void **state)
{
    const struct fixture_source memory = load("rsa3072.img");
    struct kedge_verify v = with_keys("rsa3072");
    struct kedge_signature type = kedge_rsa3072;

    (void)state;
    type.verify = expect_nothing;
    keys[0].type = &type;
    v.scratch.size = 256;
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_BAD_SIGNATURE);
}

/* Two counters in a signed image: loader and tools, which find the first, disagree. */
static void takes_the_first_of_two_counters(void **state)
{
    const struct fixture_source memory = load("p256_protected.img");
    struct kedge_verify v = with_keys("p256");
    uint8_t digest[32];

    (void)state;
    image_bytes[find(&memory, 0xa0) - 4] = 0x50; /* four bytes, behind the real counter */
    const uint32_t hash = find(&memory, 0x10);

    kedge_hash_once(&kedge_sha256, kedge_bytes(image_bytes, hash - 8), digest);
    memcpy(image_bytes + hash, digest, sizeof(digest));
    memcpy(v.trusted, digest, sizeof(digest)); /* stands for the signature */
    assert_int_equal(verify_again(&memory, &v), KEDGE_IMAGE_GOOD);
    assert_int_equal(v.counter, 0x01020304);
}

/* The short cut for a digest that was authenticated before lets another image through. */
static void skips_the_signature_of_a_known_digest_only(void **state)
{
    const struct fixture_source memory = load("p256.img");
    struct kedge_verify v = with_keys("p256");
    const uint32_t signature = find(&memory, 0x22);

    (void)state;
    assert_int_equal(verify_again(&memory, &v), KEDGE_IMAGE_GOOD);
    image_bytes[signature + 20] ^= 1;
    assert_int_equal(verify_again(&memory, &v), KEDGE_IMAGE_GOOD);
    image_bytes[40] ^= 1;
    assert_int_equal(verify_again(&memory, &v), KEDGE_IMAGE_BAD_HASH);
    image_bytes[40] ^= 1;
    v.trusted[31] ^= 1;
    assert_int_equal(verify_again(&memory, &v), KEDGE_IMAGE_BAD_SIGNATURE);
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_BAD_SIGNATURE);
}

/* What was only looked at passes for authenticated: the next real look takes its hash on trust. */
static void vouches_for_nothing_it_only_looked_at(void **state)
{
    const struct fixture_source memory = load("p256.img");
    struct kedge_verify v = with_keys("p256");
    const uint32_t hash = find(&memory, 0x10);
    uint8_t stored[32];

    (void)state;
    image_bytes[40] ^= 1;
    memcpy(stored, image_bytes + hash, sizeof(stored));
    v.look_only = true;
    assert_int_equal(verify_again(&memory, &v), KEDGE_IMAGE_GOOD);
    assert_memory_equal(v.digest, stored, sizeof(stored));
    v.look_only = false;
    assert_int_equal(verify_again(&memory, &v), KEDGE_IMAGE_BAD_HASH);
    image_bytes[40] ^= 1;
    image_bytes[find(&memory, 0x22) + 20] ^= 1;
    assert_int_equal(verify_again(&memory, &v), KEDGE_IMAGE_BAD_SIGNATURE);
    image_bytes[memory.size - 1] ^= 1;
    image_bytes[0] ^= 0x80;
    v.look_only = true;
    assert_int_equal(verify_again(&memory, &v), KEDGE_IMAGE_ABSENT);
}

/* A pure signature is checked against the digest, or the other way round. */
static void tells_pure_signatures_from_others(void **state)
{
    const struct fixture_source memory = load("ed25519_pure.img");
    struct kedge_verify v = with_keys("ed25519");
    const uint32_t pure = find(&memory, 0x25);

    (void)state;
    image_bytes[pure] = 0;
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_BAD_SIGNATURE);
    image_bytes[pure] = 1;
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_GOOD);

    /* a key type without pure signatures: the same table, that member missing */
    struct kedge_signature no_pure = kedge_ed25519_sha512;

    no_pure.verify_pure = NULL;
    keys[0].type = &no_pure;
    v.key_count = 1;
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_BAD_SIGNATURE);
}

/* A device without keys boots anything. */
static void trusts_nobody_without_keys(void **state)
{
    const struct fixture_source memory = load("p256.img");
    struct kedge_verify v = with_keys("p256");

    (void)state;
    v.key_count = 0;
    assert_int_equal(verify(&memory, &v), KEDGE_IMAGE_UNKNOWN_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_images_of_every_kind),
        cmocka_unit_test(reports_what_was_verified),
        cmocka_unit_test(shows_the_tap_every_byte_once_in_order),
        cmocka_unit_test(stops_when_the_tap_says_so),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_every_flipped_bit),
        cmocka_unit_test(knows_which_bits_do_not_matter),
        cmocka_unit_test(believes_only_the_bytes_it_hashed),
        cmocka_unit_test(says_unreadable_when_a_read_fails),
        cmocka_unit_test(survives_hostile_lengths),
        cmocka_unit_test(uses_the_key_that_is_named),
        cmocka_unit_test(forgets_the_key_after_its_signature),
        cmocka_unit_test(computes_a_bounded_number_of_signatures),
        cmocka_unit_test(wants_the_hash_exactly_once),
        cmocka_unit_test(wants_the_whole_hash),
        cmocka_unit_test(ignores_what_it_does_not_know),
        cmocka_unit_test(takes_the_counter_from_the_signed_area_only),
        cmocka_unit_test(does_not_read_behind_its_scratch_buffer),
        cmocka_unit_test(takes_the_first_of_two_counters),
        cmocka_unit_test(skips_the_signature_of_a_known_digest_only),
        cmocka_unit_test(vouches_for_nothing_it_only_looked_at),
        cmocka_unit_test(tells_pure_signatures_from_others),
        cmocka_unit_test(trusts_nobody_without_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
