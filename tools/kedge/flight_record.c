/* Reading DIR/trace. A line that makes no sense (a torn one, an edited one) is left out and
 * counted. */
#include "flight_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "report.h"

#define TRACE_MAX (512u << 20)

/* What is read so far, and the clock of the process that speaks. */
struct reader {
    struct flight_record *record;
    uint64_t base_us, end_us; /* of this process's clock zero; of the record so far */
    bool still;               /* its clock does not run: operations follow one another */
    size_t operation_room, mark_room;
};

const char *flight_phase_text(uint8_t phase)
{
    return phase == FLIGHT_DEBUGGER ? "debugger" : kedge_phase_text(phase);
}

/* ---- one operation --------------------------------------------------------------------------- */

static uint32_t erase_us(const struct kedge_sim_part *part, uint32_t size)
{
    return size == 0x10000 && part->block64_us != 0 && part->geometry.erase_size < size
               ? part->block64_us
           : size == 0x8000 && part->block32_us != 0 && part->geometry.erase_size < size
               ? part->block32_us
           : size == part->geometry.size && part->chip_us != 0
               ? part->chip_us
               : size / part->geometry.erase_size * part->erase_us;
}

static uint32_t program_us(const struct kedge_sim_part *part, uint32_t size)
{
    const uint32_t bus = (uint32_t)((uint64_t)size * part->byte_ns / 1000u);
    const uint32_t pages = size / part->geometry.page_size;
    const uint32_t rest = size % part->geometry.page_size;
    const uint32_t partial =
        part->program_fixed_us == 0
            ? part->page_us
            : part->program_fixed_us + (uint32_t)((uint64_t)rest * part->program_byte_ns / 1000u);
    return bus + pages * part->page_us + (rest != 0 ? partial : 0);
}

static bool find_word(const char *word, const char *(*text)(uint8_t), uint8_t count, uint8_t *found)
{
    for (*found = 0; *found < count; ++*found) {
        if (strcmp(word, text(*found)) == 0) {
            return true;
        }
    }
    return false;
}

static const char *device_text(uint8_t device)
{
    return device == KEDGE_INTERNAL ? "internal" : "external";
}

static const char *kind_text(uint8_t erase)
{
    return erase != 0 ? "erase" : "program";
}

static bool parse_operation(const struct flight_record *record, const char *line,
                            struct flight_operation *op)
{
    unsigned long long time;
    unsigned boot, at, size;
    char phase[16], device[16], kind[16];
    int end = 0;
    if (sscanf(line, "%llu %u %15s %15s %15s 0x%x %u%n", &time, &boot, phase, device, kind, &at,
               &size, &end) != 7 ||
        line[end] != '\0' || !find_word(phase, flight_phase_text, FLIGHT_PHASES, &op->phase) ||
        !find_word(device, device_text, KEDGE_DEVICES, &op->device) ||
        !find_word(kind, kind_text, 2, &op->erase)) {
        return false;
    }
    const struct kedge_sim_part *part = &record->parts[op->device];
    if (size == 0 || size > part->geometry.size || at > part->geometry.size - size ||
        (op->erase && (at | size) % part->geometry.erase_size != 0)) {
        return false;
    }
    op->start_us = time;
    op->at = at;
    op->size = size;
    op->took_us = op->erase ? erase_us(part, size) : program_us(part, size);
    return true;
}

static void add_operation(struct reader *reader, struct flight_operation op)
{
    struct flight_record *record = reader->record;
    if (record->operation_count == reader->operation_room) {
        reader->operation_room = reader->operation_room == 0 ? 1024 : 2 * reader->operation_room;
        record->operations = grow(record->operations, reader->operation_room * sizeof op);
    }
    const uint64_t last =
        record->operation_count == 0 ? 0 : record->operations[record->operation_count - 1].start_us;
    op.start_us = reader->still ? reader->end_us : reader->base_us + op.start_us;
    op.start_us = op.start_us < last ? last : op.start_us;
    record->operations[record->operation_count++] = op;
    if (op.start_us + op.took_us > reader->end_us) {
        reader->end_us = op.start_us + op.took_us;
    }
}

/* ---- marks ----------------------------------------------------------------------------------- */

static void add_mark(struct reader *reader, uint8_t kind, const char *text)
{
    struct flight_record *record = reader->record;
    if (record->mark_count == reader->mark_room) {
        reader->mark_room = reader->mark_room == 0 ? 64 : 2 * reader->mark_room;
        record->marks = grow(record->marks, reader->mark_room * sizeof record->marks[0]);
    }
    record->marks[record->mark_count++] = (struct flight_mark){.operation = record->operation_count,
                                                               .time_us = reader->end_us,
                                                               .text = text,
                                                               .kind = kind};
}

/* "power-on N TIME": where the clock of this process stands. */
static void add_boot(struct reader *reader, char *text)
{
    char *end;
    strtoul(text, &end, 10);
    if (*end == ' ' && !reader->still) {
        const uint64_t now = reader->base_us + strtoull(end, NULL, 10);
        reader->end_us = now > reader->end_us ? now : reader->end_us;
    }
    *end = '\0';
    add_mark(reader, FLIGHT_BOOT, text);
}

static void add_process(struct reader *reader, char *text)
{
    char *space = strchr(text, ' ');
    reader->still = space != NULL && strcmp(space, " clock-still") == 0;
    reader->base_us = reader->end_us;
    if (space != NULL) {
        *space = '\0';
    }
    add_mark(reader, FLIGHT_PROCESS, text);
}

/* What follows `word` in `line`; NULL: another line. */
static char *after(char *line, const char *word)
{
    const size_t size = strlen(word);
    return strncmp(line, word, size) == 0 ? line + size : NULL;
}

static void read_said(struct reader *reader, char *line)
{
    char *text;
    for (char *c = line; *c != '\0'; c++) {
        *c = *c < 0x20 || *c > 0x7E ? '?' : *c; /* it goes to JSON, HTML and terminals */
    }
    if ((text = after(line, "process ")) != NULL) {
        add_process(reader, text);
    } else if ((text = after(line, "holds ")) != NULL) {
        add_mark(reader, FLIGHT_HOLDS, text);
    } else if ((text = after(line, "power-on ")) != NULL) {
        add_boot(reader, text);
    } else if (after(line, "booted ") != NULL || after(line, "nothing bootable") != NULL) {
        add_mark(reader, FLIGHT_VERDICT, line);
    } else {
        add_mark(reader, FLIGHT_NOTE, line);
    }
}

static void read_line(struct reader *reader, char *line)
{
    struct flight_operation op;
    if (line[0] == '#') {
        read_said(reader, line + (line[1] == ' ' ? 2 : 1));
    } else if (parse_operation(reader->record, line, &op)) {
        add_operation(reader, op);
    } else {
        reader->record->skipped++;
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

int flight_record_read(struct flight_record *record, const struct state *state,
                       const char *directory)
{
    char path[4096];
    char why[LAYOUT_WHY];
    size_t size;
    struct reader reader = {.record = record};
    *record = (struct flight_record){0};
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        record->parts[d] = *kedge_sim_part(state->board.sim, d);
    }
    snprintf(path, sizeof path, "%s/trace", directory);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return fail("cannot read %s: %s: start kedge-device --state %s first, it keeps the record",
                    path, strerror(errno), directory);
    }
    size_t room = 0;
    if (fseek(f, 0, SEEK_END) == 0 && ftell(f) > 0) {
        room = (size_t)ftell(f);
    }
    fclose(f);
    record->text =
        (char *)state_read_file(path, room < TRACE_MAX ? room + (1u << 20) : TRACE_MAX, &size, why);
    if (record->text == NULL) {
        return fail("%s", why);
    }
    record->text[size] = '\0';
    for (char *line = record->text; line < record->text + size;) {
        char *end = memchr(line, '\n', (size_t)(record->text + size - line));
        if (end == NULL) { /* the process that writes it is at work, or died */
            record->skipped++;
            break;
        }
        *end = '\0';
        read_line(&reader, line);
        line = end + 1;
    }
    return EXIT_DONE;
}

void flight_record_free(struct flight_record *record)
{
    free(record->operations);
    free(record->marks);
    free(record->text);
    *record = (struct flight_record){0};
}

/* ---- counting -------------------------------------------------------------------------------- */

struct flight_count flight_record_count(const struct flight_record *record, uint8_t device,
                                        uint8_t phase)
{
    struct flight_count count = {0};
    for (size_t i = 0; i < record->operation_count; i++) {
        const struct flight_operation *op = &record->operations[i];
        if (op->device != device || op->phase != phase) {
            continue;
        }
        count.programs += !op->erase;
        count.erases += op->erase;
        count.program_bytes += op->erase ? 0 : op->size;
        count.erase_bytes += op->erase ? op->size : 0;
        count.took_us += op->took_us;
    }
    return count;
}

void flight_record_judge(const struct flight_record *record, struct flight_verdict *verdict)
{
    const struct flight_count in =
        flight_record_count(record, KEDGE_INTERNAL, KEDGE_PHASE_DOWNLOAD);
    const struct flight_count ex =
        flight_record_count(record, KEDGE_EXTERNAL, KEDGE_PHASE_DOWNLOAD);
    verdict->writes = (uint64_t)in.programs + in.erases;
    verdict->state = verdict->writes != 0 ? 0 : ex.programs + ex.erases != 0 ? 1 : -1;
    if (verdict->state < 0) {
        snprintf(verdict->line, sizeof verdict->line, "no download in this record");
        snprintf(verdict->numbers, sizeof verdict->numbers,
                 "%zu operations were recorded, none of them in the phase download.",
                 record->operation_count);
        return;
    }
    snprintf(verdict->line, sizeof verdict->line, "internal writes during download: %llu",
             (unsigned long long)verdict->writes);
    snprintf(verdict->numbers, sizeof verdict->numbers,
             "In the phase download the internal flash (%s) took %u programs and %u erases; the "
             "external flash (%s) took %u programs of %llu bytes and %u erases. Every one of the "
             "%zu operations recorded was looked at.",
             record->parts[KEDGE_INTERNAL].name, in.programs, in.erases,
             record->parts[KEDGE_EXTERNAL].name, ex.programs, (unsigned long long)ex.program_bytes,
             ex.erases, record->operation_count);
}
