/* DIR/trace as a record: operations on one continuous clock, and what was said between them.
 * FORMAT.md, "Flight log". */
#ifndef KEDGE_TOOL_FLIGHT_RECORD_H
#define KEDGE_TOOL_FLIGHT_RECORD_H

#include "state.h"

/* Who wrote: the device's phases, and a debugger while no device ran. */
#define FLIGHT_DEBUGGER KEDGE_PHASES
#define FLIGHT_PHASES   (KEDGE_PHASES + 1)

struct flight_operation {
    uint64_t start_us;          /* since the record began; time between processes is left out */
    uint32_t at, size, took_us; /* took: by the part's typical figures */
    uint8_t device, phase, erase;
};

enum flight_mark_kind {
    FLIGHT_PROCESS, /* text: wall time in microseconds since 1970 */
    FLIGHT_HOLDS,   /* text: "internal 0x0-0x1000 ...": sectors that hold anything */
    FLIGHT_BOOT,    /* text: the number of this boot of the process */
    FLIGHT_VERDICT, /* text: "booted ...", "nothing bootable ..." */
    FLIGHT_NOTE     /* text: anything else */
};

struct flight_mark {
    size_t operation; /* it came before this one */
    uint64_t time_us;
    const char *text;
    uint8_t kind;
};

struct flight_record {
    struct flight_operation *operations;
    struct flight_mark *marks;
    size_t operation_count, mark_count;
    size_t skipped; /* lines that were not understood */
    struct kedge_sim_part parts[KEDGE_DEVICES];
    char *text; /* what the marks point into */
};

const char *flight_phase_text(uint8_t phase);

/* 0, or an exit code, said. `state` is open on the same directory. */
int flight_record_read(struct flight_record *record, const struct state *state,
                       const char *directory);
void flight_record_free(struct flight_record *record);

struct flight_count {
    uint32_t programs, erases;
    uint64_t program_bytes, erase_bytes, took_us;
};
struct flight_count flight_record_count(const struct flight_record *record, uint8_t device,
                                        uint8_t phase);

/* The record's answer to "was the internal flash written during a download?", one line for people,
 * `room` bytes, and the numbers behind it. `state`: 1 proved, 0 not, -1 there was no download. */
struct flight_verdict {
    int state;
    uint64_t writes;
    char line[80];
    char numbers[400];
};
void flight_record_judge(const struct flight_record *record, struct flight_verdict *verdict);

#endif
