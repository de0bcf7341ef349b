/* Whole lives of a device: loader and agent on the strict simulator, with uploads, requests,
 * confirmations, crashes, power cuts in all of them, and single faults of the external bus, at
 * random. A reference knows which images may run after each power-on.
 *
 * What breaks in the field if this fails: a device that runs the wrong firmware or none after some
 * history that nobody thought of. KEDGE_SEED and KEDGE_LIVES choose other and more lives; a failure
 * prints the seed of its life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"
#include "kedge/agent.h"
#include "random.h"

#define LIVES   40u
#define CYCLES  25u
#define SETTLE  12u /* power-ons until a device must have settled */
#define UNIT    1024u
#define SECTORS 6u

static struct device device;
static struct device_image running, candidate; /* what must run; what is offered */
static struct kedge_agent agent;
static struct kedge_agent_config config;
static struct kedge_random dice;
static uint64_t life_seed;
static uint8_t scratch[4096], weak;
static uint32_t clock_ms;
static unsigned long boots, cuts, swaps, reverts, refused;

static uint32_t roll(uint32_t below)
{
    return (uint32_t)(kedge_random_next(&dice) % below);
}

static bool chance(unsigned percent)
{
    return roll(100) < percent;
}

#define require(holds)                                                                             \
    do {                                                                                           \
        if (!(holds))                                                                              \
            fail_msg("life of seed %llu: %s; %s", (unsigned long long)life_seed, #holds,           \
                     kedge_sim_violation(device.sim));                                             \
    } while (0)

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return clock_ms;
}

/* ---- power ----------------------------------------------------------------------------------- */

static void arm(uint32_t cut_at)
{
    const uint8_t kinds[] = {KEDGE_SIM_CUT_TORN,   KEDGE_SIM_CUT_TORN,  KEDGE_SIM_CUT_TORN,
                             KEDGE_SIM_CUT_BEFORE, KEDGE_SIM_CUT_AFTER, KEDGE_SIM_RESET_WARM};
    const struct kedge_sim_faults faults = {.seed = kedge_random_next(&dice),
                                            .cut_at = cut_at,
                                            .cut_kind = kinds[roll(sizeof(kinds))],
                                            .weak = weak};
    kedge_sim_arm(device.sim, &faults);
}

/* Does `act` with power cut at some operation of it, or never. true: it came to its end. */
static bool with_power(void (*act)(void), uint32_t cut_at)
{
    arm(cut_at);
    if (setjmp(device.power) != 0) {
        cuts++;
        return false;
    }
    act();
    return true;
}

/* Power-ons with up to three cuts, or one fault of the bus, until the loader came through. */
static void power_on(bool disturbed)
{
    enum device_outcome outcome = DEVICE_CUT;
    unsigned planned = disturbed && chance(70) ? 1 + roll(3) : 0;
    for (unsigned i = 0; i < SETTLE && outcome == DEVICE_CUT; i++) {
        arm(planned > 0 ? 1 + roll(70) : 0);
        if (planned == 0 && disturbed && chance(40)) {
            struct kedge_sim_faults *faults = kedge_sim_faults(device.sim);
            uint32_t *const kinds[] = {&faults->read_flip_at, &faults->read_fail_at,
                                       &faults->write_flip_at};
            *kinds[roll(3)] = 1 + roll(200);
        }
        planned -= planned > 0;
        outcome = device_boot(&device);
        boots++;
        cuts += outcome == DEVICE_CUT;
    }
    if (kedge_sim_faults(device.sim)->write_flip_at != 0)
        kedge_sim_forgive(device.sim); /* an erase that left a wrong bit: the chip's doing */
    arm(0);
    require(outcome == DEVICE_BOOTED);
    require(kedge_sim_violations(device.sim) == 0);
    kedge_agent_start(&agent, &config);
}

static bool runs(const struct device_image *image)
{
    return device.report.version.major == image->version.major &&
           memcmp(device.report.hash, image->hash, 32) == 0 &&
           device_has(&device, KEDGE_PRIMARY, 0, image);
}

/* ---- what clients and applications do -------------------------------------------------------- */

static int status;
static bool permanent;

static void upload(void)
{
    struct kedge_upload_reply reply = {0};
    uint8_t sha[32];
    kedge_hash_once(&kedge_sha256, kedge_bytes(candidate.bytes, candidate.size), sha);
    for (unsigned i = 0; i < 2000 && reply.off < candidate.size; i++) {
        const uint32_t left = candidate.size - reply.off, most = 64 + roll(900);
        const struct kedge_upload_request request = {
            .peer = 7,
            .has_off = true,
            .off = i == 0 ? 0 : reply.off,
            .has_len = i == 0 || reply.off == 0,
            .len = candidate.size,
            .sha = kedge_bytes(sha, i == 0 || reply.off == 0 ? sizeof(sha) : 0),
            .data = kedge_bytes(candidate.bytes + reply.off, left < most ? left : most)};
        clock_ms += 10;
        status = kedge_agent_upload(&agent, &request, &reply);
        if (status != 0)
            printf("upload refused: %d, %s\n", status, agent.detail);
        require(status == 0);
        if (chance(20))
            (void)kedge_agent_idle(&agent);
    }
    require(reply.off == candidate.size);
}

static void request(void)
{
    status = kedge_agent_request(&agent, kedge_bytes(candidate.hash, 32), permanent);
}

static void confirm(void)
{
    status = kedge_agent_request(&agent, kedge_bytes(NULL, 0), true);
}

/* Upload, with cuts; each time the device must come back with what ran, and resume. */
static void bring(void)
{
    for (unsigned tries = 0; tries < 6; tries++) {
        const bool undisturbed = tries == 5 || chance(60);
        if (with_power(upload, undisturbed ? 0 : 1 + roll(60)))
            return;
        power_on(true);
        require(runs(&running));
    }
}

/* ---- one cycle ------------------------------------------------------------------------------- */

static void make_candidate(unsigned number)
{
    const struct device_image_spec spec = {.size = 300 + roll((SECTORS - 1) * UNIT - 299),
                                           .fill = chance(30) ? 300 : 0,
                                           .major = (uint8_t)(1 + number % 250),
                                           .differs = kedge_random_next(&dice)};
    device_image_make(&device, &candidate, &spec);
}

/* The image in the primary is on trial: it is confirmed, or not. */
static void end_of_trial(void)
{
    const bool confirming = chance(50);
    bool confirmed = false, torn = false;
    if (confirming) {
        confirmed = with_power(confirm, chance(30) ? 1 : 0);
        torn = !confirmed;
        require(torn || status == 0);
    }
    power_on(true);
    if (confirmed) {
        require(runs(&candidate));
    } else if (!torn) {
        require(runs(&running));
        reverts++;
    } else {
        require(runs(&candidate) || runs(&running));
    }
    if (runs(&candidate))
        running = candidate;
}

static void install(void)
{
    const unsigned long cuts_before = cuts;
    permanent = chance(25);
    const bool asked = with_power(request, chance(25) ? 1 + roll(6) : 0);
    require(!asked || status == 0);
    power_on(true);
    const bool cut = cuts != cuts_before;
    if (runs(&running)) {
        /* the request was cut before it was whole, or the trial was used up by a cut at the very
         * last operation before the jump */
        require(cut && !(asked && permanent));
        return;
    }
    require(runs(&candidate));
    swaps++;
    if (device.report.reason == KEDGE_REASON_TESTING) {
        require(!permanent || !asked);
        end_of_trial();
    } else if (device.report.reason != KEDGE_REASON_UPDATED) {
        require(cut); /* a later power-on than the one that finished the program: what is it now? */
        power_on(false);
        require(runs(&running) || runs(&candidate));
        if (runs(&candidate))
            running = candidate;
    } else {
        require(permanent);
        running = candidate;
    }
}

static void settle_down(void)
{
    power_on(false);
    require(runs(&running));
    power_on(false);
    require(runs(&running));
    require(kedge_sim_operations(device.sim) == 0); /* a quiet boot writes nothing */
}

static void cycle(unsigned number)
{
    make_candidate(number);
    if (chance(10)) {
        candidate.bytes[40] ^= 1; /* signed, then altered */
        bring();
        permanent = chance(50);
        require(with_power(request, 0) && status != 0);
        refused++;
    } else {
        bring();
        install();
    }
    settle_down();
}

static void live(uint64_t seed)
{
    const struct device_shape shape = {
        .unit = UNIT, .sectors = SECTORS, .spares = 1 + seed % 2, .effort = true};
    life_seed = seed;
    dice.state = seed;
    weak = (uint8_t)(seed % 3 == 0 ? KEDGE_SIM_WEAK_RANDOM : KEDGE_SIM_WEAK_CONSTANT);
    device_open(&device, &shape);
    device.report = (struct kedge_boot_report){0};
    device.recorder.forbidden[KEDGE_PHASE_DOWNLOAD] = 1u << KEDGE_INTERNAL;
    config = (struct kedge_agent_config){.layout = &device.layout,
                                         .keys = &device.key,
                                         .key_count = 1,
                                         .defaults = &device.policy,
                                         .boot = &device.report,
                                         .recorder = &device.recorder,
                                         .now_ms = now_ms,
                                         .scratch = kedge_buf(scratch, sizeof(scratch))};
    make_candidate(0);
    running = candidate;
    device_put(&device, KEDGE_PRIMARY, 0, &running);
    settle_down();
    for (unsigned i = 1; i <= CYCLES; i++)
        cycle(i);
    device_close(&device);
}

static uint64_t setting(const char *name, uint64_t standard)
{
    const char *text = getenv(name);
    return text == NULL ? standard : strtoull(text, NULL, 0);
}

/* A device that lived through updates, cuts and faults must run what its reference says. */
static void test_lives(void **unused)
{
    const uint64_t first = setting("KEDGE_SEED", 1), lives = setting("KEDGE_LIVES", LIVES);
    (void)unused;
    for (uint64_t i = 0; i < lives; i++)
        live(first + i);
    /* lives that once went wrong: a torn confirmation that was latched, a torn `complete` cell */
    static const uint64_t again[] = {73, 169, 1401, 1839};
    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
        live(again[i]);
    printf(
        "%llu lives from seed %llu: %lu boots, %lu cuts, %lu updates, %lu reverts, %lu refused\n",
        (unsigned long long)lives, (unsigned long long)first, boots, cuts, swaps, reverts, refused);
    assert_true(swaps > lives && reverts > lives / 2 && cuts > lives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
