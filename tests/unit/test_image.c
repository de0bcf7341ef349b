/* The image format: parse, walk, find, versions. If this fails, a device misreads a header: it
 * refuses good updates, or reads past the slot on a hostile one. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

static uint8_t image_bytes[FIXTURE_MAX];

static const char *const names[] = {
    "p256.img",           "p256_header512.img",
    "p256_pubkey.img",    "p256_padsig.img",
    "p256_counter.img",   "p256_protected.img",
    "p256_encrypted.img", "p256_clear.img",
    "p256_lzma2.img",     "p384.img",
    "ed25519.img",        "ed25519_sha512.img",
    "ed25519_pure.img",   "ed25519_pure_counter.img",
    "rsa2048.img",        "rsa3072.img",
    "unsigned.img",       "two_signers.img",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

static enum kedge_verdict parse(struct fixture_source *memory, struct kedge_image *image)
{
    const struct kedge_source source = fixture_source(memory);

    return kedge_image_parse(&source, image);
}

/* Walks all TLVs: how many, or a negative error. */
static int walk_all(struct fixture_source *memory, const struct kedge_image *image)
{
    const struct kedge_source source = fixture_source(memory);
    struct kedge_tlv_walk walk;
    struct kedge_tlv tlv;
    int count = 0;
    int more;

    kedge_tlv_start(&walk, &source, image);
    while ((more = kedge_tlv_next(&walk, &tlv)) > 0) {
        assert_true(tlv.at <= image->size && tlv.size <= image->size - tlv.at);
        count++;
    }
    return more < 0 ? more : count;
}

/* An image that imgtool makes is not understood: no update at all. */
static void parses_what_imgtool_makes(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        struct fixture_source memory = {.at = image_bytes,
                                        .size = (uint32_t)fixture_load(names[i], image_bytes)};
        struct kedge_image image;

        assert_int_equal(parse(&memory, &image), KEDGE_IMAGE_GOOD);
        assert_int_equal(image.size, memory.size);
        assert_int_equal(image.tlv_at, image.header_size + image.payload_size);
        assert_int_equal(image.version.major, 1);
        assert_int_equal(image.version.minor, 2);
        assert_int_equal(image.version.revision, 3);
        assert_int_equal(image.version.build, 4);
        assert_in_range(walk_all(&memory, &image), 1, 12);
    }
}

/* An upload that was cut short is taken for a whole image. */
static void refuses_every_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        const uint32_t size = (uint32_t)fixture_load(names[i], image_bytes);

        for (uint32_t n = 0; n < size; n++) {
            struct fixture_source memory = {.at = image_bytes, .size = n};
            struct kedge_image image;

            assert_int_not_equal(parse(&memory, &image), KEDGE_IMAGE_GOOD);
        }
    }
}

/* Erased flash, an old format or an impossible header boots or crashes the loader. */
static void names_what_is_wrong_with_a_header(void **state)
{
    static const struct {
        uint32_t at, value;
        uint8_t size;
        enum kedge_verdict verdict;
    } cases[] = {
        {0, 0xffffffff, 4, KEDGE_IMAGE_ABSENT},
        {0, 0x96f3b83c, 4, KEDGE_IMAGE_BAD_HEADER},
        {8, 31, 2, KEDGE_IMAGE_BAD_HEADER},
        {8, 0, 2, KEDGE_IMAGE_BAD_HEADER},
        {8, 0xffff, 2, KEDGE_IMAGE_TOO_LARGE},
        {10, 1, 2, KEDGE_IMAGE_BAD_TLV},
        {10, 0xffff, 2, KEDGE_IMAGE_BAD_TLV},
        {12, 0, 4, KEDGE_IMAGE_BAD_HEADER},
        {12, 0xffffffff, 4, KEDGE_IMAGE_TOO_LARGE},
        {12, 0xffffffe0, 4, KEDGE_IMAGE_TOO_LARGE},
        {12, 0x80000000, 4, KEDGE_IMAGE_TOO_LARGE},
        {12, 0x7fffffff, 4, KEDGE_IMAGE_TOO_LARGE},
        {16, KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256, 4, KEDGE_IMAGE_BAD_HEADER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture_source memory = {.at = image_bytes,
                                        .size = (uint32_t)fixture_load("p256.img", image_bytes)};
        struct kedge_image image;

        kedge_put_le16(image_bytes + cases[i].at, (uint16_t)cases[i].value);
        if (cases[i].size == 4) {
            kedge_put_le16(image_bytes + cases[i].at + 2, (uint16_t)(cases[i].value >> 16));
        }
        assert_int_equal(parse(&memory, &image), cases[i].verdict);
    }
}

/* A hostile length sends the loader reading outside the slot, or round for ever. The source fails
 * the test on any read outside. */
static void survives_hostile_lengths_everywhere(void **state)
{
    static const uint16_t values[] = {0,      1,      2,      3,      4,      5,      31,
                                      0x0fff, 0x7fff, 0x8000, 0xfffb, 0xfffc, 0xfffe, 0xffff};

    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        const uint32_t size = (uint32_t)fixture_load(names[i], image_bytes);
        struct fixture_source memory = {.at = image_bytes, .size = size};

        for (uint32_t at = 4; at + 2 <= size; at++) {
            const uint16_t kept = kedge_le16(image_bytes + at);

            for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
                struct kedge_image image;
                uint8_t digest[KEDGE_DIGEST_MAX];

                kedge_put_le16(image_bytes + at, values[v]);
                if (parse(&memory, &image) == KEDGE_IMAGE_GOOD) {
                    const struct kedge_source source = fixture_source(&memory);

                    (void)walk_all(&memory, &image);
                    (void)kedge_image_hash(&source, &image, digest);
                }
            }
            kedge_put_le16(image_bytes + at, kept);
        }
    }
}

/* A flash error looks like "no image", and the good image is overwritten. */
static void tells_a_flash_error_from_no_image(void **state)
{
    struct fixture_source memory = {
        .at = image_bytes, .size = (uint32_t)fixture_load("p256_counter.img", image_bytes)};
    struct kedge_image image;

    (void)state;
    assert_int_equal(parse(&memory, &image), KEDGE_IMAGE_GOOD);
    const unsigned reads = memory.reads;

    for (unsigned i = 1; i <= reads; i++) {
        memory.reads = 0;
        memory.fail_read = i;
        assert_int_equal(parse(&memory, &image), KEDGE_IMAGE_UNREADABLE);
    }
    memory.reads = 0;
    memory.fail_read = 0;
    assert_int_equal(parse(&memory, &image), KEDGE_IMAGE_GOOD);
    memory.fail_read = memory.reads + 2;
    assert_int_equal(walk_all(&memory, &image), KEDGE_E_IO);
}

/* Counter or dependencies are overlooked because the walk skips or reorders entries. */
static void walks_both_areas_in_order(void **state)
{
    static const uint16_t expected[] = {0x50, 0x60, 0x40, 0x40, 0x74, 0x75,
                                        0xa0, 0xb1, 0x10, 0x01, 0x22};
    struct fixture_source memory = {
        .at = image_bytes, .size = (uint32_t)fixture_load("p256_protected.img", image_bytes)};
    const struct kedge_source source = fixture_source(&memory);
    struct kedge_image image;
    struct kedge_tlv_walk walk;
    struct kedge_tlv tlv;

    (void)state;
    assert_int_equal(parse(&memory, &image), KEDGE_IMAGE_GOOD);
    kedge_tlv_start(&walk, &source, &image);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(kedge_tlv_next(&walk, &tlv), 1);
        assert_int_equal(tlv.type, expected[i]);
        assert_int_equal(tlv.is_protected, i < 8);
    }
    assert_int_equal(kedge_tlv_next(&walk, &tlv), 0);
    assert_int_equal(kedge_tlv_next(&walk, &tlv), 0);
}

/* A dependency, a custom TLV or the image hash is read wrongly. */
static void finds_a_tlv_and_its_data(void **state)
{
    struct fixture_source memory = {
        .at = image_bytes, .size = (uint32_t)fixture_load("p256_protected.img", image_bytes)};
    const struct kedge_source source = fixture_source(&memory);
    struct kedge_image image;
    struct kedge_tlv tlv;
    uint8_t data[16] = {0};

    (void)state;
    assert_int_equal(parse(&memory, &image), KEDGE_IMAGE_GOOD);
    assert_int_equal(kedge_tlv_find(&source, &image, 0xb1, kedge_buf(data, 16), &tlv), 5);
    assert_memory_equal(data, "hello\0", 6);
    assert_int_equal(kedge_tlv_find(&source, &image, 0xa0, kedge_buf(data, 2), &tlv), 4);
    assert_memory_equal(data, "\x11\x22llo", 5);
    assert_int_equal(kedge_tlv_find(&source, &image, 0x40, kedge_buf(data, 16), &tlv), 12);
    assert_memory_equal(data, "\0\0\0\0\1\2\3\0\4\0\0\0", 12);
    assert_int_equal(kedge_tlv_find(&source, &image, 0x99, kedge_buf(data, 16), &tlv),
                     KEDGE_E_NONE);
}

/* Clients show no hash or the wrong one, and "image test HASH" finds nothing. */
static void finds_the_image_hash_of_every_size(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        int size;
    } cases[] = {{"p256.img", 0x10, 32}, {"p384.img", 0x11, 48}, {"ed25519_sha512.img", 0x12, 64}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fixture_source memory = {.at = image_bytes,
                                        .size = (uint32_t)fixture_load(cases[i].name, image_bytes)};
        const struct kedge_source source = fixture_source(&memory);
        struct kedge_image image;
        struct kedge_tlv tlv;
        uint8_t digest[KEDGE_DIGEST_MAX];

        assert_int_equal(parse(&memory, &image), KEDGE_IMAGE_GOOD);
        assert_int_equal(kedge_image_hash(&source, &image, digest), cases[i].size);
        assert_int_equal(kedge_tlv_find(&source, &image, cases[i].type, kedge_buf(NULL, 0), &tlv),
                         cases[i].size);
        assert_memory_equal(digest, image_bytes + tlv.at, (size_t)cases[i].size);
        image_bytes[tlv.at - 2]--; /* a hash one byte short */
        assert_int_equal(kedge_image_hash(&source, &image, digest), KEDGE_E_FORMAT);
    }
}

/* A downgrade passes for an update, or the other way round. */
static void orders_versions(void **state)
{
    static const struct kedge_version rising[] = {
        {0, 0, 0, 0},
        {0, 0, 0, 1},
        {0, 0, 1, 0},
        {0, 0, 65535, 0},
        {0, 1, 0, 0},
        {0, 255, 0, 9},
        {1, 0, 0, 0},
        {1, 0, 0, 0xffffffff},
        {1, 0, 256, 0},
        {2, 0, 0, 0},
        {255, 255, 65535, 0xffffffff},
    };
    const size_t count = sizeof(rising) / sizeof(rising[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            const int order = kedge_version_compare(&rising[i], &rising[j]);

            assert_true(i < j ? order < 0 : i > j ? order > 0 : order == 0);
        }
    }
}

/* Clients print the wrong version. */
static void writes_versions_as_clients_expect(void **state)
{
    static const struct {
        struct kedge_version version;
        const char *text;
    } cases[] = {
        {{1, 2, 3, 0}, "1.2.3"},
        {{0, 0, 0, 0}, "0.0.0"},
        {{1, 2, 3, 4}, "1.2.3.4"},
        {{255, 255, 65535, 0xffffffff}, "255.255.65535.4294967295"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[KEDGE_VERSION_TEXT_SIZE + 1];

        memset(text, 'x', sizeof(text));
        assert_int_equal(kedge_version_text(&cases[i].version, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        assert_int_equal(text[KEDGE_VERSION_TEXT_SIZE], 'x');
    }
}

/* An engineer reads a wrong or empty reason, and looks in the wrong place. */
static void has_words_for_every_verdict(void **state)
{
    (void)state;
    for (int i = KEDGE_IMAGE_GOOD; i <= KEDGE_IMAGE_FOREIGN; i++) {
        assert_true(strlen(kedge_verdict_text((enum kedge_verdict)i)) > 10);
        for (int j = KEDGE_IMAGE_GOOD; j < i; j++) {
            assert_string_not_equal(kedge_verdict_text((enum kedge_verdict)i),
                                    kedge_verdict_text((enum kedge_verdict)j));
        }
    }
    assert_string_equal(kedge_verdict_text((enum kedge_verdict)200), "a verdict without a name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_what_imgtool_makes),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(names_what_is_wrong_with_a_header),
        cmocka_unit_test(survives_hostile_lengths_everywhere),
        cmocka_unit_test(tells_a_flash_error_from_no_image),
        cmocka_unit_test(walks_both_areas_in_order),
        cmocka_unit_test(finds_a_tlv_and_its_data),
        cmocka_unit_test(finds_the_image_hash_of_every_size),
        cmocka_unit_test(orders_versions),
        cmocka_unit_test(writes_versions_as_clients_expect),
        cmocka_unit_test(has_words_for_every_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
