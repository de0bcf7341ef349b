/* Commands 8 to 10 of group 64: the chunk store. FORMAT.md "SMP group 64", [G-8] to [G-10]. */
#ifndef KEDGE_SMP_GROUP_STAGE_H
#define KEDGE_SMP_GROUP_STAGE_H

#include "kedge/smp.h"

int kedge_stage_on_show(struct kedge_smp_call *call);
int kedge_stage_on_begin(struct kedge_smp_call *call);
int kedge_stage_on_data(struct kedge_smp_call *call);
int kedge_stage_on_end(struct kedge_smp_call *call);

/* The management code for a code of the store; KEDGE_SMP_EUNKNOWN: it is none of the store's. */
int kedge_stage_to_v1(int code);

#endif
