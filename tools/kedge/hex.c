/* Intel HEX: `:` count address(2) type data checksum, all in hex digits, one record a line.
 * Types: 0 data, 1 end, 2 segment base (times 16), 4 upper 16 address bits, 3 and 5 start address.
 */
#include "hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define RECORD_MAX 255
#define FILL       0xff

/* Contiguous bytes as they stand in the file. */
struct segment {
    uint64_t address;
    size_t at, size; /* in reader.bytes */
};

struct reader {
    struct kedge_bytes text;
    size_t at;
    unsigned line;
    uint64_t base;
    bool ended;
    uint8_t *bytes;
    size_t byte_count, byte_room;
    struct segment *segments;
    size_t segment_count, segment_room;
    char *why;
};

struct record {
    uint8_t count, type;
    uint16_t address;
    uint8_t data[RECORD_MAX + 1]; /* with the checksum */
};

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (uint8_t)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The byte at digits 2i, 2i+1 of `digits`; negative: not hex. */
static int byte_at(struct kedge_bytes digits, size_t i)
{
    const int high = digit(digits.at[2 * i]);
    const int low = digit(digits.at[2 * i + 1]);

    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* NULL, or what is wrong with the digits behind the colon. */
static const char *decode(struct kedge_bytes digits, struct record *record)
{
    uint8_t raw[RECORD_MAX + 5];
    uint8_t sum = 0;
    const size_t size = digits.size / 2;

    if (digits.size % 2 != 0 || size < 5 || size > sizeof(raw)) {
        return "is cut short or too long";
    }
    for (size_t i = 0; i < size; i++) {
        const int value = byte_at(digits, i);

        if (value < 0) {
            return "has characters that are not hex digits";
        }
        raw[i] = (uint8_t)value;
        sum = (uint8_t)(sum + raw[i]);
    }
    if (size != (size_t)raw[0] + 5) {
        return "has another length than it says";
    }
    if (sum != 0) {
        return "has a wrong checksum";
    }
    record->count = raw[0];
    record->address = kedge_be16(raw + 1);
    record->type = raw[3];
    memcpy(record->data, raw + 4, (size_t)raw[0] + 1);
    return NULL;
}

/* The next line without its end, blanks around it dropped; false: no more. */
static bool next_line(struct reader *r, struct kedge_bytes *line)
{
    const size_t start = r->at;
    size_t end = start;

    if (start >= r->text.size) {
        return false;
    }
    while (end < r->text.size && r->text.at[end] != '\n') {
        end++;
    }
    r->at = end + 1;
    r->line++;
    *line = kedge_bytes(r->text.at + start, end - start);
    while (line->size > 0 && is_space(line->at[line->size - 1])) {
        line->size--;
    }
    while (line->size > 0 && is_space(line->at[0])) {
        line->at++;
        line->size--;
    }
    return true;
}

static int refuse(const struct reader *r, const char *what)
{
    snprintf(r->why, HEX_WHY, "line %u %s: build or copy the file again", r->line, what);
    return KEDGE_E_FORMAT;
}

static void add_bytes(struct reader *r, uint64_t address, struct kedge_bytes data)
{
    struct segment *last = r->segment_count == 0 ? NULL : &r->segments[r->segment_count - 1];

    if (r->byte_count + data.size > r->byte_room) {
        r->byte_room = (r->byte_room + data.size) * 2;
        r->bytes = grow(r->bytes, r->byte_room);
    }
    if (last == NULL || last->address + last->size != address) {
        if (r->segment_count == r->segment_room) {
            r->segment_room = r->segment_room * 2 + 16;
            r->segments = grow(r->segments, r->segment_room * sizeof(*r->segments));
        }
        last = &r->segments[r->segment_count++];
        *last = (struct segment){.address = address, .at = r->byte_count};
    }
    memcpy(r->bytes + r->byte_count, data.at, data.size);
    r->byte_count += data.size;
    last->size += data.size;
}

static int take_data(struct reader *r, const struct record *record)
{
    const uint64_t address = r->base + record->address;

    if ((uint32_t)record->address + record->count > 0x10000u ||
        address + record->count > 0x100000000u) {
        return refuse(r, "runs over the end of its 64 KiB segment");
    }
    if (record->count > 0) {
        add_bytes(r, address, kedge_bytes(record->data, record->count));
    }
    return 0;
}

static int take_record(struct reader *r, const struct record *record)
{
    switch (record->type) {
    case 0:
        return take_data(r, record);
    case 1:
        r->ended = true;
        return 0;
    case 2:
    case 4:
        if (record->count != 2) {
            return refuse(r, "is an address record of a wrong length");
        }
        r->base = (uint64_t)kedge_be16(record->data) << (record->type == 2 ? 4 : 16);
        return 0;
    case 3:
    case 5:
        return 0; /* where a debugger starts the program: not part of the firmware */
    default:
        return refuse(r, "is of an unknown record type");
    }
}

static int read_records(struct reader *r)
{
    struct kedge_bytes line;
    struct record record;

    while (!r->ended && next_line(r, &line)) {
        if (line.size == 0) {
            continue;
        }
        if (line.at[0] != ':') {
            return refuse(r, "does not begin with a colon");
        }
        const char *const wrong = decode(kedge_bytes(line.at + 1, line.size - 1), &record);

        if (wrong != NULL) {
            return refuse(r, wrong);
        }
        const int error = take_record(r, &record);

        if (error != 0) {
            return error;
        }
    }
    return r->ended ? 0 : refuse(r, "is the last one and no end record: the file is cut short");
}

static int by_address(const void *a, const void *b)
{
    const struct segment *const x = a;
    const struct segment *const y = b;

    return x->address < y->address ? -1 : x->address > y->address;
}

static int check_segments(const struct reader *r, uint32_t span)
{
    const uint64_t low = r->segments[0].address;

    for (size_t i = 0; i < r->segment_count; i++) {
        const struct segment *const s = &r->segments[i];

        if (s->address + s->size > low + span) {
            snprintf(r->why, HEX_WHY,
                     "the segment at 0x%llX (%zu bytes) lies beyond the slot, which is 0x%X bytes "
                     "from 0x%llX: leave it out of the .hex",
                     (unsigned long long)s->address, s->size, span, (unsigned long long)low);
            return KEDGE_E_SPACE;
        }
        if (i > 0 && r->segments[i - 1].address + r->segments[i - 1].size > s->address) {
            snprintf(r->why, HEX_WHY, "the bytes at 0x%llX are there twice: merge the files anew",
                     (unsigned long long)s->address);
            return KEDGE_E_FORMAT;
        }
    }
    return 0;
}

static void join(const struct reader *r, struct hex_data *data)
{
    const struct segment *const last = &r->segments[r->segment_count - 1];
    const uint64_t low = r->segments[0].address;

    data->address = (uint32_t)low;
    data->size = (size_t)(last->address + last->size - low);
    data->at = grab(data->size);
    memset(data->at, FILL, data->size);
    for (size_t i = 0; i < r->segment_count; i++) {
        const struct segment *const s = &r->segments[i];

        memcpy(data->at + (s->address - low), r->bytes + s->at, s->size);
    }
}

int hex_read(struct kedge_bytes text, uint32_t span, struct hex_data *data, char *why)
{
    struct reader r = {.text = text, .why = why};
    int error = read_records(&r);

    if (error == 0 && r.segment_count == 0) {
        snprintf(why, HEX_WHY, "it holds no data");
        error = KEDGE_E_FORMAT;
    }
    if (error == 0) {
        qsort(r.segments, r.segment_count, sizeof(*r.segments), by_address);
        error = check_segments(&r, span);
    }
    if (error == 0) {
        join(&r, data);
    }
    free(r.segments);
    free(r.bytes);
    return error;
}

bool hex_like(struct kedge_bytes text)
{
    struct reader r = {.text = text};
    struct kedge_bytes line;
    struct record record;

    return next_line(&r, &line) && line.size > 0 && line.at[0] == ':' &&
           decode(kedge_bytes(line.at + 1, line.size - 1), &record) == NULL;
}

struct writer {
    char *text;
    size_t size, room;
};

static void put_record(struct writer *w, uint8_t type, uint16_t address, struct kedge_bytes data)
{
    uint8_t sum = (uint8_t)(data.size + type + (address >> 8) + address);

    if (w->room - w->size < 2 * RECORD_MAX) {
        w->room = w->room * 2 + 4 * RECORD_MAX;
        w->text = grow(w->text, w->room);
    }
    w->size +=
        (size_t)sprintf(w->text + w->size, ":%02X%04X%02X", (unsigned)data.size, address, type);
    for (size_t i = 0; i < data.size; i++) {
        sum = (uint8_t)(sum + data.at[i]);
        w->size += (size_t)sprintf(w->text + w->size, "%02X", data.at[i]);
    }
    w->size += (size_t)sprintf(w->text + w->size, "%02X\n", (uint8_t)-sum);
}

static void put_segment(struct writer *w, const struct hex_segment *segment, uint32_t *upper)
{
    for (size_t done = 0; done < segment->data.size;) {
        const uint32_t address = segment->address + (uint32_t)done;
        const size_t to_border = 0x10000u - (address & 0xffffu);
        size_t count = segment->data.size - done;

        count = count > 16 ? 16 : count;
        count = count > to_border ? to_border : count;
        if (address >> 16 != *upper) {
            const uint8_t high[] = {(uint8_t)(address >> 24), (uint8_t)(address >> 16)};

            *upper = address >> 16;
            put_record(w, 4, 0, kedge_bytes(high, sizeof(high)));
        }
        put_record(w, 0, (uint16_t)address, kedge_bytes(segment->data.at + done, count));
        done += count;
    }
}

char *hex_write(const struct hex_segment *segments, size_t count, size_t *size)
{
    const struct hex_segment *const last = &segments[count - 1];
    /* Without any address above 64 KiB there is no address record at all. */
    uint32_t upper = last->address + last->data.size - 1 > 0xffffu ? UINT32_MAX : 0;
    struct writer w = {0};

    for (size_t i = 0; i < count; i++) {
        put_segment(&w, &segments[i], &upper);
    }
    put_record(&w, 1, 0, kedge_bytes(NULL, 0));
    *size = w.size;
    return w.text;
}
