/* The service: the agent behind SMP, ready to be put on any transport. Groups OS (0), image (1),
 * enumeration (10) and Kedge's own (64: recorder, boot report, history, policy, last refusal; see
 * FORMAT.md "SMP group 64"), composed of smp.h's dispatcher and agent.h. A port hands in messages
 * and sends out replies. */
#ifndef KEDGE_SERVICE_H
#define KEDGE_SERVICE_H

#include "kedge/agent.h"
#include "kedge/smp.h"
#include "kedge/stage.h"

struct kedge_system_task {
    const char *name;
    uint32_t priority, id, state;
};
struct kedge_system_pool {
    const char *name;
    uint32_t block_size, blocks, free_blocks, least_free;
};

/* What a port knows about its system; NULL members answer ENOTSUP (of the texts: kernel_name, for
 * the whole command; the others are shown as "unknown"). Shapes: facts/smp.md A4. */
struct kedge_system {
    const char *kernel_name, *node_name, *build_time, *machine, *hardware; /* os info */
    /* false: no task or pool of this index, the list ends (after 64 at the latest) */
    bool (*task)(void *ctx, unsigned index, struct kedge_system_task *task);
    bool (*pool)(void *ctx, unsigned index, struct kedge_system_pool *pool);
    /* yyyy-MM-dd'T'HH:mm:ss.SSSSSSZZZZZ with its NUL; KEDGE_E_NONE: the clock was never set */
    int (*get_time)(void *ctx, char *text, size_t size);
    int (*set_time)(void *ctx, struct kedge_bytes text); /* KEDGE_E_FORMAT: not such a text */
    void *ctx;
    uint16_t buffer_size, buffer_count; /* os params; size 0: ENOTSUP */
    bool overwrites; /* the loader's strategy is overwrite: bootloader mode 2 instead of 3 */
};

struct kedge_service {
    struct kedge_agent *agent;
    const struct kedge_system *system;
    /* set by the port after kedge_service_start(); NULL: no chunk store */
    struct kedge_stage *stage;
    struct kedge_smp_server server;
    bool reset_requested; /* the port resets once the reply is out and its delay is over */
    uint8_t reset_mode;   /* boot_mode of the request: 0 normal, 1 stay in the bootloader */
    /* The last reset request, to know its repetitions. */
    bool reset_seen;
    uint8_t reset_sequence;
    uint32_t reset_peer, reset_ms;
};

/* Fills `service`: no reset requested, none seen. A port that kept the reset_* fields over a reset
 * sets reset_seen, _sequence, _peer and _ms afterwards. */
void kedge_service_start(struct kedge_service *service, struct kedge_agent *agent,
                         const struct kedge_system *system);

/* kedge_smp_handle, plus: a repeated reset (same peer and sequence within a second, also over the
 * reset when the port keeps `service`'s reset_* fields) is answered and not executed again. */
int kedge_service_handle(struct kedge_service *service, uint32_t peer, struct kedge_bytes request,
                         struct kedge_buf reply, size_t *reply_size);

/* The groups, for a port that composes a server of its own. The ctx of their server is a
 * struct kedge_service; os and enumeration do not need its agent. */
extern const struct kedge_smp_group kedge_smp_os, kedge_smp_image, kedge_smp_enumeration,
    kedge_smp_kedge;

#endif
