/* kedge seal, kedge unseal */
#include <stdlib.h>

#include "command.h"
#include "enc_key_file.h"
#include "file.h"
#include "options.h"
#include "report.h"
#include "sealed_file.h"
#include "shared_key_file.h"

static struct {
    const char *key, *shared;
    struct option_number segment;
} given;

static const struct option seal_options[] = {
    {'k', "key", "DEVICE_PUB.pem", "the device's public key: ECDSA P-256, X25519 or RSA-2048",
     OPTION_TEXT, &given.key},
    {0, "shared-key", "FILE", "or a key that the devices share: 32 bytes, or 64 hexadecimal digits",
     OPTION_TEXT, &given.shared},
    {0, "segment", "BYTES", "authenticated at once: 256 to 4096, a power of two (default 4096)",
     OPTION_NUMBER, &given.segment},
};

static const struct option unseal_options[] = {
    {'k', "key", "DEVICE_PRIV.pem", "the device's private key", OPTION_TEXT, &given.key},
    {0, "shared-key", "FILE", "or the key that the devices share", OPTION_TEXT, &given.shared},
};

static const struct syntax seal_syntax = {
    .command = "seal",
    .operands = "IN OUT",
    .about = "Encrypts a signed image (or a patch) for a device, so that it refuses every changed\n"
             "byte before it writes it. The result travels through every SMP client like an image.",
    .options = seal_options,
    .option_count = sizeof(seal_options) / sizeof(seal_options[0]),
    .operands_min = 2,
    .operands_max = 2,
};

static const struct syntax unseal_syntax = {
    .command = "unseal",
    .operands = "IN OUT",
    .about = "Gives back what was sealed, by the code that runs on the device.",
    .options = unseal_options,
    .option_count = sizeof(unseal_options) / sizeof(unseal_options[0]),
    .operands_min = 2,
    .operands_max = 2,
};

static int check_keys(const char *command)
{
    return (given.key == NULL) == (given.shared == NULL)
               ? misuse(command, "it needs -k KEY.pem, or --shared-key FILE")
               : OPTIONS_GO;
}

static int segment_log(uint8_t *log)
{
    *log = KEDGE_SEALED_SEGMENT_LOG;
    if (!given.segment.given) {
        return OPTIONS_GO;
    }
    for (*log = KEDGE_SEALED_LOG_LEAST; *log <= KEDGE_SEALED_SEGMENT_LOG; (*log)++) {
        if (given.segment.value == 1u << *log) {
            return OPTIONS_GO;
        }
    }
    return misuse("seal", "--segment must be a power of two from 256 to 4096");
}

static int seal(const struct sealed_request *request, const char *in, const char *out)
{
    struct file_data plain;
    struct blob file = {0};
    int result = file_read(in, &plain);

    if (result != 0) {
        return result;
    }
    result = sealed_make(request, kedge_bytes(plain.at, plain.size), &file);
    if (result == 0) {
        result = file_write(out, blob_bytes(&file), 0666);
    }
    blob_free(&file);
    free(plain.at);
    return result;
}

int run_seal(int argc, char **argv)
{
    struct sealed_request request = {0};
    uint8_t shared[SHARED_KEY_SIZE];
    struct operands operands;
    char why[SHARED_KEY_WHY];
    struct key key;
    int result = options_parse(&seal_syntax, argc, argv, &operands);

    if (result == OPTIONS_GO) {
        result = check_keys("seal");
    }
    if (result == OPTIONS_GO) {
        result = segment_log(&request.segment_log);
    }
    if (result != OPTIONS_GO) {
        return result;
    }
    if (given.shared != NULL) {
        if (shared_key_read(given.shared, shared, why) != 0) {
            return fail("%s", why);
        }
        request.shared = kedge_bytes(shared, sizeof(shared));
        return seal(&request, operands.at[0], operands.at[1]);
    }
    result = key_read(given.key, &key);
    if (result != 0) {
        return result;
    }
    request.device = &key;
    result = seal(&request, operands.at[0], operands.at[1]);
    key_free(&key);
    return result;
}

static int unseal(const struct kedge_sealed_keys *keys, const char *in, const char *out)
{
    const struct kedge_pipe_kind kind = {KEDGE_SEALED_MAGIC, &kedge_sealed, keys};
    struct file_data file;
    struct blob plain = {0};
    const char *why;
    int result = file_read(in, &file);

    if (result != 0) {
        return result;
    }
    const struct kedge_pipe_config config = {.kinds = &kind, .kind_count = 1};

    if (file.size < KEDGE_ENVELOPE_HEAD || kedge_pipe_find(&config, file.at) == NULL) {
        result = fail("%s is not a sealed file (kedge dumpinfo says what it is)", in);
    } else if (!sealed_open(&kind, 1, kedge_bytes(file.at, file.size), &plain, &why)) {
        result = fail("%s: %s", in, why);
    } else {
        result = file_write(out, blob_bytes(&plain), 0666);
    }
    blob_free(&plain);
    free(file.at);
    return result;
}

int run_unseal(int argc, char **argv)
{
    struct kedge_sealed_keys keys = {.aead = &kedge_chacha20};
    uint8_t shared[SHARED_KEY_SIZE];
    struct enc_key_file device;
    struct operands operands;
    char why[SHARED_KEY_WHY > ENC_KEY_WHY ? SHARED_KEY_WHY : ENC_KEY_WHY];
    int result = options_parse(&unseal_syntax, argc, argv, &operands);

    if (result == OPTIONS_GO) {
        result = check_keys("unseal");
    }
    if (result != OPTIONS_GO) {
        return result;
    }
    if (given.shared != NULL) {
        result = shared_key_read(given.shared, shared, why);
        keys.shared = kedge_bytes(shared, sizeof(shared));
    } else {
        result = enc_key_read(given.key, &device, why);
        keys.device = &device.keys;
    }
    return result != 0 ? fail("%s", why) : unseal(&keys, operands.at[0], operands.at[1]);
}
