/* kedge dumpinfo: header, TLVs and trailer, for people and (the same shape as imgtool's) as JSON.
 */
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "envelope.h"
#include "image_file.h"
#include "inside.h"
#include "kedge/pipe.h"
#include "kedge/trailer.h"
#include "options.h"
#include "report.h"

#define WIDTH      60
#define MAGIC_SIZE 16

static bool as_json;

static const struct option options[] = {
    {0, "json", NULL, "print JSON", OPTION_FLAG, &as_json},
    {'f', "format", "FORMAT", "use --json, or nothing for text", OPTION_FOREIGN, NULL},
    {'o', "outfile", "FILE", "redirect standard output", OPTION_FOREIGN, NULL},
    {'s', "silent", NULL, "there is always output", OPTION_FOREIGN, NULL},
};

static const struct syntax syntax = {
    .command = "dumpinfo",
    .operands = "IMAGE",
    .about =
        "Shows what is in an image: header, TLVs, and the trailer if the file has one. Nothing\n"
        "is verified.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .operands_min = 1,
    .operands_max = 1,
};

struct named {
    uint32_t value;
    const char *name;
};

static const struct named tlv_names[] = {
    {0x01, "KEYHASH"},
    {0x02, "PUBKEY"},
    {0x10, "SHA256"},
    {0x11, "SHA384"},
    {0x12, "SHA512"},
    {0x20, "RSA2048"},
    {0x22, "ECDSASIG"},
    {0x23, "RSA3072"},
    {0x24, "ED25519"},
    {0x25, "SIG_PURE"},
    {0x30, "ENCRSA2048"},
    {0x31, "ENCKW"},
    {0x32, "ENCEC256"},
    {0x33, "ENCX25519"},
    {0x34, "ENCX25519_SHA512"},
    {0x40, "DEPENDENCY"},
    {0x50, "SEC_CNT"},
    {0x60, "BOOT_RECORD"},
    {0x70, "DECOMP_SIZE"},
    {0x71, "DECOMP_SHA"},
    {0x72, "DECOMP_SIGNATURE"},
    {0x73, "COMP_DEC_SIZE"},
    {0x74, "UUID_VID"},
    {0x75, "UUID_CID"},
    {KEDGE_ENVELOPE_TLV, "KEDGE_ENVELOPE"},
};

static const struct named flag_names[] = {
    {0x0001, "PIC"},
    {0x0004, "ENCRYPTED_AES128"},
    {0x0008, "ENCRYPTED_AES256"},
    {0x0010, "NON_BOOTABLE"},
    {0x0020, "RAM_LOAD"},
    {0x0100, "ROM_FIXED"},
    {0x0200, "COMPRESSED_LZMA1"},
    {0x0400, "COMPRESSED_LZMA2"},
    {0x0800, "COMPRESSED_ARM_THUMB"},
};

static const struct named flag_states[] = {{1, "SET"}, {2, "BAD"}, {3, "UNSET"}, {4, "ANY"}};

#define NAME_OF(table, value, otherwise)                                                           \
    name_of(table, sizeof(table) / sizeof((table)[0]), value, otherwise)

static const char *name_of(const struct named *table, size_t count, uint32_t value,
                           const char *otherwise)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].value == value) {
            return table[i].name;
        }
    }
    return otherwise;
}

/* What stands at the end of the file, behind the image. */
struct trailer_view {
    const uint8_t *magic; /* NULL: the file ends with the image */
    uint32_t max_align;   /* 0: the magic is not one */
    uint8_t image_ok, copy_done, swap_info;
    uint32_t swap_size;
    uint32_t key_field; /* 0: not encrypted */
};

static uint32_t align_of(const uint8_t *magic)
{
    static const uint8_t aligns[] = {8, 16, 32};
    uint8_t expected[MAGIC_SIZE];

    for (size_t i = 0; i < sizeof(aligns); i++) {
        kedge_trailer_magic(aligns[i], expected);
        if (memcmp(magic, expected, MAGIC_SIZE) == 0) {
            return aligns[i];
        }
    }
    return 0;
}

static struct trailer_view look_at_trailer(const struct image_file *file,
                                           const struct kedge_image *image)
{
    struct trailer_view t = {0};
    const uint8_t *const end = file->data.at + file->data.size;

    if (file->data.size - image->size < MAGIC_SIZE) {
        return t;
    }
    t.magic = end - MAGIC_SIZE;
    t.max_align = align_of(t.magic);
    const struct kedge_trailer_place place = kedge_trailer_place((uint8_t)t.max_align);

    if (t.max_align == 0 || file->data.size - image->size < place.swap_info + t.max_align) {
        t.max_align = 0;
        return t;
    }
    t.image_ok = *(end - place.image_ok);
    t.copy_done = *(end - place.copy_done);
    t.swap_info = *(end - place.swap_info);
    t.swap_size = kedge_le32(end - place.swap_info - t.max_align);
    if ((image->flags & (KEDGE_IMAGE_AES128 | KEDGE_IMAGE_AES256)) != 0) {
        t.key_field = 2 * (t.max_align > MAGIC_SIZE ? t.max_align : MAGIC_SIZE);
    }
    return t;
}

static void version_text(const struct kedge_version *version, char *to, size_t size)
{
    snprintf(to, size, "%u.%u.%u+%u", version->major, version->minor, version->revision,
             version->build);
}

/* ---- JSON ---- */

static json_t *hex_string(struct kedge_bytes data)
{
    char *const text = grab(2 * data.size + 1);

    text[0] = '\0';
    for (size_t i = 0; i < data.size; i++) {
        snprintf(text + 2 * i, 3, "%02x", data.at[i]);
    }
    json_t *const string = json_string(text);

    free(text);
    return string;
}

static json_t *header_json(const struct kedge_image *image)
{
    char version[32];

    version_text(&image->version, version, sizeof(version));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "magic", (json_int_t)KEDGE_IMAGE_MAGIC,
                     "load_addr", (json_int_t)image->load_address, "hdr_size",
                     (json_int_t)image->header_size, "protected_tlv_size",
                     (json_int_t)image->protected_size, "img_size", (json_int_t)image->payload_size,
                     "flags", (json_int_t)image->flags, "version", version);
}

static json_t *area_json(const struct image_file *file, uint32_t at)
{
    const uint8_t *const info = file->data.at + at;

    return json_pack("{s:i, s:i}", "magic", (int)kedge_le16(info), "tlv_tot",
                     (int)kedge_le16(info + 2));
}

static json_t *tlv_json(const struct image_file *file, const struct kedge_tlv *tlv)
{
    return json_pack("{s:i, s:s, s:i, s:o}", "type", (int)tlv->type, "type_name",
                     NAME_OF(tlv_names, tlv->type, "UNKNOWN"), "len", (int)tlv->size, "data",
                     hex_string(kedge_bytes(file->data.at + tlv->at, tlv->size)));
}

static json_t *tlvs_json(const struct image_file *file, const struct kedge_image *image)
{
    json_t *const with_hash = json_array();
    json_t *const plain = json_array();
    struct kedge_tlv_walk walk;
    struct kedge_tlv tlv;

    kedge_tlv_start(&walk, &file->source, image);
    while (kedge_tlv_next(&walk, &tlv) > 0) {
        json_array_append_new(tlv.is_protected ? with_hash : plain, tlv_json(file, &tlv));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tlv_hdr_prot",
                     image->protected_size != 0 ? area_json(file, image->tlv_at) : json_object(),
                     "tlvs_prot", with_hash, "tlv_hdr",
                     area_json(file, image->tlv_at + image->protected_size), "tlvs", plain);
}

static json_t *trailer_json(const struct trailer_view *t)
{
    json_t *const out = json_object();

    if (t->magic == NULL) {
        return out;
    }
    json_object_set_new(out, "magic", hex_string(kedge_bytes(t->magic, MAGIC_SIZE)));
    if (t->max_align == 0) {
        return out;
    }
    json_object_set_new(out, "image_ok", json_integer(t->image_ok));
    json_object_set_new(out, "copy_done", json_integer(t->copy_done));
    json_object_set_new(out, "swap_info", json_integer(t->swap_info));
    json_object_set_new(out, "swap_size", json_integer(t->swap_size));
    if (t->key_field != 0) {
        json_object_set_new(out, "key_field_len", json_integer(t->key_field));
    }
    return out;
}

static int print_json(const char *name, const struct image_file *file,
                      const struct kedge_image *image, const struct trailer_view *t)
{
    json_t *const all = json_pack("{s:o?, s:o, s:o, s:o}", "filename", json_string(name), "header",
                                  header_json(image), "tlv_area", tlvs_json(file, image), "trailer",
                                  trailer_json(t));
    struct kedge_bytes payload;
    struct kedge_image header;

    if (envelope_open(kedge_bytes(file->data.at, file->data.size), &payload, &header)) {
        json_t *const inside = inside_json(payload);

        if (inside != NULL) { /* imgtool has no such thing */
            json_object_set_new(all, "inside", inside);
        }
    }
    const int result = all == NULL || json_dumpf(all, stdout, JSON_INDENT(2)) != 0
                           ? fail("cannot write JSON to standard output")
                           : EXIT_DONE;

    puts("");
    json_decref(all);
    return result;
}

/* ---- text ---- */

static void rule(const char *title)
{
    int used = title == NULL ? 0 : printf("#### %s ", title);

    for (; used < WIDTH; used++) {
        putchar('#');
    }
    putchar('\n');
}

static void field(const char *name, const char *format, uint32_t value)
{
    printf("%s:%*s", name, 19 - (int)strlen(name), "");
    printf(format, value);
    putchar('\n');
}

static void print_flags(uint32_t flags)
{
    const char *gap = "";

    printf("flags:%14s", flags == 0 ? "" : "");
    if (flags == 0) {
        puts("0x0");
        return;
    }
    for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++) {
        if ((flags & flag_names[i].value) != 0) {
            printf("%s%s (0x%x)\n", gap, flag_names[i].name, flag_names[i].value);
            gap = "                    ";
        }
    }
}

static void print_header(const struct kedge_image *image)
{
    char version[32];

    version_text(&image->version, version, sizeof(version));
    rule("Image header (offset: 0x0)");
    field("magic", "0x%x", KEDGE_IMAGE_MAGIC);
    field("load_addr", "0x%x", image->load_address);
    field("hdr_size", "0x%x", image->header_size);
    field("protected_tlv_size", "0x%x", image->protected_size);
    field("img_size", "0x%x", image->payload_size);
    print_flags(image->flags);
    printf("version:            %s\n", version);
    rule(NULL);
}

static void print_payload(const struct kedge_image *image)
{
    char line[WIDTH];
    const int size =
        snprintf(line, sizeof(line), "FW image (size: 0x%x Bytes)", image->payload_size);
    const int left = (WIDTH - size) / 2 - 1;
    char title[WIDTH];

    snprintf(title, sizeof(title), "Payload (offset: 0x%x)", image->header_size);
    rule(title);
    printf("|%*s|\n", WIDTH - 2, "");
    printf("|%*s%s%*s|\n", left, "", line, WIDTH - 2 - left - size, "");
    printf("|%*s|\n", WIDTH - 2, "");
    rule(NULL);
}

static void print_inside(const struct image_file *file)
{
    struct kedge_bytes payload;
    struct kedge_image image;
    const char *words = NULL;

    if (envelope_open(kedge_bytes(file->data.at, file->data.size), &payload, &image)) {
        words = inside_text(payload);
    }
    if (words != NULL) {
        rule("Inside");
        puts(words);
        rule(NULL);
    }
}

static void print_tlv(const struct image_file *file, const struct kedge_tlv *tlv)
{
    printf("        ---------------------------------------------\n"
           "        type: %s (0x%x)\n        len:  0x%x\n        data: ",
           NAME_OF(tlv_names, tlv->type, "UNKNOWN"), tlv->type, tlv->size);
    for (uint32_t i = 0; i < tlv->size; i++) {
        printf("%s0x%02x ", i % 8 == 0 && i > 0 ? "\n              " : "",
               file->data.at[tlv->at + i]);
    }
    putchar('\n');
}

static void print_area(const struct image_file *file, const struct kedge_image *image,
                       bool is_protected)
{
    const uint32_t at = image->tlv_at + (is_protected ? 0 : image->protected_size);
    struct kedge_tlv_walk walk;
    struct kedge_tlv tlv;
    char title[WIDTH];

    snprintf(title, sizeof(title), "%s (offset: 0x%x)",
             is_protected ? "Protected TLV area" : "TLV area", at);
    rule(title);
    printf("magic:     0x%x\narea size: 0x%x\n", kedge_le16(file->data.at + at),
           kedge_le16(file->data.at + at + 2));
    kedge_tlv_start(&walk, &file->source, image);
    while (kedge_tlv_next(&walk, &tlv) > 0) {
        if (tlv.is_protected == is_protected) {
            print_tlv(file, &tlv);
        }
    }
    rule(NULL);
}

static void print_state(const char *name, uint8_t value)
{
    printf("%-12s %s (0x%x)\n", name, NAME_OF(flag_states, value, "INVALID"), value);
}

static void print_trailer_fields(const struct trailer_view *t)
{
    if (t->swap_size == UINT32_MAX) {
        puts("swap size:   unknown");
    } else {
        printf("swap size:   0x%x (%u bytes)\n", t->swap_size, t->swap_size);
    }
    print_state("swap_info:", t->swap_info);
    print_state("copy_done:", t->copy_done);
    print_state("image_ok:", t->image_ok);
}

static void print_trailer(const struct trailer_view *t, size_t size)
{
    char title[WIDTH];

    snprintf(title, sizeof(title), "Image trailer (ends at: 0x%zx)", size);
    rule(title);
    if (t->key_field != 0) {
        printf("enc. keys:   (len: 0x%x)\n", t->key_field);
    } else {
        puts("enc. keys:   Image not encrypted");
    }
    if (t->max_align != 0) {
        print_trailer_fields(t);
    }
    printf("boot magic:  ");
    for (int i = 0; i < MAGIC_SIZE; i++) {
        printf("%s0x%02x ", i == MAGIC_SIZE / 2 ? "\n             " : "", t->magic[i]);
    }
    puts(t->max_align == 0 ? "\n             (not a boot magic: padding or other data)\n" : "\n");
}

static void print_text(const char *name, const struct image_file *file,
                       const struct kedge_image *image, const struct trailer_view *t)
{
    printf("Printing content of signed image: %s \n\n", name);
    print_header(image);
    print_payload(image);
    print_inside(file);
    if (image->protected_size != 0) {
        print_area(file, image, true);
    }
    print_area(file, image, false);
    if (t->magic != NULL) {
        print_trailer(t, file->data.size);
    }
    rule("End of Image");
}

/* Every TLV can be walked: then the printers need no error paths. */
static bool walks(const struct image_file *file, const struct kedge_image *image)
{
    struct kedge_tlv_walk walk;
    struct kedge_tlv tlv;
    int more = 1;

    kedge_tlv_start(&walk, &file->source, image);
    while (more > 0) {
        more = kedge_tlv_next(&walk, &tlv);
    }
    return more == 0;
}

static int dump(const char *path)
{
    char name[4096];
    struct image_file file;
    struct kedge_image image;
    int result = image_file_open(path, &file);

    if (result != 0) {
        return result;
    }
    snprintf(name, sizeof(name), "%s", path);
    enum kedge_verdict verdict = kedge_image_parse(&file.source, &image);

    if (verdict == KEDGE_IMAGE_GOOD && !walks(&file, &image)) {
        verdict = KEDGE_IMAGE_BAD_TLV;
    }
    if (verdict != KEDGE_IMAGE_GOOD) {
        result = fail("%s: %s", path, kedge_verdict_text(verdict));
    } else {
        const struct trailer_view t = look_at_trailer(&file, &image);

        if (as_json || device_target.json) {
            result = print_json(basename(name), &file, &image, &t);
        } else {
            print_text(basename(name), &file, &image, &t);
        }
    }
    image_file_close(&file);
    return result;
}

int run_dumpinfo(int argc, char **argv)
{
    struct operands operands;
    const int result = options_parse(&syntax, argc, argv, &operands);

    return result != OPTIONS_GO ? result : dump(operands.at[0]);
}
