/* kedge: the host tool. Global options, then a command and its own options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "options.h"
#include "report.h"

static const struct command commands[] = {
    {"keygen", "make a key pair", run_keygen},
    {"getpub", "print the public half of a key", run_getpub},
    {"sign", "make a signed image of a firmware file", run_sign},
    {"verify", "check an image's hash and signature", run_verify},
    {"dumpinfo", "show an image's header, TLVs and trailer", run_dumpinfo},
    {"seal", "encrypt an image for a device, in authenticated segments", run_seal},
    {"unseal", "give back what was sealed", run_unseal},
    {"delta", "a patch from one image to another, or a compressed image", run_delta},
    {"image", "images on a device", run_image},
    {"os", "the device itself: echo, reset, info", run_os},
    {"recorder", "every flash operation of a device", run_recorder},
    {"history", "a device's updates", run_history},
    {"policy", "what a device does with images", run_policy},
    {"stage", "a file in chunks, into a device's chunk store", run_stage},
    {"flash", "what lies in a device's flashes: inspect, write, read, erase", run_flash},
    {"testplan", "the test plan of this field, on virtual devices", run_testplan},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

struct device_target device_target;

static const char *timeout_text;

static const struct option options[] = {
    {0, "udp", "HOST[:PORT]", "the device, by SMP over UDP", OPTION_TEXT, &device_target.udp},
    {0, "serial", "TTY[:BAUD]", "the device, by SMP over a serial line", OPTION_TEXT,
     &device_target.serial},
    {0, "raw", NULL, "with --serial: bare SMP, without console framing", OPTION_FLAG,
     &device_target.raw},
    {0, "ble", "NAME|ADDR", "the device, by SMP over Bluetooth LE", OPTION_TEXT,
     &device_target.ble},
    {0, "hci", "tcp:HOST:PORT|hciN", "the Bluetooth controller to use", OPTION_TEXT,
     &device_target.hci},
    {0, "timeout", "SECONDS", "wait this long for an answer", OPTION_TEXT, &timeout_text},
    {0, "json", NULL, "print facts as JSON", OPTION_FLAG, &device_target.json},
};

static const struct syntax syntax = {
    .operands = "a command",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .operands_min = 1,
    .operands_max = 1,
    .stop_at_operand = true,
};

static int show_help(void)
{
    puts("Usage: kedge [options] COMMAND [its options]\n\n"
         "Keys and images for the Kedge bootloader (MCUboot's format), and devices over SMP.\n");
    puts("Commands (kedge COMMAND --help says more):");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("  %-12s %s\n", commands[i].name, commands[i].summary);
    }
    puts("");
    options_help(&syntax);
    puts("\nExit codes: 0 done, 1 refused or failed, 2 wrong usage.");
    return EXIT_DONE;
}

static int check_target(void)
{
    const int given =
        (device_target.udp != NULL) + (device_target.serial != NULL) + (device_target.ble != NULL);

    if (given > 1) {
        return misuse(NULL, "--udp, --serial and --ble exclude each other: give one of them");
    }
    if (timeout_text != NULL) {
        char *end = NULL;

        device_target.timeout = strtod(timeout_text, &end);
        if (end == timeout_text || *end != '\0' || !(device_target.timeout > 0) ||
            device_target.timeout > 86400) {
            return misuse(NULL, "--timeout takes seconds above 0, not %s", timeout_text);
        }
    }
    return OPTIONS_GO;
}

/* `kedge --help`, wherever it stands before the command. */
static bool wants_help(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
                        strcmp(argv[1], "help") == 0);
}

int main(int argc, char **argv)
{
    struct operands operands;

    if (wants_help(argc, argv)) {
        return show_help();
    }
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result == OPTIONS_GO) {
        result = check_target();
    }
    if (result != OPTIONS_GO) {
        return result;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, operands.at[0]) == 0) {
            result = commands[i].run(argc - operands.index, argv + operands.index);
            return fflush(stdout) == 0 ? result : fail("cannot write to standard output");
        }
    }
    return misuse(NULL, "there is no command %s", operands.at[0]);
}
