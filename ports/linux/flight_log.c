/* The flight log: three files, each appended to by whole records. */
#include "flight_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SMP_PORT     1337
#define PCAP_HEADER  24
#define PCAP_RECORD  16
#define IP_HEADER    20
#define UDP_HEADER   8
#define LINKTYPE_RAW 101 /* packets begin with an IP header */

static uint64_t wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* A full disk ends the log, not the device. */
static void put_out(struct flight_file *file)
{
    if (file->fd >= 0 && file->used > 0 &&
        write(file->fd, file->bytes, file->used) != (ssize_t)file->used) {
        fprintf(stderr, "kedge-device: cannot go on with %s: %s\n", file->name, strerror(errno));
        close(file->fd);
        file->fd = -1;
    }
    file->used = 0;
}

/* Only whole records are put out together. */
static void append(struct flight_file *file, const uint8_t *record, size_t size)
{
    if (size > sizeof file->bytes - file->used) {
        put_out(file);
    }
    memcpy(file->bytes + file->used, record, size);
    file->used += size;
}

void flight_log_flush(struct flight_log *log)
{
    if (log->trace != NULL) {
        fflush(log->trace);
    }
    put_out(&log->bus);
    put_out(&log->packets);
}

/* ---- trace ----------------------------------------------------------------------------------- */

/* Which sectors hold anything: what was put there while no device ran shows in the next process. */
static void say_contents(struct flight_log *log, uint8_t device)
{
    const struct kedge_geometry *g = &kedge_sim_part(log->state->board.sim, device)->geometry;
    const uint8_t *at = kedge_sim_contents(log->state->board.sim, device);
    uint32_t start = 0;
    bool inside = false;
    fprintf(log->trace, "# holds %s", device == KEDGE_INTERNAL ? "internal" : "external");
    for (uint32_t s = 0; s <= g->size; s += g->erase_size) {
        /* each byte equals its neighbour: a compare of the machine's own, for 9 MB at each start */
        const bool used = s < g->size && (at[s] != g->erased ||
                                          memcmp(at + s, at + s + 1, g->erase_size - 1) != 0);
        if (used != inside) {
            if (inside) {
                fprintf(log->trace, " 0x%X-0x%X", start, s);
            }
            start = s;
            inside = used;
        }
    }
    fputc('\n', log->trace);
}

static int open_trace(struct flight_log *log, const char *directory, char *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/trace", directory);
    log->trace = fopen(path, "a");
    if (log->trace == NULL) {
        snprintf(why, FLIGHT_LOG_WHY, "cannot write %.160s: %s", path, strerror(errno));
        return -1;
    }
    setvbuf(log->trace, NULL, _IOFBF, 65536);
    return 0;
}

void flight_log_operation(struct flight_log *log, const struct kedge_sim_event *event)
{
    fprintf(log->trace, "%llu %u %s %s %s 0x%06X %u\n", (unsigned long long)event->time_us,
            log->boots, log->boots == 0 ? "debugger" : kedge_phase_text(log->state->recorder.phase),
            event->device == KEDGE_INTERNAL ? "internal" : "external",
            event->operation == KEDGE_OP_ERASE ? "erase" : "program", event->at, event->size);
}

void flight_log_power_on(struct flight_log *log)
{
    log->boots++;
    flight_log_say(log, "power-on %u %llu", log->boots,
                   (unsigned long long)kedge_sim_now_us(log->state->board.sim));
}

void flight_log_say(struct flight_log *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("# ", log->trace);
    vfprintf(log->trace, format, arguments);
    fputc('\n', log->trace);
    va_end(arguments);
}

/* ---- bus ------------------------------------------------------------------------------------- */

static bool reads_contents(uint8_t command)
{
    return command == 0x03 || command == 0x0B || command == 0x13 || command == 0x0C;
}

static void put_le64(uint8_t *at, uint64_t value)
{
    kedge_put_le32(at, (uint32_t)value);
    kedge_put_le32(at + 4, (uint32_t)(value >> 32));
}

static void log_transaction(struct flight_log *log, uint64_t time_us, struct kedge_bytes head,
                            struct kedge_bytes out, struct kedge_buf in)
{
    uint8_t record[FLIGHT_LOG_BUS_HEADER + FLIGHT_LOG_SENT_MAX + FLIGHT_LOG_KEPT_MAX];
    const size_t sent = head.size + out.size;
    size_t kept = in.size < FLIGHT_LOG_KEPT_MAX ? in.size : FLIGHT_LOG_KEPT_MAX;
    if (sent > FLIGHT_LOG_SENT_MAX || (head.size > 0 && reads_contents(head.at[0]))) {
        kept = 0;
    }
    const size_t shown = sent < FLIGHT_LOG_SENT_MAX ? sent : FLIGHT_LOG_SENT_MAX;
    put_le64(record, time_us);
    kedge_put_le16(record + 8, (uint16_t)shown);
    kedge_put_le16(record + 10, (uint16_t)kept);
    kedge_put_le32(record + 12, (uint32_t)in.size);
    for (size_t i = 0; i < shown; i++) {
        record[FLIGHT_LOG_BUS_HEADER + i] = i < head.size ? head.at[i] : out.at[i - head.size];
    }
    if (kept > 0) {
        memcpy(record + FLIGHT_LOG_BUS_HEADER + shown, in.at, kept);
    }
    append(&log->bus, record, FLIGHT_LOG_BUS_HEADER + shown + kept);
}

/* A driver polls thousands of times while the chip works; Kedge's takes three bytes at a time. */
static bool says_the_same(struct flight_log *log, struct kedge_bytes head, struct kedge_buf in)
{
    const int before = log->status;
    log->status = -1;
    if (head.size == 1 && head.at[0] == 0x05 && in.size <= 3) {
        log->status = (int)in.size;
        for (size_t i = 0; i < in.size; i++) {
            log->status = log->status << 8 | in.at[i];
        }
    }
    return log->status >= 0 && log->status == before;
}

/* A command without an answer is logged first: power may fail inside it. */
static int transact(void *ctx, struct kedge_bytes head, struct kedge_bytes out, struct kedge_buf in)
{
    struct flight_log *log = ctx;
    const uint64_t time_us = kedge_sim_now_us(log->state->board.sim);
    if (in.size == 0) {
        log->status = -1;
        log_transaction(log, time_us, head, out, in);
        return log->wires.transact(log->wires.ctx, head, out, in);
    }
    const int result = log->wires.transact(log->wires.ctx, head, out, in);
    if (!says_the_same(log, head, in)) {
        log_transaction(log, time_us, head, out, in);
    }
    return result;
}

static void wait_us(void *ctx, uint32_t us)
{
    const struct flight_log *log = ctx;
    log->wires.wait_us(log->wires.ctx, us);
}

static void tap(struct flight_log *log)
{
    static const struct kedge_bytes nothing;
    struct kedge_spi_bus *bus = &log->state->board.bus;
    log->wires = *bus;
    *bus = (struct kedge_spi_bus){.transact = transact, .wait_us = wait_us, .ctx = log};
    log_transaction(log, kedge_sim_now_us(log->state->board.sim), nothing, nothing,
                    (struct kedge_buf){0});
}

/* ---- packets --------------------------------------------------------------------------------- */

/* The header of a new file; a later process finds it there. */
static void start_packets(struct flight_log *log)
{
    uint8_t header[PCAP_HEADER] = {0};
    struct stat status;
    if (log->packets.fd < 0 || fstat(log->packets.fd, &status) != 0 || status.st_size > 0) {
        return;
    }
    kedge_put_le32(header, 0xA1B2C3D4u);
    kedge_put_le16(header + 4, 2);
    kedge_put_le16(header + 6, 4);
    kedge_put_le32(header + 16, 65535);
    kedge_put_le32(header + 20, LINKTYPE_RAW);
    append(&log->packets, header, sizeof header);
}

struct end {
    uint32_t address; /* network order */
    uint16_t port;    /* host order */
};

static void put_headers(uint8_t *at, const struct end *from, const struct end *to, size_t size)
{
    uint32_t sum = 0;
    memset(at, 0, IP_HEADER + UDP_HEADER);
    at[0] = 0x45;
    kedge_put_be16(at + 2, (uint16_t)(IP_HEADER + UDP_HEADER + size));
    at[8] = 64;
    at[9] = IPPROTO_UDP;
    memcpy(at + 12, &from->address, 4);
    memcpy(at + 16, &to->address, 4);
    for (int i = 0; i < IP_HEADER; i += 2) {
        sum += (uint32_t)at[i] << 8 | at[i + 1];
    }
    sum = (sum & 0xFFFF) + (sum >> 16);
    kedge_put_be16(at + 10, (uint16_t) ~(sum + (sum >> 16)));
    kedge_put_be16(at + IP_HEADER, from->port);
    kedge_put_be16(at + IP_HEADER + 2, to->port);
    kedge_put_be16(at + IP_HEADER + 4, (uint16_t)(UDP_HEADER + size)); /* checksum 0: none */
}

/* The device is always 127.0.0.1:1337, so that a viewer knows the protocol; a client keeps its own
 * address; one on pty n is 127.1.0.n. */
void flight_log_message(struct flight_log *log, const struct flight_log_message *message)
{
    uint8_t record[PCAP_RECORD + IP_HEADER + UDP_HEADER + KEDGE_SMP_MESSAGE_MAX];
    const size_t packet = IP_HEADER + UDP_HEADER + message->bytes.size;
    const struct end agent = {htonl(INADDR_LOOPBACK), SMP_PORT};
    struct end client = {htonl(0x7F010000u | message->pty), SMP_PORT};
    const uint64_t now = wall_us();
    if (message->bytes.size > KEDGE_SMP_MESSAGE_MAX) {
        return;
    }
    if (message->client != NULL) {
        client.address = message->client->sin_addr.s_addr;
        client.port = ntohs(message->client->sin_port);
    }
    kedge_put_le32(record, (uint32_t)(now / 1000000u));
    kedge_put_le32(record + 4, (uint32_t)(now % 1000000u));
    kedge_put_le32(record + 8, (uint32_t)packet);
    kedge_put_le32(record + 12, (uint32_t)packet);
    put_headers(record + PCAP_RECORD, message->to_client ? &agent : &client,
                message->to_client ? &client : &agent, message->bytes.size);
    memcpy(record + PCAP_RECORD + IP_HEADER + UDP_HEADER, message->bytes.at, message->bytes.size);
    append(&log->packets, record, PCAP_RECORD + packet);
}

/* ---- open ------------------------------------------------------------------------------------ */

static int open_appended(const char *directory, const char *name, int *fd, char *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    *fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (*fd < 0) {
        snprintf(why, FLIGHT_LOG_WHY, "cannot write %.160s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

int flight_log_open(struct flight_log *log, struct state *state, const char *directory, bool still,
                    char *why)
{
    *log = (struct flight_log){.bus = {.fd = -1, .name = "the bus log"},
                               .packets = {.fd = -1, .name = "the packet log"},
                               .status = -1,
                               .state = state};
    if (open_trace(log, directory, why) != 0 ||
        open_appended(directory, "bus", &log->bus.fd, why) != 0 ||
        open_appended(directory, "smp.pcap", &log->packets.fd, why) != 0) {
        flight_log_close(log);
        return -1;
    }
    flight_log_say(log, "process %llu %s", (unsigned long long)wall_us(),
                   still ? "clock-still" : "clock-runs");
    say_contents(log, KEDGE_INTERNAL);
    say_contents(log, KEDGE_EXTERNAL);
    start_packets(log);
    tap(log);
    return 0;
}

int flight_log_open_debugger(struct flight_log *log, struct state *state, const char *directory,
                             char *why)
{
    *log = (struct flight_log){.bus = {.fd = -1, .name = "the bus log"},
                               .packets = {.fd = -1, .name = "the packet log"},
                               .status = -1,
                               .state = state};
    if (open_trace(log, directory, why) != 0) {
        return -1;
    }
    flight_log_say(log, "process %llu clock-still", (unsigned long long)wall_us());
    say_contents(log, KEDGE_INTERNAL);
    say_contents(log, KEDGE_EXTERNAL);
    return 0;
}

void flight_log_close(struct flight_log *log)
{
    flight_log_flush(log);
    if (log->trace != NULL) {
        fclose(log->trace);
        log->trace = NULL;
    }
    if (log->bus.fd >= 0) {
        close(log->bus.fd);
    }
    if (log->packets.fd >= 0) {
        close(log->packets.fd);
    }
    log->bus.fd = log->packets.fd = -1;
}
