/* A broken promise inside Kedge ends the process, loudly. */
#include <stdio.h>
#include <stdlib.h>

#include "kedge/base.h"

_Noreturn void kedge_trap(void)
{
    fputs("kedge: internal assertion failed: this is a bug, please report it\n", stderr);
    abort();
}
