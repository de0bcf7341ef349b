/* kedge verify: the loader's own judgement, on the host. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "image_file.h"
#include "image_key.h"
#include "key_file.h"
#include "options.h"
#include "report.h"

#define KEYS_MAX      16
#define ENC_TLV_FIRST 0x30
#define ENC_TLV_LAST  0x34
#define ENC_TLV_MAX   256

static struct {
    struct option_list keys;
    const char *encrypt;
} given;

static const struct option options[] = {
    {'k', "key", "PUB.pem", "key that must have signed it; several: any of them", OPTION_LIST,
     &given.keys},
    {'E', "encrypt", "ENC_PRIV.pem", "the device's private key, for an encrypted image",
     OPTION_TEXT, &given.encrypt},
};

static const struct syntax syntax = {
    .command = "verify",
    .operands = "IMAGE",
    .about = "Checks an image's hash and signature as the loader does and prints its version and\n"
             "hash. Exit code 1 and the reason if it is not good.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .operands_min = 1,
    .operands_max = 1,
};

static enum kedge_verdict judge(const struct image_file *image, const struct kedge_key *keys,
                                size_t key_count, struct kedge_verify *v)
{
    static uint8_t scratch[4096];

    *v = (struct kedge_verify){
        .keys = keys, .key_count = key_count, .scratch = kedge_buf(scratch, sizeof(scratch))};
    const enum kedge_verdict verdict = kedge_image_verify(&image->source, v);

    /* A good image for another use than running in place is still a good image. */
    return verdict == KEDGE_IMAGE_NOT_BOOTABLE ? KEDGE_IMAGE_GOOD : verdict;
}

/* Decrypts the payload in memory. False: this key does not open it. */
static bool open_payload(struct image_file *image, const struct kedge_image *parsed,
                         const struct key *device)
{
    uint8_t data[ENC_TLV_MAX];
    uint8_t key[IMAGE_KEY_MAX];
    const size_t key_size = (parsed->flags & KEDGE_IMAGE_AES128) != 0 ? 16 : 32;

    for (uint16_t type = ENC_TLV_FIRST; type <= ENC_TLV_LAST; type++) {
        struct kedge_tlv tlv;
        const int size =
            kedge_tlv_find(&image->source, parsed, type, kedge_buf(data, sizeof(data)), &tlv);

        if (size > 0 && tlv.size <= sizeof(data) &&
            image_key_unwrap(device, type, kedge_info_image, kedge_bytes(data, tlv.size),
                             kedge_buf(key, key_size))) {
            image_key_crypt(kedge_bytes(key, key_size),
                            kedge_buf(image->data.at + parsed->header_size, parsed->payload_size));
            return true;
        }
    }
    return false;
}

static int decrypt(struct image_file *image, const struct kedge_image *parsed)
{
    struct key device;

    if (given.encrypt == NULL) {
        return fail("the image is encrypted: give -E with the device's private key");
    }
    int result = image_key_read(given.encrypt, &device);

    if (result != 0) {
        return result;
    }
    if (!device.has_private) {
        result = fail("%s is a public key: opening the image needs the private one", given.encrypt);
    } else if (!open_payload(image, parsed, &device)) {
        result =
            fail("%s does not open this image: it is encrypted for another device", given.encrypt);
    }
    key_free(&device);
    return result;
}

/* Words for a person at a desk, where the loader's speak of a device. */
static const char *reason(enum kedge_verdict verdict)
{
    switch (verdict) {
    case KEDGE_IMAGE_NO_SIGNATURE:
        return "the image is not signed: sign it with kedge sign -k KEY.pem";
    case KEDGE_IMAGE_UNKNOWN_KEY:
        return "the image is not signed by the given key";
    case KEDGE_IMAGE_ENCRYPTED:
        return "the contents do not match the image hash, also when decrypted: damaged or altered";
    default:
        return kedge_verdict_text(verdict);
    }
}

/* The name of the file that the key came from: both know where its bytes lie. */
static const char *file_of(const struct kedge_key *key, const struct key_file *files)
{
    size_t i = 0;

    while (i + 1 < given.keys.count && files[i].der != key->der.at) {
        i++;
    }
    return given.keys.at[i];
}

static int verify(const char *path, const struct key_file *files, const struct kedge_key *keys,
                  size_t key_count)
{
    struct image_file image;
    struct kedge_verify v;
    int result = image_file_open(path, &image);

    if (result != 0) {
        return result;
    }
    enum kedge_verdict verdict = judge(&image, keys, key_count, &v);

    if (verdict == KEDGE_IMAGE_ENCRYPTED) {
        result = decrypt(&image, &v.image);
        verdict = result == 0 ? judge(&image, keys, key_count, &v) : verdict;
    }
    if (result == 0 && verdict != KEDGE_IMAGE_GOOD) {
        result = fail("%s: %s", path, reason(verdict));
    }
    if (result == 0) {
        printf("Image was correctly validated\nImage version: %u.%u.%u+%u\nImage digest: ",
               v.image.version.major, v.image.version.minor, v.image.version.revision,
               v.image.version.build);
        for (size_t i = 0; i < v.digest_size; i++) {
            printf("%02x", v.digest[i]);
        }
        printf("\nSigned by: %s\n", file_of(&keys[v.key_index], files));
    }
    image_file_close(&image);
    return result;
}

/* What the loader would be given for the key files. An Ed25519 key may have signed either hash. */
static int read_keys(struct key_file *files, struct kedge_key *keys, size_t *count)
{
    char why[KEY_FILE_WHY];

    *count = 0;
    for (size_t i = 0; i < given.keys.count; i++) {
        if (key_file_read(given.keys.at[i], &files[i], why) != 0) {
            return fail("%s", why);
        }
        keys[(*count)++] = files[i].key;
        if (files[i].key.type == &kedge_ed25519) {
            keys[(*count)++] = (struct kedge_key){&kedge_ed25519_sha512, files[i].key.der};
        }
    }
    return 0;
}

int run_verify(int argc, char **argv)
{
    static struct key_file files[KEYS_MAX];
    struct kedge_key keys[2 * KEYS_MAX];
    struct operands operands;
    size_t count = 0;
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result != OPTIONS_GO) {
        return result;
    }
    if (given.keys.count == 0 || given.keys.count > KEYS_MAX) {
        return misuse("verify", "it needs -k PUB.pem, and takes up to %d of them", KEYS_MAX);
    }
    result = read_keys(files, keys, &count);
    return result != 0 ? result : verify(operands.at[0], files, keys, count);
}
