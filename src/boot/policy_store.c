/* Policies as the agent writes them: one value changed in the body, one take-over, one seal. */
#include <string.h>

#include "boot/settings.h"
#include "kedge/policy.h"

/* The seal says that the take-over was finished; without it the next settle repeats it [S-3]. */
static int write_settings(struct kedge_journal *journal)
{
    const int rc = kedge_journal_take_over(journal);

    return rc != 0 ? rc : kedge_journal_append(journal, KEDGE_RECORD_SEAL, 0);
}

int kedge_policy_store(const struct kedge_region *settings, struct kedge_policy *policy,
                       enum kedge_policy_key key, uint8_t value)
{
    struct kedge_journal journal;
    uint8_t body[KEDGE_SETTINGS_BODY];
    uint8_t *place;
    int rc;

    if (!kedge_policy_allows(key, value)) {
        return KEDGE_E_FORMAT;
    }
    if ((policy->locked >> key & 1) != 0) {
        return KEDGE_E_REFUSED;
    }
    rc = kedge_settings_open(&journal, settings, body);
    if (rc == KEDGE_E_NONE) {
        memset(body, KEDGE_SETTINGS_DEFAULT, sizeof body);
        kedge_put_le32(body, KEDGE_SETTINGS_MAGIC);
        rc = 0;
    }
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
    uint8_t body[KEDGE_SETTINGS_BODY];
    const int rc = kedge_settings_open(&journal, settings, body);

    if (rc != 0 || journal.sealed) {
        return rc == KEDGE_E_NONE || rc == KEDGE_E_UNSUPPORTED ? 0 : rc;
    }
    return write_settings(&journal);
}
