#include "groups.h"

void groups_start(struct kedge_service *service, struct kedge_agent *agent,
                  const struct kedge_system *system)
{
    kedge_service_start(service, agent, system);
}
