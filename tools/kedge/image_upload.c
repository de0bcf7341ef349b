/* kedge image upload: the state machine of smp_client.h, with a link, a clock and a progress bar.
 */
#include "image_upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cbor_json.h"
#include "command.h"
#include "delta_file.h"
#include "file.h"
#include "group.h"
#include "kedge/image.h"
#include "options.h"
#include "progress.h"
#include "report.h"

/* A device that erases the whole slot first takes its time for the first answer (facts A6). */
#define FIRST_ANSWER_MS 60000u
#define NEXT_ANSWER_MS  15000u
/* Messages of a device that does not tell its buffer: what every SMP server takes. */
#define BUFFER_UNKNOWN 256u
/* Where a .hex may begin and end: firmware of one chip. */
#define HEX_SPAN (16u << 20)

static struct {
    struct option_number image;
    bool upgrade, test, confirm, reset, wait;
    const char *delta_from;
} given;

static const struct option options[] = {
    {0, "image", "N", "the number of the image, for devices with several", OPTION_NUMBER,
     &given.image},
    {0, "delta-from", "OLD",
     "send a patch: OLD is the image that the device runs. If it is not: the compressed image",
     OPTION_TEXT, &given.delta_from},
    {0, "upgrade", NULL, "only when it is newer than the running one", OPTION_FLAG, &given.upgrade},
    {0, "test", NULL, "then: try it at the next boot", OPTION_FLAG, &given.test},
    {0, "confirm", NULL, "then: install it for good at the next boot", OPTION_FLAG, &given.confirm},
    {0, "reset", NULL, "then: reset the device", OPTION_FLAG, &given.reset},
    {0, "wait", NULL, "then: wait until it is back, and say what runs", OPTION_FLAG, &given.wait},
    OPTION_JSON,
};

static const struct syntax syntax = {
    .command = "image upload",
    .operands = "FILE",
    .about = "Sends a signed image to the device. An upload that was interrupted goes on where it\n"
             "stopped. FILE is .bin or .hex. With --json every step prints one line.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .operands_min = 1,
    .operands_max = 1,
};

static struct device_link device;
static struct kedge_smp_upload upload;

/* ---- the file ------------------------------------------------------------------------------- */

static int read_file_bytes(const void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct file_data *file = ctx;

    if (at > file->size || to.size > file->size - at) {
        return KEDGE_E_BOUNDS;
    }
    memcpy(to.at, file->at + at, to.size);
    return 0;
}

/* The image's own hash, by which a device knows it. 0, or EXIT_REFUSED, said. */
static int image_hash(const char *path, const struct file_data *file,
                      uint8_t hash[KEDGE_DIGEST_MAX], size_t *size)
{
    const struct kedge_source source = {read_file_bytes, file, (uint32_t)file->size};
    struct kedge_image image;
    const enum kedge_verdict verdict = kedge_image_parse(&source, &image);
    const int found = verdict == KEDGE_IMAGE_GOOD ? kedge_image_hash(&source, &image, hash) : -1;

    if (found < 0) {
        return fail("%s: %s: sign it first (kedge sign, imgtool sign)", path,
                    verdict == KEDGE_IMAGE_GOOD ? "the image has no hash"
                                                : kedge_verdict_text(verdict));
    }
    *size = (size_t)found;
    return 0;
}

/* ---- the upload ----------------------------------------------------------------------------- */

static int send_all(struct kedge_buf buffer)
{
    size_t size;
    int result;

    while ((result = kedge_smp_upload_next(&upload, buffer, &size)) == 1) {
        if (device.link.ops->send(&device.link, kedge_bytes(buffer.at, size)) != 0) {
            return EXIT_REFUSED;
        }
    }
    return result;
}

/* The time since the last sign of life; asks again meanwhile. 0 or EXIT_REFUSED, said. */
static int on_silence(struct kedge_buf buffer, uint64_t heard_ms)
{
    const unsigned most = device_target.timeout > 0 ? patience_ms(QUICK_MS)
                          : upload.acknowledged > 0 ? NEXT_ANSWER_MS
                                                    : FIRST_ANSWER_MS;
    size_t size;

    if (link_clock_ms() - heard_ms >= most) {
        return fail(
            "device fell silent at %s after %u of %zu bytes: run the command again, it goes "
            "on from there",
            device.link.name, upload.acknowledged, upload.file.size);
    }
    if (kedge_smp_upload_again(&upload, buffer, &size) == 1 &&
        device.link.ops->send(&device.link, kedge_bytes(buffer.at, size)) != 0) {
        return EXIT_REFUSED;
    }
    return 0;
}

static int say_failure(int result)
{
    switch (result) {
    case KEDGE_E_REFUSED:
        return device_refused(&device, "upload refused", upload.of_group, 1, upload.rc);
    case KEDGE_E_HASH:
        return fail("the device received something else than was sent: upload again");
    default:
        return fail("the device asks for byte %u again and again: erase its slot (kedge image "
                    "erase) and upload again",
                    upload.next);
    }
}

static int send_file(struct kedge_buf buffer)
{
    uint64_t heard_ms = link_clock_ms();
    int result = 0;

    while (result == 0) {
        struct kedge_bytes message;

        if (send_all(buffer) != 0) {
            return EXIT_REFUSED;
        }
        const int came = device.link.ops->receive(&device.link, device.link.retry_ms, &message);

        if (came < 0) {
            return EXIT_REFUSED;
        }
        if (came == 0) {
            if (on_silence(buffer, heard_ms) != 0) {
                return EXIT_REFUSED;
            }
            continue;
        }
        heard_ms = link_clock_ms();
        result = kedge_smp_upload_reply(&upload, message);
        progress_show(upload.acknowledged);
    }
    return result;
}

/* Messages as long as device and link allow, as many in flight as the device has buffers for. */
static void choose_sizes(void)
{
    size_t most = device.buffer_size > 0 ? device.buffer_size : BUFFER_UNKNOWN;

    most = most > device.link.overhead ? most - device.link.overhead : 0;
    most = most < device.link.message_max ? most : device.link.message_max;
    upload.message_max = (uint32_t)(most < 192 ? 192 : most);
    upload.window = (uint8_t)(device.buffer_count < 1                      ? 1
                              : device.buffer_count > KEDGE_SMP_WINDOW_MAX ? KEDGE_SMP_WINDOW_MAX
                                                                           : device.buffer_count);
}

static void print_result(const char *path, uint64_t ms, struct kedge_bytes hash)
{
    const size_t sent = upload.file.size - upload.resumed_at;

    if (device_target.json) {
        printf("{\"file\": ");
        json_text(stdout, kedge_bytes(path, strlen(path)));
        printf(", \"bytes\": %zu, \"resumed_at\": %u, \"requests\": %u, \"milliseconds\": %llu, "
               "\"sha256\": \"",
               upload.file.size, upload.resumed_at, upload.requests, (unsigned long long)ms);
        hex_print(stdout, kedge_bytes(upload.sha, sizeof(upload.sha)));
        if (hash.size > 0) {
            printf("\", \"hash\": \"");
            hex_print(stdout, hash);
        }
        puts("\"}");
    } else if (sent == 0) {
        printf("%s is on the device already\n", path);
    } else {
        printf("uploaded %s: %zu bytes in %.1f s", path, sent, (double)ms / 1000.0);
        if (upload.resumed_at > 0) {
            printf(" (resumed at %u of %zu)", upload.resumed_at, upload.file.size);
        }
        puts("");
    }
    fflush(stdout);
}

static int upload_file(const char *path, const struct file_data *file, struct kedge_bytes hash)
{
    struct kedge_hash_state state;

    kedge_sha256.start(&state);
    kedge_sha256.update(&state, kedge_bytes(file->at, file->size));
    kedge_sha256.finish(&state, upload.sha);
    upload.file = kedge_bytes(file->at, file->size);
    upload.image = given.image.given ? given.image.value : 0;
    upload.upgrade = given.upgrade;
    upload.sequence = device.sequence;
    choose_sizes();
    if (kedge_smp_upload_start(&upload) != 0) {
        return fail("%s is too short for an image", path);
    }
    const struct kedge_buf buffer = kedge_buf(grab(upload.message_max), upload.message_max);
    const uint64_t start = link_clock_ms();

    progress_start(upload.file.size, 0);
    int result = send_file(buffer);

    progress_end();
    device.sequence = upload.sequence;
    free(buffer.at);
    if (result < 0) {
        return say_failure(result);
    }
    if (result == 1 && upload.done) {
        print_result(path, link_clock_ms() - start, hash);
        return 0;
    }
    return EXIT_REFUSED;
}

/* ---- what may follow ------------------------------------------------------------------------ */

int image_request(struct device_link *to, struct kedge_bytes hash, bool confirm)
{
    struct kedge_smp_request ask = device_request(to, KEDGE_SMP_WRITE, 1, 0);
    struct kedge_smp_image_entry entries[16];
    struct kedge_smp_reply reply;

    /* the keys that every client sends: the hash first, empty for the running image */
    if (hash.size > 0) {
        kedge_smp_put_bytes(&ask.map, "hash", hash);
    }
    kedge_smp_put_bool(&ask.map, "confirm", confirm);
    const int result =
        device_ask(to, &ask, SLOW_MS, confirm ? "image confirm" : "image test", &reply);

    if (result != 0) {
        return result;
    }
    if (device_target.json) {
        return json_print(reply.cbor);
    }
    const int count = kedge_smp_read_images(reply.cbor, entries, 16);

    for (int i = 0; i < count; i++) {
        const struct kedge_smp_image_entry *entry = &entries[i];

        if (hash.size == 0 ? entry->active
                           : entry->hash.size == hash.size &&
                                 memcmp(entry->hash.at, hash.at, hash.size) == 0) {
            printf("%.*s %s\n", (int)entry->version.size, (const char *)entry->version.at,
                   entry->active      ? "runs and is confirmed"
                   : entry->permanent ? "will be installed for good at the next boot"
                   : entry->pending   ? "will be tried at the next boot"
                                      : "stays as it is");
            break;
        }
    }
    fflush(stdout);
    return 0;
}

int device_reset(struct device_link *to, bool force)
{
    struct kedge_smp_request ask = device_request(to, KEDGE_SMP_WRITE, 0, 5);
    struct kedge_smp_reply reply;

    if (force) {
        kedge_smp_put_uint(&ask.map, "force", 1);
    }
    return device_ask(to, &ask, QUICK_MS, "reset", &reply);
}

/* ---- patches -------------------------------------------------------------------------------- */

static bool runs(const struct image_file *old)
{
    struct kedge_smp_image_entry entries[16];
    struct kedge_smp_reply reply;
    struct kedge_image image;
    uint8_t hash[KEDGE_DIGEST_MAX];
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 1, 0);
    const int size = kedge_image_parse(&old->source, &image) == KEDGE_IMAGE_GOOD
                         ? kedge_image_hash(&old->source, &image, hash)
                         : -1;

    if (size < 0 || device_ask(&device, &ask, SLOW_MS, "image list", &reply) != 0) {
        return false;
    }
    const int count = kedge_smp_read_images(reply.cbor, entries, 16);

    for (int i = 0; i < count; i++) {
        if (entries[i].active && entries[i].hash.size == (size_t)size &&
            memcmp(entries[i].hash.at, hash, (size_t)size) == 0) {
            return true;
        }
    }
    return false;
}

/* What to send instead of `now`: a patch, or when the device runs something else than OLD, the
 * image compressed. 0 or EXIT_REFUSED, said. */
static int make_patch(const struct image_file *now, struct blob *file)
{
    const struct delta_known nothing = {0};
    struct delta_facts facts;
    struct image_file old;
    int result = image_file_open(given.delta_from, &old);

    if (result != 0) {
        return result;
    }
    const bool fits = runs(&old);

    if (!fits) {
        fprintf(stderr, "kedge: the device does not run %s: sending the whole image, compressed\n",
                given.delta_from);
    }
    result = delta_file_make(fits ? &old : NULL, now, &nothing, file, &facts);
    image_file_close(&old);
    return result;
}

/* The file as it is, or a patch. */
static int upload_by(const char *path, const struct file_data *file, struct kedge_bytes hash)
{
    const struct image_file now = {.data = *file,
                                   .source = {read_file_bytes, file, (uint32_t)file->size}};
    struct blob patch = {0};

    if (given.delta_from == NULL) {
        return upload_file(path, file, hash);
    }
    int result = make_patch(&now, &patch);

    if (result == 0) {
        const struct file_data sent = {.at = patch.at, .size = patch.size};

        result = upload_file(path, &sent, hash);
    }
    blob_free(&patch);
    return result;
}

static int run_steps(const char *path, const struct file_data *file)
{
    uint8_t hash[KEDGE_DIGEST_MAX];
    size_t size = 0;
    int result = 0;

    /* before anything is sent: without a hash the request would fail in the end */
    if (given.test || given.confirm) {
        result = image_hash(path, file, hash, &size);
    }
    if (result != 0 || (result = device_link_open(&device)) != 0) {
        return result;
    }
    result = upload_by(path, file, kedge_bytes(hash, size));
    if (result == 0 && (given.test || given.confirm)) {
        result = image_request(&device, kedge_bytes(hash, size), given.confirm);
    }
    if (result == 0 && given.reset) {
        result = device_reset(&device, false);
    }
    if (result == 0 && given.wait) {
        result = device_wait(&device);
    }
    device_link_close(&device);
    return result;
}

int run_image_upload(int argc, char **argv)
{
    struct operands operands;
    struct file_data file;
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result != OPTIONS_GO) {
        return result;
    }
    if (given.test && given.confirm) {
        return misuse("image upload", "--test and --confirm exclude each other");
    }
    if (given.wait && !given.reset) {
        return misuse("image upload", "--wait waits for a reset: give --reset too");
    }
    result = file_read_image(operands.at[0], HEX_SPAN, &file);
    if (result != 0) {
        return result;
    }
    result = run_steps(operands.at[0], &file);
    free(file.at);
    return result;
}
