/* For the tables of wrappings. */
#ifndef KEDGE_WRAPPING_H
#define KEDGE_WRAPPING_H

#include "kedge/device_key.h"

/* derive() of every key whose secret is in memory: HKDF-SHA-256. */
int kedge_derive_from_secret(const struct kedge_device_key *key, struct kedge_bytes salt,
                             struct kedge_bytes info, struct kedge_buf out);

#endif
