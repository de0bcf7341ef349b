/* Policy over the wire: words in, a durable setting or a plain refusal out. */
#include "kedge/policy.h"

#include "agent/parts.h"

void kedge_agent_count_boot(struct kedge_agent *agent)
{
    const uint8_t hold = agent->policy.value[KEDGE_POLICY_HOLD];

    if (hold < 2) {
        return;
    }
    const uint8_t before = kedge_agent_enter(agent, KEDGE_PHASE_IDLE);

    /* what cannot be written or is locked stays on hold: never sooner than was asked */
    (void)kedge_policy_store(&agent->config->layout->settings, &agent->policy, KEDGE_POLICY_HOLD,
                             hold == 2 ? 0 : (uint8_t)(hold - 1));
    (void)kedge_agent_enter(agent, before);
}

int kedge_agent_policy_set(struct kedge_agent *agent, struct kedge_bytes key,
                           struct kedge_bytes value)
{
    enum kedge_policy_key k;
    uint8_t v;

    agent->detail[0] = '\0';
    switch (kedge_policy_parse(key, value, &k, &v)) {
    case 0:
        break;
    case KEDGE_E_NONE:
        return kedge_agent_refuse(agent, KEDGE_AGENT_UNKNOWN, "no such policy key (policy get)");
    default:
        return kedge_agent_refuse(agent, KEDGE_AGENT_UNKNOWN, "the key has no such value");
    }
    const uint8_t before = kedge_agent_enter(agent, KEDGE_PHASE_IDLE);
    const int error = kedge_policy_store(&agent->config->layout->settings, &agent->policy, k, v);

    (void)kedge_agent_enter(agent, before);
    switch (error) {
    case 0:
        return KEDGE_AGENT_OK;
    case KEDGE_E_REFUSED:
        return kedge_agent_refuse(agent, KEDGE_AGENT_DENIED, "this build locks the key");
    default:
        return kedge_agent_refuse(agent, KEDGE_AGENT_WRITE_FAILED, kedge_error_text(error));
    }
}
