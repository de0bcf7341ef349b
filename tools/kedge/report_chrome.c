/* The Trace Event Format: an array of objects; times in microseconds. */
#include <inttypes.h>
#include <string.h>

#include "cbor_json.h"
#include "report_export.h"

static void name_tracks(FILE *out, const struct flight_record *record)
{
    static const char *const chips[] = {"internal flash", "external flash"};
    for (unsigned d = 0; d < KEDGE_DEVICES; d++) {
        fprintf(
            out,
            "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":\"%s, %s\"}},\n",
            d + 1, chips[d], record->parts[d].name);
        for (uint8_t p = 0; p < FLIGHT_PHASES; p++) {
            fprintf(out,
                    "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":%u,\"args\":{"
                    "\"name\":\"%s\"}},\n",
                    d + 1, p + 1u, flight_phase_text(p));
        }
    }
    fprintf(out,
            "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":\"device\"}}",
            KEDGE_DEVICES + 1);
}

static void mark(FILE *out, const struct flight_mark *mark)
{
    if (mark->kind != FLIGHT_VERDICT && mark->kind != FLIGHT_NOTE && mark->kind != FLIGHT_BOOT) {
        return;
    }
    fprintf(out, ",\n{\"ph\":\"i\",\"s\":\"g\",\"pid\":%u,\"tid\":1,\"ts\":%" PRIu64 ",\"name\":",
            KEDGE_DEVICES + 1, mark->time_us);
    if (mark->kind == FLIGHT_BOOT) {
        fprintf(out, "\"power-on %s\"", mark->text);
    } else {
        json_text(out, kedge_bytes(mark->text, strlen(mark->text)));
    }
    fputc('}', out);
}

static void operation(FILE *out, const struct flight_operation *op)
{
    fprintf(out,
            ",\n{\"ph\":\"X\",\"pid\":%u,\"tid\":%u,\"ts\":%" PRIu64
            ",\"dur\":%u,\"name\":\"%s\",\"cat\":\"%s\","
            "\"args\":{\"address\":\"0x%06X\",\"bytes\":%u}}",
            op->device + 1u, op->phase + 1u, op->start_us, op->took_us,
            op->erase ? "erase" : "program", flight_phase_text(op->phase), op->at, op->size);
}

void report_chrome(FILE *out, const struct flight_record *record)
{
    size_t m = 0;
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", out);
    name_tracks(out, record);
    for (size_t i = 0; i <= record->operation_count; i++) {
        for (; m < record->mark_count && record->marks[m].operation == i; m++) {
            mark(out, &record->marks[m]);
        }
        if (i < record->operation_count) {
            operation(out, &record->operations[i]);
        }
    }
    fputs("\n]}\n", out);
}
