#include "groups.h"

static const struct kedge_smp_group *const groups[] = {&kedge_smp_os, &kedge_smp_image};

void groups_start(struct kedge_service *service, struct kedge_agent *agent,
                  const struct kedge_system *system)
{
    *service = (struct kedge_service){.agent = agent,
                                      .system = system,
                                      .server = {.groups = groups,
                                                 .group_count = sizeof groups / sizeof groups[0],
                                                 .ctx = service}};
}
