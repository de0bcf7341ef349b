/* kedge history: the updates that this device has seen. */
#include <stdio.h>

#include "cbor_json.h"
#include "exchange.h"
#include "group.h"
#include "report.h"

static struct device_link device;

struct record {
    uint32_t number, attempts, retries, repaired;
    uint32_t erases_internal, erases_external, bytes_internal, bytes_external, ms, resumed;
    struct kedge_bytes text, why, from, to;
};

static int read_record(struct kedge_bytes cbor, struct record *record)
{
    const struct kedge_smp_field fields[] = {
        KEDGE_SMP_FIELD("number", KEDGE_SMP_UINT, &record->number),
        KEDGE_SMP_FIELD("text", KEDGE_SMP_TEXT, &record->text),
        KEDGE_SMP_FIELD("why", KEDGE_SMP_TEXT, &record->why),
        KEDGE_SMP_FIELD("from", KEDGE_SMP_TEXT, &record->from),
        KEDGE_SMP_FIELD("to", KEDGE_SMP_TEXT, &record->to),
        KEDGE_SMP_FIELD("resumed", KEDGE_SMP_UINT, &record->resumed),
        KEDGE_SMP_FIELD("attempts", KEDGE_SMP_UINT, &record->attempts),
        KEDGE_SMP_FIELD("retries", KEDGE_SMP_UINT, &record->retries),
        KEDGE_SMP_FIELD("repaired", KEDGE_SMP_UINT, &record->repaired),
        KEDGE_SMP_FIELD("erases_internal", KEDGE_SMP_UINT, &record->erases_internal),
        KEDGE_SMP_FIELD("erases_external", KEDGE_SMP_UINT, &record->erases_external),
        KEDGE_SMP_FIELD("bytes_internal", KEDGE_SMP_UINT, &record->bytes_internal),
        KEDGE_SMP_FIELD("bytes_external", KEDGE_SMP_UINT, &record->bytes_external),
        KEDGE_SMP_FIELD("ms", KEDGE_SMP_UINT, &record->ms),
    };

    *record = (struct record){0};
    return kedge_smp_read_fields(cbor, fields, sizeof(fields) / sizeof(fields[0]));
}

static void print_record(const struct record *r)
{
    printf("#%u  %.*s -> %.*s  %.*s", r->number, (int)r->from.size, (const char *)r->from.at,
           (int)r->to.size, (const char *)r->to.at, (int)r->text.size, (const char *)r->text.at);
    if (r->why.size > 0) {
        printf(": %.*s", (int)r->why.size, (const char *)r->why.at);
    }
    if (r->resumed > 0) {
        printf("; resumed after %u power cut%s", r->resumed, r->resumed == 1 ? "" : "s");
    }
    if (r->erases_internal > 0 || r->erases_external > 0) {
        printf("; sectors erased: %u internal, %u external; about %u KiB and %u KiB programmed",
               r->erases_internal, r->erases_external, r->bytes_internal / 1024,
               r->bytes_external / 1024);
    }
    if (r->ms > 0) {
        printf("; %u.%02u s", r->ms / 1000, r->ms % 1000 / 10);
    }
    if (r->retries > 0 || r->repaired > 0) {
        printf("; %u retries, %u bits repaired", r->retries, r->repaired);
    }
    puts("");
}

/* One reply's records, printed as they come. *next: where to go on; 0: that was all. */
static int print_records(struct kedge_bytes cbor, uint32_t *count, uint32_t *next)
{
    struct kedge_smp_reader reader;
    struct kedge_bytes key;

    *next = 0;
    kedge_smp_read_start(&reader, cbor);
    (void)kedge_smp_enter(&reader);
    while (kedge_smp_next(&reader, &key)) {
        if (kedge_smp_is(key, "next")) {
            *next = kedge_smp_read_uint(&reader);
        } else if (kedge_smp_is(key, "records") && kedge_smp_peek(&reader) == KEDGE_SMP_TYPE_LIST) {
            (void)kedge_smp_enter(&reader);
            for (; kedge_smp_more(&reader); (*count)++) {
                const uint8_t *const start = reader.states->payload;
                struct record record;

                kedge_smp_skip(&reader);
                const struct kedge_bytes item =
                    kedge_bytes(start, (size_t)(reader.states->payload - start));

                if (reader.failed || read_record(item, &record) < 0) {
                    return fail("the device's history is malformed");
                }
                if (device_target.json) {
                    printf("%s", *count > 0 ? ", " : "");
                    (void)json_item(stdout, item);
                } else {
                    print_record(&record);
                }
            }
            kedge_smp_leave(&reader);
        } else {
            kedge_smp_skip(&reader);
        }
    }
    return reader.failed ? fail("the device's history is malformed") : 0;
}

static int show(void)
{
    uint32_t count = 0, next = 0;
    int result = 0;

    printf("%s", device_target.json ? "{\"records\": [" : "");
    do {
        struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 64, 3);
        struct kedge_smp_reply reply;
        const uint32_t from = next;

        kedge_smp_put_uint(&ask.map, "index", from);
        result = device_ask(&device, &ask, QUICK_MS, "history show", &reply);
        if (result == 0) {
            result = print_records(reply.cbor, &count, &next);
        }
        if (next <= from) {
            next = 0;
        }
    } while (result == 0 && next > 0);
    if (device_target.json) {
        puts("]}");
    } else if (result == 0 && count == 0) {
        puts("no update yet");
    }
    return result;
}

static int run_show(int argc, char **argv)
{
    struct operands operands;
    int result = group_parse("history show", "",
                             "Shows the last updates of this device, the oldest first: from which\n"
                             "version to which, how they ended and why.",
                             0, 0, argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    result = show();
    device_link_close(&device);
    return result;
}

int run_history(int argc, char **argv)
{
    static const struct command commands[] = {{"show", "the last updates", run_show}};
    static const struct group group = {"history", "The device's updates", commands, 1, false};

    return group_run(&group, argc, argv);
}
