/* Strategy `backup`: the old image goes to a region of its own first. The candidate stays. */
#include "kedge/swap.h"

const struct kedge_strategy kedge_backup = {KEDGE_METHOD_BACKUP, KEDGE_METHOD_BACKUP,
                                            kedge_engine_store};
