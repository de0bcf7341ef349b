/* Requests as clients send them, straight into a service: no transport between. */
#ifndef KEDGE_TEST_SMP_DEVICE_H
#define KEDGE_TEST_SMP_DEVICE_H

#include "agent_device.h"
#include "kedge/service.h"
#include "kedge/smp_client.h"

struct smp_device {
    struct agent_device device;
    struct kedge_service service;
    uint32_t peer;
    uint8_t reply[KEDGE_SMP_MESSAGE_MAX];
    size_t reply_size;
};

extern const struct kedge_system test_system;

/* An erased device with the real agent behind the real service. */
void smp_device_open(struct smp_device *device);
void smp_device_close(struct smp_device *device);
/* Next life. */
void smp_device_power_on(struct smp_device *device);

/* One message as it stands; the parsed reply. Fails the test when there is none. */
struct kedge_smp_reply smp_device_send(struct smp_device *device, const void *message, size_t size);
/* A request of version 2 with this CBOR as its body. */
struct kedge_smp_reply smp_device_ask(struct smp_device *device, uint8_t op, uint16_t group,
                                      uint8_t command, const void *cbor, size_t size);
#define ASK(device, op, group, command, literal)                                                   \
    smp_device_ask(device, op, group, command, literal, sizeof(literal) - 1)

/* The whole file with kedge_smp_upload over a perfect link. Result of the last reply. */
int smp_device_upload(struct smp_device *device, const struct test_file *file, uint32_t message_max,
                      uint8_t window, struct kedge_smp_upload *upload);

#endif
