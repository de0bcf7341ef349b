/* A session with a device. */
#include "exchange.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cbor_json.h"
#include "command.h"
#include "report.h"

/* A device that was just reset may still answer, for so long, from before its reset. */
#define DYING_MS 1500u
/* How long an update may keep a device away: a swap of a large slot with slow chips. */
#define AWAY_MS 180000u
#define POLL_MS 500u

unsigned patience_ms(enum patience patience)
{
    return device_target.timeout > 0 ? (unsigned)(device_target.timeout * 1000) : patience;
}

int device_silent(const struct device_link *device, unsigned waited_ms)
{
    return fail("device does not answer at %s: is it running? (--timeout %g)", device->link.name,
                waited_ms / 1000.0);
}

struct kedge_smp_request device_request(struct device_link *device, uint8_t op, uint16_t group,
                                        uint8_t command)
{
    struct kedge_smp_request ask;

    kedge_smp_request_start(&ask, kedge_buf(device->request, sizeof(device->request)), op, group,
                            command, device->sequence++);
    return ask;
}

/* Until `end` for the answer; 1: it came, 0: not, -1: the link is broken (said). */
static int await(struct device_link *device, const struct kedge_smp_header *asked, uint64_t end,
                 struct kedge_smp_reply *reply)
{
    for (;;) {
        const uint64_t now = link_clock_ms();
        struct kedge_bytes message;

        if (now >= end) {
            return 0;
        }
        const int came = device->link.ops->receive(&device->link, (unsigned)(end - now), &message);

        if (came <= 0) {
            return came;
        }
        if (kedge_smp_reply_parse(message, reply) == 0 && kedge_smp_answers(reply, asked)) {
            return 1;
        }
    }
}

/* 1: answered; 0: silence for `ms`; -1: the link is broken (said). */
static int exchange_for(struct device_link *device, struct kedge_smp_request *ask, unsigned ms,
                        unsigned retry_ms, struct kedge_smp_reply *reply)
{
    const uint64_t end = link_clock_ms() + ms;
    size_t size = 0;
    int result = 0;

    if (kedge_smp_request_end(ask, &size) != 0) {
        (void)fail("the text is too long for one message");
        return -1;
    }
    do {
        const uint64_t next = link_clock_ms() + retry_ms;

        result = device->link.ops->send(&device->link, kedge_bytes(device->request, size));
        if (result == 0) {
            result = await(device, &ask->header, next < end ? next : end, reply);
        }
    } while (result == 0 && link_clock_ms() < end);
    return result;
}

int device_exchange(struct device_link *device, struct kedge_smp_request *ask,
                    enum patience patience, struct kedge_smp_reply *reply)
{
    const unsigned ms = patience_ms(patience);
    /* what takes long is not asked for twice while the device is at it */
    const unsigned retry = device->link.retry_ms * (patience == SLOW_MS ? 10u : 1u);
    const int result = exchange_for(device, ask, ms, retry, reply);

    if (result == 0) {
        return device_silent(device, ms);
    }
    return result == 1 ? 0 : EXIT_REFUSED;
}

/* The device's own words for its last refusal; empty for devices that are no Kedge. */
static void ask_words(struct device_link *device, char *words, size_t room)
{
    struct kedge_smp_request ask = device_request(device, KEDGE_SMP_READ, 64, 5);
    struct kedge_bytes text = kedge_bytes(NULL, 0);
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("text", KEDGE_SMP_TEXT, &text)};
    struct kedge_smp_reply reply;

    words[0] = '\0';
    if (exchange_for(device, &ask, device->link.retry_ms * 2, device->link.retry_ms, &reply) == 1 &&
        reply.rc == 0 && kedge_smp_read_fields(reply.cbor, fields, 1) == 1) {
        snprintf(words, room, "%.*s", (int)text.size, (const char *)text.at);
    }
}

int device_refused(struct device_link *device, const char *what, bool of_group, uint16_t group,
                   uint32_t rc)
{
    char words[160] = "";

    /* only images and policies are refused with words */
    if (group == 1 || group == 64) {
        ask_words(device, words, sizeof(words));
    }
    return fail("%s: %s (%s %u)", what,
                words[0] != '\0' ? words : kedge_smp_code_text(of_group, group, rc),
                of_group ? "group error" : "rc", rc);
}

int device_ask(struct device_link *device, struct kedge_smp_request *ask, enum patience patience,
               const char *what, struct kedge_smp_reply *reply)
{
    const int result = device_exchange(device, ask, patience, reply);

    if (result == 0 && reply->rc != 0) {
        return device_refused(device, what, reply->of_group, ask->header.group, reply->rc);
    }
    return result;
}

/* One look whether the device is there; 1: it is. */
static int ask_buffers(struct device_link *device, unsigned ms)
{
    struct kedge_smp_request ask = device_request(device, KEDGE_SMP_READ, 0, 6);
    struct kedge_smp_params params = {0};
    struct kedge_smp_reply reply;
    const int result = exchange_for(device, &ask, ms, device->link.retry_ms, &reply);

    if (result == 1 && reply.rc == 0 && kedge_smp_read_params(reply.cbor, &params) == 0) {
        device->buffer_size = params.buffer_size;
        device->buffer_count = params.buffer_count;
    }
    return result;
}

/* A device remembers for a second which reset it has answered, by its sequence number; on a serial
 * line it cannot tell us from the session before. One step every 4 ms meets a number again only
 * after 1024 ms. */
static uint8_t first_sequence(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint8_t)(((uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u) / 4u);
}

int device_link_open(struct device_link *device)
{
    const unsigned ms = patience_ms(QUICK_MS);

    memset(device, 0, sizeof(*device));
    int result = link_open(&device->link);

    if (result != 0) {
        return result;
    }
    device->sequence = first_sequence();
    result = ask_buffers(device, ms);
    if (result == 1) {
        return 0;
    }
    result = result == 0 ? device_silent(device, ms) : EXIT_REFUSED;
    link_close(&device->link);
    return result;
}

void device_link_close(struct device_link *device)
{
    link_close(&device->link);
}

/* ---- after a reset -------------------------------------------------------------------------- */

static void pause_ms(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

/* The loader's account of this boot into `text`; empty for devices that are no Kedge. */
static void ask_boot_report(struct device_link *device, char *words, size_t room)
{
    struct kedge_smp_request ask = device_request(device, KEDGE_SMP_READ, 64, 2);
    struct kedge_bytes text = kedge_bytes(NULL, 0), why = kedge_bytes(NULL, 0);
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("text", KEDGE_SMP_TEXT, &text),
                                             KEDGE_SMP_FIELD("why", KEDGE_SMP_TEXT, &why)};
    struct kedge_smp_reply reply;

    words[0] = '\0';
    if (exchange_for(device, &ask, patience_ms(QUICK_MS), device->link.retry_ms, &reply) == 1 &&
        reply.rc == 0 && kedge_smp_read_fields(reply.cbor, fields, 2) > 0) {
        snprintf(words, room, "%.*s%s%.*s", (int)text.size, (const char *)text.at,
                 why.size > 0 ? ": " : "", (int)why.size, (const char *)why.at);
    }
}

static void print_running(const char *version, bool confirmed, const char *words)
{
    if (device_target.json) {
        printf("{\"running\": \"%s\", \"confirmed\": %s, \"text\": ", version,
               confirmed ? "true" : "false");
        json_text(stdout, kedge_bytes(words, strlen(words)));
        puts("}");
        return;
    }
    printf("device runs %s, %s%s%s%s\n", version,
           confirmed ? "confirmed" : "on trial: not confirmed yet", words[0] == '\0' ? "" : " (",
           words, words[0] == '\0' ? "" : ")");
}

static int say_what_runs(struct device_link *device)
{
    struct kedge_smp_request ask = device_request(device, KEDGE_SMP_READ, 1, 0);
    struct kedge_smp_image_entry entries[8];
    struct kedge_smp_reply reply;
    const int result = device_ask(device, &ask, SLOW_MS, "image list", &reply);
    const int count = result == 0 ? kedge_smp_read_images(reply.cbor, entries, 8) : 0;

    for (int i = 0; i < count; i++) {
        if (entries[i].active) {
            const bool confirmed = entries[i].confirmed;
            char version[32], words[160];

            snprintf(version, sizeof(version), "%.*s", (int)entries[i].version.size,
                     (const char *)entries[i].version.at);
            ask_boot_report(device, words, sizeof(words));
            print_running(version, confirmed, words);
            return 0;
        }
    }
    return result != 0 ? result : fail("device is back, but runs no image (kedge image list)");
}

int device_wait(struct device_link *device)
{
    const unsigned limit = device_target.timeout > 0 ? patience_ms(QUICK_MS) + AWAY_MS : AWAY_MS;
    const uint64_t start = link_clock_ms();
    bool was_away = false;
    int result = 0;

    fflush(stdout);
    pause_ms(POLL_MS);
    /* an answer counts once the device has been silent, or can no longer be from before the reset
     */
    while (result >= 0 && link_clock_ms() - start < limit) {
        const bool old_answer_possible = !was_away && link_clock_ms() - start < DYING_MS;

        result = ask_buffers(device, POLL_MS);
        if (result == 1 && !old_answer_possible) {
            return say_what_runs(device);
        }
        if (result == 1) {
            pause_ms(POLL_MS);
        }
        was_away = was_away || result == 0;
    }
    return result < 0 ? EXIT_REFUSED
                      : fail("device did not come back at %s within %u s after its reset",
                             device->link.name, limit / 1000);
}
