/* kedge flash: what lies in the flashes of a virtual device, or in dumps that were read with any
 * programmer. The commands work as a debugger does: no loader, no agent, no journal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "enc_key_file.h"
#include "file.h"
#include "flight_log.h"
#include "group.h"
#include "inspect.h"
#include "key_file.h"
#include "options.h"
#include "report.h"

#define KEYS_MAX 8

static struct {
    const char *state, *slot, *layout, *internal, *external;
    struct option_list keys;
    const char *enc_key;
    bool raw;
} given;

static struct state device = {.lock = -1}; /* large, and must not move */

/* ---- opening --------------------------------------------------------------------------------- */

static int open_state_directory(bool exclusive)
{
    char why[LAYOUT_WHY];
    const struct state_options options = {
        .directory = given.state, .time = KEDGE_SIM_TIME_NONE, .exclusive = exclusive};
    return state_open(&device, &options, why) == 0 ? OPTIONS_GO : fail("%s", why);
}

/* Opened for writing, by a debugger's hands: they are in the record too. */
static struct flight_log hands = {.bus = {.fd = -1}, .packets = {.fd = -1}};

static void on_trace(void *ctx, const struct kedge_sim_event *event)
{
    flight_log_operation(ctx, event);
}

static int open_for_writing(void)
{
    static const struct kedge_sim_hooks hooks = {.ctx = &hands, .trace = on_trace};
    char why[FLIGHT_LOG_WHY];
    const int result = open_state_directory(true);
    if (result != OPTIONS_GO) {
        return result;
    }
    if (flight_log_open_debugger(&hands, &device, given.state, why) != 0) {
        return fail("%s", why);
    }
    kedge_sim_hooks(device.board.sim, &hooks);
    return OPTIONS_GO;
}

/* Who only looks makes no device by the way: a mistyped directory would read as an erased flash. */
static int open_for_reading(void)
{
    if (access(given.state, F_OK) != 0) {
        return fail("there is no state directory %s: kedge-device --state makes one", given.state);
    }
    return open_state_directory(false);
}

static int need_state(const char *command)
{
    return given.state == NULL ? misuse(command, "it needs --state DIR") : OPTIONS_GO;
}

/* The slot that --slot names; NULL: another word. */
static const struct kedge_slot *named_slot(void)
{
    if (strcmp(given.slot, "primary") == 0) {
        return &device.pair.primary;
    }
    return strcmp(given.slot, "secondary") == 0 ? &device.pair.secondary : NULL;
}

/* The slot's length as the application sees it: trailer or mailbox included, spares not. */
static uint32_t seen_size(const struct kedge_slot *slot)
{
    return (slot->gap + 1u) * slot->unit;
}

/* ---- write ----------------------------------------------------------------------------------- */

/* Where a file's first byte goes: a .hex says it by its address (of the device, or of the primary
 * it was linked for, or 0), a binary goes to the slot's first byte. */
static bool place_of(const struct kedge_slot *slot, const struct file_data *file, uint32_t *at)
{
    const uint32_t starts[] = {slot->region.start, device.pair.primary.region.start, 0};
    *at = 0;
    if (!file->has_address) {
        return file->size <= seen_size(slot);
    }
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        *at = file->address - starts[i];
        if (file->address >= starts[i] && *at < seen_size(slot) &&
            file->size <= seen_size(slot) - *at) {
            return true;
        }
    }
    return false;
}

static int program(const struct kedge_region *region, uint32_t at, struct kedge_bytes data)
{
    const uint32_t sector = region->flash->geometry.erase_size;
    const uint32_t block = region->flash->geometry.write_block;
    const uint32_t from = at - at % sector;
    const uint32_t to = (uint32_t)((at + data.size + sector - 1) / sector * sector);
    const size_t whole = (at % block + data.size + block - 1) / block * block;
    uint8_t *padded = grab(whole);
    memset(padded, region->flash->geometry.erased, whole);
    memcpy(padded + at % block, data.at, data.size);
    int result = kedge_region_erase(region, from, to - from);
    if (result == 0) {
        result = kedge_region_program(region, at - at % block, kedge_bytes(padded, whole));
    }
    if (result == 0) {
        result = kedge_region_sync(region);
    }
    free(padded);
    return result;
}

static int write_file(const char *path)
{
    struct file_data file;
    uint32_t at;
    const struct kedge_slot *slot = named_slot();
    int result = file_read_image(path, seen_size(slot), &file);
    if (result != 0) {
        return result;
    }
    if (file.size == 0 || !place_of(slot, &file, &at)) {
        result = file.has_address
                     ? fail("%s: its segment at 0x%X (0x%zX bytes) does not lie in the %s slot",
                            path, file.address, file.size, given.slot)
                     : fail("%s: 0x%zX bytes do not fit the %s slot of 0x%X bytes", path, file.size,
                            given.slot, seen_size(slot));
    } else {
        const int written = program(&slot->region, at, kedge_bytes(file.at, file.size));
        result = written == 0
                     ? EXIT_DONE
                     : fail("cannot write the %s slot: %s", given.slot, kedge_error_text(written));
    }
    free(file.at);
    return result;
}

static const struct option write_options[] = {
    {0, "state", "DIR", "the virtual device's directory, made if absent", OPTION_TEXT,
     &given.state},
    {0, "slot", "primary|secondary", "which slot", OPTION_CHOICE, &given.slot},
};
static const struct syntax write_syntax = {
    .command = "flash write",
    .operands = "FILE",
    .about =
        "Programs a .bin or .hex into a slot, as a debugger would. Only the sectors that the file "
        "covers are erased.",
    .options = write_options,
    .option_count = sizeof write_options / sizeof write_options[0],
    .operands_min = 1,
    .operands_max = 1,
};

static int need_slot(const char *command)
{
    return given.slot == NULL ? misuse(command, "it needs --slot") : need_state(command);
}

static int run_write(int argc, char **argv)
{
    struct operands operands;
    int result = options_parse(&write_syntax, argc, argv, &operands);
    if (result == OPTIONS_GO) {
        result = need_slot("flash write");
    }
    if (result == OPTIONS_GO) {
        result = open_for_writing();
    }
    return result == OPTIONS_GO ? write_file(operands.at[0]) : result;
}

/* ---- read ------------------------------------------------------------------------------------ */

static int read_raw(const struct kedge_slot *slot, struct kedge_buf to)
{
    return kedge_region_read(&slot->region, 0, to);
}

/* The image's bytes in order from its base, wherever the loader put it; erased past its end. */
static int read_image(const struct kedge_slot *slot, struct kedge_buf to)
{
    struct kedge_image image;
    const int base = kedge_slot_find(slot, 0, &image);
    memset(to.at, slot->region.flash->geometry.erased, to.size);
    return base < 0 ? read_raw(slot, to)
                    : kedge_slot_read(slot, (uint8_t)base, 0, kedge_buf(to.at, image.size));
}

static int read_slot(const char *path)
{
    const struct kedge_slot *slot = named_slot();
    const size_t size = given.raw ? slot->region.size : seen_size(slot);
    uint8_t *data = grab(size);
    const struct kedge_buf to = kedge_buf(data, size);
    const int got = given.raw ? read_raw(slot, to) : read_image(slot, to);
    const int result = got == 0
                           ? file_write(path, kedge_bytes(data, size), 0666)
                           : fail("cannot read the %s slot: %s", given.slot, kedge_error_text(got));
    free(data);
    return result;
}

static const struct option read_options[] = {
    {0, "state", "DIR", "the virtual device's directory", OPTION_TEXT, &given.state},
    {0, "slot", "primary|secondary", "which slot", OPTION_CHOICE, &given.slot},
    {0, "raw", NULL, "the slot as it lies in the flash, spares included", OPTION_FLAG, &given.raw},
};
static const struct syntax read_syntax = {
    .command = "flash read",
    .operands = "FILE",
    .about =
        "Writes a slot's content to FILE, from its image's first byte, wherever in the slot the "
        "loader put it.",
    .options = read_options,
    .option_count = sizeof read_options / sizeof read_options[0],
    .operands_min = 1,
    .operands_max = 1,
};

static int run_read(int argc, char **argv)
{
    struct operands operands;
    int result = options_parse(&read_syntax, argc, argv, &operands);
    if (result == OPTIONS_GO) {
        result = need_slot("flash read");
    }
    if (result == OPTIONS_GO) {
        result = open_for_reading();
    }
    return result == OPTIONS_GO ? read_slot(operands.at[0]) : result;
}

/* ---- erase ----------------------------------------------------------------------------------- */

static int erase_region(const struct kedge_region *region)
{
    int result = kedge_region_erase(region, 0, region->size);
    if (result == 0) {
        result = kedge_region_sync(region);
    }
    return result == 0 ? EXIT_DONE : fail("cannot erase: %s", kedge_error_text(result));
}

static int erase_all(void)
{
    int result = EXIT_DONE;
    for (unsigned d = 0; d < KEDGE_DEVICES && result == EXIT_DONE; d++) {
        const struct kedge_region whole = {.flash = &device.flash[d],
                                           .size = device.flash[d].geometry.size};
        result = erase_region(&whole);
    }
    return result;
}

static const struct option erase_options[] = {
    {0, "state", "DIR", "the virtual device's directory", OPTION_TEXT, &given.state},
    {0, "slot", "primary|secondary|all", "which slot; all: both chips", OPTION_CHOICE, &given.slot},
};
static const struct syntax erase_syntax = {
    .command = "flash erase",
    .operands = "",
    .about = "Erases a slot (the secondary with its spares), or both chips.",
    .options = erase_options,
    .option_count = sizeof erase_options / sizeof erase_options[0],
};

static int run_erase(int argc, char **argv)
{
    struct operands operands;
    int result = options_parse(&erase_syntax, argc, argv, &operands);
    if (result == OPTIONS_GO) {
        result = need_slot("flash erase");
    }
    if (result == OPTIONS_GO) {
        result = open_for_writing();
    }
    if (result != OPTIONS_GO) {
        return result;
    }
    const struct kedge_slot *slot = named_slot();
    return slot == NULL ? erase_all() : erase_region(&slot->region);
}

/* ---- inspect --------------------------------------------------------------------------------- */

static struct key_file key_files[KEYS_MAX];
static struct kedge_key keys[2 * KEYS_MAX];
static size_t key_count;

static int add_key(const char *path)
{
    char why[KEY_FILE_WHY];
    struct key_file *file = &key_files[key_count / 2];
    if (key_file_read(path, file, why) != 0) {
        return fail("%s", why);
    }
    keys[key_count++] = file->key;
    keys[key_count] = file->key;
    if (file->key.type == &kedge_ed25519) {
        keys[key_count].type = &kedge_ed25519_sha512;
    }
    key_count++;
    return OPTIONS_GO;
}

/* Keys that were given, else those that the directory's device was last started with. */
static int find_keys(void)
{
    char path[4096];
    int result = OPTIONS_GO;
    for (size_t i = 0; i < given.keys.count && result == OPTIONS_GO; i++) {
        result = i < KEYS_MAX ? add_key(given.keys.at[i])
                              : misuse("flash inspect", "at most %d keys", KEYS_MAX);
    }
    for (int i = 0; i < KEYS_MAX && given.keys.count == 0 && given.state != NULL; i++) {
        snprintf(path, sizeof path, "%s/key%d.pem", given.state, i);
        if (access(path, R_OK) == 0 && result == OPTIONS_GO) {
            result = add_key(path);
        }
    }
    return result;
}

static int open_what_is_given(void)
{
    char why[LAYOUT_WHY];
    const bool dumps = given.internal != NULL || given.external != NULL || given.layout != NULL;
    if (dumps == (given.state != NULL)) {
        return misuse("flash inspect", "it needs --state DIR, or --internal and --external dumps "
                                       "(with --layout FILE unless they have the default layout)");
    }
    if (given.state == NULL) {
        return state_open_dumps(&device, given.layout, given.internal, given.external, why) == 0
                   ? OPTIONS_GO
                   : fail("%s", why);
    }
    return open_for_reading();
}

static const struct option inspect_options[] = {
    {0, "state", "DIR", "the virtual device's directory", OPTION_TEXT, &given.state},
    {0, "layout", "FILE", "the layout of the dumps (default: Kedge's)", OPTION_TEXT, &given.layout},
    {0, "internal", "FILE", "dump of the internal flash", OPTION_TEXT, &given.internal},
    {0, "external", "FILE", "dump of the external flash", OPTION_TEXT, &given.external},
    {'k', "key", "PUB.pem",
     "a key that the device trusts (default: what the device of DIR was started with)", OPTION_LIST,
     &given.keys},
    {'E', "enc-key", "PRIV.pem", "the device's own key, for what lies encrypted", OPTION_TEXT,
     &given.enc_key},
};
static const struct syntax inspect_syntax = {
    .command = "flash inspect",
    .operands = "",
    .about = "Explains every region of both flashes in words, and what the next boot will do.",
    .options = inspect_options,
    .option_count = sizeof inspect_options / sizeof inspect_options[0],
};

static int run_inspect(int argc, char **argv)
{
    struct operands operands;
    int result = options_parse(&inspect_syntax, argc, argv, &operands);
    if (result == OPTIONS_GO) {
        result = open_what_is_given();
    }
    if (result == OPTIONS_GO) {
        result = find_keys();
    }
    if (result != OPTIONS_GO) {
        return result;
    }
    static struct enc_key_file own;
    char why[ENC_KEY_WHY];
    if (given.enc_key != NULL && enc_key_read(given.enc_key, &own, why) != 0) {
        return fail("%s", why);
    }
    inspect(stdout, &device, keys, key_count, given.enc_key != NULL ? &own.keys : NULL);
    return EXIT_DONE;
}

/* ---- flash ----------------------------------------------------------------------------------- */

static const struct command commands[] = {
    {"inspect", "explain what lies where, in words", run_inspect},
    {"write", "program a file into a slot", run_write},
    {"read", "read a slot into a file", run_read},
    {"erase", "erase a slot or everything", run_erase},
    {"report", "show every operation: a page, or for other viewers", run_flash_report},
};

static const struct group group = {"flash", "what lies in a device's flashes", commands,
                                   sizeof commands / sizeof commands[0], true};

int run_flash(int argc, char **argv)
{
    const int result = group_run(&group, argc, argv);
    flight_log_close(&hands);
    state_close(&device);
    return result;
}
