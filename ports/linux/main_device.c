/* kedge-device: the loader and the update agent on simulated flashes, with real sockets. It boots,
 * serves, resets, reverts; the payload of the image is not executed, so any signed firmware serves.
 * PRODUCT.md, "kedge-device", is the contract. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ble_wire.h"
#include "device_kinds.h"
#include "device_options.h"
#include "enc_key_file.h"
#include "flight_log.h"
#include "kedge/confidential.h"
#include "kedge/service.h"
#include "key_file.h"
#include "pull.h"
#include "random.h"
#include "shared_key_file.h"
#include "state.h"
#include "wire.h"

#define EXIT_CUT     9
#define EXIT_NOTHING 3
#define FLUSH_MS     10  /* what was recorded is on disk at most so much later */
#define WATCHDOG_MS  500 /* a crashed image is reset after so long */

struct device {
    struct device_options options;
    struct state state;
    struct key_file key_files[DEVICE_KEYS];
    struct kedge_key keys[2 * DEVICE_KEYS];
    size_t key_count;
    struct enc_key_file enc_key; /* no key: its count is 0 */
    uint8_t shared_key[SHARED_KEY_SIZE], local_key[SHARED_KEY_SIZE];
    struct device_kinds kinds;
    struct kedge_pipe pipe;
    uint64_t pipe_memory[4096]; /* three of the largest state that is known here */
    struct kedge_policy defaults;
    struct kedge_opened opened;
    struct kedge_confidential confidential;
    struct kedge_strategy strategy;
    struct wire wires[WIRE_MAX];
    size_t wire_count;
    struct ble_wire ble;
    struct flight_log log;
    uint64_t real_start_us;
    uint8_t unit[KEDGE_UNIT_MAX];
    uint8_t plan[KEDGE_PLAN_MAX];
    uint8_t scratch[4096];
    uint8_t behind[KEDGE_SMP_MESSAGE_MAX];
    struct kedge_boot_config boot_config;
    struct kedge_boot_hooks hooks;
    uint32_t effort[KEDGE_EFFORTS];
    struct kedge_boot_report report;
    struct kedge_agent agent;
    struct kedge_agent_config agent_config;
    struct kedge_service service;
    struct kedge_stage stage;
    uint8_t stage_buffer[1024];
    struct pull pull;
    bool pulls, has_pulled; /* open now; was open once */
};

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

static uint64_t real_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void sleep_us(uint64_t us)
{
    struct timespec t = {.tv_sec = (time_t)(us / 1000000u),
                         .tv_nsec = (long)(us % 1000000u) * 1000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR && !stop) {
    }
}

/* ---- the simulator's hooks ------------------------------------------------------------------- */

/* The modelled clock must not run ahead of the real one. The radio does not wait for flash. */
static void on_pace(void *ctx, uint64_t now_us)
{
    struct device *device = ctx;
    const uint64_t real = real_us() - device->real_start_us;
    if (now_us <= real + 1000) {
        return;
    }
    if (device->ble.open) {
        ble_wire_wait(&device->ble, now_us - real);
    } else {
        sleep_us(now_us - real);
    }
}

static void on_trace(void *ctx, const struct kedge_sim_event *event)
{
    struct device *device = ctx;
    flight_log_operation(&device->log, event);
}

static void on_violation(void *ctx, const char *message)
{
    struct device *device = ctx;
    fprintf(stderr,
            "kedge-device: flash rule broken: %s: this is a bug in Kedge, please report it\n",
            message);
    flight_log_flush(&device->log);
    fflush(NULL);
    _exit(1);
}

static void on_cut(void *ctx)
{
    struct device *device = ctx;
    fprintf(stderr, "kedge-device: power cut at operation %u of this run\n", device->options.cut);
    flight_log_say(&device->log, "power cut at operation %u of this run", device->options.cut);
    flight_log_flush(&device->log);
    fflush(NULL);
    _exit(EXIT_CUT);
}

/* ---- boot ------------------------------------------------------------------------------------ */

static bool is_crash_version(const struct device *device)
{
    const struct kedge_version *v = &device->report.version;
    return device->options.has_crash_version && device->report.boots &&
           kedge_version_compare(v, &device->options.crash_version) == 0;
}

/* As on the command line: 1.2.3+4. (SMP's lists have a fourth dot there.) */
static void version_text(const struct kedge_version *version, char *text)
{
    kedge_version_text(version, text);
    char *last = strrchr(text, '.');
    if (version->build != 0 && last != NULL) {
        *last = '+';
    }
}

/* The line of this boot, for stdout and the flight log. */
static void verdict_text(const struct device *device, char *text, size_t room)
{
    const struct kedge_boot_report *report = &device->report;
    char version[32];
    const bool judged = report->verdict != KEDGE_IMAGE_GOOD;
    version_text(&report->version, version);
    snprintf(text, room, "%s%s%s%s%s%s%s%s",
             report->boots ? "booted " : "nothing bootable: ", report->boots ? version : "",
             report->boots ? " (" : "", kedge_reason_text(report->reason), judged ? ": " : "",
             judged ? kedge_verdict_text(report->verdict) : "",
             report->external_alive ? "" : "; the external flash does not answer",
             report->boots ? ")" : "");
}

/* The clock of the flashes, for the history. */
static uint32_t flash_ms(void *ctx)
{
    const struct device *device = ctx;
    return (uint32_t)(kedge_sim_now_us(device->state.board.sim) / 1000u);
}

static int boot(struct device *device)
{
    char text[256];
    flight_log_power_on(&device->log);
    kedge_history_begin(&device->hooks, &device->state.recorder);
    const int result = kedge_boot(&device->boot_config, &device->report);
    kedge_opened_forget(&device->opened);
    if (result != 0) {
        fprintf(stderr, "kedge-device: the loader cannot work with this layout: %s\n",
                kedge_error_text(result));
        return 1;
    }
    verdict_text(device, text, sizeof text);
    puts(text);
    fflush(stdout);
    flight_log_say(&device->log, "%s", text);
    return 0;
}

/* ---- the agent ------------------------------------------------------------------------------- */

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return (uint32_t)(real_us() / 1000u);
}

static int get_time(void *ctx, char *text, size_t size)
{
    const struct device *device = ctx;
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += device->options.clock_offset;
    gmtime_r(&t.tv_sec, &tm);
    char seconds[32];
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &tm);
    const int n = snprintf(text, size, "%s.%06ld+00:00", seconds, t.tv_nsec / 1000);
    return n > 0 && (size_t)n < size ? 0 : KEDGE_E_SPACE;
}

/* yyyy-MM-dd'T'HH:mm:ss with anything behind it; kept as an offset to the machine's own clock. */
static int set_time(void *ctx, struct kedge_bytes text)
{
    struct device *device = ctx;
    char copy[40] = "";
    struct tm tm = {0};
    if (text.size >= sizeof copy) {
        return KEDGE_E_FORMAT;
    }
    memcpy(copy, text.at, text.size);
    if (strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
        return KEDGE_E_FORMAT;
    }
    device->options.clock_offset = timegm(&tm) - time(NULL);
    return 0;
}

static struct kedge_system system_of(struct device *device)
{
    return (struct kedge_system){.kernel_name = "Kedge",
                                 .node_name = "kedge-device",
                                 .build_time = "unknown",
                                 .machine = "linux",
                                 .hardware = "virtual",
                                 .get_time = get_time,
                                 .set_time = set_time,
                                 .ctx = device,
                                 .buffer_size = KEDGE_SMP_MESSAGE_MAX,
                                 .buffer_count = 4};
}

/* In model time the simulated chip works on while nobody asks: let its clock follow the real one.
 */
static void follow_clock(struct device *device)
{
    if (device->options.time != KEDGE_SIM_TIME_NONE) {
        const uint64_t real = real_us() - device->real_start_us;
        const uint64_t model = kedge_sim_now_us(device->state.board.sim);
        if (real > model) {
            kedge_sim_wait_us(device->state.board.sim, real - model);
        }
    }
}

static void log_message(struct device *device, const struct sockaddr_in *client, uint8_t kind,
                        bool to_client, struct kedge_bytes bytes)
{
    const struct flight_log_message message = {
        .client = client, .pty = kind, .to_client = to_client, .bytes = bytes};
    flight_log_message(&device->log, &message);
}

static void log_on_wire(struct device *device, const struct wire *wire, bool to_client,
                        struct kedge_bytes bytes)
{
    log_message(device, wire->kind == WIRE_UDP ? &wire->from : NULL, wire->kind, to_client, bytes);
}

/* True: something was asked. */
static bool serve_wire(struct device *device, struct wire *wire)
{
    static uint8_t reply[KEDGE_SMP_MESSAGE_MAX];
    struct kedge_bytes message;
    size_t size;
    int burst = 0;
    for (; burst < 16 && !device->service.reset_requested; burst++) {
        if (wire_receive(wire, &message) != 1) {
            break;
        }
        log_on_wire(device, wire, false, message);
        follow_clock(device);
        if (kedge_service_handle(&device->service, wire->peer, message,
                                 kedge_buf(reply, sizeof reply), &size) == 0) {
            wire_send(wire, kedge_bytes(reply, size));
            log_on_wire(device, wire, true, kedge_bytes(reply, size));
        }
    }
    return burst > 0;
}

static bool serve_ble(struct device *device)
{
    static uint8_t reply[KEDGE_SMP_MESSAGE_MAX];
    struct kedge_bytes message;
    uint32_t peer;
    size_t size;
    bool asked = false;
    ble_wire_poll(&device->ble);
    while (!device->service.reset_requested && ble_wire_message(&device->ble, &message, &peer)) {
        asked = true;
        log_message(device, NULL, WIRE_BLE, false, message);
        follow_clock(device);
        if (kedge_service_handle(&device->service, peer, message, kedge_buf(reply, sizeof reply),
                                 &size) == 0) {
            ble_wire_reply(&device->ble, kedge_bytes(reply, size));
            log_message(device, NULL, WIRE_BLE, true, kedge_bytes(reply, size));
        }
        kedge_gatt_release(&device->ble.gatt);
        ble_wire_poll(&device->ble);
    }
    return asked;
}

/* ---- --pull ---------------------------------------------------------------------------------- */

static void on_pull_line(void *ctx, const char *line)
{
    struct device *device = ctx;
    fprintf(stderr, "kedge-device: %s\n", line);
    flight_log_say(&device->log, "%s", line);
}

/* False: the address or the key is wrong, said. A modem that is gone after a reset is no reason to
 * stop serving. */
static bool start_pull(struct device *device)
{
    char why[PULL_REASON];
    device->pull.say = on_pull_line;
    device->pull.ctx = device;
    if (device->options.pull.url == NULL) {
        return true;
    }
    device->pulls = pull_open(&device->pull, &device->options.pull, &device->stage, why) == 0;
    device->has_pulled |= device->pulls;
    if (!device->pulls) {
        on_pull_line(device, why);
    }
    return device->has_pulled;
}

/* The update starts by itself once all is there, unless its user wants to be asked. */
static bool step_pull(struct device *device)
{
    bool asked = false;
    if (!device->pulls) {
        return false;
    }
    const bool did = pull_step(&device->pull, &asked);
    if (asked && device->agent.policy.value[KEDGE_POLICY_HOLD] != 0) {
        on_pull_line(device, "pull: policy hold is on: it waits for kedge policy set hold off");
    } else if (asked) {
        device->service.reset_requested = true;
    }
    return did;
}

static void end_pull(struct device *device)
{
    if (device->pulls) {
        pull_close(&device->pull);
    }
}

/* Serves until a reset is requested or the process is told to stop. */
static void serve(struct device *device)
{
    struct pollfd polls[WIRE_MAX + 1];
    bool busy = false;
    uint32_t flushed = now_ms(NULL) - FLUSH_MS;
    while (!stop && !device->service.reset_requested) {
        for (size_t i = 0; i < device->wire_count; i++) {
            polls[i] = (struct pollfd){.fd = device->wires[i].fd, .events = POLLIN};
        }
        nfds_t count = device->wire_count;
        int ms = busy ? 0 : FLUSH_MS;
        if (device->ble.open) {
            polls[count++] = (struct pollfd){.fd = device->ble.line.fd, .events = POLLIN};
            ms = ble_wire_next_ms(&device->ble, ms);
        }
        const int ready = poll(polls, count, ms);
        bool asked = false;
        for (size_t i = 0; ready > 0 && i < device->wire_count; i++) {
            if (polls[i].revents & POLLIN) {
                asked = serve_wire(device, &device->wires[i]) || asked;
            } else if (polls[i].revents != 0) {
                sleep_us(10000); /* a pty whose client hung up says so at once, again and again */
            }
        }
        if (device->ble.open) {
            asked = serve_ble(device) || asked;
        }
        follow_clock(device);
        /* between requests, also while the next one comes in piece by piece, sectors are erased */
        busy = asked || step_pull(device) || kedge_stage_step(&device->stage) ||
               kedge_agent_idle(&device->agent);
        if (device->ble.open && !busy) {
            peripheral_keep();
        }
        if (now_ms(NULL) - flushed >= FLUSH_MS) {
            flight_log_flush(&device->log); /* behind the reply: nobody waits for it */
            flushed = now_ms(NULL);
        }
    }
    if (device->ble.open && device->service.reset_requested) {
        ble_wire_linger(&device->ble);
    }
    flight_log_flush(&device->log);
}

static void start_agent(struct device *device, const struct kedge_system *system)
{
    const struct kedge_service before = device->service;
    kedge_recorder_phase(&device->state.recorder, KEDGE_PHASE_IDLE);
    kedge_agent_start(&device->agent, &device->agent_config);
    kedge_service_start(&device->service, &device->agent, system);
    kedge_stage_start(&device->stage, &device->agent,
                      kedge_buf(device->stage_buffer, sizeof device->stage_buffer));
    device->service.stage = &device->stage;
    device->service.reset_seen = before.reset_seen; /* a repeated reset is the same reset */
    device->service.reset_peer = before.reset_peer;
    device->service.reset_ms = before.reset_ms;
    device->service.reset_sequence = before.reset_sequence;
    device->service.reset_mode = before.reset_mode;
}

/* ---- start ----------------------------------------------------------------------------------- */

static int open_wires(struct device *device)
{
    char why[WIRE_WHY];
    const struct device_options *o = &device->options;
    const struct {
        const char *where;
        uint8_t kind;
    } wanted[] = {{o->udp, WIRE_UDP}, {o->pty, WIRE_CONSOLE}, {o->raw_pty, WIRE_RAW}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct wire *wire = &device->wires[device->wire_count];
        if (wanted[i].where == NULL) {
            continue;
        }
        const int result = wanted[i].kind == WIRE_UDP
                               ? wire_open_udp(wire, wanted[i].where, why)
                               : wire_open_pty(wire, wanted[i].where, wanted[i].kind, why);
        if (result != 0) {
            fprintf(stderr, "kedge-device: %s\n", why);
            return -1;
        }
        device->wire_count++;
    }
    return 0;
}

static int open_state(struct device *device)
{
    char why[LAYOUT_WHY];
    const struct device_options *o = &device->options;
    const struct state_options options = {.directory = o->state,
                                          .layout = o->layout,
                                          .seed = o->seed,
                                          .time = o->time,
                                          .exclusive = true};
    if (state_open(&device->state, &options, why) != 0) {
        fprintf(stderr, "kedge-device: %s\n", why);
        return -1;
    }
    if (flight_log_open(&device->log, &device->state, o->state, o->time == KEDGE_SIM_TIME_NONE,
                        why) != 0) {
        fprintf(stderr, "kedge-device: %s\n", why);
        return -1;
    }
    const struct kedge_sim_hooks hooks = {.ctx = device,
                                          .cut = on_cut,
                                          .trace = on_trace,
                                          .violated = on_violation,
                                          .pace = o->time == KEDGE_SIM_TIME_NONE ? NULL : on_pace};
    /* the operation's number goes into the seed: else every cut of a sweep tears the same way */
    const struct kedge_sim_faults faults = {.seed = o->seed ^ kedge_random_mix(o->cut),
                                            .cut_at = o->cut,
                                            .cut_kind = o->cut_kind,
                                            .external_dead = o->external_dead};
    kedge_sim_hooks(device->state.board.sim, &hooks);
    kedge_sim_arm(device->state.board.sim, &faults);
    kedge_sim_board_power_on(&device->state.board);
    return 0;
}

/* A device that can keep things secret does, unless it is told otherwise. */
static int load_enc_key(struct device *device)
{
    char why[ENC_KEY_WHY];
    device->defaults = kedge_policy_default;
    if (device->options.enc_key == NULL) {
        return 0;
    }
    device->defaults.value[KEDGE_POLICY_CONFIDENTIAL] = 1;
    if (enc_key_read(device->options.enc_key, &device->enc_key, why) != 0) {
        fprintf(stderr, "kedge-device: %s\n", why);
        return -1;
    }
    return 0;
}

static int load_shared_keys(struct device *device)
{
    char why[SHARED_KEY_WHY];
    const struct device_options *const o = &device->options;
    if ((o->shared_key != NULL && shared_key_read(o->shared_key, device->shared_key, why) != 0) ||
        (o->local_key != NULL && shared_key_read(o->local_key, device->local_key, why) != 0)) {
        fprintf(stderr, "kedge-device: %s\n", why);
        return -1;
    }
    device_kinds_make(&device->kinds, &device->enc_key.keys,
                      kedge_bytes(device->shared_key, o->shared_key != NULL ? SHARED_KEY_SIZE : 0),
                      kedge_bytes(device->local_key, o->local_key != NULL ? SHARED_KEY_SIZE : 0));
    return 0;
}

static int load_keys(struct device *device)
{
    char why[KEY_FILE_WHY];
    for (size_t i = 0; i < device->options.key_count; i++) {
        if (key_file_read(device->options.keys[i], &device->key_files[i], why) != 0) {
            fprintf(stderr, "kedge-device: %s\n", why);
            return -1;
        }
        device->keys[device->key_count++] = device->key_files[i].key;
        if (device->key_files[i].key.type == &kedge_ed25519) { /* it signs by two image hashes */
            device->keys[device->key_count] = device->key_files[i].key;
            device->keys[device->key_count++].type = &kedge_ed25519_sha512;
        }
    }
    return 0;
}

/* The directory remembers which keys its device trusts, for `flash inspect`. */
static int remember_keys(const struct device *device)
{
    char why[KEY_FILE_WHY];
    char path[4096];
    for (size_t i = 0; i < DEVICE_KEYS; i++) {
        snprintf(path, sizeof path, "%s/key%zu.pem", device->options.state, i);
        if (i >= device->options.key_count) {
            unlink(path);
        } else if (key_file_copy(device->options.keys[i], path, why) != 0) {
            fprintf(stderr, "kedge-device: %s\n", why);
            return -1;
        }
    }
    return 0;
}

static const struct kedge_strategy *strategy_of(const struct device *device)
{
    const char *name =
        device->options.strategy != NULL ? device->options.strategy : device->state.file.strategy;
    return strcmp(name, "swap") == 0        ? &kedge_swap
           : strcmp(name, "overwrite") == 0 ? &kedge_overwrite
           : strcmp(name, "backup") == 0    ? &kedge_backup
                                            : NULL;
}

static int configure(struct device *device)
{
    const struct kedge_strategy *strategy = strategy_of(device);
    if (strategy == NULL) {
        fprintf(stderr, "kedge-device: strategy must be swap, overwrite or backup\n");
        return -1;
    }
    if (kedge_boot_state_size(&device->state.layout) + KEDGE_PLAN_KEYS > sizeof device->plan ||
        device->state.pair.primary.unit > sizeof device->unit) {
        fprintf(stderr, "kedge-device: the layout has too many units or too large ones\n");
        return -1;
    }
    device->hooks = (struct kedge_boot_hooks){.now_ms = flash_ms,
                                              .ctx = device,
                                              .effort = kedge_history_effort,
                                              .before = device->effort};
    device->confidential = (struct kedge_confidential){.inner = strategy,
                                                       .keys = &device->enc_key.keys,
                                                       .cipher = &kedge_aes,
                                                       .opened = &device->opened};
    device->strategy = device->enc_key.keys.count == 0
                           ? *strategy
                           : (struct kedge_strategy)KEDGE_CONFIDENTIAL_STRATEGY(
                                 strategy->method, &device->confidential);
    device->boot_config =
        (struct kedge_boot_config){.layout = &device->state.layout,
                                   .strategy = &device->strategy,
                                   .keys = device->keys,
                                   .key_count = device->key_count,
                                   .defaults = &device->defaults,
                                   .recorder = &device->state.recorder,
                                   .hooks = &device->hooks,
                                   .unit = kedge_buf(device->unit, device->state.pair.primary.unit),
                                   .state = kedge_buf(device->plan, sizeof device->plan)};
    device->agent_config = (struct kedge_agent_config){
        .layout = &device->state.layout,
        .keys = device->keys,
        .key_count = device->key_count,
        .defaults = &device->defaults,
        .boot = &device->report,
        .recorder = &device->state.recorder,
        .now_ms = now_ms,
        .device_keys = &device->enc_key.keys,
        .cipher = &kedge_aes,
        .kinds = device->kinds.at,
        .kind_count = device->kinds.count,
        .pipe = &device->pipe,
        .pipe_memory = kedge_buf(device->pipe_memory, sizeof device->pipe_memory),
        .keeps_backup = strategy == &kedge_backup,
        .scratch = kedge_buf(device->scratch, sizeof device->scratch),
        .behind = kedge_buf(device->behind, sizeof device->behind)};
    return 0;
}

static void say_ble(void *ctx, const char *line)
{
    struct device *device = ctx;
    puts(line);
    fflush(stdout);
    flight_log_say(&device->log, "%s", line);
}

/* A controller that is not there is an error when the device is switched on; later it is looked
 * for. */
static int start_radio(struct device *device)
{
    static bool found;
    char why[LINE_WHY];
    const struct device_options *o = &device->options;
    const struct ble_wire_options options = {.hci = o->hci,
                                             .name = o->ble_name,
                                             .identity = o->state,
                                             .security = o->ble_security,
                                             .att_mtu = o->ble_mtu,
                                             .settings = device->state.layout.settings,
                                             .say = say_ble,
                                             .ctx = device};
    if (o->hci == NULL) {
        return 0;
    }
    if (ble_wire_open(&device->ble, &options, why) != 0 && !found) {
        fprintf(stderr, "kedge-device: %s\n", why);
        return -1;
    }
    found = true;
    device->ble.open = true;
    return 0;
}

/* Boots again and again, as a device does. */
static int run(struct device *device)
{
    const struct kedge_system system = system_of(device);
    while (!stop) {
        if (boot(device) != 0) {
            return 1;
        }
        if (device->options.once) {
            return device->report.boots ? 0 : EXIT_NOTHING;
        }
        if (is_crash_version(device)) {
            sleep_us(WATCHDOG_MS * 1000u);
        } else {
            start_agent(device, &system);
            if (start_radio(device) != 0) {
                return 1;
            }
            if (!start_pull(device)) {
                return 1;
            }
            serve(device);
            end_pull(device);
            ble_wire_close(&device->ble);
        }
        kedge_sim_warm_reset(device->state.board.sim);
        device->state.flash[KEDGE_EXTERNAL].ops->probe(device->state.flash[KEDGE_EXTERNAL].ctx);
    }
    return 0;
}

static struct device the_device;

int main(int argc, char **argv)
{
    struct device *device = &the_device;
    const int parsed = device_options_parse(&device->options, argc, argv);
    if (parsed != 0) {
        return parsed > 0 ? 2 : 0;
    }
    const struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    device->real_start_us = real_us();
    int result = 1;
    if (load_keys(device) == 0 && load_enc_key(device) == 0 && load_shared_keys(device) == 0 &&
        open_state(device) == 0 && remember_keys(device) == 0 && configure(device) == 0 &&
        (device->options.once || open_wires(device) == 0)) {
        result = run(device);
    }
    for (size_t i = 0; i < device->wire_count; i++) {
        wire_close(&device->wires[i]);
    }
    flight_log_close(&device->log);
    state_close(&device->state);
    return result;
}
