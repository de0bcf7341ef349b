/* What `flash report` writes: a flight record as a page, and in the formats of viewers that people
 * have. */
#ifndef KEDGE_TOOL_REPORT_EXPORT_H
#define KEDGE_TOOL_REPORT_EXPORT_H

#include <stdio.h>

#include "flight_record.h"

/* One self-contained HTML page. `title`: what the device is called. */
void report_page(FILE *out, const struct flight_record *record, struct state *state,
                 const char *title);

/* Chrome's trace format, for Perfetto and chrome://tracing: a process a chip, a thread a phase. */
void report_chrome(FILE *out, const struct flight_record *record);

/* The wires between driver and external chip (DIR/bus) as a Value Change Dump. 0, or an exit code,
 * said. */
int report_vcd(FILE *out, const struct flight_record *record, const char *directory);

#endif
