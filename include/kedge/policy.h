/* Policies: PRODUCT.md's table as data. They live in the settings region (a journal of its own,
 * written by the agent, only read by the loader); unreadable means the build's defaults. */
#ifndef KEDGE_POLICY_H
#define KEDGE_POLICY_H

#include "kedge/journal.h"

enum kedge_policy_key {
    KEDGE_POLICY_AFTER_CONFIRM, /* keep 0, trailer 1, wipe 2 */
    KEDGE_POLICY_HOLD,          /* off 0, on 1 */
    KEDGE_POLICY_ATTEMPTS,      /* 1..15 */
    KEDGE_POLICY_ERASE_PENDING, /* allow 0, refuse 1 */
    KEDGE_POLICY_DOWNGRADE,     /* allow 0, refuse 1 */
    KEDGE_POLICY_CONFIDENTIAL,  /* off 0, on 1 */
    KEDGE_POLICY_KEYS
};

struct kedge_policy {
    uint8_t value[KEDGE_POLICY_KEYS];
    uint8_t locked; /* bit k: key k cannot be set (build-time) */
};

extern const struct kedge_policy kedge_policy_default; /* keep, off, 1, allow, allow, off; no locks */

/* Settings BODY: u32 magic "KSET", policy values (one byte each, 0xFF: default), reserved. */
#define KEDGE_SETTINGS_BODY 32

/* Read the settings over the defaults; anything unreadable or implausible leaves the default. */
void kedge_policy_load(const struct kedge_region *settings, const struct kedge_policy *defaults,
                       struct kedge_policy *policy);
/* Set one key durably. KEDGE_E_REFUSED: locked; KEDGE_E_FORMAT: no such value. */
int kedge_policy_store(const struct kedge_region *settings, struct kedge_policy *policy,
                       enum kedge_policy_key key, uint8_t value);

/* Words: "after_confirm", "keep" ... ; NULL when there is no such key or value. */
const char *kedge_policy_key_text(enum kedge_policy_key key);
/* Text of a value into `to` (8 bytes); -> chars. */
size_t kedge_policy_value_text(enum kedge_policy_key key, uint8_t value, char *to);
/* Parse key and value words. KEDGE_E_NONE: no such key; KEDGE_E_FORMAT: no such value. */
int kedge_policy_parse(struct kedge_bytes key, struct kedge_bytes value,
                       enum kedge_policy_key *k, uint8_t *v);

#endif
