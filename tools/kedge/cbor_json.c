/* CBOR to JSON. The reader bounds the depth, so the recursion is bounded too. */
#include "cbor_json.h"

#include <inttypes.h>

#include "command.h"
#include "kedge/smp_cbor.h"
#include "report.h"

void json_text(FILE *to, struct kedge_bytes text)
{
    fputc('"', to);
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.at[i];

        if (c == '"' || c == '\\') {
            fprintf(to, "\\%c", c);
        } else if (c < 0x20 || c == 0x7F) {
            fprintf(to, "\\u%04x", c);
        } else {
            fputc(c, to);
        }
    }
    fputc('"', to);
}

void hex_print(FILE *to, struct kedge_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        fprintf(to, "%02x", bytes.at[i]);
    }
}

static void print_item(FILE *to, struct kedge_smp_reader *reader);

static void print_map(FILE *to, struct kedge_smp_reader *reader)
{
    struct kedge_bytes key;
    const char *gap = "";

    (void)kedge_smp_enter(reader);
    fputc('{', to);
    while (kedge_smp_next(reader, &key)) {
        fputs(gap, to);
        json_text(to, key);
        fputs(": ", to);
        print_item(to, reader);
        gap = ", ";
    }
    fputc('}', to);
    kedge_smp_leave(reader);
}

static void print_list(FILE *to, struct kedge_smp_reader *reader)
{
    const char *gap = "";

    (void)kedge_smp_enter(reader);
    fputc('[', to);
    while (kedge_smp_more(reader)) {
        fputs(gap, to);
        print_item(to, reader);
        gap = ", ";
    }
    fputc(']', to);
    kedge_smp_leave(reader);
}

static void print_item(FILE *to, struct kedge_smp_reader *reader)
{
    switch (kedge_smp_peek(reader)) {
    case KEDGE_SMP_TYPE_UINT:
    case KEDGE_SMP_TYPE_NEGATIVE:
        fprintf(to, "%" PRId64, kedge_smp_read_int(reader));
        return;
    case KEDGE_SMP_TYPE_BYTES:
        fputc('"', to);
        hex_print(to, kedge_smp_read_bytes(reader));
        fputc('"', to);
        return;
    case KEDGE_SMP_TYPE_TEXT:
        json_text(to, kedge_smp_read_bytes(reader));
        return;
    case KEDGE_SMP_TYPE_BOOL:
        fputs(kedge_smp_read_flag(reader) ? "true" : "false", to);
        return;
    case KEDGE_SMP_TYPE_LIST:
        print_list(to, reader);
        return;
    case KEDGE_SMP_TYPE_MAP:
        print_map(to, reader);
        return;
    default:
        kedge_smp_skip(reader);
        fputs("null", to);
    }
}

int json_item(FILE *to, struct kedge_bytes cbor)
{
    struct kedge_smp_reader reader;

    kedge_smp_read_start(&reader, cbor);
    print_item(to, &reader);
    return reader.failed ? KEDGE_E_FORMAT : 0;
}

int json_print(struct kedge_bytes cbor)
{
    const int error = json_item(stdout, cbor);

    puts("");
    return error == 0 ? EXIT_DONE : fail("the device's answer is malformed");
}
