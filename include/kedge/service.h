/* The service: the agent behind SMP, ready to be put on any transport. Groups OS (0), image (1),
 * enumeration (10) and Kedge's own (64: recorder, boot history, policy), composed of smp.h's
 * dispatcher and agent.h. A port hands in messages and sends out replies. */
#ifndef KEDGE_SERVICE_H
#define KEDGE_SERVICE_H

#include "kedge/agent.h"
#include "kedge/smp.h"

struct kedge_system_task {
    const char *name;
    uint32_t priority, id, state;
};
struct kedge_system_pool {
    const char *name;
    uint32_t block_size, blocks, free_blocks, least_free;
};

/* What a port knows about its system; NULL members answer ENOTSUP. Shapes: facts/smp.md A4. */
struct kedge_system {
    const char *kernel_name, *node_name, *build_time, *machine, *hardware; /* os info */
    /* false: no task or pool of this index, the list ends */
    bool (*task)(void *ctx, unsigned index, struct kedge_system_task *task);
    bool (*pool)(void *ctx, unsigned index, struct kedge_system_pool *pool);
    int (*get_time)(void *ctx, char *text, size_t size); /* yyyy-MM-dd'T'HH:mm:ss.SSSSSSZZZZZ */
    int (*set_time)(void *ctx, struct kedge_bytes text);
    void *ctx;
    uint16_t buffer_size, buffer_count; /* os params */
};

struct kedge_service {
    struct kedge_agent *agent;
    const struct kedge_system *system;
    struct kedge_smp_server server;
    bool reset_requested;  /* the port resets once the reply is out and its delay is over */
    uint8_t reset_mode;    /* boot_mode of the request */
    uint32_t reset_peer, reset_ms;
    uint8_t reset_sequence;
};

void kedge_service_start(struct kedge_service *service, struct kedge_agent *agent,
                         const struct kedge_system *system);

/* kedge_smp_handle, plus: a repeated reset (same peer and sequence within a second, also over the
 * reset when the port keeps `service`'s reset_* fields) is answered and not executed again. */
int kedge_service_handle(struct kedge_service *service, uint32_t peer, struct kedge_bytes request,
                         struct kedge_buf reply, size_t *reply_size);

#endif
