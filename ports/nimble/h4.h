/* HCI packets between NimBLE and a line, in H4 framing. */
#ifndef KEDGE_NIMBLE_H4_H
#define KEDGE_NIMBLE_H4_H

#include <stdbool.h>

#include "ble_line.h"

/* Empty pools, no packet begun (a new power-on); work on this line from now on. */
void h4_start(const struct ble_line *line);

/* Take all that the line has, whole packets go to the host. When the host's buffers are full, the
 * rest stays on the line, unless `must`: somebody waits for the controller's answer, which may lie
 * behind data that nobody will take before; then that data is dropped.
 * 0, or negative: the line is dead, or what came is not H4 (then it is dead too). */
int h4_read(bool must);

#endif
