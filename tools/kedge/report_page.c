/* The page of `flash report`: report/page.html, .css and .js with the record between them, as JSON.
 * The script counts and draws; what must not depend on a script (the verdict) is made here. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cbor_json.h"
#include "inspect.h"
#include "report.h"
#include "report_export.h"

extern const unsigned char report_page_html[], report_page_css[], report_page_js[];
extern const size_t report_page_html_size, report_page_css_size, report_page_js_size;

static void put_text(FILE *to, const char *text)
{
    json_text(to, kedge_bytes(text, strlen(text)));
}

static void put_parts(FILE *to, const struct flight_record *record)
{
    fputs("\"parts\":[", to);
    for (unsigned d = 0; d < KEDGE_DEVICES; d++) {
        const struct kedge_sim_part *part = &record->parts[d];
        fprintf(to, "%s{\"name\":", d == 0 ? "" : ",");
        put_text(to, part->name);
        fprintf(to, ",\"size\":%u,\"sector\":%u}", part->geometry.size, part->geometry.erase_size);
    }
    fputs("],\n\"regions\":[", to);
}

static void put_regions(FILE *to, const struct layout_file *file)
{
    bool first = true;
    for (unsigned r = 0; r < LAYOUT_REGIONS; r++) {
        if (file->region[r].present) {
            fprintf(to, "%s{\"name\":", first ? "" : ",");
            put_text(to, layout_region_text((enum layout_region)r));
            fprintf(to, ",\"device\":%u,\"start\":%u,\"size\":%u}", file->region[r].device,
                    file->region[r].address, file->region[r].size);
            first = false;
        }
    }
    fputs("],\n\"phases\":[", to);
    for (uint8_t p = 0; p < FLIGHT_PHASES; p++) {
        fprintf(to, "%s\"%s\"", p == 0 ? "" : ",", flight_phase_text(p));
    }
}

/* Five numbers an operation: time since the one before, device | erase << 1 | phase << 2, address,
 * size, time it took. */
static void put_operations(FILE *to, const struct flight_record *record)
{
    uint64_t last = 0;
    fputs("],\n\"ops\":[", to);
    for (size_t i = 0; i < record->operation_count; i++) {
        const struct flight_operation *op = &record->operations[i];
        fprintf(to, "%s%" PRIu64 ",%u,%u,%u,%u", i == 0 ? "" : ",", op->start_us - last,
                op->device | (unsigned)op->erase << 1 | (unsigned)op->phase << 2, op->at, op->size,
                op->took_us);
        last = op->start_us;
    }
}

static void put_mark(FILE *to, const struct flight_mark *mark)
{
    static const char *const kinds[] = {[FLIGHT_PROCESS] = "process",
                                        [FLIGHT_HOLDS] = "holds",
                                        [FLIGHT_BOOT] = "boot",
                                        [FLIGHT_VERDICT] = "verdict",
                                        [FLIGHT_NOTE] = "note"};
    fprintf(to, "[%zu,%" PRIu64 ",\"%s\",", mark->operation, mark->time_us, kinds[mark->kind]);
    put_text(to, mark->text);
    fputs("],\n", to);
}

/* What the flashes hold now, as the trace says it at the start of a process. */
static void put_contents(FILE *to, const struct flight_record *record, struct state *state)
{
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        const struct kedge_geometry *g = &record->parts[d].geometry;
        const uint8_t *at = kedge_sim_contents(state->board.sim, d);
        fprintf(to, "%s[%zu,0,\"holds\",\"%s", d == 0 ? "" : ",\n", record->operation_count,
                d == KEDGE_INTERNAL ? "internal" : "external");
        for (uint32_t s = 0; s < g->size; s += g->erase_size) {
            if (!kedge_all(kedge_bytes(at + s, g->erase_size), g->erased)) {
                fprintf(to, " 0x%X-0x%X", s, s + g->erase_size);
            }
        }
        fputs("\"]", to);
    }
}

static void put_history(FILE *to, struct state *state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *words = open_memstream(&text, &size);
    bool first = true;
    if (words == NULL) {
        return;
    }
    inspect_history(words, state);
    fclose(words);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        fputs(first ? "" : ",", to);
        put_text(to, line + strspn(line, " "));
        first = false;
    }
    free(text);
}

static void put_record(FILE *to, const struct flight_record *record, struct state *state,
                       const char *title)
{
    struct flight_verdict verdict;
    flight_record_judge(record, &verdict);
    fputs("{\"title\":", to);
    put_text(to, title);
    fprintf(to, ",\"skipped\":%zu,\n\"verdict\":{\"state\":%d,\"line\":", record->skipped,
            verdict.state);
    put_text(to, verdict.line);
    fputs(",\"numbers\":", to);
    put_text(to, verdict.numbers);
    fputs("},\n", to);
    put_parts(to, record);
    put_regions(to, &state->file);
    put_operations(to, record);
    fputs("],\n\"marks\":[", to);
    for (size_t i = 0; i < record->mark_count; i++) {
        put_mark(to, &record->marks[i]);
    }
    put_contents(to, record, state);
    fputs("],\n\"history\":[", to);
    put_history(to, state);
    fputs("]}", to);
}

/* Inside <script> only "<" could end it; in JSON it stands only within texts. */
static void put_safely(FILE *out, const char *json, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (json[i] == '<') {
            fputs("\\u003c", out);
        } else {
            fputc(json[i], out);
        }
    }
}

void report_page(FILE *out, const struct flight_record *record, struct state *state,
                 const char *title)
{
    char *json = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&json, &size);
    if (to == NULL) {
        exit(fail("out of memory"));
    }
    put_record(to, record, state, title);
    fclose(to);
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Kedge: "
          "flight "
          "report</title>\n<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n",
          out);
    fwrite(report_page_css, 1, report_page_css_size, out);
    fputs("</style>\n</head>\n<body>\n", out);
    fwrite(report_page_html, 1, report_page_html_size, out);
    fputs("<script type=\"application/json\" id=\"record\">\n", out);
    put_safely(out, json, size);
    fputs("\n</script>\n<script>\n", out);
    fwrite(report_page_js, 1, report_page_js_size, out);
    fputs("</script>\n</body>\n</html>\n", out);
    free(json);
}
