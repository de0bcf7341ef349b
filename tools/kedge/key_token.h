/* Private keys that stay in a hardware token (PKCS#11). */
#ifndef KEDGE_TOOL_KEY_TOKEN_H
#define KEDGE_TOOL_KEY_TOKEN_H

#include <openssl/pem.h>

#include "kedge/base.h"

bool key_token_is_uri(const char *name);

/* The key that a pkcs11: URI (RFC 7512) names, by OpenSSL's pkcs11 engine; `ask` is called for the
 * PIN when the URI has none. NULL after saying why. */
EVP_PKEY *key_token_load(const char *uri, pem_password_cb *ask, void *ctx);

#endif
