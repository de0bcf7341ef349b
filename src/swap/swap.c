/* Strategy `swap`: the images change places; when few units differ, only those. */
#include "kedge/swap.h"

const struct kedge_strategy kedge_swap = {KEDGE_METHOD_TOGGLE, KEDGE_METHOD_INPLACE};
