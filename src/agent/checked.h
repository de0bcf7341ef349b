/* Flash work that is checked as it is done: every write is read back, every read tried again. */
#ifndef KEDGE_AGENT_CHECKED_H
#define KEDGE_AGENT_CHECKED_H

#include "kedge/flash.h"

/* One wrong bit on the bus, one refused or ignored operation is absorbed by this many tries. */
#define KEDGE_CHECKED_TRIES 3u

/* Up to KEDGE_CHECKED_TRIES reads until one works. */
int kedge_checked_read(const struct kedge_region *region, uint32_t at, struct kedge_buf to);

/* Program and read back; erased bytes are only read back. A further try programs the same bits at
 * the same place. KEDGE_E_READBACK when they do not hold. `scratch`: read buffer, any size. */
int kedge_checked_program(const struct kedge_region *region, uint32_t at, struct kedge_bytes from,
                          struct kedge_buf scratch);

/* Erase the sector at `at` and see that it is blank. KEDGE_E_READBACK when it does not get so. */
int kedge_checked_erase(const struct kedge_region *region, uint32_t at, struct kedge_buf scratch);

#endif
