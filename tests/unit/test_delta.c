/* The decoder of patches. If this fails, a patch that a stranger has touched makes the device read
 * or write where it must not, or builds an image that nobody made; or a good one does not come out
 * because its bytes came in other pieces than in the lab. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/random.h"
#include "delta_make.h"
#include "kedge/crypto.h"

#define MUTATIONS 50000u
#define MOST      70000u

static struct kedge_random dice;
static uint8_t old_image[MOST], new_image[MOST], result[MOST];

struct memory {
    const uint8_t *at;
    uint32_t size;
    unsigned reads;
};

static int read_memory(void *ctx, uint32_t at, struct kedge_buf to)
{
    struct memory *const m = ctx;

    m->reads++;
    if (at > m->size || to.size > m->size - at) {
        return KEDGE_E_BOUNDS;
    }
    memcpy(to.at, m->at + at, to.size);
    return 0;
}

static uint32_t below(uint32_t bound)
{
    return kedge_random_below(&dice, bound);
}

static bool in_one_piece;

/* The state lies somewhere else after each call, and where it was is not what it was. */
static struct kedge_delta *moved(struct kedge_delta *from, struct kedge_delta *to)
{
    if (in_one_piece) {
        return from;
    }
    memcpy(to, from, sizeof(*to));
    memset(from, 0xA5, sizeof(*from));
    return to;
}

/* Decodes, in pieces of random sizes unless in_one_piece; the result in `result`. -> bytes, or a
 * negative error */
static int decode(struct kedge_bytes old, struct kedge_bytes patch, uint32_t room)
{
    static struct kedge_delta places[2];
    struct memory base = {old.at, (uint32_t)old.size, 0};
    struct memory out = {result, 0, 0};
    const struct kedge_transform_env env = {.old = {read_memory, &base, base.size},
                                            .out = {read_memory, &out, room}};
    unsigned calls = 0;
    struct kedge_delta *state = &places[0];
    int error = kedge_delta.start(state, &env);

    while (error == 0 && patch.size > 0) {
        const size_t offer =
            in_one_piece ? patch.size : 1 + below(patch.size < 90 ? (uint32_t)patch.size : 90);
        size_t taken = 0, given = 1;

        assert_true(calls++ < 4 * MOST);
        error = kedge_delta.push(state, &env, kedge_bytes(patch.at, offer), &taken);
        state = moved(state, &places[state == &places[0]]);
        patch = kedge_bytes(patch.at + taken, patch.size - taken);
        while (error == 0 && given > 0) {
            const uint32_t ask = in_one_piece ? MOST : 1 + below(300);

            error = kedge_delta.pull(
                state, &env,
                kedge_buf(result + out.size, ask < room - out.size ? ask : room - out.size),
                &given);
            out.size += (uint32_t)given;
            assert_true(out.size <= room);
            state = moved(state, &places[state == &places[0]]);
        }
    }
    if (error == 0) {
        error = kedge_delta.finish(state, &env);
    }
    if (error != 0) {
        assert_non_null(kedge_delta.reason(state, error));
        assert_true(strlen(kedge_delta.reason(state, error)) > 0);
    }
    return error != 0 ? error : (int)out.size;
}

static struct delta_bytes make(uint32_t old_size, uint32_t new_size, uint32_t chunk_log)
{
    const struct delta_options options = {.old_base = 0xC000,
                                          .new_base = 0xC000,
                                          .ram_base = 0x20000000,
                                          .ram_size = 0x10000,
                                          .chunk_log = chunk_log};
    struct delta_bytes patch = {0};

    assert_int_equal(delta_make(kedge_bytes(old_image, old_size), kedge_bytes(new_image, new_size),
                                &options, &patch),
                     0);
    return patch;
}

/* Code-like: branches, addresses, text; and a new one with pieces put in, taken out, changed. */
static void make_images(uint32_t size)
{
    for (uint32_t at = 0; at + 4 <= size; at += 4) {
        const uint32_t kind = below(8);
        const uint32_t word = kind == 0   ? 0xC001u + 2 * below(size / 2)
                              : kind == 1 ? 0x20000000u + 4 * below(0x2000)
                              : kind == 2 ? 0xF800F000u | below(16) << 16 | below(4)
                                          : 0x4600u + below(9) * 0x101u + (below(40) << 16);

        kedge_put_le32(old_image + at, word);
    }
    memcpy(new_image, old_image, size);
    for (unsigned i = 0; i < 6; i++) {
        const uint32_t at = below(size - 64) & ~1u, shift = 2 + 2 * below(12);

        memmove(new_image + at + shift, new_image + at, size - at - shift);
        kedge_put_le16(new_image + at, (uint16_t)below(0x10000));
    }
}

static void comes_out_in_any_pieces(void **state)
{
    static const uint32_t sizes[][2] = {{5000, 5000}, {5000, 5001}, {4999, 4000}, {0, 9000},
                                        {3, 5000},    {9000, 1},    {0, 1},       {5001, 4999}};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (uint32_t log = 0; log <= 12; log += 12) {
            make_images(9004);
            struct delta_bytes patch = make(sizes[i][0], sizes[i][1], log);

            assert_int_equal(decode(kedge_bytes(old_image, sizes[i][0]),
                                    kedge_bytes(patch.at, patch.size), sizes[i][1]),
                             sizes[i][1]);
            assert_memory_equal(result, new_image, sizes[i][1]);
            free(patch.at);
        }
    }
}

/* Another old image: refused before the first byte of output, and named. */
static void another_base_is_refused_first(void **state)
{
    static struct kedge_delta delta;
    struct memory base = {old_image, 5000, 0};
    struct memory out = {result, 0, 0};
    const struct kedge_transform_env env = {.old = {read_memory, &base, 5000},
                                            .out = {read_memory, &out, MOST}};
    size_t taken = 0, given = 0;

    (void)state;
    make_images(5000);
    struct delta_bytes patch = make(5000, 5000, 0);

    old_image[4999] ^= 1;
    assert_int_equal(kedge_delta.start(&delta, &env), 0);
    int error = kedge_delta.push(&delta, &env, kedge_bytes(patch.at, 48), &taken);
    if (error == 0) {
        error = kedge_delta.pull(&delta, &env, kedge_buf(result, 1), &given);
    }
    assert_int_equal(error, KEDGE_E_SOURCE);
    assert_int_equal(given, 0);
    assert_int_equal(out.reads, 0);
    assert_non_null(strstr(kedge_delta.reason(&delta, error), "SHA-256"));
    free(patch.at);
}

/* Each field with each hostile value, alone. */
static void every_field_of_the_header_is_hostile(void **state)
{
    static const uint32_t values[] = {0, 1, 0x7FFFFF, 0x800000, 0x800001, 0x7FFFFFFF, 0xFFFFFFFF};

    (void)state;
    make_images(3000);
    struct delta_bytes patch = make(3000, 3000, 0);

    for (uint32_t at = 0; at < 48; at += 4) {
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            const uint32_t before = kedge_le32(patch.at + at);

            kedge_put_le32(patch.at + at, values[i]);
            const int got =
                decode(kedge_bytes(old_image, 3000), kedge_bytes(patch.at, patch.size), MOST);

            assert_true(got < 0 || (got == 3000 && memcmp(result, new_image, 3000) == 0));
            kedge_put_le32(patch.at + at, before);
        }
    }
    free(patch.at);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    make_images(3000);
    struct delta_bytes patch = make(3000, 3000, 0);

    for (size_t size = 0; size < patch.size; size++) {
        assert_true(decode(kedge_bytes(old_image, 3000), kedge_bytes(patch.at, size), MOST) < 0);
    }
    free(patch.at);
}

static void mutate(uint8_t *at, uint32_t size)
{
    for (uint32_t n = 1 + below(4); n > 0; n--) {
        const uint32_t place = below(size);

        switch (below(4)) {
        case 0:
            at[place] ^= (uint8_t)(1u << below(8));
            break;
        case 1:
            at[place] = (uint8_t)below(256);
            break;
        case 2:
            at[place] = below(2) != 0 ? 0xFF : 0;
            break;
        default:
            memmove(at + place, at + below(size), size - place < 9 ? 1 : below(9));
            break;
        }
    }
}

/* Real patches, changed: an error, or the image that was meant; never another one. */
static void mutated_patches_never_give_another_image(void **state)
{
    uint8_t *bad = NULL;
    unsigned refused = 0, made = 0;

    (void)state;
    in_one_piece = true;
    for (unsigned i = 0; i < MUTATIONS; i++) {
        static struct delta_bytes patch;
        static uint32_t old_size;

        if (i % 5000 == 0) {
            free(patch.at);
            patch = (struct delta_bytes){0};
            make_images(i % 10000 == 0 ? 700 : 400);
            old_size = i % 3 == 0 ? 400 : 0;
            patch = make(old_size, 400, 0);
            bad = realloc(bad, patch.size + 16);
        }
        memcpy(bad, patch.at, patch.size);
        memset(bad + patch.size, 0, 16);
        mutate(bad, (uint32_t)patch.size);
        const int got = decode(kedge_bytes(old_image, old_size),
                               kedge_bytes(bad, patch.size + (below(9) == 0 ? below(16) : 0)), 900);

        refused += got < 0;
        made += got >= 0;
        assert_true(got < 0 || (got == 400 && memcmp(result, new_image, 400) == 0));
    }
    print_message("%u mutated patches: %u refused, %u gave the image that was meant\n", MUTATIONS,
                  refused, made);
    assert_true(refused > MUTATIONS / 2);
    free(bad);
}

static int set_up(void **state)
{
    (void)state;
    dice = (struct kedge_random){20261125};
    print_message("seed 20261125\n");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_out_in_any_pieces),
        cmocka_unit_test(another_base_is_refused_first),
        cmocka_unit_test(every_field_of_the_header_is_hostile),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(mutated_patches_never_give_another_image),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
