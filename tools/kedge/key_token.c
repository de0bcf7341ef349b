/* OpenSSL 3.0 reaches tokens by its engines, which it calls deprecated; their successor, a
 * provider, is not in the distributions yet that this tool is built on. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "key_token.h"

#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/ui.h>
#include <string.h>

#include "report.h"

bool key_token_is_uri(const char *name)
{
    return strncmp(name, "pkcs11:", 7) == 0;
}

/* The reason that the engine gave first, or a phrase. */
static const char *reason(void)
{
    const char *const text = ERR_reason_error_string(ERR_peek_error());

    return text == NULL ? "the token has no such key" : text;
}

static EVP_PKEY *load(ENGINE *engine, const char *uri, pem_password_cb *ask, void *ctx)
{
    UI_METHOD *const method = UI_UTIL_wrap_read_pem_callback(ask, 0);
    EVP_PKEY *key = NULL;

    if (ENGINE_init(engine) == 1) {
        key = ENGINE_load_private_key(engine, uri, method, ctx);
        ENGINE_finish(engine);
    }
    UI_destroy_method(method);
    return key;
}

EVP_PKEY *key_token_load(const char *uri, pem_password_cb *ask, void *ctx)
{
    ENGINE_load_dynamic();
    ENGINE *const engine = ENGINE_by_id("pkcs11");

    if (engine == NULL) {
        fail("OpenSSL's pkcs11 engine is missing: install libengine-pkcs11-openssl");
        return NULL;
    }
    /* The engine writes lines of its own to stderr unless told not to. */
    ENGINE_ctrl_cmd_string(engine, "QUIET", NULL, 1);
    EVP_PKEY *const key = load(engine, uri, ask, ctx);

    ENGINE_free(engine);
    if (key == NULL) {
        fail("the token's key cannot be used (%s): check the URI, the PIN and PKCS11_MODULE_PATH",
             reason());
    }
    ERR_clear_error();
    return key;
}
