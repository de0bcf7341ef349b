/* A server that stores nothing, for measuring clients and our own protocol code: the dispatcher,
 * the codec, the OS and enumeration groups are Kedge's; the image group takes chunks as the agent
 * does, in order, and drops the data. What is missing against a device is the agent and its flash.
 * usage: bench_null_server HOST:PORT; one line "requests N bytes N uploads N" at SIGTERM or SIGINT.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "kedge/service.h"
#include "kedge/smp_cbor.h"
#include "wire.h"

static struct {
    uint32_t off, size;
    unsigned long long requests, bytes, uploads;
} store;

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

static int upload(struct kedge_smp_call *call)
{
    uint32_t off = 0, length = 0;
    struct kedge_bytes data = {0}, sha = {0};
    uint32_t image;
    bool upgrade;
    const struct kedge_smp_field fields[] = {
        KEDGE_SMP_FIELD("off", KEDGE_SMP_UINT, &off),
        KEDGE_SMP_FIELD("len", KEDGE_SMP_UINT, &length),
        KEDGE_SMP_FIELD("data", KEDGE_SMP_BYTES, &data),
        KEDGE_SMP_FIELD("sha", KEDGE_SMP_BYTES, &sha),
        KEDGE_SMP_FIELD("image", KEDGE_SMP_UINT, &image),
        KEDGE_SMP_FIELD("upgrade", KEDGE_SMP_FLAG, &upgrade),
    };

    if (kedge_smp_read_fields(call->request, fields, sizeof(fields) / sizeof(fields[0])) < 0) {
        return KEDGE_SMP_EINVAL;
    }
    if (off == 0) {
        store.off = 0;
        store.size = length;
        store.uploads++;
    }
    if (off == store.off && data.size <= store.size - store.off) {
        store.off += (uint32_t)data.size;
        store.bytes += data.size;
    }
    kedge_smp_put_uint(call->reply, "off", store.off);
    return 0;
}

static int list(struct kedge_smp_call *call)
{
    kedge_smp_open_list(call->reply, "images");
    kedge_smp_close(call->reply);
    return 0;
}

static int accept_it(struct kedge_smp_call *call)
{
    (void)call;
    return 0;
}

static const struct kedge_smp_command commands[] = {
    {0, list, list},
    {1, NULL, upload},
    {5, NULL, accept_it},
};
static const struct kedge_smp_group image = {1, "img mgmt", commands, 3, NULL};
static const struct kedge_smp_group *const groups[] = {&kedge_smp_os, &image,
                                                       &kedge_smp_enumeration};

static const struct kedge_system no_system = {
    .kernel_name = "null", .buffer_size = KEDGE_SMP_MESSAGE_MAX, .buffer_count = 4};

int main(int argc, char **argv)
{
    static struct kedge_service service;
    static struct wire wire;
    static uint8_t reply[KEDGE_SMP_MESSAGE_MAX];
    char why[WIRE_WHY];

    if (argc != 2) {
        fputs("usage: bench_null_server HOST:PORT\n", stderr);
        return 2;
    }
    if (wire_open_udp(&wire, argv[1], why) != 0) {
        fprintf(stderr, "bench_null_server: %s\n", why);
        return 1;
    }
    kedge_service_start(&service, NULL, &no_system);
    service.server.groups = groups;
    service.server.group_count = sizeof(groups) / sizeof(groups[0]);
    signal(SIGTERM, on_stop);
    signal(SIGINT, on_stop);
    puts("ready");
    fflush(stdout);
    while (!stop) {
        struct pollfd wait = {.fd = wire.fd, .events = POLLIN};
        struct kedge_bytes message;
        size_t size;

        (void)poll(&wait, 1, 100);
        while (!stop && wire_receive(&wire, &message) == 1) {
            store.requests++;
            if (kedge_service_handle(&service, wire.peer, message, kedge_buf(reply, sizeof(reply)),
                                     &size) == 0) {
                wire_send(&wire, kedge_bytes(reply, size));
            }
        }
    }
    printf("requests %llu bytes %llu uploads %llu\n", store.requests, store.bytes, store.uploads);
    wire_close(&wire);
    return 0;
}
