/* An application that is nothing but the update agent: SMP over the console and over the air. It
 * believes the handover of its loader, tests itself, confirms if it was built to, and serves. */
#include <string.h>

#include "air.h"
#include "board.h"
#include "flashes.h"
#include "groups.h"
#include "handover.h"
#include "kedge/service.h"
#include "kedge/transport.h"
#include "loader_key.h"
#include "say.h"

#define MESSAGE 2048u /* longest request and reply */
#define PEER    1u    /* the console is one client */

static struct flashes flashes;
static struct kedge_boot_report report;
static struct kedge_agent agent;
static struct kedge_service service;
static struct kedge_console console;
static uint8_t scratch[4096];
static uint8_t packet[MESSAGE + KEDGE_CONSOLE_OVERHEAD];
static uint8_t reply[MESSAGE];

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return board_now_ms();
}

static struct kedge_agent_config config = {
    .layout = &flashes.layout,
    .keys = &loader_key,
    .key_count = 1,
    .defaults = &kedge_policy_default,
    .boot = &report,
    .recorder = &flashes.recorder,
    .now_ms = now_ms,
    .scratch = {scratch, sizeof scratch},
};

static struct kedge_system words = {
    .kernel_name = "Kedge",
    .node_name = board_name,
    .build_time = "unknown",
    .machine = "arm",
    .hardware = board_hardware,
    .buffer_size = MESSAGE,
};

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
    if (flashes.external != 0 || kedge_agent_list(&agent, slots) == 0) {
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
        const int status = kedge_agent_request(&agent, kedge_bytes(NULL, 0), true);
        say(status == KEDGE_AGENT_OK ? ", confirmed" : ", cannot confirm");
    }
    say("\r\n");
}

static void send(struct kedge_bytes message)
{
    struct kedge_console_lines lines;
    uint8_t line[KEDGE_CONSOLE_LINE];
    size_t size;
    kedge_console_lines_start(&lines, message);
    while ((size = kedge_console_lines_next(&lines, line)) > 0) {
        board_send(kedge_bytes(line, size));
    }
}

static void answer(struct kedge_bytes message)
{
    size_t size;
    if (kedge_service_handle(&service, PEER, message, kedge_buf(reply, sizeof reply), &size) == 0) {
        send(kedge_bytes(reply, size));
    }
}

/* False: nothing came. */
static bool receive(void)
{
    uint8_t bytes[64];
    struct kedge_bytes message;
    const size_t size = board_receive(kedge_buf(bytes, sizeof bytes));
    for (size_t i = 0; i < size; i++) {
        if (kedge_console_push(&console, bytes[i], &message) == 1) {
            answer(message);
        }
    }
    return size > 0;
}

static bool receive_from_air(void)
{
    struct kedge_bytes message;
    uint32_t peer;
    size_t size;
    if (!air_receive(&message, &peer)) {
        return false;
    }
    if (kedge_service_handle(&service, peer, message, kedge_buf(reply, sizeof reply), &size) != 0) {
        size = 0;
    }
    air_reply(kedge_bytes(reply, size));
    return true;
}

static void start(void)
{
    take_report();
    (void)kedge_recorder_phase(&flashes.recorder, KEDGE_PHASE_IDLE);
    kedge_agent_start(&agent, &config);
    words.buffer_count = air_buffers;
    groups_start(&service, &agent, &words);
    service.reset_seen = link_handover.reset_seen == HANDOVER_RESET;
    service.reset_peer = link_handover.reset_peer;
    service.reset_sequence = link_handover.reset_sequence;
    service.reset_ms = board_now_ms();
    link_handover.reset_seen = 0;
    kedge_console_start(&console, kedge_buf(packet, sizeof packet));
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
    start();
    settle();
    air_start(&flashes.layout.settings);
    while (!service.reset_requested) {
        board_watchdog_feed();
        const bool came = receive();
        if (!receive_from_air() && !came && !kedge_agent_idle(&agent)) {
            air_idle();
            board_sleep();
        }
    }
    air_stop();
    link_handover.reset_peer = service.reset_peer;
    link_handover.reset_sequence = service.reset_sequence;
    link_handover.reset_seen = HANDOVER_RESET;
    board_reset();
}
