/* What a virtual device leaves behind for `flash report`: DIR/trace (every flash operation and
 * every boot, text), DIR/bus (what the driver sent to the external chip) and DIR/smp.pcap (what
 * clients and agent said). All are appended to by whole records, every 10 ms while there is work,
 * so that a killed process leaves what it did up to then. Host code. FORMAT.md, "Flight log". */
#ifndef KEDGE_LINUX_FLIGHT_LOG_H
#define KEDGE_LINUX_FLIGHT_LOG_H

#include <netinet/in.h>
#include <stdio.h>

#include "kedge/smp.h"
#include "state.h"

#define FLIGHT_LOG_WHY LAYOUT_WHY

/* DIR/bus: records of {u64 time_us, u16 sent, u16 kept, u32 received}, little endian, then the
 * `sent` bytes, then the first `kept` of the `received` ones. Contents that are read are not kept;
 * of status reads in a row with one answer, the first.
 * sent = received = 0: a process starts, its clock is at time_us. */
#define FLIGHT_LOG_BUS_HEADER 16
#define FLIGHT_LOG_SENT_MAX   1024
#define FLIGHT_LOG_KEPT_MAX   16

/* Records on their way to a file: one write for many. */
struct flight_file {
    int fd; /* -1: not written, or writing failed */
    const char *name;
    size_t used;
    uint8_t bytes[65536];
};

struct flight_log {
    FILE *trace;
    struct flight_file bus, packets;
    int status;                 /* the answer, when the last command read the status; else -1 */
    struct kedge_spi_bus wires; /* the bus behind the tap */
    struct state *state;
    uint32_t boots;
};

/* Starts a process's part of the log and taps the external chip's bus. `still`: the modelled clock
 * does not run (--flash-time none). 0, or -1 with the reason. Neither may move afterwards. */
int flight_log_open(struct flight_log *log, struct state *state, const char *directory, bool still,
                    char *why);
/* The trace alone, for a debugger's hands (`flash write`, `flash erase`). */
int flight_log_open_debugger(struct flight_log *log, struct state *state, const char *directory,
                             char *why);
void flight_log_close(struct flight_log *log);
/* Put on disk what was recorded: before the device waits, and before its process ends. */
void flight_log_flush(struct flight_log *log);

void flight_log_operation(struct flight_log *log, const struct kedge_sim_event *event);
void flight_log_power_on(struct flight_log *log);
/* A line of words: what the loader decided, why the process ends. */
void flight_log_say(struct flight_log *log, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An SMP message between `client` (NULL: on a pty, numbered `pty`) and the agent. */
struct flight_log_message {
    const struct sockaddr_in *client;
    uint8_t pty;
    bool to_client;
    struct kedge_bytes bytes;
};
void flight_log_message(struct flight_log *log, const struct flight_log_message *message);

#endif
