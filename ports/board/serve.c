#include "serve.h"

#include "groups.h"
#include "handover.h"
#include "kedge/transport.h"
#include "loader_key.h"

#define MESSAGE 2048u /* longest request and reply */
#define PEER    1u    /* the console is one client */

struct serve serve;
static struct kedge_console console;
static uint8_t packet[MESSAGE + KEDGE_CONSOLE_OVERHEAD];
static uint8_t reply[MESSAGE];

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return board_now_ms();
}

static struct kedge_agent_config config = {
    .keys = &loader_key,
    .key_count = 1,
    .defaults = &kedge_policy_default,
    .now_ms = now_ms,
};

static struct kedge_system words = {
    .kernel_name = "Kedge",
    .node_name = board_name,
    .build_time = "unknown",
    .machine = "arm",
    .hardware = board_hardware,
    .buffer_size = MESSAGE,
};

void serve_start(struct flashes *flashes, const struct kedge_boot_report *report,
                 struct kedge_buf scratch, uint16_t buffers)
{
    config.layout = &flashes->layout;
    config.recorder = &flashes->recorder;
    config.boot = report;
    config.scratch = scratch;
    words.buffer_count = buffers;
    (void)kedge_recorder_phase(&flashes->recorder, KEDGE_PHASE_IDLE);
    kedge_agent_start(&serve.agent, &config);
    groups_start(&serve.service, &serve.agent, &words);
    serve.service.reset_seen = link_handover.reset_seen == HANDOVER_RESET;
    serve.service.reset_peer = link_handover.reset_peer;
    serve.service.reset_sequence = link_handover.reset_sequence;
    serve.service.reset_ms = board_now_ms();
    link_handover.reset_seen = 0;
    kedge_console_start(&console, kedge_buf(packet, sizeof packet));
}

struct kedge_bytes serve_request(uint32_t peer, struct kedge_bytes message)
{
    size_t size;
    if (kedge_service_handle(&serve.service, peer, message, kedge_buf(reply, sizeof reply),
                             &size) != 0) {
        size = 0;
    }
    return kedge_bytes(reply, size);
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

bool serve_console(void)
{
    uint8_t bytes[64];
    struct kedge_bytes message;
    const size_t size = board_receive(kedge_buf(bytes, sizeof bytes));
    for (size_t i = 0; i < size; i++) {
        if (kedge_console_push(&console, bytes[i], &message) == 1) {
            const struct kedge_bytes answer = serve_request(PEER, message);
            if (answer.size != 0) {
                send(answer);
            }
        }
    }
    return size > 0;
}

void serve_reset(void)
{
    link_handover.reset_peer = serve.service.reset_peer;
    link_handover.reset_sequence = serve.service.reset_sequence;
    link_handover.reset_seen = HANDOVER_RESET;
    board_reset();
}
