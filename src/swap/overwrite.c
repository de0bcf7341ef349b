/* Strategy `overwrite`: the new image replaces the old one for good. The candidate stays. */
#include "kedge/swap.h"

const struct kedge_strategy kedge_overwrite = {KEDGE_METHOD_OVERWRITE, KEDGE_METHOD_OVERWRITE,
                                               kedge_engine_store};
