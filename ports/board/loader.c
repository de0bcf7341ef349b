/* A loader with a console: boots, says the verdict and what it did to which flash, hands the report
 * over and jumps, with the watchdog running, so that an image that hangs is gone at the next boot.
 * A watchdog that outlives a reset is fed. Nothing bootable: it says why, and recover.h goes on. */
#include "handover.h"
#include "loader_key.h"
#include "recover.h"
#include "say.h"

#define WATCHDOG_US 3000000u

static struct flashes flashes;
static uint8_t unit[BOARD_UNIT];
static uint64_t state[BOARD_STATE / 8];

static void feed(void *ctx)
{
    (void)ctx;
    board_watchdog_feed();
}

static const struct kedge_boot_hooks hooks = {.feed = feed};

static struct kedge_boot_config config = {
    .layout = &flashes.layout,
    .strategy = &kedge_swap,
    .keys = &loader_key,
    .key_count = 1,
    .defaults = &kedge_policy_default,
    .recorder = &flashes.recorder,
    .hooks = &hooks,
    .unit = {unit, sizeof unit},
    .state = {(uint8_t *)state, sizeof state},
};

static void say_counts(const char *name, unsigned device)
{
    const struct kedge_counts counts = kedge_recorder_total(&flashes.recorder, (uint8_t)device);
    say("flash: ");
    say(name);
    say(" erases ");
    say_number(counts.erases);
    say(" programs ");
    say_number(counts.programs);
    say(" bytes ");
    say_number(counts.program_bytes);
    say("\r\n");
}

static void say_verdict(const struct kedge_boot_report *report)
{
    say(report->boots ? "booted " : "nothing bootable: ");
    if (report->boots) {
        say_version(&report->version);
        say(" (");
    }
    say(kedge_reason_text(report->reason));
    if (report->verdict != KEDGE_IMAGE_GOOD) {
        say(": ");
        say(kedge_verdict_text(report->verdict));
    }
    if (!report->external_alive) {
        say("; external flash: ");
        say(kedge_error_text(flashes.external));
    }
    say(report->boots ? ")\r\n" : "\r\n");
    say_counts("internal", KEDGE_INTERNAL);
    say_counts("external", KEDGE_EXTERNAL);
}

/* Payload bytes, from the header of what was just authenticated. */
static int payload_size(const struct kedge_boot_report *report, uint32_t *size)
{
    const struct kedge_slot_view view = {.slot = &flashes.pair.primary};
    const struct kedge_source source = kedge_slot_source(&view);
    struct kedge_image image;
    if (kedge_image_parse(&source, &image) != KEDGE_IMAGE_GOOD ||
        board_map.primary + image.header_size != report->entry) {
        return KEDGE_E_FORMAT;
    }
    *size = image.payload_size;
    return 0;
}

int main(void)
{
    struct kedge_boot_report report;
    uint32_t size = 0;
    board_start();
    say("reset: ");
    say(board_reset_reason());
    say("\r\n");
    int error = flashes_open(&flashes);
    if (error == 0) {
        error = kedge_boot(&config, &report);
    }
    if (error != 0) {
        say("the loader cannot work with this map: ");
        say(kedge_error_text(error));
        say("\r\n");
        return 1;
    }
    say_verdict(&report);
    handover_put(&report, &flashes.recorder);
    board_watchdog_start(WATCHDOG_US);
    if (report.boots && payload_size(&report, &size) == 0) {
        board_jump(&flashes.inner[KEDGE_INTERNAL], report.entry, size);
    }
    recover(&flashes, &report, kedge_buf(unit, sizeof unit));
}
