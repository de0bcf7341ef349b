/* Policies as the loader sees them: defaults of the build, overlaid by what the settings say. The
 * loader never writes here. */
#include "kedge/policy.h"

#include "boot/settings.h"

const struct kedge_policy kedge_policy_default = {.value = {0, 0, 1, 0, 0, 0}, .locked = 0};

/* Lowest and highest value of each key. */
static const uint8_t range[KEDGE_POLICY_KEYS][2] = {
    [KEDGE_POLICY_AFTER_CONFIRM] = {0, 2}, [KEDGE_POLICY_HOLD] = {0, 16},
    [KEDGE_POLICY_ATTEMPTS] = {1, 15},     [KEDGE_POLICY_ERASE_PENDING] = {0, 1},
    [KEDGE_POLICY_DOWNGRADE] = {0, 1},     [KEDGE_POLICY_CONFIDENTIAL] = {0, 1},
};

bool kedge_policy_allows(unsigned key, uint8_t value)
{
    return key < KEDGE_POLICY_KEYS && value >= range[key][0] && value <= range[key][1];
}

int kedge_settings_open(struct kedge_journal *journal, const struct kedge_region *settings,
                        struct kedge_buf body)
{
    int rc;

    *journal = (struct kedge_journal){
        .region = *settings,
        .body = body,
        .reserve = KEDGE_SETTINGS_RESERVE,
    };
    rc = kedge_journal_open(journal, NULL, NULL);
    if (rc == 0 && kedge_le32(body.at) != KEDGE_SETTINGS_MAGIC) {
        rc = KEDGE_E_NONE;
    }
    return rc;
}

KEDGE_APART void kedge_policy_load(const struct kedge_region *settings,
                                   const struct kedge_policy *defaults, struct kedge_policy *policy)
{
    struct kedge_journal journal;
    uint8_t body[KEDGE_SETTINGS_BODY];

    *policy = *defaults;
    if (kedge_settings_open(&journal, settings, kedge_buf(body, sizeof body)) != 0) {
        return;
    }
    for (unsigned key = 0; key < KEDGE_POLICY_KEYS; key++) {
        const uint8_t value = body[KEDGE_SETTINGS_VALUES_AT + key];

        /* A lock also holds against what was stored before the lock was built in [S-4]. */
        if (kedge_policy_allows(key, value) && (policy->locked >> key & 1) == 0) {
            policy->value[key] = value;
        }
    }
}
