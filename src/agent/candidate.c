/* Will the loader take what lies in slot 1? Judged as the loader judges, over the plain bytes, so
 * that a bad image is refused while somebody is there to read why, and not after the reboot. */
#include "agent/parts.h"
#include "kedge/encrypted.h"

/* An image is judged by so many passes: one flipped bit on the bus must not refuse it. */
#define PASSES 3u

static enum kedge_verdict look(struct kedge_agent *agent, const struct kedge_source *source,
                               enum kedge_lies lies, struct kedge_verify *checked)
{
    const struct kedge_agent_config *const config = agent->config;
    struct kedge_plain_view view = {.inner = *source, .cipher = config->cipher};
    uint8_t record[KEDGE_KEY_RECORD];
    struct kedge_image image;

    *checked = (struct kedge_verify){
        .keys = config->keys, .key_count = config->key_count, .scratch = config->scratch};
    if (lies == KEDGE_LIES_PLAIN) {
        return kedge_image_verify(source, checked);
    }
    enum kedge_verdict verdict = kedge_image_parse(source, &image);

    if (verdict != KEDGE_IMAGE_GOOD) {
        return verdict;
    }
    if (kedge_plain_view_open(&view, &image, config->device_keys, lies, record) != 0) {
        return KEDGE_IMAGE_FOREIGN;
    }
    const struct kedge_source plain = kedge_plain_view_source(&view);

    verdict = kedge_image_verify(&plain, checked);
    kedge_wipe(&view, sizeof(view));
    return verdict == KEDGE_IMAGE_ENCRYPTED ? KEDGE_IMAGE_BAD_HASH : verdict;
}

/* One pass: as an image of its kind should lie, then as it may lie. The first verdict counts unless
 * a later one is good. */
static enum kedge_verdict judge(struct kedge_agent *agent, const struct kedge_source *source,
                                struct kedge_verify *checked)
{
    static const enum kedge_lies ways[] = {KEDGE_LIES_WRAPPED, KEDGE_LIES_DERIVED, KEDGE_LIES_PLAIN,
                                           KEDGE_LIES_DERIVED};
    const bool has_keys =
        agent->config->device_keys != NULL && agent->config->device_keys->count != 0;
    struct kedge_image image;
    enum kedge_verdict verdict = kedge_image_parse(source, &image);

    if (verdict != KEDGE_IMAGE_GOOD || !has_keys) {
        verdict = look(agent, source, KEDGE_LIES_PLAIN, checked);
        return verdict == KEDGE_IMAGE_ENCRYPTED && agent->config->device_keys == NULL
                   ? KEDGE_IMAGE_GOOD /* the loader will look inside */
                   : verdict;
    }
    const size_t first = kedge_image_is_encrypted(&image) ? 0 : 2;
    const size_t end = first == 0 ? 3 : 4;

    for (size_t i = first; i < end; i++) {
        struct kedge_verify now;
        const enum kedge_verdict last = look(agent, source, ways[i], &now);

        if (i == first || last == KEDGE_IMAGE_GOOD) {
            *checked = now;
            verdict = last;
        }
        if (last == KEDGE_IMAGE_GOOD && ways[i] == KEDGE_LIES_PLAIN &&
            agent->policy.value[KEDGE_POLICY_CONFIDENTIAL] != 0) {
            return KEDGE_IMAGE_PLAIN;
        }
        if (last != KEDGE_IMAGE_BAD_HASH && last < KEDGE_IMAGE_ENCRYPTED) {
            break;
        }
    }
    return verdict;
}

/* Slot 1 from `view` on, as much of it as an image may have. */
static struct kedge_source source_of(const struct kedge_agent *agent,
                                     const struct kedge_slot_view *view)
{
    struct kedge_source source = kedge_slot_source(view);
    const uint32_t largest = kedge_pair_max_image(kedge_agent_pair(agent));

    if (source.size > largest) {
        source.size = largest;
    }
    return source;
}

int kedge_agent_check_secret(struct kedge_agent *agent)
{
    const struct kedge_slot_view view = {.slot = kedge_agent_secondary(agent)};
    const struct kedge_source source = source_of(agent, &view);
    struct kedge_verify checked;

    if (agent->policy.value[KEDGE_POLICY_CONFIDENTIAL] == 0) {
        return KEDGE_AGENT_OK;
    }
    const enum kedge_verdict verdict = look(agent, &source, KEDGE_LIES_PLAIN, &checked);

    /* the hash is over the plain image: where it fits, that is what lies there */
    if (verdict == KEDGE_IMAGE_ENCRYPTED ||
        (verdict != KEDGE_IMAGE_GOOD && verdict < KEDGE_IMAGE_NO_SIGNATURE)) {
        return KEDGE_AGENT_OK;
    }
    const int status = kedge_agent_erase(agent, 1);

    return status != KEDGE_AGENT_OK ? status
                                    : kedge_agent_refuse(agent, KEDGE_AGENT_DENIED,
                                                         kedge_verdict_text(KEDGE_IMAGE_PLAIN));
}

enum kedge_verdict kedge_agent_verify(struct kedge_agent *agent, uint8_t base,
                                      struct kedge_verify *checked)
{
    const struct kedge_slot_view view = {.slot = kedge_agent_secondary(agent), .base = base};
    const struct kedge_source source = source_of(agent, &view);
    enum kedge_verdict verdict = KEDGE_IMAGE_UNREADABLE;

    for (unsigned i = 0; i < PASSES && verdict != KEDGE_IMAGE_GOOD; i++) {
        verdict = judge(agent, &source, checked);
    }
    return verdict;
}
