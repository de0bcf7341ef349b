/* HCI packets between NimBLE and a line, in H4 framing. */
#ifndef KEDGE_NIMBLE_H4_H
#define KEDGE_NIMBLE_H4_H

#include <stdbool.h>

#include "ble_line.h"

/* Empty pools, no packet begun (a new power-on); work on this line from now on. */
void h4_start(const struct ble_line *line);

/* Take a packet from the line to the host: 1. 0: there is no whole one, or the host's buffers are
 * full, and the rest stays on the line. With `must` all that is there is taken: somebody waits for
 * the controller's answer, which may lie behind data that nobody will take before; data that finds
 * no buffer is dropped. Negative: the line is dead, or what came is not H4 (then it is dead too).
 */
int h4_read(bool must);

/* Something was read of which no wait on the line would tell. */
bool h4_has_more(void);

#endif
