/* What the files of this room share: short names for what the config holds, and refusals. */
#ifndef KEDGE_AGENT_PARTS_H
#define KEDGE_AGENT_PARTS_H

#include "kedge/agent.h"

static inline const struct kedge_pair *kedge_agent_pair(const struct kedge_agent *agent)
{
    return &agent->config->layout->pairs[0];
}

static inline const struct kedge_slot *kedge_agent_secondary(const struct kedge_agent *agent)
{
    return &kedge_agent_pair(agent)->secondary;
}

static inline const struct kedge_geometry *kedge_agent_geometry(const struct kedge_agent *agent)
{
    return &kedge_agent_secondary(agent)->region.flash->geometry;
}

/* Region offset of the mailbox unit: image bytes of an upload lie below it. */
static inline uint32_t kedge_agent_data_limit(const struct kedge_agent *agent)
{
    const struct kedge_slot *const slot = kedge_agent_secondary(agent);

    return (uint32_t)slot->gap * slot->unit;
}

/* The slot's length as the application sees it: mailbox included, spares behind it not. */
static inline uint32_t kedge_agent_slot_size(const struct kedge_agent *agent)
{
    return kedge_agent_data_limit(agent) + kedge_agent_secondary(agent)->unit;
}

/* Enter a recorder phase; the one before, for leaving. Without a recorder: nothing. */
uint8_t kedge_agent_enter(struct kedge_agent *agent, uint8_t phase);

/* Put the words into agent->detail; returns `status`. */
int kedge_agent_refuse(struct kedge_agent *agent, enum kedge_agent_status status,
                       const char *words);

/* What the trailers say, as MCUboot reads them (facts 7.6, rows 1-4). */
enum kedge_swap_state {
    KEDGE_STATE_NONE,
    KEDGE_STATE_TEST,      /* slot 1 is tried at the next boot */
    KEDGE_STATE_PERMANENT, /* slot 1 is installed at the next boot */
    KEDGE_STATE_REVERT     /* the running image is on trial; slot 1 comes back unless confirmed */
};
enum kedge_swap_state kedge_agent_state(struct kedge_agent *agent);

/* 0, or KEDGE_AGENT_NO_FREE_SLOT with words: slot 1 is needed for a revert, or pending and the
 * policy keeps it. */
int kedge_agent_slot_free(struct kedge_agent *agent);

/* 0 when the policy lets an image of this version follow the running one. */
int kedge_agent_version_allowed(struct kedge_agent *agent, const struct kedge_version *version,
                                bool upgrade);

/* The verdict on the image at `base` of slot 1, opened when it is encrypted; *checked is of its
 * plain bytes. An encrypted one is GOOD without a look where the agent has no keys
 * (config->device_keys NULL). */
enum kedge_verdict kedge_agent_verify(struct kedge_agent *agent, uint8_t base,
                                      struct kedge_verify *checked);

/* Once a boot: policy hold for-N becomes for-(N-1), for-1 becomes off. */
void kedge_agent_count_boot(struct kedge_agent *agent);

/* One step of the copy of the running image. true: did something. */
bool kedge_backup_idle(struct kedge_agent *agent);

/* Verify the image at `base` of slot 1 as the loader will; 0 or a status with words. */
int kedge_agent_check_candidate(struct kedge_agent *agent, uint8_t base);

/* An upload has ended that said it was encrypted. With policy confidential, one that is not
 * (imgtool
 * --clear) is known only now: it is erased and refused. */
int kedge_agent_check_secret(struct kedge_agent *agent);

#endif
