/* kedge os: the device itself. */
#include <stdio.h>
#include <string.h>

#include "cbor_json.h"
#include "exchange.h"
#include "group.h"
#include "image_upload.h"
#include "report.h"

static struct device_link device;

/* Opens the device, asks, closes. *reply stays valid. */
static int ask_once(struct kedge_smp_request *ask, const char *what, struct kedge_smp_reply *reply)
{
    const int result = device_ask(&device, ask, QUICK_MS, what, reply);

    device_link_close(&device);
    return result;
}

static int print_text(struct kedge_bytes cbor, const char *key)
{
    struct kedge_bytes text = kedge_bytes(NULL, 0);
    const struct kedge_smp_field fields[] = {{key, (uint8_t)strlen(key), KEDGE_SMP_TEXT, &text}};

    if (kedge_smp_read_fields(cbor, fields, 1) != 1) {
        return fail("the device's answer has no %s", key);
    }
    if (device_target.json) {
        return json_print(cbor);
    }
    printf("%.*s\n", (int)text.size, (const char *)text.at);
    return EXIT_DONE;
}

static int run_echo(int argc, char **argv)
{
    struct operands operands;
    struct kedge_smp_reply reply;
    int result =
        group_parse("os echo", "TEXT", "The device sends TEXT back.", 1, 1, argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_WRITE, 0, 0);

    kedge_smp_put_text(&ask.map, "d", kedge_bytes(operands.at[0], strlen(operands.at[0])));
    result = ask_once(&ask, "os echo", &reply);
    return result != 0 ? result : print_text(reply.cbor, "r");
}

static int run_reset(int argc, char **argv)
{
    static bool force, wait;
    static const struct option options[] = {
        {0, "force", NULL, "also when the device says that it is busy", OPTION_FLAG, &force},
        {0, "wait", NULL, "wait until it is back, and say what runs", OPTION_FLAG, &wait},
        OPTION_JSON,
    };
    static const struct syntax syntax = {.command = "os reset",
                                         .operands = "",
                                         .about = "Resets the device; a marked image is installed.",
                                         .options = options,
                                         .option_count = sizeof(options) / sizeof(options[0])};
    struct operands operands;
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    result = device_reset(&device, force);
    if (result == 0 && wait) {
        result = device_wait(&device);
    }
    device_link_close(&device);
    return result;
}

static int run_params(int argc, char **argv)
{
    struct operands operands;
    struct kedge_smp_params params;
    struct kedge_smp_reply reply;
    int result = group_parse("os params", "", "Shows the size and number of the device's buffers.",
                             0, 0, argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 0, 6);

    result = ask_once(&ask, "os params", &reply);
    if (result != 0) {
        return result;
    }
    if (kedge_smp_read_params(reply.cbor, &params) != 0) {
        return fail("the device's answer is malformed");
    }
    if (device_target.json) {
        return json_print(reply.cbor);
    }
    printf("%u buffers of %u bytes\n", params.buffer_count, params.buffer_size);
    return EXIT_DONE;
}

static int run_info(int argc, char **argv)
{
    struct operands operands;
    struct kedge_smp_reply reply;
    int result =
        group_parse("os info", "[LETTERS]",
                    "Shows what the device is, as uname does: s kernel, n node, r release,\n"
                    "v version, b build time, m machine, p processor, i hardware, o system,\n"
                    "a all (the default).",
                    0, 1, argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 0, 7);
    const char *const letters = operands.count > 0 ? operands.at[0] : "a";

    kedge_smp_put_text(&ask.map, "format", kedge_bytes(letters, strlen(letters)));
    result = ask_once(&ask, "os info", &reply);
    return result != 0 ? result : print_text(reply.cbor, "output");
}

static const char *mode_text(int64_t mode)
{
    static const char *const text[] = {
        "single slot", "swap with scratch",      "overwrite", "swap without scratch",
        "direct XIP",  "direct XIP with revert", "RAM load",  "firmware loader",
    };

    return mode >= 0 && mode < 8 ? text[mode] : "unknown";
}

/* -1: the device does not tell; other negative numbers are modes it calls unknown. */
static int ask_mode(int64_t *mode, bool *no_downgrade)
{
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 0, 8);
    struct kedge_smp_reader reader;
    struct kedge_smp_reply reply;
    struct kedge_bytes key;

    kedge_smp_put_string(&ask.map, "query", "mode");
    const int result = device_exchange(&device, &ask, QUICK_MS, &reply);

    *mode = -1;
    *no_downgrade = false;
    if (result != 0 || reply.rc != 0) {
        return result;
    }
    kedge_smp_read_start(&reader, reply.cbor);
    (void)kedge_smp_enter(&reader);
    while (kedge_smp_next(&reader, &key)) {
        if (kedge_smp_is(key, "mode")) {
            *mode = kedge_smp_read_int(&reader);
        } else if (kedge_smp_is(key, "no-downgrade")) {
            *no_downgrade = kedge_smp_read_flag(&reader);
        } else {
            kedge_smp_skip(&reader);
        }
    }
    return 0;
}

static int show_bootloader(void)
{
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 0, 8);
    struct kedge_bytes name = kedge_bytes(NULL, 0);
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("bootloader", KEDGE_SMP_TEXT, &name)};
    struct kedge_smp_reply reply;
    char text[64];
    int64_t mode;
    bool no_downgrade;
    int result = device_ask(&device, &ask, QUICK_MS, "os bootloader", &reply);

    if (result != 0) {
        return result;
    }
    (void)kedge_smp_read_fields(reply.cbor, fields, 1);
    snprintf(text, sizeof(text), "%.*s", (int)name.size, (const char *)name.at);
    result = ask_mode(&mode, &no_downgrade);
    if (result != 0) {
        return result;
    }
    if (device_target.json) {
        printf("{\"bootloader\": ");
        json_text(stdout, kedge_bytes(text, strlen(text)));
        printf(", \"mode\": %d, \"no-downgrade\": %s}\n", (int)mode,
               no_downgrade ? "true" : "false");
    } else {
        printf("%s, mode %d (%s)%s\n", text, (int)mode, mode_text(mode),
               no_downgrade ? ", no downgrade" : "");
    }
    return 0;
}

static int run_bootloader(int argc, char **argv)
{
    struct operands operands;
    int result = group_parse("os bootloader", "", "Shows the device's bootloader and its mode.", 0,
                             0, argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    result = show_bootloader();
    device_link_close(&device);
    return result;
}

static const struct command commands[] = {
    {"echo", "send a text and get it back", run_echo},
    {"reset", "reset the device", run_reset},
    {"params", "its buffers", run_params},
    {"info", "what it is", run_info},
    {"bootloader", "its bootloader", run_bootloader},
};

int run_os(int argc, char **argv)
{
    static const struct group group = {"os", "The device itself", commands,
                                       sizeof(commands) / sizeof(commands[0]), false};

    return group_run(&group, argc, argv);
}
