/* kedge_swap without the overlap, for a loader that has no room for it. */
#include "kedge/swap.h"

const struct kedge_strategy kedge_swap_serial = {KEDGE_METHOD_TOGGLE, KEDGE_METHOD_INPLACE,
                                                 kedge_engine_store};
