#include "smp_device.h"

#include <stdlib.h>
#include <string.h>

static bool task(void *ctx, unsigned index, struct kedge_system_task *task)
{
    (void)ctx;
    *task = (struct kedge_system_task){index == 0 ? "main" : "idle", index, 10 + index, 1};
    return index < 2;
}

static bool pool(void *ctx, unsigned index, struct kedge_system_pool *pool)
{
    (void)ctx;
    *pool = (struct kedge_system_pool){"buffers", 256, 8, 5, 2};
    return index < 1;
}

static int get_time(void *ctx, char *text, size_t size)
{
    (void)ctx;
    (void)size;
    strcpy(text, "2026-11-25T00:00:00.000000+00:00");
    return 0;
}

static int set_time(void *ctx, struct kedge_bytes text)
{
    (void)ctx;
    return text.size > 0 && text.at[0] == '2' ? 0 : KEDGE_E_FORMAT;
}

const struct kedge_system test_system = {
    .kernel_name = "Kedge",
    .node_name = "node",
    .build_time = "today",
    .machine = "arm",
    .task = task,
    .pool = pool,
    .get_time = get_time,
    .set_time = set_time,
    .buffer_size = 2048,
    .buffer_count = 4,
};

void smp_device_open(struct smp_device *device)
{
    agent_device_open(&device->device);
    device->peer = 1;
}

void smp_device_close(struct smp_device *device)
{
    agent_device_close(&device->device);
}

void smp_device_power_on(struct smp_device *device)
{
    agent_device_power_on(&device->device);
    kedge_service_start(&device->service, &device->device.agent, &test_system);
}

struct kedge_smp_reply smp_device_send(struct smp_device *device, const void *message, size_t size)
{
    struct kedge_smp_reply reply;

    if (kedge_service_handle(&device->service, device->peer, kedge_bytes(message, size),
                             kedge_buf(device->reply, sizeof(device->reply)),
                             &device->reply_size) != 0 ||
        kedge_smp_reply_parse(kedge_bytes(device->reply, device->reply_size), &reply) != 0) {
        abort();
    }
    return reply;
}

struct kedge_smp_reply smp_device_ask(struct smp_device *device, uint8_t op, uint16_t group,
                                      uint8_t command, const void *cbor, size_t size)
{
    const struct kedge_smp_header header = {.op = op,
                                            .version = 1,
                                            .size = (uint16_t)size,
                                            .group = group,
                                            .sequence = 7,
                                            .command = command};
    uint8_t message[KEDGE_SMP_MESSAGE_MAX];

    kedge_smp_header_put(message, &header);
    memcpy(message + KEDGE_SMP_HEADER_SIZE, cbor, size);
    return smp_device_send(device, message, KEDGE_SMP_HEADER_SIZE + size);
}

int smp_device_upload(struct smp_device *device, const struct test_file *file, uint32_t message_max,
                      uint8_t window, struct kedge_smp_upload *upload)
{
    uint8_t request[KEDGE_SMP_MESSAGE_MAX];
    size_t size;
    int result = 0;

    *upload = (struct kedge_smp_upload){
        .file = kedge_bytes(file->bytes, file->size), .message_max = message_max, .window = window};
    memcpy(upload->sha, file->sha, sizeof(upload->sha));
    if (kedge_smp_upload_start(upload) != 0) {
        abort();
    }
    while (result == 0 &&
           kedge_smp_upload_next(upload, kedge_buf(request, message_max), &size) == 1) {
        (void)smp_device_send(device, request, size);
        result = kedge_smp_upload_reply(upload, kedge_bytes(device->reply, device->reply_size));
    }
    return result;
}
