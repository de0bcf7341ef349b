/* A loader for encrypted images, ECIES-P256: `loader_confidential` lies around the swap. */
#ifndef LOADER_BUILD_H
#define LOADER_BUILD_H

#include "kedge/confidential.h"

extern const struct kedge_strategy loader_confidential;

#define LOADER_STRATEGY(NAME) loader_confidential
#define LOADER_STATE_MORE     KEDGE_PLAN_KEYS

/* Before the jump: no key stays in RAM. */
void loader_forget(void);

#endif
