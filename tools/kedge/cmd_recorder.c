/* kedge recorder: every flash operation of the device, per chip and phase: the answer to "did the
 * download really leave the internal flash alone?". */
#include <stdio.h>
#include <string.h>

#include "exchange.h"
#include "group.h"
#include "kedge/recorder.h"
#include "report.h"

static struct device_link device;

static const char *const device_words[KEDGE_DEVICES] = {"internal", "external"};

struct counters {
    struct kedge_counts of[KEDGE_DEVICES][KEDGE_PHASES];
    uint32_t forbidden[KEDGE_PHASES];
    uint32_t events;
};

/* Numbers of a list; more than `most` are passed over, missing ones are 0. */
static void read_numbers(struct kedge_smp_reader *reader, uint32_t *numbers, size_t most)
{
    size_t count = 0;

    for ((void)kedge_smp_enter(reader); kedge_smp_more(reader); count++) {
        if (count < most) {
            numbers[count] = kedge_smp_read_uint(reader);
        } else {
            kedge_smp_skip(reader);
        }
    }
    kedge_smp_leave(reader);
}

static void read_phase(struct kedge_smp_reader *reader, struct kedge_counts *counts)
{
    uint32_t n[8] = {0};

    read_numbers(reader, n, 8);
    *counts = (struct kedge_counts){.reads = n[0],
                                    .read_bytes = n[1],
                                    .programs = n[2],
                                    .program_bytes = n[3],
                                    .erases = n[4],
                                    .erase_bytes = n[5],
                                    .model_us = n[6],
                                    .failures = n[7]};
}

static void read_counts(struct kedge_smp_reader *reader, struct counters *counters)
{
    (void)kedge_smp_enter(reader);
    for (size_t d = 0; kedge_smp_more(reader) && d < KEDGE_DEVICES; d++) {
        (void)kedge_smp_enter(reader);
        for (size_t p = 0; kedge_smp_more(reader) && p < KEDGE_PHASES; p++) {
            read_phase(reader, &counters->of[d][p]);
        }
        kedge_smp_leave(reader);
    }
    kedge_smp_leave(reader);
}

static int read_counters(struct kedge_bytes cbor, struct counters *counters)
{
    struct kedge_smp_reader reader;
    struct kedge_bytes key;

    memset(counters, 0, sizeof(*counters));
    kedge_smp_read_start(&reader, cbor);
    (void)kedge_smp_enter(&reader);
    while (kedge_smp_next(&reader, &key)) {
        if (kedge_smp_is(key, "counts")) {
            read_counts(&reader, counters);
        } else if (kedge_smp_is(key, "forbidden")) {
            read_numbers(&reader, counters->forbidden, KEDGE_PHASES);
        } else if (kedge_smp_is(key, "events")) {
            counters->events = kedge_smp_read_uint(&reader);
        } else {
            kedge_smp_skip(&reader);
        }
    }
    return reader.failed ? KEDGE_E_FORMAT : 0;
}

/* ---- as JSON -------------------------------------------------------------------------------- */

static void print_json_phase(const struct kedge_counts *c)
{
    printf("{\"reads\": %u, \"read_bytes\": %u, \"programs\": %u, \"program_bytes\": %u, "
           "\"erases\": %u, \"erase_bytes\": %u, \"model_us\": %u, \"failures\": %u}",
           c->reads, c->read_bytes, c->programs, c->program_bytes, c->erases, c->erase_bytes,
           c->model_us, c->failures);
}

static void print_json(const struct counters *counters)
{
    printf("{\"events\": %u", counters->events);
    for (unsigned d = 0; d < KEDGE_DEVICES; d++) {
        printf(", \"%s\": {", device_words[d]);
        for (unsigned p = 0; p < KEDGE_PHASES; p++) {
            printf("%s\"%s\": ", p == 0 ? "" : ", ", kedge_phase_text((uint8_t)p));
            print_json_phase(&counters->of[d][p]);
        }
        printf("}");
    }
    printf(", \"forbidden\": {");
    for (unsigned p = 0; p < KEDGE_PHASES; p++) {
        printf("%s\"%s\": [%s%s%s]", p == 0 ? "" : ", ", kedge_phase_text((uint8_t)p),
               (counters->forbidden[p] & 1) != 0 ? "\"internal\"" : "",
               counters->forbidden[p] == 3 ? ", " : "",
               (counters->forbidden[p] & 2) != 0 ? "\"external\"" : "");
    }
    puts("}}");
}

/* ---- as a table ----------------------------------------------------------------------------- */

static bool is_quiet(const struct kedge_counts *c)
{
    return c->reads == 0 && c->programs == 0 && c->erases == 0 && c->failures == 0;
}

static void print_row(const char *chip, unsigned phase, const struct kedge_counts *c)
{
    printf("%-9s %-9s %8u %10u %8u %10u %7u %10u %9.3f s", chip, kedge_phase_text((uint8_t)phase),
           c->reads, c->read_bytes, c->programs, c->program_bytes, c->erases, c->erase_bytes,
           c->model_us / 1e6);
    if (c->failures > 0) {
        printf("  %u failed or refused", c->failures);
    }
    puts("");
}

/* What people come for: did it stay on the external flash? */
static void print_internal_writes(const struct counters *counters, uint8_t phase)
{
    const struct kedge_counts *const in = &counters->of[KEDGE_INTERNAL][phase];

    printf("internal writes during %s: %u%s\n", kedge_phase_text(phase), in->programs + in->erases,
           (counters->forbidden[phase] & 1) != 0 ? " (and forbidden by a rule)" : "");
}

static void print_table(const struct counters *counters)
{
    printf("%-9s %-9s %8s %10s %8s %10s %7s %10s %11s\n", "chip", "phase", "reads", "bytes",
           "programs", "bytes", "erases", "bytes", "chip time");
    for (unsigned d = 0; d < KEDGE_DEVICES; d++) {
        for (unsigned p = 0; p < KEDGE_PHASES; p++) {
            if (!is_quiet(&counters->of[d][p])) {
                print_row(device_words[d], p, &counters->of[d][p]);
            }
        }
    }
    print_internal_writes(counters, KEDGE_PHASE_DOWNLOAD);
    if (!is_quiet(&counters->of[KEDGE_EXTERNAL][KEDGE_PHASE_DECODE])) {
        print_internal_writes(counters, KEDGE_PHASE_DECODE);
    }
}

/* ---- commands ------------------------------------------------------------------------------- */

static int show(void)
{
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 64, 0);
    struct counters counters;
    struct kedge_smp_reply reply;
    const int result = device_ask(&device, &ask, QUICK_MS, "recorder show", &reply);

    if (result != 0) {
        return result;
    }
    if (read_counters(reply.cbor, &counters) != 0) {
        return fail("the device's counters are malformed");
    }
    if (device_target.json) {
        print_json(&counters);
    } else {
        print_table(&counters);
    }
    return 0;
}

static int run_show(int argc, char **argv)
{
    struct operands operands;
    int result = group_parse("recorder show", "",
                             "Shows how often and how much both chips were read, programmed and\n"
                             "erased since power-on or since the counters were cleared, per phase.",
                             0, 0, argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    result = show();
    device_link_close(&device);
    return result;
}

static int run_clear(int argc, char **argv)
{
    struct operands operands;
    struct kedge_smp_reply reply;
    int result = group_parse("recorder clear", "", "Sets the counters to zero; rules stay.", 0, 0,
                             argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_WRITE, 64, 0);

    result = device_ask(&device, &ask, QUICK_MS, "recorder clear", &reply);
    device_link_close(&device);
    return result;
}

int run_recorder(int argc, char **argv)
{
    static const struct command commands[] = {
        {"show", "what was done to both chips", run_show},
        {"clear", "set the counters to zero", run_clear},
    };
    static const struct group group = {"recorder", "The device's flight recorder", commands,
                                       sizeof(commands) / sizeof(commands[0]), false};

    return group_run(&group, argc, argv);
}
