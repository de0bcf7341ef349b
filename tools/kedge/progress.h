/* A progress bar on a terminal's stderr, for what takes longer than a second; nothing when piped.
 */
#ifndef KEDGE_TOOL_PROGRESS_H
#define KEDGE_TOOL_PROGRESS_H

#include <stdint.h>

/* `whole` bytes to do, `from` of them done before. One bar at a time. */
void progress_start(uint64_t whole, uint64_t from);
void progress_show(uint64_t done);
/* Takes it away again. */
void progress_end(void);

#endif
