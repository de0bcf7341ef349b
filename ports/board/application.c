/* An application that is nothing but the update agent: SMP over the console and over the air. It
 * believes the handover of its loader, tests itself, confirms if it was built to, and serves. */
#include "air.h"
#include "handover.h"
#include "say.h"
#include "serve.h"

static struct flashes flashes;
static struct kedge_boot_report report;
static uint8_t scratch[BOARD_UNIT];

/* A loader without a handover: what runs, and whether it is on trial, is written in its slot. */
static void look_around(void)
{
    const struct kedge_slot *primary = &flashes.pair.primary;
    struct kedge_image image;
    struct kedge_trailer trailer;
    report = (struct kedge_boot_report){.boots = 1, .reason = KEDGE_REASON_NORMAL};
    report.external_alive = flashes.external == 0;
    if (kedge_slot_find(primary, 0, &image) == 0) {
        report.version = image.version;
    }
    if (kedge_slot_trailer(primary, 3, &trailer) == 0 && trailer.magic == KEDGE_MAGIC_GOOD &&
        trailer.copy_done == KEDGE_FLAG_SET && trailer.image_ok == KEDGE_FLAG_UNSET) {
        report.reason = KEDGE_REASON_TESTING;
    }
}

static void take_report(void)
{
    if (!handover_get(&report, &flashes.recorder)) {
        look_around();
        say("no report of a loader\r\n");
    }
}

/* What an update may have broken: this image cannot be updated again without both flashes. */
static bool test_self(void)
{
    struct kedge_slot_state slots[2];
    if (flashes.external != 0 || kedge_agent_list(&serve.agent, slots) == 0) {
        return false;
    }
    return slots[0].slot == 0 && kedge_version_compare(&slots[0].version, &report.version) == 0;
}

static void settle(void)
{
    const bool good = test_self();
    say("application ");
    say_version(&report.version);
    say(good ? ": self-test passed" : ": self-test failed");
    if (good && board_application.confirms && report.reason == KEDGE_REASON_TESTING) {
        const int status = kedge_agent_request(&serve.agent, kedge_bytes(NULL, 0), true);
        say(status == KEDGE_AGENT_OK ? ", confirmed" : ", cannot confirm");
    }
    say("\r\n");
}

static bool receive_from_air(void)
{
    struct kedge_bytes message;
    uint32_t peer;
    if (!air_receive(&message, &peer)) {
        return false;
    }
    air_reply(serve_request(peer, message));
    return true;
}

int main(void)
{
    if (board_application.crashes) {
        __asm volatile("udf #0");
    }
    board_start();
    board_watchdog_feed();
    if (flashes_open(&flashes) != 0) {
        return 1;
    }
    take_report();
    serve_start(&flashes, &report, kedge_buf(scratch, sizeof scratch), air_buffers);
    settle();
    air_start(&flashes.layout.settings);
    while (!serve.service.reset_requested) {
        board_watchdog_feed();
        const bool came = serve_console();
        if (!receive_from_air() && !came && !kedge_agent_idle(&serve.agent)) {
            air_idle();
            board_sleep();
        }
    }
    air_stop();
    serve_reset();
}
