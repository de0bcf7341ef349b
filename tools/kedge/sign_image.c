/* header | payload | protected TLVs | TLVs: made in that order, hashed before it is encrypted. */
#include "sign_image.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "image_key.h"
#include "report.h"
#include "sign_trailer.h"

#define HEADER_SIZE     32
#define INFO_SIZE       4
#define TLV_AREA_MAX    0xffffu
#define MAGIC_TLV       0x6907u
#define MAGIC_PROTECTED 0x6908u

/* An image while it is made. */
struct work {
    const struct sign_request *r;
    struct blob plain;   /* header and payload, not yet encrypted */
    struct blob covered; /* what is hashed: plain and protected */
    struct blob protected;
    struct blob tlvs;
    uint8_t digest[KEDGE_DIGEST_MAX];
    size_t digest_size;
    uint8_t key_hash[KEDGE_DIGEST_MAX];
    size_t key_hash_size;
    struct blob key_der;
    size_t enctlv_size;
};

static void hash(const struct work *w, struct kedge_bytes data, uint8_t *to, size_t *size)
{
    const char *const name = w->r->sha[0] == '2'   ? "SHA256"
                             : w->r->sha[0] == '3' ? "SHA384"
                                                   : "SHA512";

    if (EVP_Q_digest(NULL, name, NULL, data.at, data.size, to, size) != 1) {
        exit(fail("OpenSSL has no %s", name));
    }
}

static const struct key *signer(const struct sign_request *r)
{
    return r->key != NULL ? r->key : r->fixed_key;
}

/* The key's name in the image. Unsigned images have zeros in their boot record. */
static void name_key(struct work *w)
{
    const struct key *const key = signer(w->r);
    size_t size = 0;

    memset(w->key_hash, 0, sizeof(w->key_hash));
    w->key_hash_size = 32;
    if (key == NULL) {
        return;
    }
    uint8_t *const der = key_public_der(key, &size);

    blob_put(&w->key_der, kedge_bytes(der, size));
    free(der);
    hash(w, blob_bytes(&w->key_der), w->key_hash, &w->key_hash_size);
}

static int load(struct work *w, struct kedge_bytes firmware)
{
    const struct sign_request *const r = w->r;

    if (firmware.size == 0) {
        return fail("the firmware file is empty: nothing to sign");
    }
    if (!r->pad_header) {
        if (firmware.size <= r->header_size) {
            return fail("the firmware (%zu bytes) ends within its header (%u bytes): give "
                        "--pad-header if it has no room for one",
                        firmware.size, r->header_size);
        }
        if (!kedge_all(kedge_bytes(firmware.at, r->header_size), 0)) {
            return fail("the firmware does not begin with %u zero bytes for the header: give "
                        "--pad-header, or link it with that room",
                        r->header_size);
        }
    }
    blob_fill(&w->plain, r->erased, r->pad_header ? r->header_size : 0);
    blob_put(&w->plain, firmware);
    if (r->encrypt_for != NULL) {
        blob_fill(&w->plain, 0, (16 - w->plain.size % 16) % 16);
    }
    return 0;
}

static void cbor_head(struct blob *b, uint8_t major, size_t size)
{
    if (size < 24) {
        blob_byte(b, (uint8_t)((unsigned)major << 5 | (unsigned)size));
    } else {
        blob_byte(b, (uint8_t)((unsigned)major << 5 | 24u));
        blob_byte(b, (uint8_t)size);
    }
}

static void cbor_entry(struct blob *b, uint8_t key, uint8_t major, struct kedge_bytes value)
{
    cbor_head(b, 0, key);
    cbor_head(b, major, value.size);
    blob_put(b, value);
}

/* The measurement stands last: the loader writes the image hash over it. */
static void add_boot_record(struct work *w)
{
    static const uint8_t zeros[KEDGE_DIGEST_MAX];
    const struct kedge_version *const v = &w->r->version;
    struct blob record = {0};
    char version[24];
    char name[8];
    const size_t digest = (size_t)atoi(w->r->sha) / 8;

    snprintf(version, sizeof(version), "%u.%u.%u", v->major, v->minor, v->revision);
    snprintf(name, sizeof(name), "SHA%.3s", w->r->sha);
    cbor_head(&record, 5, 5);
    cbor_entry(&record, 1, 3, kedge_bytes(w->r->boot_record, strlen(w->r->boot_record)));
    cbor_entry(&record, 4, 3, kedge_bytes(version, strlen(version)));
    cbor_entry(&record, 5, 2, kedge_bytes(w->key_hash, w->key_hash_size));
    cbor_entry(&record, 6, 3, kedge_bytes(name, strlen(name)));
    cbor_entry(&record, 2, 2, kedge_bytes(zeros, digest));
    blob_tlv(&w->protected, 0x60, blob_bytes(&record));
    blob_free(&record);
}

static void put_version(uint8_t *to, const struct kedge_version *version)
{
    to[0] = version->major;
    to[1] = version->minor;
    kedge_put_le16(to + 2, version->revision);
    kedge_put_le32(to + 4, version->build);
}

/* Info header in front; its total covers itself. 0 or EXIT_REFUSED. */
static int close_area(struct blob *area, uint16_t magic)
{
    if (area->size > TLV_AREA_MAX) {
        return fail("the TLVs come to %zu bytes, the format has room for %u: leave some out",
                    area->size, TLV_AREA_MAX);
    }
    kedge_put_le16(area->at, magic);
    kedge_put_le16(area->at + 2, (uint16_t)area->size);
    return 0;
}

static int add_protected(struct work *w)
{
    const struct sign_request *const r = w->r;
    uint8_t data[12];

    blob_fill(&w->protected, 0, INFO_SIZE);
    if (r->has_counter) {
        kedge_put_le32(data, r->counter);
        blob_tlv(&w->protected, 0x50, kedge_bytes(data, 4));
    }
    if (r->boot_record != NULL) {
        add_boot_record(w);
    }
    for (size_t i = 0; i < r->dependency_count; i++) {
        memset(data, 0, 4);
        data[0] = r->dependencies[i].image;
        put_version(data + 4, &r->dependencies[i].version);
        blob_tlv(&w->protected, 0x40, kedge_bytes(data, 12));
    }
    for (size_t i = 0; i < r->custom_count; i++) {
        blob_tlv(&w->protected, r->custom[i].type, blob_bytes(&r->custom[i].data));
    }
    if (w->protected.size == INFO_SIZE) {
        w->protected.size = 0;
        return 0;
    }
    return close_area(&w->protected, MAGIC_PROTECTED);
}

static void put_header(struct work *w)
{
    const struct sign_request *const r = w->r;
    uint8_t *const at = w->plain.at;
    uint32_t flags = 0;

    flags |= r->encrypt_for == NULL   ? 0
             : r->encrypt_bytes == 16 ? KEDGE_IMAGE_AES128
                                      : KEDGE_IMAGE_AES256;
    flags |= r->load_address != 0 ? KEDGE_IMAGE_RAM_LOAD : 0;
    flags |= r->rom_fixed != 0 ? KEDGE_IMAGE_ROM_FIXED : 0;
    flags |= r->non_bootable ? KEDGE_IMAGE_NON_BOOTABLE : 0;
    memset(at, 0, HEADER_SIZE);
    kedge_put_le32(at, KEDGE_IMAGE_MAGIC);
    kedge_put_le32(at + 4, r->rom_fixed != 0 ? r->rom_fixed : r->load_address);
    kedge_put_le16(at + 8, (uint16_t)r->header_size);
    kedge_put_le16(at + 10, (uint16_t)w->protected.size);
    kedge_put_le32(at + 12, (uint32_t)(w->plain.size - r->header_size));
    kedge_put_le32(at + 16, flags);
    put_version(at + 20, &r->version);
}

/* Fills image->signature. */
static int make_signature(const struct work *w, struct blob *signature)
{
    const struct sign_request *const r = w->r;
    size_t size = 0;

    if (r->key == NULL) {
        blob_put(signature, blob_bytes(&r->fixed_signature));
        return 0;
    }
    const bool digest = r->key->kind->signature == 0x24 && !r->pure;
    uint8_t *const bytes = key_sign(
        r->key, digest ? kedge_bytes(w->digest, w->digest_size) : blob_bytes(&w->covered), &size);

    if (bytes == NULL) {
        return EXIT_REFUSED;
    }
    blob_put(signature, kedge_bytes(bytes, size));
    free(bytes);
    if (r->pad_signature && signature->size < r->key->kind->padded) {
        blob_fill(signature, 0, r->key->kind->padded - signature->size);
    }
    return 0;
}

static int add_signature(struct work *w, struct blob *signature)
{
    if (signer(w->r) == NULL) {
        return 0;
    }
    const int result = make_signature(w, signature);

    if (result != 0) {
        return result;
    }
    if (w->r->full_key) {
        blob_tlv(&w->tlvs, 0x02, blob_bytes(&w->key_der));
    } else {
        blob_tlv(&w->tlvs, 0x01, kedge_bytes(w->key_hash, w->key_hash_size));
    }
    blob_tlv(&w->tlvs, signer(w->r)->kind->signature, blob_bytes(signature));
    return 0;
}

/* A new key for each image, wrapped for the device; then the payload in place. */
static int encrypt(struct work *w)
{
    const struct sign_request *const r = w->r;
    uint8_t key[IMAGE_KEY_MAX];
    struct blob wrapped = {0};
    uint16_t type = 0;

    if (r->encrypt_for == NULL) {
        return 0;
    }
    if (RAND_bytes(key, sizeof(key)) != 1) {
        return fail("there are no random numbers for a key");
    }
    const int result =
        image_key_wrap(r->encrypt_for, kedge_info_image, kedge_bytes(key, r->encrypt_bytes),
                       r->hmac512, &wrapped, &type);

    if (result == 0) {
        blob_tlv(&w->tlvs, type, blob_bytes(&wrapped));
        w->enctlv_size = wrapped.size;
        if (!r->clear) {
            image_key_crypt(
                kedge_bytes(key, r->encrypt_bytes),
                kedge_buf(w->plain.at + r->header_size, w->plain.size - r->header_size));
        }
    }
    OPENSSL_cleanse(key, sizeof(key));
    blob_free(&wrapped);
    return result;
}

static int add_tlvs(struct work *w, struct blob *signature)
{
    static const uint8_t yes = 1;
    const uint16_t type = (uint16_t)(w->r->sha[0] == '2'   ? 0x10
                                     : w->r->sha[0] == '3' ? 0x11
                                                           : 0x12);

    blob_fill(&w->tlvs, 0, INFO_SIZE);
    blob_tlv(&w->tlvs, type, kedge_bytes(w->digest, w->digest_size));
    if (w->r->pure) {
        blob_tlv(&w->tlvs, 0x25, kedge_bytes(&yes, 1));
    }
    int result = add_signature(w, signature);

    if (result == 0) {
        result = encrypt(w);
    }
    return result != 0 ? result : close_area(&w->tlvs, MAGIC_TLV);
}

static int check_room(const struct sign_request *r, const struct signed_image *image)
{
    if (r->slot_size == 0 || (uint64_t)image->bytes.size + image->trailer_size <= r->slot_size) {
        return 0;
    }
    return fail(
        "the image (0x%zx bytes) and its trailer (0x%x) do not fit the slot of 0x%x: shrink "
        "the firmware, or check --slot-size, --max-sectors and --align",
        image->bytes.size, image->trailer_size, r->slot_size);
}

/* For a signer elsewhere: what it must sign, and nothing else. */
static int vector(const struct work *w, struct signed_image *image)
{
    const bool digest = strcmp(w->r->vector, "digest") == 0;

    blob_put(&image->bytes,
             digest ? kedge_bytes(w->digest, w->digest_size) : blob_bytes(&w->covered));
    return 0;
}

static int assemble(struct work *w, struct signed_image *image)
{
    name_key(w);
    int result = add_protected(w);

    if (result != 0) {
        return result;
    }
    put_header(w);
    blob_put(&w->covered, blob_bytes(&w->plain));
    blob_put(&w->covered, blob_bytes(&w->protected));
    hash(w, blob_bytes(&w->covered), w->digest, &w->digest_size);
    if (w->r->vector != NULL) {
        return vector(w, image);
    }
    result = add_tlvs(w, &image->signature);
    if (result != 0) {
        return result;
    }
    blob_put(&image->bytes, blob_bytes(&w->plain));
    blob_put(&image->bytes, blob_bytes(&w->protected));
    blob_put(&image->bytes, blob_bytes(&w->tlvs));
    image->trailer_size = sign_trailer_size(w->r, w->enctlv_size);
    return check_room(w->r, image);
}

int sign_image(const struct sign_request *r, struct kedge_bytes firmware,
               struct signed_image *image)
{
    struct work w = {.r = r};

    *image = (struct signed_image){0};
    int result = load(&w, firmware);

    if (result == 0) {
        result = assemble(&w, image);
    }
    blob_free(&w.plain);
    blob_free(&w.covered);
    blob_free(&w.protected);
    blob_free(&w.tlvs);
    blob_free(&w.key_der);
    return result;
}
