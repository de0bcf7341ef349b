/* Parsing is strict: an unknown option or a value out of range is wrong usage and named. */
#include "device_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "version_text.h"

static const char usage[] =
    "usage: kedge-device --state DIR --key PUB.pem [options]\n"
    "A virtual device: loader and update agent on simulated flashes kept in DIR.\n"
    "  --state DIR            internal.bin, external.bin, layout, trace; made if absent\n"
    "  --key PUB.pem          a key that the loader trusts (up to 8)\n"
    "  --enc-key PRIV.pem     the device's own key, for encrypted images; policy confidential is "
    "on\n"
    "  --shared-key FILE      a key that devices share, for sealed files: 32 bytes or 64 hex "
    "digits\n"
    "  --local-key FILE       a key for files encrypted with AES-CTR, in the same form\n"
    "                         (ecdsa-p256, x25519, rsa-2048, or a shared AES key as base64)\n"
    "  --layout FILE          Kedge YAML, or Nordic partitions.yml / pm_static.yml\n"
    "  --strategy S           swap, overwrite or backup (default: the layout's, swap)\n"
    "  --udp HOST:PORT        serve SMP on UDP (default 127.0.0.1:1337 when no other is given)\n"
    "  --pty LINK             serve SMP on a pty, console framing; LINK becomes a symbolic link\n"
    "  --raw-pty LINK         the same with bare SMP messages\n"
    "  --hci WHERE            serve SMP over BLE: tcp:HOST:PORT (H4), or hciN (this machine's "
    "adapter)\n"
    "  --ble-name NAME        the advertised name (default Kedge)\n"
    "  --ble-security S       open (default), encrypted, or authenticated (shows six digits to "
    "type)\n"
    "  --ble-mtu N            largest ATT MTU, 23 to 498 (default 498)\n"
    "  --pull URL             fetch a file (http, https, coap, coaps) into the chunk store, "
    "decode\n"
    "                         it, try it; beside it: URL.manifest or URL.sha256\n"
    "  --pull-sha256 HEX      ... with this SHA-256, nothing beside it\n"
    "  --psk IDENTITY:KEY     the key for coaps\n"
    "  --modem TTY            ... over the cellular modem on this serial line (AT commands)\n"
    "  --once                 boot, print the verdict, exit: 0 booted, 3 nothing bootable\n"
    "  --cut N                power fails at program or erase N of this run (exit 9)\n"
    "  --cut-kind KIND        before, torn or after (default torn)\n"
    "  --seed S               of everything random (default 1)\n"
    "  --flash-time KIND      model: operations take their time (default); none\n"
    "  --crash-version V      the image of this version crashes as soon as it runs\n"
    "  --external-dead        the external chip does not answer in this run\n";

enum device_option {
    O_STATE = 256,
    O_KEY,
    O_ENC_KEY,
    O_LAYOUT,
    O_STRATEGY,
    O_UDP,
    O_PTY,
    O_RAW_PTY,
    O_ONCE,
    O_CUT,
    O_CUT_KIND,
    O_SEED,
    O_FLASH_TIME,
    O_CRASH_VERSION,
    O_EXTERNAL_DEAD,
    O_HCI,
    O_BLE_NAME,
    O_BLE_SECURITY,
    O_BLE_MTU,
    O_SHARED_KEY,
    O_LOCAL_KEY,
    O_PULL,
    O_PULL_SHA256,
    O_MODEM,
    O_PSK,
    O_HELP
};

static const struct option table[] = {
    {"state", required_argument, NULL, O_STATE},
    {"key", required_argument, NULL, O_KEY},
    {"layout", required_argument, NULL, O_LAYOUT},
    {"strategy", required_argument, NULL, O_STRATEGY},
    {"udp", required_argument, NULL, O_UDP},
    {"pty", required_argument, NULL, O_PTY},
    {"raw-pty", required_argument, NULL, O_RAW_PTY},
    {"once", no_argument, NULL, O_ONCE},
    {"cut", required_argument, NULL, O_CUT},
    {"cut-kind", required_argument, NULL, O_CUT_KIND},
    {"seed", required_argument, NULL, O_SEED},
    {"flash-time", required_argument, NULL, O_FLASH_TIME},
    {"crash-version", required_argument, NULL, O_CRASH_VERSION},
    {"external-dead", no_argument, NULL, O_EXTERNAL_DEAD},
    {"enc-key", required_argument, NULL, O_ENC_KEY},
    {"shared-key", required_argument, NULL, O_SHARED_KEY},
    {"local-key", required_argument, NULL, O_LOCAL_KEY},
    {"hci", required_argument, NULL, O_HCI},
    {"ble-name", required_argument, NULL, O_BLE_NAME},
    {"ble-security", required_argument, NULL, O_BLE_SECURITY},
    {"ble-mtu", required_argument, NULL, O_BLE_MTU},
    {"pull", required_argument, NULL, O_PULL},
    {"pull-sha256", required_argument, NULL, O_PULL_SHA256},
    {"modem", required_argument, NULL, O_MODEM},
    {"psk", required_argument, NULL, O_PSK},
    {"help", no_argument, NULL, O_HELP},
    {NULL, 0, NULL, 0},
};

static int wrong(const char *what, const char *value)
{
    fprintf(stderr, "kedge-device: %s%s%s (see --help)\n", what, value == NULL ? "" : ": ",
            value == NULL ? "" : value);
    return 1;
}

/* `words` are separated by blanks; -> index or -1. */
static int one_of(const char *const *words, int count, const char *value)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], value) == 0) {
            return i;
        }
    }
    return -1;
}

static int parse_number(const char *text, uint64_t most, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 0);
    return *text == '\0' || *text == '-' || *end != '\0' || errno != 0 || *value > most ? -1 : 0;
}

static int take_ble(struct device_options *o, int option, const char *value)
{
    static const char *const security[] = {"open", "encrypted", "authenticated"};
    uint64_t number;
    int index;
    switch (option) {
    case O_HCI:
        o->hci = value;
        return strncmp(value, "tcp:", 4) != 0 && strncmp(value, "hci", 3) != 0
                   ? wrong("--hci must be tcp:HOST:PORT or hciN, not", value)
                   : 0;
    case O_BLE_NAME:
        o->ble_name = value;
        return *value == '\0' || strlen(value) > 29
                   ? wrong("--ble-name must have 1 to 29 characters, not", value)
                   : 0;
    case O_BLE_SECURITY:
        index = one_of(security, 3, value);
        o->ble_security = (uint8_t)index;
        return index < 0
                   ? wrong("--ble-security must be open, encrypted or authenticated, not", value)
                   : 0;
    default:
        if (parse_number(value, 498, &number) != 0 || number < 23) {
            return wrong("--ble-mtu must be 23 to 498, not", value);
        }
        o->ble_mtu = (uint16_t)number;
        return 0;
    }
}

static int take(struct device_options *o, int option, const char *value)
{
    static const char *const kinds[] = {"torn", "before", "after"};
    static const char *const times[] = {"model", "none"};
    static const char *const strategies[] = {"swap", "overwrite", "backup"};
    uint64_t number;
    int index;
    switch (option) {
    case O_STATE:
        o->state = value;
        return 0;
    case O_KEY:
        if (o->key_count == DEVICE_KEYS) {
            return wrong("at most 8 keys", NULL);
        }
        o->keys[o->key_count++] = value;
        return 0;
    case O_ENC_KEY:
        o->enc_key = value;
        return 0;
    case O_SHARED_KEY:
        o->shared_key = value;
        return 0;
    case O_LOCAL_KEY:
        o->local_key = value;
        return 0;
    case O_LAYOUT:
        o->layout = value;
        return 0;
    case O_STRATEGY:
        o->strategy = value;
        return one_of(strategies, 3, value) < 0
                   ? wrong("--strategy must be swap, overwrite or backup, not", value)
                   : 0;
    case O_UDP:
        o->udp = value;
        return strrchr(value, ':') != NULL &&
                       parse_number(strrchr(value, ':') + 1, 65535, &number) != 0
                   ? wrong("--udp must be HOST:PORT, not", value)
                   : 0;
    case O_PTY:
        o->pty = value;
        return 0;
    case O_RAW_PTY:
        o->raw_pty = value;
        return 0;
    case O_PULL:
        o->pull.url = value;
        return 0;
    case O_PULL_SHA256:
        o->pull.sha256 = value;
        return 0;
    case O_MODEM:
        o->pull.modem = value;
        return 0;
    case O_PSK:
        o->pull.psk = value;
        return 0;
    case O_ONCE:
        o->once = true;
        return 0;
    case O_CUT:
        if (parse_number(value, UINT32_MAX, &number) != 0 || number == 0) {
            return wrong("--cut must be an operation number from 1, not", value);
        }
        o->cut = (uint32_t)number;
        return 0;
    case O_CUT_KIND:
        index = one_of(kinds, 3, value);
        o->cut_kind = (uint8_t)index;
        return index < 0 ? wrong("--cut-kind must be before, torn or after, not", value) : 0;
    case O_SEED:
        return parse_number(value, UINT64_MAX, &o->seed) != 0
                   ? wrong("--seed must be a number, not", value)
                   : 0;
    case O_FLASH_TIME:
        index = one_of(times, 2, value);
        o->time = index == 1 ? KEDGE_SIM_TIME_NONE : KEDGE_SIM_TIME_TYPICAL;
        return index < 0 ? wrong("--flash-time must be model or none, not", value) : 0;
    case O_CRASH_VERSION:
        o->has_crash_version = true;
        return version_parse(value, &o->crash_version) != NULL
                   ? wrong("--crash-version must be a version like 1.2.3 or 1.2.3+4, not", value)
                   : 0;
    case O_EXTERNAL_DEAD:
        o->external_dead = true;
        return 0;
    case O_HCI:
    case O_BLE_NAME:
    case O_BLE_SECURITY:
    case O_BLE_MTU:
        return take_ble(o, option, value);
    default:
        return wrong("unknown option", NULL);
    }
}

/* getopt names a letter, or a long option that it found behind it; `word` is where it stands. */
static int unknown(const char *word)
{
    const char letter[] = {'-', (char)optopt, '\0'};
    return optopt >= O_STATE ? wrong("option takes no value", word)
           : optopt > 0      ? wrong("unknown option", letter)
                             : wrong("unknown option", word);
}

int device_options_parse(struct device_options *options, int argc, char **argv)
{
    int option;
    int index = 0;
    *options = (struct device_options){.seed = 1, .time = KEDGE_SIM_TIME_TYPICAL, .ble_mtu = 498};
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", table, &index)) != -1) {
        if (option == O_HELP) {
            fputs(usage, stdout);
            return -1;
        }
        if (option == ':') {
            return wrong("option needs a value", argv[optind - 1]);
        }
        if (option == '?') {
            return unknown(argv[optind - 1]);
        }
        if (take(options, option, optarg) != 0) {
            return 1;
        }
    }
    if (optind < argc) {
        return wrong("unexpected word", argv[optind]);
    }
    if (options->state == NULL) {
        return wrong("--state DIR is missing", NULL);
    }
    if (options->key_count == 0) {
        return wrong("--key PUB.pem is missing: the loader must trust a key", NULL);
    }
    if (options->udp == NULL && options->pty == NULL && options->raw_pty == NULL &&
        options->hci == NULL) {
        options->udp = "127.0.0.1:1337";
    }
    return 0;
}
