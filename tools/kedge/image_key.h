/* The AES key of an encrypted image, wrapped for a device (facts 7.3): RSA-OAEP, ECIES-P256,
 * ECIES-X25519 with HMAC-SHA-256 or -512, AES key wrap with a shared key. */
#ifndef KEDGE_TOOL_IMAGE_KEY_H
#define KEDGE_TOOL_IMAGE_KEY_H

#include "blob.h"
#include "kedge/device_key.h"
#include "key.h"

#define IMAGE_KEY_MAX 32

/* As key_read(), and a shared AES key too: 16, 24 or 32 bytes, bare or as base64 (kind "aes"). */
int image_key_read(const char *path, struct key *key);

/* What goes into the TLV, and its type. `info`: of ECIES, kedge_info_image for an image
 * (device_key.h). `sha512`: HMAC-SHA-512, for X25519 only. 0 or an exit code. */
int image_key_wrap(const struct key *device, struct kedge_bytes info, struct kedge_bytes key,
                   bool sha512, struct blob *tlv, uint16_t *type);

/* The way back with the device's private key; key.size (16 or 32) tells what is expected. False: it
 * is not for this device, or damaged. */
bool image_key_unwrap(const struct key *device, uint16_t type, struct kedge_bytes info,
                      struct kedge_bytes tlv, struct kedge_buf key);

/* AES-CTR from counter 0 over the payload, in place; the same in both directions. */
void image_key_crypt(struct kedge_bytes key, struct kedge_buf payload);

#endif
