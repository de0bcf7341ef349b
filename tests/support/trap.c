/* A broken promise inside Kedge fails the test that met it, at the place where it happened. */
#include <stdlib.h>

#include "kedge/base.h"

_Noreturn void kedge_trap(void)
{
    abort();
}
