/* kedge stage: a file in pieces into the device's chunk store (FORMAT.md [G-8] to [G-10]). Whatever
 * the device has stays: the same command again goes on from there, over resets of the device too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cbor_json.h"
#include "exchange.h"
#include "file.h"
#include "group.h"
#include "kedge/stage.h"
#include "progress.h"
#include "report.h"

#define GAPS_MAX       256
#define CHUNK_OVERHEAD 96u /* bytes of a message that are not data, with the longest check */
#define CHUNK_DEFAULT  256u
#define MANIFEST_CHUNK 4096u /* a sector of most parts */
#define CHUNK_MOST     2048u
#define DAMAGED_MOST   5  /* times that one chunk may arrive damaged */
#define SENDS_MOST     4u /* times the whole file: a device that wants more is out of order */
#define POLL_MS        50u
#define HEX_SPAN       (16u << 20)

static struct device_link device;

/* ---- what the device says -------------------------------------------------------------------- */

struct gap {
    uint32_t from, count;
};

struct staged {
    struct kedge_bytes state, id, check, kind, expects, reason;
    uint32_t size, chunk, check_size, chunks, received, at, attempts, idle, rounds, next;
    struct gap gaps[GAPS_MAX];
    size_t gap_count;
};

static void read_gaps(struct kedge_smp_reader *reader, struct staged *staged)
{
    (void)kedge_smp_enter(reader);
    while (kedge_smp_more(reader) && staged->gap_count < GAPS_MAX) {
        struct gap *const gap = &staged->gaps[staged->gap_count++];

        (void)kedge_smp_enter(reader);
        gap->from = kedge_smp_read_uint(reader);
        gap->count = kedge_smp_read_uint(reader);
        kedge_smp_leave(reader);
    }
    kedge_smp_leave(reader);
}

static bool read_text(struct kedge_smp_reader *reader, struct kedge_bytes key,
                      struct staged *staged)
{
    const struct {
        const char *key;
        struct kedge_bytes *to;
    } texts[] = {{"state", &staged->state},   {"id", &staged->id},
                 {"check", &staged->check},   {"kind", &staged->kind},
                 {"reason", &staged->reason}, {"expects", &staged->expects}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (kedge_smp_is(key, texts[i].key)) {
            *texts[i].to = kedge_smp_read_bytes(reader);
            return true;
        }
    }
    return false;
}

static bool read_number(struct kedge_smp_reader *reader, struct kedge_bytes key,
                        struct staged *staged)
{
    const struct {
        const char *key;
        uint32_t *to;
    } numbers[] = {{"size", &staged->size},
                   {"chunk", &staged->chunk},
                   {"check_size", &staged->check_size},
                   {"chunks", &staged->chunks},
                   {"received", &staged->received},
                   {"at", &staged->at},
                   {"attempts", &staged->attempts},
                   {"idle", &staged->idle},
                   {"rounds", &staged->rounds},
                   {"next", &staged->next}};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (kedge_smp_is(key, numbers[i].key)) {
            *numbers[i].to = kedge_smp_read_uint(reader);
            return true;
        }
    }
    return false;
}

/* 0, or EXIT_REFUSED, said. The bytes point into the reply. */
static int read_staged(struct kedge_bytes cbor, struct staged *staged)
{
    struct kedge_smp_reader reader;
    struct kedge_bytes key;

    memset(staged, 0, sizeof(*staged));
    kedge_smp_read_start(&reader, cbor);
    (void)kedge_smp_enter(&reader);
    while (kedge_smp_next(&reader, &key)) {
        if (kedge_smp_is(key, "missing")) {
            read_gaps(&reader, staged);
        } else if (!read_text(&reader, key, staged) && !read_number(&reader, key, staged)) {
            kedge_smp_skip(&reader);
        }
    }
    return reader.failed || staged->state.size == 0 ? fail("the device's answer is malformed") : 0;
}

static bool is_state(const struct staged *staged, uint8_t state)
{
    return kedge_smp_is(staged->state, kedge_stage_state_text(state));
}

static int ask_status(uint32_t from, struct kedge_smp_reply *reply, struct staged *staged)
{
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_READ, 64, 8);

    if (from > 0) {
        kedge_smp_put_uint(&ask.map, "from", from);
    }
    const int result = device_ask(&device, &ask, SLOW_MS, "stage status", reply);

    return result == 0 ? read_staged(reply->cbor, staged) : result;
}

/* ---- status ---------------------------------------------------------------------------------- */

static void print_missing(const struct staged *staged)
{
    printf("missing:");
    for (size_t i = 0; i < staged->gap_count && i < 16; i++) {
        const struct gap *const gap = &staged->gaps[i];

        printf(gap->count == 1 ? " %u" : " %u-%u", gap->from, gap->from + gap->count - 1);
    }
    puts(staged->gap_count > 16 || staged->next > 0 ? " ..." : "");
}

static void print_staged(const struct staged *staged)
{
    if (is_state(staged, KEDGE_STAGE_EMPTY)) {
        puts("nothing is staged");
        return;
    }
    printf("%.*s: %u of %u chunks of %u bytes, file of %u bytes (%.*s)\n", (int)staged->state.size,
           (const char *)staged->state.at, staged->received, staged->chunks, staged->chunk,
           staged->size, (int)staged->kind.size, (const char *)staged->kind.at);
    printf("id ");
    hex_print(stdout, staged->id);
    puts("");
    if (staged->attempts > 0) {
        printf("attempts: %u, the last %u without a new chunk\n", staged->attempts, staged->idle);
    }
    if (staged->rounds > 0) {
        printf("fetched %u times before, with a wrong hash\n", staged->rounds);
    }
    if (staged->reason.size > 0) {
        printf("reason: %.*s\n", (int)staged->reason.size, (const char *)staged->reason.at);
    }
    if (staged->gap_count > 0) {
        print_missing(staged);
    }
}

static int run_status(int argc, char **argv)
{
    struct operands operands;
    struct kedge_smp_reply reply;
    static struct staged staged;
    int result = group_parse("stage status", "", "Shows what the device's chunk store holds.", 0, 0,
                             argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    result = ask_status(0, &reply, &staged);
    if (result == 0 && device_target.json) {
        result = json_print(reply.cbor);
    } else if (result == 0) {
        print_staged(&staged);
    }
    device_link_close(&device);
    return result;
}

/* ---- finish ---------------------------------------------------------------------------------- */

static struct {
    bool test, confirm;
    struct option_number chunk;
    const char *check;
} given;

#define THEN_OPTIONS                                                                               \
    {0, "test", NULL, "then: try it at the next boot", OPTION_FLAG, &given.test},                  \
        {0,           "confirm",     NULL, "then: install it for good at the next boot",           \
         OPTION_FLAG, &given.confirm},                                                             \
        OPTION_JSON

static void pause_ms(unsigned ms)
{
    const struct timespec t = {.tv_sec = 0, .tv_nsec = (long)ms * 1000000};

    (void)nanosleep(&t, NULL);
}

static int say_decoded(void)
{
    const char *const then = given.confirm ? "confirm" : given.test ? "test" : "nothing";

    if (device_target.json) {
        printf("{\"state\": \"decoded\", \"then\": \"%s\"}\n", then);
    } else {
        printf("decoded into slot 1%s\n", given.confirm
                                              ? ": will be installed for good at the next boot"
                                          : given.test ? ": will be tried at the next boot"
                                                       : "");
    }
    return 0;
}

/* The device hashes and decodes while nobody asks; its state tells when it is over. */
static int wait_until_decoded(void)
{
    struct kedge_smp_reply reply;
    static struct staged staged;
    int result = ask_status(0, &reply, &staged);

    while (result == 0 &&
           (is_state(&staged, KEDGE_STAGE_HASHING) || is_state(&staged, KEDGE_STAGE_DECODING))) {
        pause_ms(POLL_MS);
        result = ask_status(0, &reply, &staged);
    }
    if (result != 0) {
        return result;
    }
    if (is_state(&staged, KEDGE_STAGE_DECODED)) {
        return say_decoded();
    }
    return staged.reason.size > 0
               ? fail("stage finish: %.*s", (int)staged.reason.size, (const char *)staged.reason.at)
               : fail("stage finish: the device was reset meanwhile: run the command again");
}

static int finish(void)
{
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_WRITE, 64, 10);
    struct kedge_smp_reply reply;

    kedge_smp_put_string(&ask.map, "do", "finish");
    kedge_smp_put_string(&ask.map, "then",
                         given.confirm ? "confirm"
                         : given.test  ? "test"
                                       : "nothing");
    const int result = device_ask(&device, &ask, SLOW_MS, "stage finish", &reply);

    return result == 0 ? wait_until_decoded() : result;
}

static int run_finish(int argc, char **argv)
{
    static const struct option options[] = {THEN_OPTIONS};
    static const struct syntax syntax = {
        .command = "stage finish",
        .operands = "",
        .about = "The device hashes the staged file and decodes it into its slot 1.",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    struct operands operands;
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result != OPTIONS_GO) {
        return result;
    }
    if (given.test && given.confirm) {
        return misuse("stage finish", "--test and --confirm exclude each other");
    }
    result = device_link_open(&device);
    if (result != 0) {
        return result;
    }
    result = finish();
    device_link_close(&device);
    return result;
}

/* ---- put ------------------------------------------------------------------------------------- */

static struct {
    struct file_data file;
    struct kedge_manifest manifest;
    uint32_t chunks, done, sent;
} put;

static const char *const check_words[KEDGE_STAGE_CHECKS] = {"none", "crc32", "sha256"};

/* Chunks as long as a message carries, in whole pages. */
static uint32_t choose_chunk(void)
{
    size_t most =
        device.buffer_size > device.link.overhead ? device.buffer_size - device.link.overhead : 0;

    most = most < device.link.message_max ? most : device.link.message_max;
    if (most < CHUNK_OVERHEAD + CHUNK_DEFAULT) {
        return most > CHUNK_OVERHEAD + 64 ? 64 : 32;
    }
    most = (most - CHUNK_OVERHEAD) / CHUNK_DEFAULT * CHUNK_DEFAULT;
    return most < CHUNK_MOST ? (uint32_t)most : CHUNK_MOST;
}

/* The manifest of the file as it is asked for, with chunks of `chunk` bytes unless they are given.
 */
static void fill_manifest(uint32_t chunk)
{
    struct kedge_manifest *const manifest = &put.manifest;

    kedge_hash_once(&kedge_sha256, kedge_bytes(put.file.at, put.file.size), manifest->id);
    manifest->size = (uint32_t)put.file.size;
    manifest->chunk = given.chunk.given ? given.chunk.value : chunk;
    manifest->check = KEDGE_STAGE_CHECK_CRC32;
    manifest->check_size = 4;
    for (uint8_t i = 0; given.check != NULL && i < KEDGE_STAGE_CHECKS; i++) {
        if (strcmp(given.check, check_words[i]) == 0) {
            manifest->check = i;
            manifest->check_size = i == KEDGE_STAGE_CHECK_NONE    ? 0
                                   : i == KEDGE_STAGE_CHECK_CRC32 ? 4
                                                                  : 32;
        }
    }
}

/* The manifest; of a file that the device has begun already, what the device says. */
static int make_manifest(void)
{
    struct kedge_manifest *const manifest = &put.manifest;
    struct kedge_smp_reply reply;
    static struct staged staged;
    const int result = ask_status(0, &reply, &staged);

    if (result != 0) {
        return result;
    }
    fill_manifest(choose_chunk());
    if (staged.id.size == 32 && memcmp(staged.id.at, manifest->id, 32) == 0 && !given.chunk.given &&
        given.check == NULL) {
        manifest->chunk = staged.chunk;
        manifest->check_size = (uint8_t)staged.check_size;
        for (uint8_t i = 0; i < KEDGE_STAGE_CHECKS; i++) {
            manifest->check = kedge_smp_is(staged.check, check_words[i]) ? i : manifest->check;
        }
    }
    return 0;
}

static int begin(struct staged *staged)
{
    const struct kedge_manifest *const manifest = &put.manifest;
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_WRITE, 64, 8);
    struct kedge_smp_reply reply;

    kedge_smp_put_bytes(&ask.map, "id", kedge_bytes(manifest->id, sizeof(manifest->id)));
    kedge_smp_put_uint(&ask.map, "size", manifest->size);
    kedge_smp_put_uint(&ask.map, "chunk", manifest->chunk);
    kedge_smp_put_string(&ask.map, "check", check_words[manifest->check]);
    kedge_smp_put_uint(&ask.map, "check_size", manifest->check_size);
    const int result = device_ask(&device, &ask, SLOW_MS, "stage put", &reply);

    return result == 0 ? read_staged(reply.cbor, staged) : result;
}

static struct kedge_bytes chunk_of(uint32_t index)
{
    const uint32_t off = index * put.manifest.chunk;
    const uint32_t left = put.manifest.size - off;

    return kedge_bytes(put.file.at + off, left < put.manifest.chunk ? left : put.manifest.chunk);
}

/* manifest.check_size bytes. */
static void make_check(struct kedge_bytes data, uint8_t check[KEDGE_DIGEST_MAX])
{
    if (put.manifest.check == KEDGE_STAGE_CHECK_CRC32) {
        kedge_put_le32(check, kedge_crc32(0, data));
    } else if (put.manifest.check == KEDGE_STAGE_CHECK_SHA256) {
        kedge_hash_once(&kedge_sha256, data, check);
    }
}

static int put_one(uint32_t index)
{
    const struct kedge_bytes data = chunk_of(index);
    uint8_t check[KEDGE_DIGEST_MAX];
    struct kedge_smp_reply reply = {0};

    for (int tries = 0; tries < DAMAGED_MOST; tries++) {
        struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_WRITE, 64, 9);

        kedge_smp_put_uint(&ask.map, "off", index * put.manifest.chunk);
        kedge_smp_put_bytes(&ask.map, "data", data);
        if (put.manifest.check_size > 0) {
            make_check(data, check);
            kedge_smp_put_bytes(&ask.map, "check", kedge_bytes(check, put.manifest.check_size));
        }
        const int result = device_exchange(&device, &ask, SLOW_MS, &reply);

        if (result != 0) {
            return result;
        }
        put.sent++;
        if (!reply.of_group || reply.rc != KEDGE_STAGE_BAD_CHECK) {
            break;
        }
    }
    return reply.rc == 0 ? 0 : device_refused(&device, "stage put", reply.of_group, 64, reply.rc);
}

static int fill(const struct staged *staged)
{
    int result = 0;

    for (size_t i = 0; i < staged->gap_count && result == 0; i++) {
        const struct gap gap = staged->gaps[i];

        for (uint32_t n = 0; n < gap.count && result == 0; n++) {
            if (gap.from + n >= put.chunks) {
                return fail("the device asks for chunks that the file does not have");
            }
            result = put_one(gap.from + n);
            put.done++;
            progress_show(put.done);
        }
    }
    return result;
}

/* Gaps behind the ones that fitted into a reply are asked for, then all once more from the start: a
 * device whose flash is worn may say that what it took is missing. */
static int put_missing(struct staged *staged)
{
    struct kedge_smp_reply reply;
    int result = 0;

    while (staged->gap_count > 0 && result == 0) {
        if (put.sent > SENDS_MOST * put.chunks) {
            return fail("the device asks for the same chunks again and again: kedge stage abort");
        }
        const uint32_t next = staged->next;

        result = fill(staged);
        if (result == 0) {
            result = ask_status(next, &reply, staged);
        }
        if (result == 0 && staged->gap_count == 0 && next > 0) {
            result = ask_status(0, &reply, staged);
        }
    }
    return result;
}

static void print_put(const char *path, uint32_t had)
{
    if (device_target.json) {
        printf("{\"file\": ");
        json_text(stdout, kedge_bytes(path, strlen(path)));
        printf(", \"bytes\": %u, \"chunk\": %u, \"chunks\": %u, \"had\": %u, \"requests\": %u, "
               "\"id\": \"",
               put.manifest.size, put.manifest.chunk, put.chunks, had, put.sent);
        hex_print(stdout, kedge_bytes(put.manifest.id, sizeof(put.manifest.id)));
        puts("\"}");
    } else {
        printf("staged %s: %u chunks of %u bytes", path, put.chunks, put.manifest.chunk);
        if (had > 0) {
            printf(" (%u were there)", had);
        }
        puts("");
    }
    fflush(stdout);
}

static int put_file(const char *path)
{
    static struct staged staged;
    int result = make_manifest();

    if (result == 0) {
        result = begin(&staged);
    }
    if (result != 0) {
        return result;
    }
    const uint32_t had = staged.received;

    put.chunks = staged.chunks;
    put.done = had;
    progress_start(put.chunks, had);
    result = put_missing(&staged);
    progress_end();
    if (result != 0) {
        return result;
    }
    print_put(path, had);
    return given.test || given.confirm ? finish() : 0;
}

static int run_put(int argc, char **argv)
{
    static const struct option options[] = {
        {0, "chunk", "N", "bytes of a chunk (default: what a message carries)", OPTION_NUMBER,
         &given.chunk},
        {0, "check", "none|crc32|sha256", "how each chunk is checked (default crc32)",
         OPTION_CHOICE, &given.check},
        THEN_OPTIONS};
    static const struct syntax syntax = {
        .command = "stage put",
        .operands = "FILE",
        .about =
            "Sends a file in chunks into the device's chunk store. What the device has is not\n"
            "sent again, also after a reset. With --test or --confirm: stage finish behind it.",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
        .operands_min = 1,
        .operands_max = 1,
    };
    struct operands operands;
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result != OPTIONS_GO) {
        return result;
    }
    if (given.test && given.confirm) {
        return misuse("stage put", "--test and --confirm exclude each other");
    }
    result = file_read_image(operands.at[0], HEX_SPAN, &put.file);
    if (result != 0) {
        return result;
    }
    result = device_link_open(&device);
    if (result == 0) {
        result = put_file(operands.at[0]);
        device_link_close(&device);
    }
    free(put.file.at);
    return result;
}

/* ---- manifest -------------------------------------------------------------------------------- */

/* Record and checks, as kedge-device --pull and modems fetch them (FORMAT.md, Manifest file). */
static int write_manifest(const char *path)
{
    fill_manifest(MANIFEST_CHUNK);
    const struct kedge_manifest *const manifest = &put.manifest;

    if (manifest->chunk == 0 || manifest->chunk > KEDGE_STAGE_CHUNK_MAX) {
        return misuse("stage manifest", "--chunk takes 1 to 65536");
    }
    const uint32_t chunks = (manifest->size + manifest->chunk - 1) / manifest->chunk;
    const size_t size = KEDGE_STAGE_RECORD + (size_t)chunks * manifest->check_size;
    uint8_t *const bytes = malloc(size);

    if (bytes == NULL) {
        return fail("out of memory");
    }
    kedge_stage_record_make(bytes, manifest, 1, 0);
    for (uint32_t i = 0; i < chunks; i++) {
        uint8_t check[KEDGE_DIGEST_MAX];

        make_check(chunk_of(i), check);
        memcpy(bytes + KEDGE_STAGE_RECORD + (size_t)i * manifest->check_size, check,
               manifest->check_size);
    }
    const int result = file_write(path, kedge_bytes(bytes, size), 0644);

    free(bytes);
    if (result == 0) {
        printf("%s: %u chunks of %u bytes\n", path, chunks, manifest->chunk);
    }
    return result;
}

static int run_manifest(int argc, char **argv)
{
    static const char *output;
    static const struct option options[] = {
        {'o', "output", "FILE", "where to write it (default: FILE.manifest)", OPTION_TEXT, &output},
        {0, "chunk", "N", "bytes of a chunk (default 4096)", OPTION_NUMBER, &given.chunk},
        {0, "check", "none|crc32|sha256", "how each chunk is checked (default crc32)",
         OPTION_CHOICE, &given.check}};
    static const struct syntax syntax = {
        .command = "stage manifest",
        .operands = "FILE",
        .about = "Writes what a device has to know before it fetches FILE by itself (kedge-device\n"
                 "--pull, a modem): put it beside FILE on the server. No device is asked.",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
        .operands_min = 1,
        .operands_max = 1,
    };
    struct operands operands;
    char path[4096];
    int result = options_parse(&syntax, argc, argv, &operands);

    if (result != OPTIONS_GO) {
        return result;
    }
    result = file_read(operands.at[0], &put.file);
    if (result != 0) {
        return result;
    }
    if (output == NULL) {
        snprintf(path, sizeof(path), "%s.manifest", operands.at[0]);
    }
    result = put.file.size == 0 ? fail("%s is empty", operands.at[0])
                                : write_manifest(output != NULL ? output : path);
    free(put.file.at);
    return result;
}

/* ---- abort ----------------------------------------------------------------------------------- */

static int run_abort(int argc, char **argv)
{
    struct operands operands;
    struct kedge_smp_reply reply;
    int result = group_parse("stage abort", "", "The device forgets the file that is staged.", 0, 0,
                             argc, argv, &operands);

    if (result != OPTIONS_GO || (result = device_link_open(&device)) != 0) {
        return result;
    }
    struct kedge_smp_request ask = device_request(&device, KEDGE_SMP_WRITE, 64, 10);

    kedge_smp_put_string(&ask.map, "do", "abort");
    result = device_ask(&device, &ask, SLOW_MS, "stage abort", &reply);
    device_link_close(&device);
    return result;
}

int run_stage(int argc, char **argv)
{
    static const struct command commands[] = {
        {"put", "send a file in chunks", run_put},
        {"manifest", "write what lies beside a file that devices fetch", run_manifest},
        {"status", "what is there, what is missing", run_status},
        {"finish", "decode the file into slot 1", run_finish},
        {"abort", "forget the file", run_abort},
    };
    static const struct group group = {"stage", "The device's chunk store", commands,
                                       sizeof(commands) / sizeof(commands[0]), false};

    return group_run(&group, argc, argv);
}
