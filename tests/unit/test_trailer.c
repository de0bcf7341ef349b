/* MCUboot's trailer bytes. If this fails, loader and application misunderstand each other: requests
 * are lost, tests become permanent, confirmed images are reverted. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "kedge/trailer.h"

static const uint8_t aligns[] = {8, 16, 32};

/* A blank tail of this alignment; its size. */
static size_t blank(uint8_t *tail, uint8_t align, uint8_t erased)
{
    const size_t size = kedge_trailer_place(align).size;

    assert_in_range(size, 1, KEDGE_TRAILER_SIZE_MAX);
    memset(tail, erased, size);
    return size;
}

static enum kedge_request request_of(const uint8_t *tail, size_t size, uint8_t align,
                                     uint8_t erased)
{
    const struct kedge_trailer trailer =
        kedge_trailer_parse(kedge_bytes(tail, size), align, erased);

    return kedge_trailer_request(&trailer);
}

/* A flag is written where the other side does not look. Numbers: facts 7.5. */
static void places_the_flags_where_mcuboot_does(void **state)
{
    static const struct kedge_trailer_place expected[] = {
        {.magic = 16, .image_ok = 24, .copy_done = 32, .swap_info = 40, .block = 8, .size = 40},
        {.magic = 16, .image_ok = 32, .copy_done = 48, .swap_info = 64, .block = 16, .size = 64},
        {.magic = 16, .image_ok = 64, .copy_done = 96, .swap_info = 128, .block = 32, .size = 128},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct kedge_trailer_place place = kedge_trailer_place(aligns[i]);

        assert_memory_equal(&place, &expected[i], sizeof(place));
    }
}

/* A factory image with a request in it (imgtool --pad, --confirm) is not understood. */
static void understands_imgtools_trailers(void **state)
{
    uint8_t image[FIXTURE_MAX];

    (void)state;
    const uint8_t *tail = image + fixture_load("p256_test.img", image) - 40;

    assert_int_equal(request_of(tail, 40, 8, 0xff), KEDGE_REQUEST_TEST);
    tail = image + fixture_load("p256_confirmed.img", image) - 40;
    assert_int_equal(request_of(tail, 40, 8, 0xff), KEDGE_REQUEST_PERMANENT);
}

/* At larger alignments the magic says so; a wrong one is a torn request for ever. */
static void writes_the_magic_of_each_alignment(void **state)
{
    static const uint8_t start[3][4] = {
        {0x77, 0xc2, 0x95, 0xf3}, {0x10, 0x00, 0x2d, 0xe1}, {0x20, 0x00, 0x2d, 0xe1}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t magic[17];

        magic[16] = 0x5a;
        kedge_trailer_magic(aligns[i], magic);
        assert_memory_equal(magic, start[i], 4);
        assert_int_equal(magic[15], i == 0 ? 0x80 : 0x8a);
        assert_int_equal(magic[16], 0x5a);
    }
}

/* The table of SWAP.md 6, in every alignment and for flash that erases to 0x00 too. */
static void reads_each_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (unsigned erased = 0; erased <= 0xff; erased += 0xff) {
            const struct kedge_trailer_place place = kedge_trailer_place(aligns[i]);
            uint8_t tail[KEDGE_TRAILER_SIZE_MAX];
            const size_t size = blank(tail, aligns[i], (uint8_t)erased);
            uint8_t *const end = tail + size;

            assert_int_equal(request_of(tail, size, aligns[i], (uint8_t)erased),
                             KEDGE_REQUEST_NONE);
            kedge_trailer_magic(aligns[i], end - place.magic);
            assert_int_equal(request_of(tail, size, aligns[i], (uint8_t)erased),
                             KEDGE_REQUEST_TEST);
            *(end - place.copy_done) = 0x33; /* ignored */
            assert_int_equal(request_of(tail, size, aligns[i], (uint8_t)erased),
                             KEDGE_REQUEST_TEST);
            *(end - place.image_ok) = 0x01;
            assert_int_equal(request_of(tail, size, aligns[i], (uint8_t)erased),
                             KEDGE_REQUEST_PERMANENT);
            *(end - place.image_ok) = 0x03;
            assert_int_equal(request_of(tail, size, aligns[i], (uint8_t)erased),
                             KEDGE_REQUEST_TORN);
        }
    }
}

/* A torn request is taken for a whole one, or for none and stays for ever. */
static void calls_every_half_written_tail_torn(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t tail[KEDGE_TRAILER_SIZE_MAX];
        const size_t size = blank(tail, aligns[i], 0xff);

        for (size_t bit = 0; bit < size * 8; bit++) { /* one programmed bit, whole tail blank */
            tail[bit / 8] = (uint8_t)(0xff & ~(1u << bit % 8));
            assert_int_equal(request_of(tail, size, aligns[i], 0xff), KEDGE_REQUEST_TORN);
            tail[bit / 8] = 0xff;
        }
        kedge_trailer_magic(aligns[i], tail + size - 16);
        for (size_t bit = (size - 16) * 8; bit < size * 8; bit++) { /* one wrong bit of the magic */
            tail[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(request_of(tail, size, aligns[i], 0xff), KEDGE_REQUEST_TORN);
            tail[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* Confirmed looks unconfirmed and is reverted, or the other way round. */
static void reads_the_flags_of_the_primary(void **state)
{
    uint8_t tail[40];

    (void)state;
    (void)blank(tail, 8, 0xff);
    tail[40 - 40] = 0x12; /* image 1, test */
    tail[40 - 32] = 0x01;
    kedge_trailer_magic(8, tail + 24);
    struct kedge_trailer trailer = kedge_trailer_parse(kedge_bytes(tail, 40), 8, 0xff);

    assert_int_equal(trailer.magic, KEDGE_MAGIC_GOOD);
    assert_int_equal(trailer.image_ok, KEDGE_FLAG_UNSET);
    assert_int_equal(trailer.copy_done, KEDGE_FLAG_SET);
    assert_int_equal(trailer.swap_type, KEDGE_SWAP_TEST);
    assert_int_equal(trailer.image_number, 1);
    assert_false(trailer.blank);

    tail[40 - 24] = 0x01;
    tail[40 - 40] = 0x05; /* a type that does not exist */
    tail[30] = 0;
    trailer = kedge_trailer_parse(kedge_bytes(tail, 40), 8, 0xff);
    assert_int_equal(trailer.magic, KEDGE_MAGIC_BAD);
    assert_int_equal(trailer.image_ok, KEDGE_FLAG_SET);
    assert_int_equal(trailer.swap_type, 0);

    (void)blank(tail, 8, 0xff);
    trailer = kedge_trailer_parse(kedge_bytes(tail, 40), 8, 0xff);
    assert_true(trailer.blank);
    assert_int_equal(trailer.magic, KEDGE_MAGIC_UNSET);
    assert_int_equal(trailer.swap_type, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_the_flags_where_mcuboot_does),
        cmocka_unit_test(understands_imgtools_trailers),
        cmocka_unit_test(writes_the_magic_of_each_alignment),
        cmocka_unit_test(reads_each_request),
        cmocka_unit_test(calls_every_half_written_tail_torn),
        cmocka_unit_test(reads_the_flags_of_the_primary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
