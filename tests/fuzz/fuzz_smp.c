/* Arbitrary messages to the whole service over a small simulated device: no crash, no broken flash
 * rule, and every well-formed request is answered with a well-formed reply.
 *
 * Input: records of {control byte, le16 length, message}. Control: bits 0-2 peer, bit 3 the reply
 * has only 40..103 bytes of room, bit 4 the clock runs 600 ms, bit 5 the agent is idle once, bit 6
 * reset first, bit 7 put the right length into the header (else the fuzzer must find it).
 * The corpus was recorded between kedge-device and smpclient 7.3.0, mcumgr-toolkit 0.20.0, kedge.
 */
#include <stdlib.h>
#include <string.h>

#include "smp_device.h"

#define RECORDS_MAX 64u

static struct smp_device device;
static struct kedge_sim_snapshot *fresh;

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* An image runs, and another one lies in the secondary: all paths have something to work on. */
static void make_fresh(void)
{
    static struct test_file file;

    smp_device_open(&device);
    test_image_make(&file,
                    &(struct test_image){.size = SECTOR + 100, .version = {1, 0, 0, 0}, .seed = 1});
    agent_device_put(&device.device, false, 0, &file);
    test_image_make(&file,
                    &(struct test_image){.size = SECTOR + 500, .version = {2, 0, 0, 0}, .seed = 2});
    agent_device_put(&device.device, true, 0, &file);
    fresh = kedge_sim_snapshot_make(device.device.sim);
    must(fresh != NULL);
}

static bool is_request(const uint8_t *message, size_t size)
{
    struct kedge_smp_header header;

    return kedge_smp_header_parse(kedge_bytes(message, size), &header) == 0 &&
           (header.op == KEDGE_SMP_READ || header.op == KEDGE_SMP_WRITE) &&
           header.size + KEDGE_SMP_HEADER_SIZE == size;
}

static void check_reply(const uint8_t *message, struct kedge_bytes answer)
{
    struct kedge_smp_header asked;
    struct kedge_smp_reply reply;

    must(kedge_smp_header_parse(kedge_bytes(message, KEDGE_SMP_HEADER_SIZE), &asked) == 0);
    must(kedge_smp_reply_parse(answer, &reply) == 0);
    must(kedge_smp_answers(&reply, &asked) && reply.header.version == asked.version);
    must(reply.header.flags == 0 && answer.size <= KEDGE_SMP_MESSAGE_MAX);
    must(!reply.of_group || (asked.version == 1 && reply.group == asked.group && reply.rc != 0));
}

static void send_one(uint8_t control, const uint8_t *message, size_t size)
{
    const size_t room = (control & 8) != 0 ? 40 + size % 64 : sizeof(device.reply);
    size_t answer = 0;
    const int result =
        kedge_service_handle(&device.service, control & 7, kedge_bytes(message, size),
                             kedge_buf(device.reply, room), &answer);

    must(answer <= room);
    if (is_request(message, size)) {
        must(result == 0);
        check_reply(message, kedge_bytes(device.reply, answer));
    } else {
        must(result == KEDGE_E_FORMAT && answer == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fresh == NULL) {
        make_fresh();
    }
    kedge_sim_restore(device.device.sim, fresh);
    device.device.now_ms = 0;
    smp_device_power_on(&device);
    for (unsigned i = 0; i < RECORDS_MAX && size >= 3; i++) {
        const uint8_t control = data[0];
        size_t length = kedge_le16(data + 1);

        data += 3;
        size -= 3;
        length = length < size ? length : size;
        if ((control & 64) != 0) {
            smp_device_power_on(&device);
        }
        device.device.now_ms += (control & 16) != 0 ? 600 : 1;
        /* a copy of exactly this size, so that the sanitizer sees every read behind it */
        uint8_t *message = malloc(length > 0 ? length : 1);

        must(message != NULL);
        memcpy(message, data, length);
        if ((control & 128) != 0 && length >= KEDGE_SMP_HEADER_SIZE) {
            kedge_put_be16(message + 2, (uint16_t)(length - KEDGE_SMP_HEADER_SIZE));
        }
        send_one(control, message, length);
        free(message);
        if ((control & 32) != 0) {
            (void)kedge_agent_idle(&device.device.agent);
        }
        data += length;
        size -= length;
    }
    must(kedge_sim_violations(device.device.sim) == 0);
    return 0;
}
