/* kedge policy: what a device does with images, at run time. */
#include <stdio.h>
#include <string.h>

#include "cbor_json.h"
#include "exchange.h"
#include "group.h"
#include "report.h"

#define KEYS_MAX 32

static struct device_link device;

struct setting {
    struct kedge_bytes key, value;
    bool locked;
};

static void read_policy(struct kedge_smp_reader *reader, struct setting *settings, size_t *count)
{
    (void)kedge_smp_enter(reader);
    while (*count < KEYS_MAX && kedge_smp_next(reader, &settings[*count].key)) {
        settings[*count].value = kedge_smp_read_bytes(reader);
        settings[*count].locked = false;
        (*count)++;
    }
    kedge_smp_leave(reader);
}

static void read_locks(struct kedge_smp_reader *reader, struct setting *settings, size_t count)
{
    (void)kedge_smp_enter(reader);
    while (kedge_smp_more(reader)) {
        const struct kedge_bytes key = kedge_smp_read_bytes(reader);

        for (size_t i = 0; i < count; i++) {
            if (settings[i].key.size == key.size &&
                memcmp(settings[i].key.at, key.at, key.size) == 0) {
                settings[i].locked = true;
            }
        }
    }
    kedge_smp_leave(reader);
}

/* "locked" comes behind "policy" (FORMAT.md [G-5]). How many keys; negative: malformed. */
static int read_settings(struct kedge_bytes cbor, struct setting settings[KEYS_MAX])
{
    struct kedge_smp_reader reader;
    struct kedge_bytes key;
    size_t count = 0;

    kedge_smp_read_start(&reader, cbor);
    (void)kedge_smp_enter(&reader);
    while (kedge_smp_next(&reader, &key)) {
        if (kedge_smp_is(key, "policy")) {
            read_policy(&reader, settings, &count);
        } else if (kedge_smp_is(key, "locked")) {
            read_locks(&reader, settings, count);
        } else {
            kedge_smp_skip(&reader);
        }
    }
    return reader.failed ? KEDGE_E_FORMAT : (int)count;
}

static bool is_number(struct kedge_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
    }
    return text.size > 0;
}

static void print_json(const struct setting *settings, size_t count)
{
    const char *gap = "";

    printf("{");
    for (size_t i = 0; i < count; i++) {
        json_text(stdout, settings[i].key);
        printf(": ");
        if (is_number(settings[i].value)) {
            printf("%.*s, ", (int)settings[i].value.size, (const char *)settings[i].value.at);
        } else {
            json_text(stdout, settings[i].value);
            printf(", ");
        }
    }
    printf("\"locked\": [");
    for (size_t i = 0; i < count; i++) {
        if (settings[i].locked) {
            printf("%s", gap);
            json_text(stdout, settings[i].key);
            gap = ", ";
        }
    }
    puts("]}");
}

static int get(const char *wanted)
{
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 64, 4);
    struct setting settings[KEYS_MAX];
    struct kedge_smp_reply reply;
    const int result = device_ask(&device, &ask, QUICK_MS, "policy get", &reply);

    if (result != 0) {
        return result;
    }
    int count = read_settings(reply.cbor, settings);

    if (count < 0) {
        return fail("the device's policy is malformed");
    }
    for (int i = 0; wanted != NULL && i < count; i++) {
        if (kedge_smp_is(settings[i].key, wanted)) {
            settings[0] = settings[i];
            count = 1;
            wanted = NULL;
        }
    }
    if (wanted != NULL) {
        return fail("there is no policy key %s (kedge policy get shows all)", wanted);
    }
    if (device_target.json) {
        print_json(settings, (size_t)count);
        return 0;
    }
    for (int i = 0; i < count; i++) {
        printf("%.*s %.*s%s\n", (int)settings[i].key.size, (const char *)settings[i].key.at,
               (int)settings[i].value.size, (const char *)settings[i].value.at,
               settings[i].locked ? " (locked)" : "");
    }
    return 0;
}

static int run_get(int argc, char **argv)
{
    struct operands operands;
    int result = group_parse("policy get", "[KEY]", "Shows the device's policy.", 0, 1, argc, argv,
                             &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    result = get(operands.count > 0 ? operands.at[0] : NULL);
    device_link_close(&device);
    return result;
}

static int run_set(int argc, char **argv)
{
    struct operands operands;
    struct kedge_smp_reply reply;
    char what[80];
    int result =
        group_parse("policy set", "KEY VALUE",
                    "Sets one key of the device's policy, durably:\n"
                    "  after_confirm  keep, trailer, wipe   the secondary slot, once the new\n"
                    "                                       image is confirmed\n"
                    "  hold           off, on, for-1..15    requests wait until it is off,\n"
                    "                                       or for so many boots\n"
                    "  attempts       1..15                 boots of an unconfirmed image\n"
                    "  erase_pending  allow, refuse         replace an image that is marked\n"
                    "                                       for the next boot\n"
                    "  downgrade      allow, refuse         install an older version\n"
                    "  confidential   off, on               nothing in plaintext on the\n"
                    "                                       external flash",
                    2, 2, argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_WRITE, 64, 4);

    kedge_smp_put_text(&ask.map, "key", kedge_bytes(operands.at[0], strlen(operands.at[0])));
    kedge_smp_put_text(&ask.map, "value", kedge_bytes(operands.at[1], strlen(operands.at[1])));
    snprintf(what, sizeof(what), "policy set %.24s %.24s", operands.at[0], operands.at[1]);
    result = device_ask(&device, &ask, QUICK_MS, what, &reply);
    device_link_close(&device);
    return result;
}

int run_policy(int argc, char **argv)
{
    static const struct command commands[] = {
        {"get", "show it", run_get},
        {"set", "set one key", run_set},
    };
    static const struct group group = {"policy", "The device's policy", commands, 2, false};

    return group_run(&group, argc, argv);
}
