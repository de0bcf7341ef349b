/* kedge image: what is in a device's slots, and what shall run next. */
#include <stdio.h>
#include <string.h>

#include "cbor_json.h"
#include "exchange.h"
#include "group.h"
#include "hash_text.h"
#include "image_upload.h"
#include "report.h"

#define ENTRIES_MAX 16

static struct device_link device;

/* ---- list ----------------------------------------------------------------------------------- */

static void print_flags(const struct kedge_smp_image_entry *entry)
{
    const struct {
        bool set;
        const char *word;
    } flags[] = {{entry->active, "active"},
                 {entry->confirmed, "confirmed"},
                 {entry->pending, "pending"},
                 {entry->permanent, "permanent"},
                 {entry->bootable, "bootable"}};
    const char *gap = "";

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (flags[i].set) {
            printf("%s%s", gap, flags[i].word);
            gap = ", ";
        }
    }
}

static int print_images(struct kedge_bytes cbor)
{
    struct kedge_smp_image_entry entries[ENTRIES_MAX];
    const int count = kedge_smp_read_images(cbor, entries, ENTRIES_MAX);

    if (count < 0) {
        return fail("the device's list of images is malformed");
    }
    if (device_target.json) {
        return json_print(cbor);
    }
    if (count == 0) {
        puts("no image in any slot");
    }
    for (int i = 0; i < count; i++) {
        if (entries[i].image > 0) {
            printf("image %u ", entries[i].image);
        }
        printf("slot %u: %.*s  ", entries[i].slot, (int)entries[i].version.size,
               (const char *)entries[i].version.at);
        print_flags(&entries[i]);
        printf("\n    hash ");
        hex_print(stdout, entries[i].hash);
        puts("");
    }
    return EXIT_DONE;
}

static int run_list(int argc, char **argv)
{
    struct operands operands;
    struct kedge_smp_reply reply;
    int result = group_parse("image list", "", "Shows the images in the device's slots.", 0, 0,
                             argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 1, 0);

    result = device_ask(&device, &ask, SLOW_MS, "image list", &reply);
    if (result == 0) {
        result = print_images(reply.cbor);
    }
    device_link_close(&device);
    return result;
}

/* ---- test, confirm -------------------------------------------------------------------------- */

static int request_by(const char *command, const char *text, bool confirm)
{
    uint8_t hash[KEDGE_DIGEST_MAX];
    size_t size = 0;
    int result = text == NULL ? 0 : hash_resolve(&device, command, text, hash, &size);

    if (result == 0) {
        result = image_request(&device, kedge_bytes(hash, size), confirm);
    }
    return result;
}

static int run_request(const char *command, const char *about, bool confirm, int argc, char **argv)
{
    struct operands operands;
    int result = group_parse(command, confirm ? "[HASH]" : "HASH", about, confirm ? 0 : 1, 1, argc,
                             argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    result = request_by(command, operands.count > 0 ? operands.at[0] : NULL, confirm);
    device_link_close(&device);
    return result;
}

static int run_test(int argc, char **argv)
{
    return run_request("image test",
                       "The image is tried at the next boot; unconfirmed, the old one comes back.",
                       false, argc, argv);
}

static int run_confirm(int argc, char **argv)
{
    return run_request(
        "image confirm",
        "Without HASH: the running image stays. With the HASH of another one: it is\n"
        "installed for good at the next boot, without a trial.",
        true, argc, argv);
}

/* ---- erase, slots --------------------------------------------------------------------------- */

static int run_erase(int argc, char **argv)
{
    static struct option_number slot;
    static const struct option options[] = {{0, "slot", "N",
                                             "the slot (default 1, the one that receives uploads)",
                                             OPTION_NUMBER, &slot}};
    static const struct syntax syntax = {.command = "image erase",
                                         .operands = "",
                                         .about = "Erases a slot of the device.",
                                         .options = options,
                                         .option_count = 1};
    struct operands operands;
    struct kedge_smp_reply reply;
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_WRITE, 1, 5);

    kedge_smp_put_uint(&ask.map, "slot", slot.given ? slot.value : 1);
    result = device_ask(&device, &ask, SLOW_MS, "image erase", &reply);
    device_link_close(&device);
    return result;
}

static int print_slots(struct kedge_bytes cbor)
{
    struct kedge_smp_slot_entry entries[ENTRIES_MAX];
    const int count = kedge_smp_read_slots(cbor, entries, ENTRIES_MAX);

    if (count < 0) {
        return fail("the device's list of slots is malformed");
    }
    if (device_target.json) {
        return json_print(cbor);
    }
    for (int i = 0; i < count; i++) {
        printf("image %u slot %u: %u bytes", entries[i].image, entries[i].slot, entries[i].size);
        if (entries[i].max_image > 0) {
            printf(", largest image %u bytes", entries[i].max_image);
        }
        puts("");
    }
    return EXIT_DONE;
}

static int run_slots(int argc, char **argv)
{
    struct operands operands;
    struct kedge_smp_reply reply;
    int result = group_parse("image slots", "", "Shows the sizes of the device's slots.", 0, 0,
                             argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 1, 6);

    result = device_ask(&device, &ask, QUICK_MS, "image slots", &reply);
    if (result == 0) {
        result = print_slots(reply.cbor);
    }
    device_link_close(&device);
    return result;
}

static const struct command commands[] = {
    {"list", "the images in the slots, and what will become of them", run_list},
    {"upload", "send an image to the device", run_image_upload},
    {"test", "try an image at the next boot", run_test},
    {"confirm", "keep the running image, or install another one for good", run_confirm},
    {"erase", "erase a slot", run_erase},
    {"slots", "the sizes of the slots", run_slots},
};

int run_image(int argc, char **argv)
{
    static const struct group group = {"image", "Images on a device", commands,
                                       sizeof(commands) / sizeof(commands[0]), false};

    return group_run(&group, argc, argv);
}
