/* Strategy `overwrite`: the new image replaces the old one for good. The candidate stays. */
#include "kedge/swap.h"

const struct kedge_strategy kedge_overwrite = {
    .method = KEDGE_METHOD_OVERWRITE,
    .sparse = KEDGE_METHOD_OVERWRITE,
    .store = kedge_engine_store,
    .verify = kedge_image_verify,
};
