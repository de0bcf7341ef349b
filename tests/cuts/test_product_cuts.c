/* If this fails, a power cut at some place of a real layout (slots of 113 sectors of 4 KiB, the
 * nRF52840's words, the MX25R64's pages) loses an image or boots the wrong one. Cut are: every
 * erase, every page of the external chip, every word of journal and trailer, and of each unit of
 * the primary the first, the last and one word between; each place with one kind of cut in turn. By
 * default every third place; KEDGE_PRODUCT=n takes every n-th (1: all), KEDGE_SEED says from which
 * on. KEDGE_EXHAUSTIVE=1: places are all words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cut_kinds.h"
#include "device.h"

#define IMAGE 261889u /* 64 units: the image of PEERS.md's table */
#define WORD  4u

static struct device device;
static struct device_image old_image, new_image;
static struct kedge_sim_snapshot *start;
static char where[160];
static uint64_t runs, boots;
static double slowest;

#define require(holds)                                                                             \
    do {                                                                                           \
        if (!(holds))                                                                              \
            fail_msg("%s: %s (booted %u, reason %u) %s", where, #holds,                            \
                     device.report.version.major, device.report.reason,                            \
                     device_violation(&device));                                                   \
    } while (0)

enum what { SWAP, REVERT, PERMANENT };

static const struct product {
    const char *name;
    const struct kedge_strategy *strategy;
    enum what what;
} products[] = {
    {"swap", &kedge_swap, SWAP},
    {"swap, revert", &kedge_swap, REVERT},
    {"overwrite", &kedge_overwrite, PERMANENT},
    {"backup", &kedge_backup, SWAP},
    {"backup, revert", &kedge_backup, REVERT},
    {"serial", &kedge_swap_serial, SWAP},
};
static const struct product *product;

/* ---- the places ------------------------------------------------------------------------------ */

#define PLACES 200000u
static uint32_t places[PLACES];
static uint32_t place_count;
static bool every_word;

/* Is this word of a unit of the primary one of the three? */
static bool chosen_word(uint32_t at)
{
    const uint32_t in_unit = at % 4096u, unit = at / 4096u;
    return in_unit == 0 || in_unit == 4096u - WORD ||
           in_unit == (unit * 2654435761u >> 20 & 4095u & ~(WORD - 1));
}

static void on_trace(void *ctx, const struct kedge_sim_event *event)
{
    const struct kedge_slot *p = &device.pair.primary;
    (void)ctx;
    if (event->number == 0 || place_count == PLACES)
        return;
    const bool in_units = event->device == KEDGE_INTERNAL && event->operation == KEDGE_OP_PROGRAM &&
                          event->at - p->region.start < p->gap * p->unit;
    if (every_word || !in_units || chosen_word(event->at - p->region.start))
        places[place_count++] = event->number;
}

/* ---- the device ------------------------------------------------------------------------------ */

static void on_cut(void *ctx)
{
    (void)ctx;
    longjmp(device.power, 1);
}

static enum device_outcome boot(void)
{
    boots++;
    return device_boot(&device);
}

static void trace(bool on)
{
    const struct kedge_sim_hooks hooks = {.cut = on_cut, .trace = on ? on_trace : NULL};
    kedge_sim_hooks(device.sim, &hooks);
}

static void prepare(const struct product *p)
{
    static struct kedge_sim_part internal;
    internal = kedge_sim_nrf52840;
    internal.burst = WORD; /* a word is what power can tear */
    const struct device_shape shape = {.unit = 4096,
                                       .sectors = 113,
                                       .spares = 2,
                                       .backup = p->strategy == &kedge_backup,
                                       .strategy = p->strategy,
                                       .internal = &internal,
                                       .external = &kedge_sim_mx25r64};
    const struct device_image_spec old_spec = {.size = IMAGE, .major = 1, .differs = ~(uint64_t)0};
    const struct device_image_spec new_spec = {.size = IMAGE, .major = 2, .differs = ~(uint64_t)0};
    product = p;
    snprintf(where, sizeof(where), "%s, preparing", p->name);
    device_open(&device, &shape);
    device_image_make(&device, &old_image, &old_spec);
    device_image_make(&device, &new_image, &new_spec);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    require(boot() == DEVICE_BOOTED);
    device_put(&device, KEDGE_SECONDARY, 0, &new_image);
    device_request(&device, p->what == PERMANENT);
    if (p->what == REVERT)
        require(boot() == DEVICE_BOOTED && device.report.reason == KEDGE_REASON_TESTING);
    start = kedge_sim_snapshot_make(device.sim);
}

/* The device has come to rest: the right image runs, both are there bit for bit. */
static void check(bool used_up)
{
    const unsigned major = device.report.version.major;
    const unsigned other = product->strategy == &kedge_backup ? KEDGE_BACKUP : KEDGE_SECONDARY;
    require(kedge_sim_violations(device.sim) == 0);
    require(device_mailbox_blank(&device));
    if (product->what == REVERT || (used_up && major == 1)) {
        require(major == 1 && device_has(&device, KEDGE_PRIMARY, 0, &old_image));
        require(device_has(&device, KEDGE_SECONDARY, 0, &new_image));
        return;
    }
    require(major == 2 && device_has(&device, KEDGE_PRIMARY, 0, &new_image));
    if (product->what == SWAP) {
        require(device.report.reason == KEDGE_REASON_TESTING);
        require(device_has(&device, other, other == KEDGE_BACKUP ? 0 : 2, &old_image));
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void cut_at(uint32_t n, uint32_t last, size_t k, uint8_t weak)
{
    const uint64_t seed = n * (uint64_t)CUT_KINDS + k;
    struct kedge_sim_faults faults = cut_kind_faults(k, n, seed, weak);
    snprintf(where, sizeof(where), "%s, cut %u of %u, kind %zu, weak %u", product->name, n, last, k,
             weak);
    kedge_sim_restore(device.sim, start);
    kedge_sim_arm(device.sim, &faults);
    require(boot() == DEVICE_CUT);
    const double begun = now();
    require(boot() == DEVICE_BOOTED);
    if (now() - begun > slowest)
        slowest = now() - begun;
    check(n == last);
    runs++;
}

static uint32_t setting(const char *name, uint32_t standard)
{
    const char *text = getenv(name);
    return text == NULL ? standard : (uint32_t)strtoul(text, NULL, 0);
}

static void sweep(const struct product *p, uint32_t stride)
{
    const uint64_t before = runs;
    const double begun = now();
    prepare(p);
    place_count = 0;
    trace(true);
    kedge_sim_arm(device.sim, NULL);
    require(boot() == DEVICE_BOOTED);
    trace(false);
    check(false);
    const uint32_t last = kedge_sim_operations(device.sim);
    uint32_t kind = setting("KEDGE_SEED", 1);
    for (uint32_t i = kind % stride; i < place_count; i += stride, kind++)
        cut_at(places[i], last, kind % CUT_KINDS, kind / CUT_KINDS % 2);
    kedge_sim_snapshot_free(start);
    device_close(&device);
    print_message("%-16s %6u operations, %6u places, %7llu runs, %.0f s\n", p->name, last,
                  place_count, (unsigned long long)(runs - before), now() - begun);
}

static void test_cuts_on_a_real_layout(void **state)
{
    (void)state;
    every_word = getenv("KEDGE_EXHAUSTIVE") != NULL;
    const uint32_t stride = setting("KEDGE_PRODUCT", 3);
    for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++)
        if (stride < 3 || products[i].strategy != &kedge_swap_serial) /* swap without the overlap */
            sweep(&products[i], stride);
    print_message("%llu runs, %llu boots, slowest recovery %.3f s\n", (unsigned long long)runs,
                  (unsigned long long)boots, slowest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts_on_a_real_layout)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
