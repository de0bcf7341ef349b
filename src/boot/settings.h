/* What the reading and the writing half of the settings share. */
#ifndef KEDGE_BOOT_SETTINGS_H
#define KEDGE_BOOT_SETTINGS_H

#include "kedge/policy.h"

#define KEDGE_SETTINGS_VALUES_AT 4 /* one byte a key, in the order of enum kedge_policy_key */
#define KEDGE_SETTINGS_DEFAULT   0xFF

/* kedge_journal_open() on the settings region. Whoever only reads policies has a `body` of
 * KEDGE_SETTINGS_BODY bytes, whoever writes one of KEDGE_SETTINGS_WHOLE, so that nothing is lost.
 * KEDGE_E_NONE when there are none, or none of ours. */
int kedge_settings_open(struct kedge_journal *journal, const struct kedge_region *settings,
                        struct kedge_buf body);

#endif
