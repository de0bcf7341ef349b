/* The CBOR layer: zcbor's primitives, with sticky errors and a walk that is bounded in depth.
 *
 * zcbor's own "skip anything" recurses as deep as the message says, and a message is the
 * attacker's; here the depth is the number of backups that zcbor's state has, so too deep is an
 * error like any other. For the same reason its search functions, which skip, are not used. */
#include "kedge/smp_cbor.h"

#include <string.h>

#include "zcbor_decode.h"
#include "zcbor_encode.h"

/* The first byte of an item: major type in the upper three bits (RFC 8949, 3.1). */
enum { BREAK = 0xFF, NIL = 0xF6, FALSE_VALUE = 0xF4, TRUE_VALUE = 0xF5 };

struct kedge_bytes kedge_smp_text(const char *text)
{
    size_t size = 0;

    while (size < 255 && text[size] != '\0') {
        size++;
    }
    return kedge_bytes(text, size);
}

bool kedge_smp_is(struct kedge_bytes key, const char *text)
{
    struct kedge_bytes other = kedge_smp_text(text);

    return key.size == other.size && memcmp(key.at, other.at, key.size) == 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

void kedge_smp_write_start(struct kedge_smp_writer *writer, struct kedge_buf to)
{
    zcbor_new_state(&writer->state, 1, to.at, to.size, 0, NULL, 0);
    writer->start = to.at;
    writer->failed = false;
}

size_t kedge_smp_written(const struct kedge_smp_writer *writer)
{
    return (size_t)(writer->state.payload - writer->start);
}

size_t kedge_smp_room(const struct kedge_smp_writer *writer)
{
    return (size_t)(writer->state.payload_end - writer->state.payload);
}

static void note(struct kedge_smp_writer *writer, bool fits)
{
    writer->failed = writer->failed || !fits;
}

static void put_text(struct kedge_smp_writer *writer, struct kedge_bytes text)
{
    note(writer, !writer->failed &&
                     zcbor_tstr_encode_ptr(&writer->state, text.size ? (const char *)text.at : "",
                                           text.size));
}

static void put_key(struct kedge_smp_writer *writer, const char *key)
{
    if (key != NULL) {
        put_text(writer, kedge_smp_text(key));
    }
}

void kedge_smp_put_uint(struct kedge_smp_writer *writer, const char *key, uint32_t value)
{
    put_key(writer, key);
    note(writer, !writer->failed && zcbor_uint32_put(&writer->state, value));
}

void kedge_smp_put_bool(struct kedge_smp_writer *writer, const char *key, bool value)
{
    put_key(writer, key);
    note(writer, !writer->failed && zcbor_bool_put(&writer->state, value));
}

void kedge_smp_put_bytes(struct kedge_smp_writer *writer, const char *key, struct kedge_bytes value)
{
    put_key(writer, key);
    note(writer, !writer->failed &&
                     zcbor_bstr_encode_ptr(&writer->state, value.size ? (const char *)value.at : "",
                                           value.size));
}

void kedge_smp_put_text(struct kedge_smp_writer *writer, const char *key, struct kedge_bytes value)
{
    put_key(writer, key);
    put_text(writer, value);
}

void kedge_smp_put_string(struct kedge_smp_writer *writer, const char *key, const char *value)
{
    kedge_smp_put_text(writer, key, kedge_smp_text(value));
}

void kedge_smp_open_map(struct kedge_smp_writer *writer, const char *key)
{
    put_key(writer, key);
    note(writer, !writer->failed && zcbor_map_start_encode(&writer->state, 0));
}

void kedge_smp_open_list(struct kedge_smp_writer *writer, const char *key)
{
    put_key(writer, key);
    note(writer, !writer->failed && zcbor_list_start_encode(&writer->state, 0));
}

void kedge_smp_close(struct kedge_smp_writer *writer)
{
    note(writer, !writer->failed && zcbor_list_end_encode(&writer->state, 0));
}

/* ---- reading -------------------------------------------------------------------------------- */

void kedge_smp_read_start(struct kedge_smp_reader *reader, struct kedge_bytes cbor)
{
    zcbor_new_state(reader->states, KEDGE_SMP_DEPTH + 2, cbor.at, cbor.size, 1, NULL, 0);
    reader->failed = false;
}

static bool ended(const struct kedge_smp_reader *reader)
{
    const zcbor_state_t *state = reader->states;

    if (reader->failed || state->payload >= state->payload_end) {
        return true;
    }
    return state->decode_state.indefinite_length_array ? *state->payload == BREAK
                                                       : state->elem_count == 0;
}

enum kedge_smp_type kedge_smp_peek(const struct kedge_smp_reader *reader)
{
    static const uint8_t of_major[] = {
        [ZCBOR_MAJOR_TYPE_PINT] = KEDGE_SMP_TYPE_UINT,
        [ZCBOR_MAJOR_TYPE_NINT] = KEDGE_SMP_TYPE_NEGATIVE,
        [ZCBOR_MAJOR_TYPE_BSTR] = KEDGE_SMP_TYPE_BYTES,
        [ZCBOR_MAJOR_TYPE_TSTR] = KEDGE_SMP_TYPE_TEXT,
        [ZCBOR_MAJOR_TYPE_LIST] = KEDGE_SMP_TYPE_LIST,
        [ZCBOR_MAJOR_TYPE_MAP] = KEDGE_SMP_TYPE_MAP,
        [ZCBOR_MAJOR_TYPE_TAG] = KEDGE_SMP_TYPE_OTHER,
        [ZCBOR_MAJOR_TYPE_SIMPLE] = KEDGE_SMP_TYPE_OTHER,
    };

    if (ended(reader)) {
        return KEDGE_SMP_TYPE_NONE;
    }
    uint8_t first = *reader->states->payload;

    if (first == FALSE_VALUE || first == TRUE_VALUE) {
        return KEDGE_SMP_TYPE_BOOL;
    }
    return (enum kedge_smp_type)of_major[first >> 5];
}

bool kedge_smp_enter(struct kedge_smp_reader *reader)
{
    enum kedge_smp_type type = kedge_smp_peek(reader);

    if (!(type == KEDGE_SMP_TYPE_MAP && zcbor_map_start_decode(reader->states)) &&
        !(type == KEDGE_SMP_TYPE_LIST && zcbor_list_start_decode(reader->states))) {
        reader->failed = true;
    }
    return !reader->failed;
}

/* Leave a container whose end has been reached. */
static void end(struct kedge_smp_reader *reader)
{
    if (reader->failed || !zcbor_list_end_decode(reader->states)) {
        reader->failed = true;
    }
}

void kedge_smp_leave(struct kedge_smp_reader *reader)
{
    while (!ended(reader)) {
        kedge_smp_skip(reader);
    }
    end(reader);
}

/* A float or another simple value: its size is in its first byte. zcbor would convert it. */
static bool skip_simple(zcbor_state_t *state)
{
    unsigned additional = *state->payload & 0x1F;
    size_t size = additional < 24 ? 1 : additional < 28 ? 1 + ((size_t)1 << (additional - 24)) : 0;

    if (size == 0 || size > (size_t)(state->payload_end - state->payload)) {
        return false;
    }
    state->payload += size;
    state->elem_count--;
    return true;
}

static bool skip_item(struct kedge_smp_reader *reader)
{
    zcbor_state_t *state = reader->states;
    struct zcbor_string string;
    uint64_t number;
    uint32_t tag;

    switch (ZCBOR_MAJOR_TYPE(*state->payload)) {
    case ZCBOR_MAJOR_TYPE_PINT:
        return zcbor_uint64_decode(state, &number);
    case ZCBOR_MAJOR_TYPE_NINT:
        return zcbor_int64_decode(state, (int64_t *)&number);
    case ZCBOR_MAJOR_TYPE_BSTR:
        return zcbor_bstr_decode(state, &string);
    case ZCBOR_MAJOR_TYPE_TSTR:
        return zcbor_tstr_decode(state, &string);
    case ZCBOR_MAJOR_TYPE_TAG:
        return zcbor_tag_decode(state, &tag);
    case ZCBOR_MAJOR_TYPE_SIMPLE:
        return skip_simple(state);
    default:
        return kedge_smp_enter(reader);
    }
}

void kedge_smp_skip(struct kedge_smp_reader *reader)
{
    const struct zcbor_state_constant *shared = reader->states->constant_state;
    const size_t depth = shared->current_backup;
    bool tagged;

    /* Each turn consumes at least a byte or closes a container that a byte has opened. */
    do {
        tagged = false;
        if (ended(reader)) {
            if (shared->current_backup == depth) {
                reader->failed = true;
                return;
            }
            end(reader);
        } else {
            tagged = ZCBOR_MAJOR_TYPE(*reader->states->payload) == ZCBOR_MAJOR_TYPE_TAG;
            reader->failed = !skip_item(reader);
        }
    } while (!reader->failed && (tagged || shared->current_backup > depth));
}

bool kedge_smp_next(struct kedge_smp_reader *reader, struct kedge_bytes *key)
{
    while (!ended(reader)) {
        if (kedge_smp_peek(reader) == KEDGE_SMP_TYPE_TEXT) {
            *key = kedge_smp_read_bytes(reader);
            return !reader->failed;
        }
        kedge_smp_skip(reader);
        kedge_smp_skip(reader);
    }
    /* cut short: the bytes ended before the map did */
    if (!zcbor_array_at_end(reader->states)) {
        reader->failed = true;
    }
    return false;
}

bool kedge_smp_more(const struct kedge_smp_reader *reader)
{
    return !ended(reader);
}

uint32_t kedge_smp_read_uint(struct kedge_smp_reader *reader)
{
    uint64_t value = 0;

    /* as 64 bits: a small number may come in a long form */
    if (reader->failed || !zcbor_uint64_decode(reader->states, &value) || value > UINT32_MAX) {
        reader->failed = true;
        return 0;
    }
    return (uint32_t)value;
}

int64_t kedge_smp_read_int(struct kedge_smp_reader *reader)
{
    int64_t value = 0;

    if (reader->failed || !zcbor_int64_decode(reader->states, &value)) {
        reader->failed = true;
        return 0;
    }
    return value;
}

bool kedge_smp_read_flag(struct kedge_smp_reader *reader)
{
    bool value = false;

    if (kedge_smp_peek(reader) != KEDGE_SMP_TYPE_BOOL) {
        return kedge_smp_read_int(reader) != 0;
    }
    if (!zcbor_bool_decode(reader->states, &value)) {
        reader->failed = true;
    }
    return value;
}

struct kedge_bytes kedge_smp_read_bytes(struct kedge_smp_reader *reader)
{
    struct zcbor_string string = {NULL, 0};
    enum kedge_smp_type type = kedge_smp_peek(reader);

    if (!(type == KEDGE_SMP_TYPE_TEXT && zcbor_tstr_decode(reader->states, &string)) &&
        !(type == KEDGE_SMP_TYPE_BYTES && zcbor_bstr_decode(reader->states, &string))) {
        reader->failed = true;
        return kedge_bytes(NULL, 0);
    }
    return kedge_bytes(string.value, string.len);
}

static void read_value(struct kedge_smp_reader *reader, const struct kedge_smp_field *field)
{
    const enum kedge_smp_type type = kedge_smp_peek(reader);

    switch (field->kind) {
    case KEDGE_SMP_UINT:
        *(uint32_t *)field->to = kedge_smp_read_uint(reader);
        return;
    case KEDGE_SMP_FLAG:
        *(bool *)field->to = kedge_smp_read_flag(reader);
        return;
    default:
        if (type != (field->kind == KEDGE_SMP_BYTES ? KEDGE_SMP_TYPE_BYTES : KEDGE_SMP_TYPE_TEXT)) {
            reader->failed = true;
            return;
        }
        *(struct kedge_bytes *)field->to = kedge_smp_read_bytes(reader);
    }
}

static size_t find(struct kedge_bytes key, const struct kedge_smp_field *fields, size_t count)
{
    size_t i = 0;

    while (i < count &&
           (fields[i].key_size != key.size || memcmp(fields[i].key, key.at, key.size) != 0)) {
        i++;
    }
    return i;
}

int kedge_smp_read_fields(struct kedge_bytes cbor, const struct kedge_smp_field *fields,
                          size_t count)
{
    struct kedge_smp_reader reader;
    struct kedge_bytes key;
    unsigned found = 0;

    KEDGE_ASSERT(count <= 30);
    if (cbor.size == 0) {
        return 0;
    }
    kedge_smp_read_start(&reader, cbor);
    if (kedge_smp_peek(&reader) != KEDGE_SMP_TYPE_MAP || !kedge_smp_enter(&reader)) {
        return KEDGE_E_FORMAT;
    }
    while (kedge_smp_next(&reader, &key)) {
        size_t i = find(key, fields, count);

        if (i == count || (!ended(&reader) && *reader.states->payload == NIL)) {
            kedge_smp_skip(&reader);
        } else {
            read_value(&reader, &fields[i]);
            found |= 1u << i;
        }
    }
    return reader.failed ? KEDGE_E_FORMAT : (int)found;
}
