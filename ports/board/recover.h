/* What a loader does that found nothing to boot: recover_smp.c lets a client send an image over the
 * console, recover_none.c has no room for that. Either way the board tries again by itself now and
 * then, for the external chip may be back; the watchdog runs already. */
#ifndef KEDGE_BOARD_RECOVER_H
#define KEDGE_BOARD_RECOVER_H

#include "flashes.h"
#include "kedge/boot.h"

/* `scratch`: a sector of the external flash. */
_Noreturn void recover(struct flashes *flashes, const struct kedge_boot_report *report,
                       struct kedge_buf scratch);

#endif
