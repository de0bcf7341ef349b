/* kedge sign: options in imgtool's words, checked, handed to sign_image.c. */
#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "command.h"
#include "image_key.h"
#include "options.h"
#include "report.h"
#include "sign_image.h"
#include "version_text.h"

#define HEADER_MIN      32
#define SECTORS_DEFAULT 128 /* imgtool's and MCUboot's */
#define SECTORS_MAX     65536
#define CUSTOM_MIN      0x00a0
#define CUSTOM_MAX      0xfffe
#define SW_TYPE_MAX     12

static struct {
    const char *key, *encrypt, *fix_sig, *fix_sig_pubkey, *sig_out;
    const char *version, *counter, *dependencies, *boot_record;
    const char *align, *max_align, *erased, *sha, *hmac, *key_format, *keylen, *vector;
    struct option_number header_size, slot_size, max_sectors, load_addr, rom_fixed, hex_addr;
    struct option_list custom, custom_files;
    bool pad_header, pad, test, confirm, overwrite_only, clear, save_enctlv, non_bootable;
    bool pad_sig, pure;
} given;

static const struct option options[] = {
    {'k', "key", "KEY.pem", "private key; without it the image is not signed", OPTION_TEXT,
     &given.key},
    {'v', "version", "MAJ.MIN.REV+BUILD", "version of the image", OPTION_TEXT, &given.version},
    {'H', "header-size", "BYTES", "room for the header, as the firmware was linked", OPTION_NUMBER,
     &given.header_size},
    {0, "pad-header", NULL, "put that room in front: the firmware has none", OPTION_FLAG,
     &given.pad_header},
    {'S', "slot-size", "BYTES", "size of the slot; the image must fit it", OPTION_NUMBER,
     &given.slot_size},
    {0, "align", "1|2|4|8|16|32", "write size of the flash (default 1)", OPTION_CHOICE,
     &given.align},
    {0, "max-align", "8|16|32", "larger write size of the two flashes (default 8, or --align)",
     OPTION_CHOICE, &given.max_align},
    {'M', "max-sectors", "COUNT", "sectors of a slot, for the room of the trailer (default 128)",
     OPTION_NUMBER, &given.max_sectors},
    {0, "pad", NULL, "fill the slot, with a trailer that asks for a test", OPTION_FLAG, &given.pad},
    {0, "test", NULL, "the same", OPTION_FLAG, &given.test},
    {0, "confirm", NULL, "fill the slot, with a trailer that asks for good", OPTION_FLAG,
     &given.confirm},
    {0, "overwrite-only", NULL, "trailer of a loader that overwrites instead of swapping",
     OPTION_FLAG, &given.overwrite_only},
    {'s', "security-counter", "NUMBER|auto", "counter against downgrades; auto: from the version",
     OPTION_TEXT, &given.counter},
    {'d', "dependencies", "\"(ID,VERSION), ...\"", "other images this one needs", OPTION_TEXT,
     &given.dependencies},
    {'E', "encrypt", "ENC_PUB.pem", "encrypt for the device with this key", OPTION_TEXT,
     &given.encrypt},
    {0, "encrypt-keylen", "128|256", "AES key (default 128)", OPTION_CHOICE, &given.keylen},
    {'c', "clear", NULL, "encryption set up, payload left plain: for the factory", OPTION_FLAG,
     &given.clear},
    {0, "save-enctlv", NULL, "trailer of a loader that saves the encryption TLV", OPTION_FLAG,
     &given.save_enctlv},
    {0, "hmac-sha", "auto|256|512", "hash in the key exchange with x25519", OPTION_CHOICE,
     &given.hmac},
    {'L', "load-addr", "ADDRESS", "the image is loaded to RAM there", OPTION_NUMBER,
     &given.load_addr},
    {'F', "rom-fixed", "ADDRESS", "the image runs only from this flash address", OPTION_NUMBER,
     &given.rom_fixed},
    {'x', "hex-addr", "ADDRESS", "address of the image in .hex output", OPTION_NUMBER,
     &given.hex_addr},
    {0, "pure", NULL, "sign the image itself, not its hash (ed25519)", OPTION_FLAG, &given.pure},
    {0, "sha", "auto|256|384|512", "image hash (default: the key's)", OPTION_CHOICE, &given.sha},
    {'R', "erased-val", "0|0xff", "what erased flash reads as (default 0xff)", OPTION_CHOICE,
     &given.erased},
    {0, "custom-tlv", "TAG VALUE", "protected TLV 0xa0..0xfffe; VALUE is text, or bytes as 0x...",
     OPTION_PAIR, &given.custom},
    {0, "custom-tlv-file", "TAG FILE", "the same with a file's bytes", OPTION_PAIR,
     &given.custom_files},
    {0, "public-key-format", "hash|full", "name the key by its hash (default) or put it in whole",
     OPTION_CHOICE, &given.key_format},
    {0, "non-bootable", NULL, "flag the image as not to be started", OPTION_FLAG,
     &given.non_bootable},
    {0, "boot-record", "SW_TYPE", "add a boot record for attestation (up to 12 characters)",
     OPTION_TEXT, &given.boot_record},
    {0, "pad-sig", NULL, "pad ECDSA signatures (for MCUboot before 1.5)", OPTION_FLAG,
     &given.pad_sig},
    {0, "sig-out", "FILE", "write the signature there too, as base64", OPTION_TEXT, &given.sig_out},
    {0, "vector-to-sign", "payload|digest", "OUT is only what a signer elsewhere must sign",
     OPTION_CHOICE, &given.vector},
    {0, "fix-sig", "FILE", "signature made elsewhere, as base64", OPTION_TEXT, &given.fix_sig},
    {0, "fix-sig-pubkey", "PUB.pem", "the public key that goes with it", OPTION_TEXT,
     &given.fix_sig_pubkey},
    {'e', "endian", "ENDIAN", "images are little endian", OPTION_FOREIGN, NULL},
    {0, "compression", "TYPE", "images are not compressed by it", OPTION_FOREIGN, NULL},
    {0, "vid", "TEXT", "put the vendor's UUID in by --custom-tlv", OPTION_FOREIGN, NULL},
    {0, "cid", "TEXT", "put the class's UUID in by --custom-tlv", OPTION_FOREIGN, NULL},
};

static const struct syntax syntax = {
    .command = "sign",
    .operands = "IN OUT",
    .about =
        "Makes an image in MCUboot's format of a firmware file and signs it. IN is a binary or\n"
        "Intel HEX; OUT is written as Intel HEX when its name ends in .hex. The bytes are those\n"
        "that imgtool writes. Needs -v and -H.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .operands_min = 2,
    .operands_max = 2,
};

/* Keys stay open until the program ends: the request points to them. */
static struct key key, fixed_key, encryption_key;

static int take_sizes(struct sign_request *r)
{
    r->header_size = given.header_size.value;
    r->slot_size = given.slot_size.value;
    r->max_sectors = given.max_sectors.given ? given.max_sectors.value : SECTORS_DEFAULT;
    r->align = given.align == NULL ? 1 : (uint32_t)atoi(given.align);
    r->max_align = given.max_align != NULL ? (uint32_t)atoi(given.max_align)
                   : r->align > 8          ? r->align
                                           : 8;
    if (given.version == NULL || !given.header_size.given) {
        return misuse("sign", "it needs -v VERSION and -H HEADER_SIZE");
    }
    if (r->header_size < HEADER_MIN || r->header_size > UINT16_MAX) {
        return misuse("sign", "--header-size is from %u to %u", HEADER_MIN, UINT16_MAX);
    }
    if (r->max_sectors > SECTORS_MAX) {
        return misuse("sign", "--max-sectors is at most %u", SECTORS_MAX);
    }
    if (r->slot_size > FILE_SIZE_MAX) {
        return misuse("sign", "--slot-size is at most %u MiB", FILE_SIZE_MAX >> 20);
    }
    if (r->pad && r->slot_size == 0) {
        return misuse("sign",
                      "--pad, --test and --confirm need --slot-size: that is what they fill");
    }
    if (r->pad && given.vector != NULL) {
        return misuse("sign",
                      "--vector-to-sign gives no image that could be padded: leave --pad out");
    }
    return 0;
}

static int take_flags(struct sign_request *r)
{
    r->pad_header = given.pad_header;
    r->test = given.test;
    r->confirm = given.confirm;
    r->pad = given.pad || given.test || given.confirm;
    r->overwrite_only = given.overwrite_only;
    r->non_bootable = given.non_bootable;
    r->erased = given.erased != NULL && strcmp(given.erased, "0") == 0 ? 0 : 0xff;
    r->load_address = given.load_addr.value;
    r->rom_fixed = given.rom_fixed.value;
    r->full_key = given.key_format != NULL && strcmp(given.key_format, "full") == 0;
    r->pure = given.pure;
    r->pad_signature = given.pad_sig;
    r->clear = given.clear;
    r->save_enctlv = given.save_enctlv;
    r->hmac512 = given.hmac != NULL && strcmp(given.hmac, "512") == 0;
    r->encrypt_bytes = given.keylen != NULL && strcmp(given.keylen, "256") == 0 ? 32 : 16;
    r->vector = given.vector;
    return r->load_address != 0 && r->rom_fixed != 0
               ? misuse("sign", "--load-addr and --rom-fixed exclude each other")
               : 0;
}

static int take_counter(struct sign_request *r)
{
    uint64_t value = 0;

    if (given.counter == NULL) {
        return 0;
    }
    r->has_counter = true;
    if (strcasecmp(given.counter, "auto") == 0) {
        r->counter = (uint32_t)r->version.major << 24 | (uint32_t)r->version.minor << 16 |
                     r->version.revision;
        return 0;
    }
    if (!number_parse(given.counter, UINT32_MAX, &value)) {
        return misuse("sign", "--security-counter is auto or a number up to 0xffffffff, not %s",
                      given.counter);
    }
    r->counter = (uint32_t)value;
    return 0;
}

static const char *skip_blanks(const char *at)
{
    while (isspace((unsigned char)*at)) {
        at++;
    }
    return at;
}

/* One "(id, version)" at *text, which moves behind it. */
static bool take_dependency(const char **text, struct sign_dependency *dependency)
{
    char id[8];
    char version[32];
    int end = 0;
    uint64_t number = 0;

    if (sscanf(*text, "(%7[0-9] , %31[0-9.+] )%n", id, version, &end) != 2 || end == 0 ||
        !number_parse(id, UINT8_MAX, &number) ||
        version_parse(version, &dependency->version) != NULL) {
        return false;
    }
    dependency->image = (uint8_t)number;
    *text += end;
    return true;
}

static int take_dependencies(struct sign_request *r)
{
    const char *at = given.dependencies == NULL ? "" : skip_blanks(given.dependencies);
    bool good = given.dependencies == NULL || *at != '\0';

    while (good && *at != '\0' && r->dependency_count < SIGN_DEPENDENCIES) {
        good = take_dependency(&at, &r->dependencies[r->dependency_count++]);
        at = skip_blanks(at);
        if (good && *at == ',') {
            at = skip_blanks(at + 1);
            good = *at != '\0';
        }
    }
    return good && *at == '\0'
               ? 0
               : misuse("sign",
                        "--dependencies has the form \"(ID,VERSION), ...\", ID up to 255, at "
                        "most %u of them, not %s",
                        SIGN_DEPENDENCIES, given.dependencies);
}

static int add_custom(struct sign_request *r, const char *tag, struct sign_custom **custom)
{
    uint64_t number = 0;

    if (!number_parse(tag, UINT16_MAX, &number) || number < CUSTOM_MIN || number > CUSTOM_MAX) {
        return misuse("sign", "a custom TLV's tag is from 0x%x to 0x%x, not %s", CUSTOM_MIN,
                      CUSTOM_MAX, tag);
    }
    for (size_t i = 0; i < r->custom_count; i++) {
        if (r->custom[i].type == number) {
            return misuse("sign", "the custom TLV %s is given twice", tag);
        }
    }
    if (r->custom_count == SIGN_CUSTOM) {
        return misuse("sign", "there are more than %u custom TLVs", SIGN_CUSTOM);
    }
    *custom = &r->custom[r->custom_count++];
    (*custom)->type = (uint16_t)number;
    return 0;
}

static int custom_value(const char *value, struct blob *data)
{
    const size_t size = strlen(value);

    if (strncmp(value, "0x", 2) != 0) {
        blob_put(data, kedge_bytes(value, size));
        return 0;
    }
    if (size % 2 != 0 || strspn(value + 2, "0123456789abcdefABCDEF") != size - 2) {
        return misuse("sign", "a custom TLV's value behind 0x is pairs of hex digits, not %s",
                      value);
    }
    for (size_t i = 2; i < size; i += 2) {
        const char pair[] = {value[i], value[i + 1], '\0'};

        blob_byte(data, (uint8_t)strtoul(pair, NULL, 16));
    }
    return 0;
}

static int custom_file(const char *path, struct blob *data)
{
    struct file_data file;
    const int result = file_read(path, &file);

    if (result == 0) {
        blob_put(data, kedge_bytes(file.at, file.size));
        free(file.at);
    }
    return result;
}

static int take_custom(struct sign_request *r, const struct option_list *list,
                       int (*read)(const char *value, struct blob *data))
{
    int result = 0;

    for (size_t i = 0; i < list->count && result == 0; i += 2) {
        struct sign_custom *custom = NULL;

        result = add_custom(r, list->at[i], &custom);
        if (result == 0) {
            result = read(list->at[i + 1], &custom->data);
        }
        if (result == 0 && custom->data.size > UINT16_MAX) {
            result = fail("the custom TLV %s has %zu bytes, the format has room for %u",
                          list->at[i], custom->data.size, UINT16_MAX);
        }
    }
    return result;
}

/* Characters, not bytes, of UTF-8. */
static size_t characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++) {
        count += (*text & 0xc0) != 0x80;
    }
    return count;
}

static int take_words(struct sign_request *r)
{
    const char *const wrong = version_parse(given.version, &r->version);
    int result = wrong == NULL ? 0 : misuse("sign", "--version %s: %s", given.version, wrong);

    if (result == 0) {
        result = take_counter(r);
    }
    if (result == 0) {
        result = take_dependencies(r);
    }
    if (result == 0) {
        result = take_custom(r, &given.custom, custom_value);
    }
    if (result == 0) {
        result = take_custom(r, &given.custom_files, custom_file);
    }
    r->boot_record = given.boot_record;
    if (result == 0 && given.boot_record != NULL && characters(given.boot_record) > SW_TYPE_MAX) {
        result = misuse("sign", "--boot-record %s is longer than %u characters", given.boot_record,
                        SW_TYPE_MAX);
    }
    return result;
}

static int read_base64(const char *path, struct blob *data)
{
    EVP_ENCODE_CTX *const ctx = EVP_ENCODE_CTX_new();
    struct file_data file;
    int body = 0;
    int tail = 0;
    const int result = file_read(path, &file);

    if (result != 0) {
        EVP_ENCODE_CTX_free(ctx);
        return result;
    }
    uint8_t *const out = grab(file.size + 64);

    EVP_DecodeInit(ctx);
    const bool good = EVP_DecodeUpdate(ctx, out, &body, file.at, (int)file.size) >= 0 &&
                      EVP_DecodeFinal(ctx, out + body, &tail) == 1 && body + tail > 0;

    blob_put(data, kedge_bytes(out, good ? (size_t)(body + tail) : 0));
    EVP_ENCODE_CTX_free(ctx);
    free(out);
    free(file.at);
    return good ? 0 : fail("%s holds no base64 signature", path);
}

static int take_fixed(struct sign_request *r)
{
    if (given.fix_sig == NULL && given.fix_sig_pubkey == NULL) {
        return 0;
    }
    if (given.fix_sig == NULL || given.fix_sig_pubkey == NULL) {
        return misuse("sign", "--fix-sig and --fix-sig-pubkey go together");
    }
    if (given.key != NULL) {
        return misuse("sign", "--key makes a signature and --fix-sig brings one: give one of them");
    }
    int result = key_read(given.fix_sig_pubkey, &fixed_key);

    if (result == 0) {
        r->fixed_key = &fixed_key;
        result = read_base64(given.fix_sig, &r->fixed_signature);
    }
    return result;
}

static int take_key(struct sign_request *r)
{
    if (given.key == NULL) {
        return 0;
    }
    const int result = key_read(given.key, &key);

    if (result != 0) {
        return result;
    }
    if (!key.has_private) {
        return fail("%s is a public key: signing needs the private one", given.key);
    }
    r->key = &key;
    return 0;
}

static int take_hash(struct sign_request *r)
{
    const struct key *const by = r->key != NULL ? r->key : r->fixed_key;
    static char allowed[4];

    r->sha = given.sha != NULL && strcmp(given.sha, "auto") != 0 ? given.sha : NULL;
    if (by == NULL) {
        r->sha = r->sha == NULL ? "256" : r->sha;
        return r->pure ? misuse("sign", "--pure is a kind of signature: it needs --key") : 0;
    }
    if (by->kind->signature == 0) {
        return fail("an %s key cannot sign: it is for encryption", by->kind->name);
    }
    if (r->pure) {
        if (by->kind->signature != 0x24 || r->sha != NULL) {
            return misuse("sign", "--pure goes with an ed25519 key and without --sha");
        }
        r->sha = "512";
        return 0;
    }
    if (r->sha != NULL && strstr(by->kind->hashes, r->sha) == NULL) {
        return misuse("sign", "--sha %s does not go with a key of type %s: it takes %s", r->sha,
                      by->kind->name, by->kind->hashes);
    }
    snprintf(allowed, sizeof(allowed), "%.3s", r->sha != NULL ? r->sha : by->kind->hashes);
    r->sha = allowed;
    return 0;
}

static int take_encryption(struct sign_request *r)
{
    if (given.encrypt == NULL) {
        return 0;
    }
    const int result = image_key_read(given.encrypt, &encryption_key);

    if (result == 0) {
        r->encrypt_for = &encryption_key;
    }
    return result;
}

static int take_all(struct sign_request *r)
{
    static int (*const steps[])(struct sign_request *) = {
        take_flags, take_sizes, take_words, take_key, take_fixed, take_hash, take_encryption};
    int result = 0;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && result == 0; i++) {
        result = steps[i](r);
    }
    if (result == 0 && given.sig_out != NULL && r->key == NULL && r->fixed_key == NULL) {
        result = misuse("sign", "--sig-out needs a signature: give --key");
    }
    return result;
}

/* Where the image begins in .hex output. */
static int hex_address(const struct file_data *in, uint32_t *address)
{
    *address = in->address;
    if (given.hex_addr.given) {
        *address = given.hex_addr.value;
        return 0;
    }
    if (!in->has_address) {
        return misuse("sign", "the input has no address for .hex output: give --hex-addr");
    }
    if (given.pad_header && in->address != 0) {
        if (in->address < given.header_size.value) {
            return fail("there is no room for the header below 0x%X: give --hex-addr", in->address);
        }
        *address -= given.header_size.value;
    }
    return 0;
}

static int write_hex(const struct sign_request *r, const struct signed_image *image,
                     const struct file_data *in, const char *path)
{
    uint32_t address = 0;
    size_t size = 0;
    int result = hex_address(in, &address);

    if (result != 0) {
        return result;
    }
    const uint64_t end = (uint64_t)address + (r->pad ? r->slot_size : image->bytes.size);

    if (end > 0x100000000u) {
        return fail("the image runs over the end of the address space: check --hex-addr");
    }
    char *const text = sign_hex(r, image, address, &size);

    result = file_write(path, kedge_bytes(text, size), 0666);
    free(text);
    return result;
}

static int write_image(const struct sign_request *r, struct signed_image *image,
                       const struct file_data *in, const char *path)
{
    if (file_is_hex(path) && r->vector == NULL) {
        return write_hex(r, image, in, path);
    }
    if (r->pad) {
        sign_pad(r, image);
    }
    return file_write(path, blob_bytes(&image->bytes), 0666);
}

static int write_signature(const struct signed_image *image)
{
    if (given.sig_out == NULL || image->signature.size == 0) {
        return 0;
    }
    uint8_t *const text = grab(image->signature.size * 2 + 8);
    const int size = EVP_EncodeBlock(text, image->signature.at, (int)image->signature.size);
    const int result = file_write(given.sig_out, kedge_bytes(text, (size_t)size), 0666);

    free(text);
    return result;
}

static int sign(const struct sign_request *r, const struct operands *operands)
{
    struct file_data in;
    struct signed_image image;
    int result =
        file_read_image(operands->at[0], r->slot_size > 0 ? r->slot_size : FILE_SIZE_MAX, &in);

    if (result != 0) {
        return result;
    }
    result = sign_image(r, kedge_bytes(in.at, in.size), &image);
    if (result == 0) {
        result = write_image(r, &image, &in, operands->at[1]);
    }
    if (result == 0) {
        result = write_signature(&image);
    }
    blob_free(&image.bytes);
    blob_free(&image.signature);
    free(in.at);
    return result;
}

int run_sign(int argc, char **argv)
{
    static struct sign_request request;
    struct operands operands;
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result != OPTIONS_GO) {
        return result;
    }
    result = take_all(&request);
    if (result == 0) {
        result = sign(&request, &operands);
    }
    for (size_t i = 0; i < request.custom_count; i++) {
        blob_free(&request.custom[i].data);
    }
    blob_free(&request.fixed_signature);
    key_free(&key);
    key_free(&fixed_key);
    key_free(&encryption_key);
    return result;
}
