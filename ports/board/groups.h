/* Which SMP groups an application answers: all of them (groups_all.c), or what clients need to
 * update it (groups_update.c), which leaves recorder, history, policy and staging out of the
 * program. */
#ifndef KEDGE_BOARD_GROUPS_H
#define KEDGE_BOARD_GROUPS_H

#include "kedge/service.h"

void groups_start(struct kedge_service *service, struct kedge_agent *agent,
                  const struct kedge_system *system);

#endif
