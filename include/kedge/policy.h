/* Policies: PRODUCT.md's table as data. They live in the settings region (a journal of its own,
 * written by the agent, only read by the loader); unreadable means the build's defaults. */
#ifndef KEDGE_POLICY_H
#define KEDGE_POLICY_H

#include "kedge/journal.h"

enum kedge_policy_key {
    KEDGE_POLICY_AFTER_CONFIRM, /* keep 0, trailer 1, wipe 2 */
    KEDGE_POLICY_HOLD,          /* off 0, on 1, for-N (boots, 1..15) N + 1: the agent counts */
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

extern const struct kedge_policy
    kedge_policy_default; /* keep, off, 1, allow, allow, off; no locks */

/* Settings BODY (FORMAT.md "Settings"): u32 magic "KSET", one byte a key (0xFF: default), reserved.
 * A journal of its own with room on flash for a longer body: what the agent adds later (BLE bonds)
 * lies behind these 32 bytes, and a loader that knows only them reads them all the same. */
#define KEDGE_SETTINGS_MAGIC   0x5445534Bu /* "KSET" */
#define KEDGE_SETTINGS_BODY    32
#define KEDGE_SETTINGS_RESERVE 1024                         /* bytes on flash for body and CRC */
#define KEDGE_SETTINGS_WHOLE   (KEDGE_SETTINGS_RESERVE - 4) /* body */
#define KEDGE_SETTINGS_KEPT    (KEDGE_SETTINGS_WHOLE - KEDGE_SETTINGS_BODY) /* behind the policies */

/* True when `value` is one that `key` may have. */
bool kedge_policy_allows(unsigned key, uint8_t value);

/* Read the settings over the defaults; anything unreadable or implausible leaves the default, and
 * so does a locked key. Read only. */
void kedge_policy_load(const struct kedge_region *settings, const struct kedge_policy *defaults,
                       struct kedge_policy *policy);

/* Set one key durably, and in `policy`. Writes nothing when it is stored so already.
 * After a power cut: the old value or the new one; kedge_policy_settle() makes it one of them.
 * Errors, with nothing changed: KEDGE_E_REFUSED: locked; KEDGE_E_FORMAT: no such value;
 * KEDGE_E_UNSUPPORTED: the board has no settings region; the journal's own. */
int kedge_policy_store(const struct kedge_region *settings, struct kedge_policy *policy,
                       enum kedge_policy_key key, uint8_t value);

/* For the agent's start, before kedge_policy_load(): a store that a cut interrupted may read as
 * done at one boot and as not done at the next; this writes what it reads now, for good. Writes
 * nothing otherwise. 0 or the journal's error (the settings then stay as they are). */
int kedge_policy_settle(const struct kedge_region *settings);

/* What the agent keeps behind the policies (FORMAT.md, "Bonds"): the first kept.size bytes of it,
 * at most KEDGE_SETTINGS_KEPT; undefined bytes where nothing was stored, so it needs a magic of its
 * own. Load is read only. KEDGE_E_NONE: there are no settings yet; the journal's errors. Store
 * leaves the policies as they are, and writes nothing when it is there already. After a power cut:
 * the old bytes or the new ones; kedge_policy_settle() makes it one of them. */
int kedge_settings_load(const struct kedge_region *settings, struct kedge_buf kept);
int kedge_settings_store(const struct kedge_region *settings, struct kedge_bytes kept);

/* Words: "after_confirm", "keep" ... ; NULL when there is no such key or value. */
const char *kedge_policy_key_text(enum kedge_policy_key key);
/* Text of a value into `to` (8 bytes); -> chars. */
size_t kedge_policy_value_text(enum kedge_policy_key key, uint8_t value, char *to);
/* Parse key and value words. KEDGE_E_NONE: no such key; KEDGE_E_FORMAT: no such value. */
int kedge_policy_parse(struct kedge_bytes key, struct kedge_bytes value, enum kedge_policy_key *k,
                       uint8_t *v);

#endif
