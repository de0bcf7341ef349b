/* kedge_swap without the overlap, for a loader that has no room for it. */
#include "kedge/swap.h"

const struct kedge_strategy kedge_swap_serial = {
    .method = KEDGE_METHOD_TOGGLE,
    .sparse = KEDGE_METHOD_INPLACE,
    .store = kedge_engine_store,
    .verify = kedge_image_verify,
};
