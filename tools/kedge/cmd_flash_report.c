/* kedge flash report: what a virtual device did to its flashes, as a page or for other viewers. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "file.h"
#include "options.h"
#include "report.h"
#include "report_export.h"

static struct {
    const char *state, *output, *format;
} given;

static struct state device = {.lock = -1}; /* large, and must not move */

/* The directory's own name, whatever way led there. */
static const char *title_of(const char *directory, char *path, size_t room)
{
    char *whole = realpath(directory, NULL);
    snprintf(path, room, "%s", whole != NULL ? whole : directory);
    free(whole);
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static int write_format(FILE *out, const struct flight_record *record)
{
    char path[4096];
    if (strcmp(given.format, "chrome-trace") == 0) {
        report_chrome(out, record);
    } else if (strcmp(given.format, "vcd") == 0) {
        return report_vcd(out, record, given.state);
    } else {
        report_page(out, record, &device, title_of(given.state, path, sizeof path));
    }
    return EXIT_DONE;
}

static int write_report(const struct flight_record *record)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return fail("out of memory");
    }
    int result = write_format(out, record);
    if (fclose(out) != 0) {
        result = fail("out of memory");
    }
    if (result == EXIT_DONE) {
        result = file_write(given.output, kedge_bytes(text, size), 0666);
    }
    free(text);
    return result;
}

static void say_verdict(const struct flight_record *record)
{
    struct flight_verdict verdict;
    flight_record_judge(record, &verdict);
    printf("%s: %zu operations\n%s\n", given.output, record->operation_count, verdict.line);
    if (record->skipped > 0) {
        printf("%zu lines of the trace were not understood and left out\n", record->skipped);
    }
}

static int report(void)
{
    char why[LAYOUT_WHY];
    struct flight_record record = {0};
    const struct state_options options = {.directory = given.state, .time = KEDGE_SIM_TIME_NONE};
    if (access(given.state, F_OK) != 0) {
        return fail("there is no state directory %s: kedge-device --state makes one", given.state);
    }
    if (state_open(&device, &options, why) != 0) {
        return fail("%s", why);
    }
    int result = flight_record_read(&record, &device, given.state);
    if (result == EXIT_DONE) {
        result = write_report(&record);
    }
    if (result == EXIT_DONE) {
        say_verdict(&record);
    }
    flight_record_free(&record);
    state_close(&device);
    return result;
}

static const struct option report_options[] = {
    {0, "state", "DIR", "the virtual device's directory", OPTION_TEXT, &given.state},
    {'o', "output", "FILE", "where the report goes", OPTION_TEXT, &given.output},
    {0, "format", "html|chrome-trace|vcd",
     "a page (default); for Perfetto; the external chip's SPI wires for PulseView, sigrok, GTKWave",
     OPTION_CHOICE, &given.format},
};
static const struct syntax report_syntax = {
    .command = "flash report",
    .operands = "",
    .about =
        "Shows every flash operation of a device: both flashes sector by sector, a timeline to "
        "replay, its boots, and whether a download touched the internal flash. One file, no "
        "network. SMP traffic lies in DIR/smp.pcap (docs/report.md).",
    .options = report_options,
    .option_count = sizeof report_options / sizeof report_options[0],
};

int run_flash_report(int argc, char **argv)
{
    struct operands operands;
    given.format = "html";
    const int result = options_parse(&report_syntax, argc, argv, &operands);
    if (result != OPTIONS_GO) {
        return result;
    }
    if (given.state == NULL || given.output == NULL) {
        return misuse("flash report", "it needs --state DIR and -o FILE");
    }
    return report();
}
