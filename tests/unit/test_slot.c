/* Slots: units, bases, the gap. If this fails, an image that does not start at the slot's first
 * byte is not found, or is read through the mailbox as if that were part of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "array_flash.h"
#include "fixture.h"
#include "kedge/layout.h"

#define SECTOR 256u
#define SIZE   (16 * SECTOR)

static uint8_t memory[SIZE];
static struct array_flash flash;

/* A secondary of 6 sectors as the application sees it (mailbox in sector 5) and two spares behind,
 * starting at sector 1 of the device. Image units: 0..4 and, behind the gap, 5, 6. */
static struct kedge_slot secondary(void)
{
    array_flash_open(&flash, memory, SIZE, SECTOR);
    for (size_t i = 0; i < SIZE; i++) {
        memory[i] = (uint8_t)(i / SECTOR * 16 + i % 16);
    }
    return (struct kedge_slot){
        .region = {.flash = &flash.flash, .start = SECTOR, .size = 8 * SECTOR},
        .unit = SECTOR,
        .units = 7,
        .gap = 5,
        .last_base = 2,
        .max_align = 8,
    };
}

/* Put an image's bytes where the slot has image offset 0.. of this base. */
static void put_image(const struct kedge_slot *slot, uint8_t base, const uint8_t *image,
                      size_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        const uint32_t at = kedge_slot_unit_at(slot, base + i / slot->unit) + i % slot->unit;

        memory[slot->region.start + at] = image[i];
    }
}

/* A unit behind the mailbox is looked for in the mailbox. */
static void leaves_the_gap_out(void **state)
{
    const struct kedge_slot slot = secondary();
    static const uint32_t sectors[] = {0, 1, 2, 3, 4, 6, 7};

    (void)state;
    for (uint32_t u = 0; u < 7; u++) {
        assert_int_equal(kedge_slot_unit_at(&slot, u), sectors[u] * SECTOR);
    }
    const struct kedge_slot none = {.unit = SECTOR, .units = 7, .gap = KEDGE_SLOT_NO_GAP};

    assert_int_equal(kedge_slot_unit_at(&none, 6), 6 * SECTOR);
}

/* Bytes come from the wrong sector when a read crosses units, the gap, or the end. */
static void reads_across_units_and_gap(void **state)
{
    const struct kedge_slot slot = secondary();
    uint8_t flat[7 * SECTOR];
    uint8_t got[7 * SECTOR + 1];

    (void)state;
    for (uint32_t u = 0; u < 7; u++) {
        memcpy(flat + u * SECTOR, memory + (1 + u + (u >= 5)) * SECTOR, SECTOR);
    }
    for (uint8_t base = 0; base <= 2; base++) {
        const uint32_t end = (7u - base) * SECTOR;

        for (uint32_t at = 0; at <= end; at += 13) {
            for (uint32_t size = 0; size <= end - at + 1; size += 97) {
                const bool fits = size <= end - at;

                assert_int_equal(kedge_slot_read(&slot, base, at, kedge_buf(got, size)),
                                 fits ? 0 : KEDGE_E_BOUNDS);
                if (fits && size > 0) {
                    assert_memory_equal(got, flat + base * SECTOR + at, size);
                }
            }
        }
        assert_int_equal(kedge_slot_read(&slot, base, end, kedge_buf(got, 1)), KEDGE_E_BOUNDS);
        assert_int_equal(kedge_slot_read(&slot, base, 0xffffffff, kedge_buf(got, 1)),
                         KEDGE_E_BOUNDS);
        assert_int_equal(kedge_slot_read(&slot, base, 0xffffff00, kedge_buf(got, 2 * SECTOR)),
                         KEDGE_E_BOUNDS);
    }
}

/* The image that a swap left one or two units up is not found, or a wrong one is. */
static void finds_the_image_by_its_base(void **state)
{
    uint8_t image[FIXTURE_MAX];
    const size_t size = fixture_load("p256_header512.img", image);

    (void)state;
    for (uint8_t base = 0; base <= 2; base++) {
        const struct kedge_slot slot = secondary();
        const struct kedge_slot_view view = {.slot = &slot, .base = base};
        const struct kedge_source source = kedge_slot_source(&view);
        struct kedge_image found;
        uint8_t got[FIXTURE_MAX];

        put_image(&slot, base, image, size);
        assert_int_equal(kedge_slot_find(&slot, 0, &found), base);
        assert_int_equal(found.size, size);
        assert_int_equal(source.size, (7u - base) * SECTOR);
        assert_int_equal(source.read(source.ctx, 0, kedge_buf(got, size)), 0);
        assert_memory_equal(got, image, size);
        assert_int_equal(kedge_slot_find(&slot, (uint8_t)(base + 1), &found), KEDGE_E_NONE);
    }
}

/* One unreadable place hides a good image at another, or a dead chip looks empty. */
static void looks_on_behind_an_unreadable_base(void **state)
{
    uint8_t image[FIXTURE_MAX];
    const size_t size = fixture_load("p256.img", image);
    const struct kedge_slot slot = secondary();
    struct kedge_image found;

    (void)state;
    flash.bad_from = SECTOR;
    flash.bad_to = 2 * SECTOR;
    assert_int_equal(kedge_slot_find(&slot, 0, &found), KEDGE_E_IO);
    assert_int_equal(kedge_slot_find(&slot, 1, &found), KEDGE_E_NONE);
    put_image(&slot, 2, image, size);
    assert_int_equal(kedge_slot_find(&slot, 0, &found), 2);
}

/* The request is read at the wrong place: at the region's end, behind the spares. */
static void reads_the_trailer_at_the_end_of_what_the_application_sees(void **state)
{
    const struct kedge_slot slot = secondary();
    struct kedge_trailer trailer;

    (void)state;
    memset(memory + 6 * SECTOR, 0xff, SECTOR);
    assert_int_equal(kedge_slot_trailer(&slot, 3, &trailer), 0);
    assert_true(trailer.blank);
    kedge_trailer_magic(8, memory + 7 * SECTOR - 16);
    assert_int_equal(kedge_slot_trailer(&slot, 1, &trailer), 0);
    assert_int_equal(kedge_trailer_request(&trailer), KEDGE_REQUEST_TEST);
    memory[7 * SECTOR - 24] = 1;
    assert_int_equal(kedge_slot_trailer(&slot, 3, &trailer), 0);
    assert_int_equal(kedge_trailer_request(&trailer), KEDGE_REQUEST_PERMANENT);
}

/* One bit that flips on the bus loses or invents a request. */
static void outvotes_one_flipped_read(void **state)
{
    (void)state;
    for (unsigned pattern = 0; pattern < 2; pattern++) {
        const struct kedge_slot slot = secondary();

        memset(memory + 6 * SECTOR, 0xff, SECTOR);
        if (pattern == 1) {
            kedge_trailer_magic(8, memory + 7 * SECTOR - 16);
        }
        for (unsigned n = 1; n <= 15; n++) {
            struct kedge_trailer trailer;

            flash.reads = 0;
            flash.flip_read = n;
            flash.flip_mask = 0xff;
            assert_int_equal(kedge_slot_trailer(&slot, 3, &trailer), 0);
            assert_int_equal(flash.reads, 15);
            assert_int_equal(kedge_trailer_request(&trailer),
                             pattern == 1 ? KEDGE_REQUEST_TEST : KEDGE_REQUEST_NONE);
        }
        for (unsigned n = 1; n <= 15; n++) {
            struct kedge_trailer trailer;

            flash.reads = 0;
            flash.fail_read = n;
            assert_int_equal(kedge_slot_trailer(&slot, 3, &trailer), KEDGE_E_IO);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_the_gap_out),
        cmocka_unit_test(reads_across_units_and_gap),
        cmocka_unit_test(finds_the_image_by_its_base),
        cmocka_unit_test(looks_on_behind_an_unreadable_base),
        cmocka_unit_test(reads_the_trailer_at_the_end_of_what_the_application_sees),
        cmocka_unit_test(outvotes_one_flipped_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
