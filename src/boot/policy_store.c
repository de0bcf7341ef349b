/* Settings as the agent writes them: something changed in the body, one take-over, one seal. The
 * whole body is read and written, 1 KB on the stack: no part of it knows the others. */
#include <string.h>

#include "boot/settings.h"
#include "kedge/policy.h"

/* The seal says that the take-over was finished; without it the next settle repeats it [S-3]. */
static int write_settings(struct kedge_journal *journal)
{
    const int rc = kedge_journal_take_over(journal);

    return rc != 0 ? rc : kedge_journal_append(journal, KEDGE_RECORD_SEAL, 0);
}

/* For a change: what is there, or settings that say nothing. */
static int open_whole(struct kedge_journal *journal, const struct kedge_region *settings,
                      struct kedge_buf body)
{
    const int rc = kedge_settings_open(journal, settings, body);

    if (rc == KEDGE_E_NONE) {
        memset(body.at, KEDGE_SETTINGS_DEFAULT, body.size);
        kedge_put_le32(body.at, KEDGE_SETTINGS_MAGIC);
    }
    return rc == KEDGE_E_NONE ? 0 : rc;
}

int kedge_policy_store(const struct kedge_region *settings, struct kedge_policy *policy,
                       enum kedge_policy_key key, uint8_t value)
{
    struct kedge_journal journal;
    uint8_t body[KEDGE_SETTINGS_WHOLE];
    uint8_t *place;
    int rc;

    if (!kedge_policy_allows(key, value)) {
        return KEDGE_E_FORMAT;
    }
    if ((policy->locked >> key & 1) != 0) {
        return KEDGE_E_REFUSED;
    }
    rc = open_whole(&journal, settings, kedge_buf(body, sizeof body));
    place = &body[KEDGE_SETTINGS_VALUES_AT + key];
    if (rc == 0 && (*place != value || !journal.sealed)) {
        *place = value;
        rc = write_settings(&journal);
    }
    if (rc == 0) {
        policy->value[key] = value;
    }
    return rc;
}

int kedge_policy_settle(const struct kedge_region *settings)
{
    struct kedge_journal journal;
    uint8_t body[KEDGE_SETTINGS_WHOLE];
    const int rc = kedge_settings_open(&journal, settings, kedge_buf(body, sizeof body));

    if (rc != 0 || journal.sealed) {
        return rc == KEDGE_E_NONE || rc == KEDGE_E_UNSUPPORTED ? 0 : rc;
    }
    return write_settings(&journal);
}

int kedge_settings_load(const struct kedge_region *settings, struct kedge_buf kept)
{
    struct kedge_journal journal;
    uint8_t body[KEDGE_SETTINGS_WHOLE];

    KEDGE_ASSERT(kept.size <= KEDGE_SETTINGS_KEPT);
    const int rc = kedge_settings_open(&journal, settings, kedge_buf(body, sizeof body));
    if (rc == 0) {
        memcpy(kept.at, body + KEDGE_SETTINGS_BODY, kept.size);
    }
    return rc;
}

int kedge_settings_store(const struct kedge_region *settings, struct kedge_bytes kept)
{
    struct kedge_journal journal;
    uint8_t body[KEDGE_SETTINGS_WHOLE];

    KEDGE_ASSERT(kept.size <= KEDGE_SETTINGS_KEPT);
    const int rc = open_whole(&journal, settings, kedge_buf(body, sizeof body));
    if (rc != 0 ||
        (journal.sealed && memcmp(body + KEDGE_SETTINGS_BODY, kept.at, kept.size) == 0)) {
        return rc;
    }
    memcpy(body + KEDGE_SETTINGS_BODY, kept.at, kept.size);
    return write_settings(&journal);
}
