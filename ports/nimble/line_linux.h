/* Lines to a controller on Linux: TCP (a virtual controller, or any behind a bridge) and the HCI
 * user channel (the machine's own adapter, taken from the system for as long as the line is open).
 */
#ifndef KEDGE_NIMBLE_LINE_LINUX_H
#define KEDGE_NIMBLE_LINE_LINUX_H

#include "ble_line.h"

#define LINE_WHY 256

struct line_linux {
    struct ble_line line; /* its ctx is this struct */
    int fd;
};

/* "tcp:HOST:PORT" or "hciN". -1, with what to do in `why`. */
int line_linux_open(struct line_linux *line, const char *where, char *why);
void line_linux_close(struct line_linux *line);

#endif
