/* kedge keygen */
#include <string.h>

#include "command.h"
#include "key.h"
#include "options.h"
#include "report.h"

static struct {
    const char *key, *type;
    bool password;
} given;

static const struct option options[] = {
    {'k', "key", "KEY.pem", "where the private key goes (mode 0600; an old file is replaced)",
     OPTION_TEXT, &given.key},
    {'t', "type", KEY_KIND_NAMES, "kind of key", OPTION_CHOICE, &given.type},
    {'p', "password", NULL, "ask for a passphrase to protect the key with", OPTION_FLAG,
     &given.password},
};

static const struct syntax syntax = {
    .command = "keygen",
    .operands = "",
    .about =
        "Makes a key pair: ecdsa-p256, ecdsa-p384, ed25519, rsa-2048 and rsa-3072 sign images;\n"
        "ecdsa-p256, rsa-2048 and x25519 are also for encryption. Keep the file safe: whoever\n"
        "has it can sign for your devices.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};

/* Twice, so that a slip of the finger does not lock the key for good. */
static int ask(char *passphrase)
{
    char again[PASSPHRASE_MAX];
    int result = passphrase_read("Enter key passphrase: ", passphrase);

    if (result == 0) {
        result = passphrase_read("Reenter passphrase: ", again);
    }
    if (result == 0 && strcmp(passphrase, again) != 0) {
        result = fail("the passphrases differ: no key was made, try again");
    }
    if (result == 0 && passphrase[0] == '\0') {
        result = fail("the passphrase is empty: no key was made, leave -p out for none");
    }
    return result;
}

int run_keygen(int argc, char **argv)
{
    char passphrase[PASSPHRASE_MAX];
    struct operands operands;
    struct key key;
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result != OPTIONS_GO) {
        return result;
    }
    if (given.key == NULL || given.type == NULL) {
        return misuse("keygen", "it needs -t TYPE (" KEY_KIND_NAMES ") and -k KEY.pem");
    }
    result = given.password ? ask(passphrase) : 0;
    if (result != 0) {
        return result;
    }
    result = key_make(key_kind_by_name(given.type), &key);
    if (result == 0) {
        result = key_write(&key, given.key, given.password ? passphrase : NULL);
        key_free(&key);
    }
    return result;
}
