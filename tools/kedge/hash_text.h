/* Hashes as people paste them. */
#ifndef KEDGE_TOOL_HASH_TEXT_H
#define KEDGE_TOOL_HASH_TEXT_H

#include "exchange.h"
#include "kedge/crypto.h"

/* HASH of the command line to the bytes of an image on the device: whole (64, 96 or 128 hex
 * digits), or its first 8 or more when only one image begins so. 0, or an exit code, said. */
int hash_resolve(struct device_link *device, const char *command, const char *text,
                 uint8_t hash[KEDGE_DIGEST_MAX], size_t *size);

#endif
