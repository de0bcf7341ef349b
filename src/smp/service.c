/* The composition: which groups a Kedge device answers. */
#include "kedge/service.h"

static const struct kedge_smp_group *const groups[] = {
    &kedge_smp_os,
    &kedge_smp_image,
    &kedge_smp_enumeration,
    &kedge_smp_kedge,
};

void kedge_service_start(struct kedge_service *service, struct kedge_agent *agent,
                         const struct kedge_system *system)
{
    *service = (struct kedge_service){
        .agent = agent,
        .system = system,
        .server = {.groups = groups,
                   .group_count = sizeof(groups) / sizeof(groups[0]),
                   .ctx = service},
    };
}

int kedge_service_handle(struct kedge_service *service, uint32_t peer, struct kedge_bytes request,
                         struct kedge_buf reply, size_t *reply_size)
{
    return kedge_smp_handle(&service->server, peer, request, reply, reply_size);
}
