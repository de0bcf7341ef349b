/* The groups over the real agent on the strict simulator: what the clients in the field ask for,
 * and what they must get. Request bodies are written as those clients write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/plan.h"
#include "smp_device.h"

static struct smp_device device;
static struct test_file old_image, new_image;

static int set_up(void **state)
{
    (void)state;
    smp_device_open(&device);
    test_image_make(&old_image, &(struct test_image){
                                    .size = 3 * SECTOR + 100, .version = {1, 0, 0, 0}, .seed = 1});
    test_image_make(&new_image, &(struct test_image){
                                    .size = 4 * SECTOR + 777, .version = {2, 1, 0, 5}, .seed = 2});
    agent_device_put(&device.device, false, 0, &old_image);
    smp_device_power_on(&device);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_string_equal(kedge_sim_violation(device.device.sim), "");
    smp_device_close(&device);
    return 0;
}

/* The reply is a success with exactly this map (indefinite lengths, as written). */
static void equals(const struct kedge_smp_reply *reply, const void *cbor, size_t size)
{
    assert_int_equal(reply->rc, 0);
    assert_int_equal(reply->cbor.size, size);
    assert_memory_equal(reply->cbor.at, cbor, size);
}
#define EQUALS(reply, literal) equals(&reply, literal, sizeof(literal) - 1)

static void refused(const struct kedge_smp_reply *reply, bool of_group, uint32_t rc)
{
    assert_int_equal(reply->of_group, of_group);
    assert_int_equal(reply->rc, rc);
    if (of_group) {
        assert_int_equal(reply->group, reply->header.group);
    }
}

static bool contains(const struct kedge_smp_reply *reply, const char *text)
{
    const size_t size = strlen(text);

    for (size_t i = 0; i + size <= reply->cbor.size; i++) {
        if (memcmp(reply->cbor.at + i, text, size) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- os ------------------------------------------------------------------------------------- */

/* Clients check the connection with an echo, by read (toolkit) or write (Go, smpclient). */
static void test_echo(void **state)
{
    (void)state;
    for (uint8_t op = KEDGE_SMP_READ; op <= KEDGE_SMP_WRITE; op += 2) {
        struct kedge_smp_reply reply = ASK(&device, op, 0, 0,
                                           "\xA1\x61"
                                           "d\x65hello");
        EQUALS(reply, "\xBF\x61r\x65hello\xFF");
        assert_int_equal(reply.header.op, op | 1);
    }
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_WRITE, 0, 0,
                                       "\xA1\x61"
                                       "d\x41x");
    refused(&reply, false, KEDGE_SMP_EINVAL);
}

/* Every shape of the OS group that a client parses. */
static void test_os_shapes(void **state)
{
    (void)state;
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 0, 2, "\xA0");
    EQUALS(reply,
           "\xBF\x65tasks\xBF\x64main\xBF\x64prio\x00\x63tid\x0A\x65state\x01\xFF\x64idle\xBF\x64"
           "prio\x01\x63tid\x0B\x65state\x01\xFF\xFF\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 0, 3, "");
    EQUALS(reply, "\xBF\x67"
                  "buffers\xBF\x66"
                  "blksiz\x19\x01\x00\x65nblks\x08\x65nfree\x05\x63min\x02\xFF\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 0, 4, "\xA0");
    EQUALS(reply, "\xBF\x68"
                  "datetime\x78\x20"
                  "2026-11-25T00:00:00.000000+00:00\xFF");
    reply = ASK(&device, KEDGE_SMP_WRITE, 0, 4,
                "\xA1\x68"
                "datetime\x64"
                "2026");
    EQUALS(reply, "\xBF\xFF");
    reply = ASK(&device, KEDGE_SMP_WRITE, 0, 4,
                "\xA1\x68"
                "datetime\x64"
                "noon");
    refused(&reply, true, 2);
    reply = ASK(&device, KEDGE_SMP_READ, 0, 6, "\xA0");
    EQUALS(reply, "\xBF\x68"
                  "buf_size\x19\x08\x00\x69"
                  "buf_count\x04\xFF");
    reply = ASK(&device, KEDGE_SMP_WRITE, 0, 1,
                "\xA1\x64"
                "echo\x01");
    refused(&reply, false, KEDGE_SMP_ENOTSUP);
}

/* A wrong answer here makes mcumgr's `os info` useless. */
static void test_info(void **state)
{
    (void)state;
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 0, 7, "\xA0");
    EQUALS(reply, "\xBF\x66output\x65Kedge\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 0, 7,
                "\xA1\x66"
                "format\x63mns");
    EQUALS(reply, "\xBF\x66output\x6EKedge node arm\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 0, 7,
                "\xA1\x66"
                "format\x61"
                "a");
    assert_true(contains(&reply, "Kedge node 1.0.0 1.0.0 today arm arm unknown Kedge"));
    reply = ASK(&device, KEDGE_SMP_READ, 0, 7,
                "\xA1\x66"
                "format\x62sx");
    refused(&reply, true, 2);
}

/* nRF Connect and toolkit choose their procedure by name and mode. */
static void test_bootloader(void **state)
{
    (void)state;
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 0, 8, "\xA0");
    EQUALS(reply, "\xBF\x6A"
                  "bootloader\x67MCUboot\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 0, 8, "\xA1\x65query\x64mode");
    EQUALS(reply, "\xBF\x64mode\x03\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 0, 8,
                "\xA1\x65query\x64"
                "slot");
    refused(&reply, true, 3);
    reply = ASK(&device, KEDGE_SMP_WRITE, 64, 4,
                "\xA2\x63key\x69"
                "downgrade\x65value\x66refuse");
    EQUALS(reply, "\xBF\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 0, 8, "\xA1\x65query\x64mode");
    EQUALS(reply, "\xBF\x64mode\x03\x6Cno-downgrade\xF5\xFF");
}

static void reset_once(uint8_t sequence, uint32_t peer)
{
    uint8_t message[8] = {0x0A, 0, 0, 0, 0, 0, sequence, 5}; /* RSC, WEB: no body */

    device.peer = peer;
    device.service.reset_requested = false;
    const struct kedge_smp_reply reply = smp_device_send(&device, message, sizeof(message));

    EQUALS(reply, "\xBF\xFF");
}

/* A client that lost the reply asks again; a second reset would revert the image under test. */
static void test_repeated_reset(void **state)
{
    (void)state;
    reset_once(9, 1);
    assert_true(device.service.reset_requested);
    device.device.now_ms += 999;
    reset_once(9, 1);
    assert_false(device.service.reset_requested);
    reset_once(9, 2); /* another client */
    assert_true(device.service.reset_requested);
    reset_once(9, 2);
    assert_false(device.service.reset_requested);
    device.device.now_ms += 1000;
    reset_once(9, 2); /* the same number, but later */
    assert_true(device.service.reset_requested);
    reset_once(10, 2);
    assert_true(device.service.reset_requested);

    /* over the reset, when the port kept the fields */
    const struct kedge_service before = device.service;

    smp_device_power_on(&device);
    device.service.reset_seen = true;
    device.service.reset_sequence = before.reset_sequence;
    device.service.reset_peer = before.reset_peer;
    device.service.reset_ms = before.reset_ms;
    reset_once(10, 2);
    assert_false(device.service.reset_requested);
    /* the first request of a device that has never been reset, whatever its number */
    smp_device_power_on(&device);
    reset_once(0, 0);
    assert_true(device.service.reset_requested);

    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_WRITE, 0, 5,
                                       "\xA2\x65"
                                       "force\xF5\x69"
                                       "boot_mode\x01");
    assert_int_equal(reply.rc, 0);
    assert_int_equal(device.service.reset_mode, 1);
}

/* ---- image ---------------------------------------------------------------------------------- */

/* The list as smpclient wants it: these keys and no others. */
static void test_list(void **state)
{
    uint8_t expected[256];
    struct kedge_smp_writer writer;

    (void)state;
    kedge_smp_write_start(&writer, kedge_buf(expected, sizeof(expected)));
    kedge_smp_open_map(&writer, NULL);
    kedge_smp_open_list(&writer, "images");
    kedge_smp_open_map(&writer, NULL);
    kedge_smp_put_uint(&writer, "slot", 0);
    kedge_smp_put_string(&writer, "version", "1.0.0");
    kedge_smp_put_bytes(&writer, "hash", kedge_bytes(old_image.hash, old_image.hash_size));
    kedge_smp_put_bool(&writer, "bootable", true);
    kedge_smp_put_bool(&writer, "pending", false);
    kedge_smp_put_bool(&writer, "confirmed", true);
    kedge_smp_put_bool(&writer, "active", true);
    kedge_smp_put_bool(&writer, "permanent", false);
    kedge_smp_close(&writer);
    kedge_smp_close(&writer);
    kedge_smp_put_uint(&writer, "splitStatus", 0);
    kedge_smp_close(&writer);
    assert_false(writer.failed);

    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 1, 0, "\xA0");
    equals(&reply, expected, kedge_smp_written(&writer));
}

/* A version of any length is shown whole, and nothing around it is overwritten (a fuzzer found a
 * text buffer one byte short). */
static void test_longest_version(void **state)
{
    struct kedge_smp_image_entry entries[4];

    (void)state;
    test_image_make(&new_image,
                    &(struct test_image){.size = SECTOR, .version = {255, 255, 65535, UINT32_MAX}});
    agent_device_put(&device.device, true, 0, &new_image);
    device.device.boot.version = (struct kedge_version){255, 255, 65535, UINT32_MAX};
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 1, 0, "\xA0");
    assert_int_equal(kedge_smp_read_images(reply.cbor, entries, 4), 2);
    assert_true(kedge_smp_is(entries[1].version, "255.255.65535.4294967295"));
    reply = ASK(&device, KEDGE_SMP_READ, 0, 7,
                "\xA1\x66"
                "format\x61r");
    assert_true(contains(&reply, "255.255.65535.4294967295"));
    reply = ASK(&device, KEDGE_SMP_READ, 64, 2, "\xA0");
    assert_true(contains(&reply, "255.255.65535.4294967295"));
}

static struct kedge_smp_reply set_state(const uint8_t *hash, size_t size, bool confirm)
{
    struct kedge_smp_writer writer;
    uint8_t body[128];

    kedge_smp_write_start(&writer, kedge_buf(body, sizeof(body)));
    kedge_smp_open_map(&writer, NULL);
    kedge_smp_put_bytes(&writer, "hash", kedge_bytes(hash, size));
    kedge_smp_put_bool(&writer, "confirm", confirm);
    kedge_smp_close(&writer);
    return smp_device_ask(&device, KEDGE_SMP_WRITE, 1, 0, body, kedge_smp_written(&writer));
}

/* Upload, list, test: the whole errand of every client, and what lies in the mailbox at its end. */
static void test_upload_list_test(void **state)
{
    struct kedge_smp_upload upload;
    struct kedge_smp_image_entry entries[4];

    (void)state;
    assert_int_equal(smp_device_upload(&device, &new_image, 1472, 1, &upload), 1);
    assert_true(upload.has_match && upload.match);
    assert_memory_equal(agent_device_secondary(&device.device), new_image.bytes, new_image.size);

    struct kedge_smp_reply reply = set_state(new_image.hash, new_image.hash_size, false);
    assert_int_equal(reply.rc, 0);
    assert_int_equal(kedge_smp_read_images(reply.cbor, entries, 4), 2);
    assert_int_equal(entries[1].slot, 1);
    assert_true(kedge_smp_is(entries[1].version, "2.1.0.5"));
    assert_true(entries[1].pending);
    assert_false(entries[1].permanent || entries[1].active || entries[1].confirmed);
    assert_true(entries[0].active && entries[0].confirmed);
    const struct kedge_trailer mailbox = agent_device_mailbox(&device.device);

    assert_int_equal(kedge_trailer_request(&mailbox), KEDGE_REQUEST_TEST);
    /* again: nothing changes, success (a repeated request) */
    reply = set_state(new_image.hash, new_image.hash_size, false);
    assert_int_equal(reply.rc, 0);
    /* confirm of a pending image */
    reply = set_state(new_image.hash, new_image.hash_size, true);
    refused(&reply, true, 28);
}

/* Go's `image confirm` without a hash sends an empty byte string; smpclient sends none. */
static void test_confirm_of_the_running(void **state)
{
    (void)state;
    agent_device_trailer(&device.device, TRAILER_TESTING);
    agent_device_put(&device.device, true, 0, &new_image);
    struct kedge_smp_image_entry entries[4];
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 1, 0, "\xA0");

    assert_int_equal(kedge_smp_read_images(reply.cbor, entries, 4), 2);
    assert_false(entries[0].confirmed);
    reply = set_state(NULL, 0, true);
    assert_int_equal(reply.rc, 0);
    assert_int_equal(kedge_smp_read_images(reply.cbor, entries, 4), 2);
    assert_true(entries[0].confirmed);
    reply = ASK(&device, KEDGE_SMP_WRITE, 1, 0,
                "\xA1\x67"
                "confirm\xF5");
    assert_int_equal(reply.rc, 0);
}

/* Refusals must come with the code that the client's users can look up; version 1 has its own. */
static void test_refusals(void **state)
{
    static const uint8_t unknown[32] = {1};
    /* {"hash": 32 bytes 01 00.., "confirm": false} as a version 1 client sends it */
    uint8_t v1[8 + 64] = {0x02, 0, 0, 0, 0, 1, 1, 0};
    struct kedge_smp_writer writer;

    (void)state;
    struct kedge_smp_reply reply = set_state(unknown, 32, false);
    refused(&reply, true, 8);
    reply = set_state(NULL, 0, false);
    refused(&reply, true, 24);
    reply = set_state(unknown, 5, false);
    refused(&reply, true, 24);
    reply = set_state(old_image.hash, old_image.hash_size, false);
    refused(&reply, true, 33);
    reply = ASK(&device, KEDGE_SMP_READ, 64, 5, "\xA0");
    assert_true(contains(&reply, "runs already"));

    kedge_smp_write_start(&writer, kedge_buf(v1 + 8, 64));
    kedge_smp_open_map(&writer, NULL);
    kedge_smp_put_bytes(&writer, "hash", kedge_bytes(unknown, 32));
    kedge_smp_close(&writer);
    v1[3] = (uint8_t)kedge_smp_written(&writer);
    reply = smp_device_send(&device, v1, 8u + v1[3]);
    refused(&reply, false, KEDGE_SMP_EUNKNOWN);
    assert_int_equal(reply.header.version, 0);
    reply = ASK(&device, KEDGE_SMP_WRITE, 1, 0,
                "\xA1\x64hash\x63"
                "abc");
    refused(&reply, false, KEDGE_SMP_EINVAL);
    reply = ASK(&device, KEDGE_SMP_WRITE, 1, 2, "\xA0");
    refused(&reply, false, KEDGE_SMP_ENOTSUP);
}

/* The first chunk's errors, in the order that Zephyr's clients expect. */
static void test_upload_refusals(void **state)
{
    (void)state;
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_WRITE, 1, 1, "\xA0");
    refused(&reply, true, 20);
    reply = ASK(&device, KEDGE_SMP_WRITE, 1, 1,
                "\xA3\x63off\x00\x63len\x18\x64\x64"
                "data\x41x");
    refused(&reply, true, 22);
    reply = ASK(&device, KEDGE_SMP_WRITE, 1, 1,
                "\xA3\x63off\x00\x63len\x19\x10\x00\x64"
                "data\x58\x20"
                "0123456789abcdef0123456789abcdef");
    refused(&reply, true, 23);
    reply = ASK(&device, KEDGE_SMP_WRITE, 1, 1,
                "\xA2\x63off\x19\x10\x00\x64"
                "data\x41x");
    EQUALS(reply, "\xBF\x63off\x00\xFF"); /* no session: begin at 0 */
    reply = ASK(&device, KEDGE_SMP_WRITE, 1, 1,
                "\xA2\x63off\x00\x64"
                "data\x01");
    refused(&reply, false, KEDGE_SMP_EINVAL);
}

/* Another client in the middle of an upload is told that the device is busy: rc 10, not a code. */
static void test_busy(void **state)
{
    struct kedge_smp_upload upload = {
        .file = kedge_bytes(new_image.bytes, new_image.size), .message_max = 1024, .window = 1};
    uint8_t request[1024];
    size_t size;

    (void)state;
    assert_int_equal(kedge_smp_upload_start(&upload), 0);
    assert_int_equal(kedge_smp_upload_next(&upload, kedge_buf(request, 1024), &size), 1);
    struct kedge_smp_reply reply = smp_device_send(&device, request, size);

    assert_int_equal(reply.rc, 0);
    device.peer = 2;
    upload.file = kedge_bytes(old_image.bytes, old_image.size);
    upload.sha[0] = 1;
    assert_int_equal(kedge_smp_upload_start(&upload), 0);
    assert_int_equal(kedge_smp_upload_next(&upload, kedge_buf(request, 1024), &size), 1);
    reply = smp_device_send(&device, request, size);
    refused(&reply, false, KEDGE_SMP_EBUSY);
}

static void test_erase_and_slots(void **state)
{
    struct kedge_smp_slot_entry slots[4];

    (void)state;
    agent_device_put(&device.device, true, 0, &new_image);
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_WRITE, 1, 5, "\xA0");
    EQUALS(reply, "\xBF\xFF");
    for (uint32_t i = 0; i < SLOT_SIZE; i++) {
        assert_int_equal(agent_device_secondary(&device.device)[i], 0xFF);
    }
    reply = ASK(&device, KEDGE_SMP_WRITE, 1, 5, "\xA1\x64slot\x00");
    refused(&reply, true, 14);
    reply = ASK(&device, KEDGE_SMP_READ, 1, 6, "");
    assert_int_equal(kedge_smp_read_slots(reply.cbor, slots, 4), 2);
    assert_int_equal(slots[0].slot, 0);
    assert_int_equal(slots[1].slot, 1);
    assert_int_equal(slots[0].size, SLOT_SIZE);
    assert_int_equal(slots[1].max_image, IMAGE_MAX);
}

/* ---- enumeration ---------------------------------------------------------------------------- */

static void test_enumeration(void **state)
{
    (void)state;
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 10, 0, "\xA0");
    EQUALS(reply, "\xBF\x65"
                  "count\x04\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 10, 1, "");
    EQUALS(reply, "\xBF\x66groups\x9F\x00\x01\x0A\x18\x40\xFF\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 10, 2, "\xA0");
    EQUALS(reply, "\xBF\x65group\x00\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 10, 2, "\xA1\x65index\x03");
    EQUALS(reply, "\xBF\x65group\x18\x40\x63"
                  "end\xF5\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 10, 2, "\xA1\x65index\x04");
    refused(&reply, true, 4);
    reply = ASK(&device, KEDGE_SMP_READ, 10, 3, "\xA1\x66groups\x82\x01\x09");
    EQUALS(reply,
           "\xBF\x66groups\x9F\xBF\x65group\x01\x64name\x68img mgmt\x68handlers\x04\xFF\xFF\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 10, 3, "\xA0");
    assert_true(contains(&reply, "enum mgmt") && contains(&reply, "kedge"));
    reply =
        ASK(&device, KEDGE_SMP_READ, 10, 3, "\xA1\x66groups\x91\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    refused(&reply, true, 2);
}

/* ---- kedge ---------------------------------------------------------------------------------- */

/* The number that answers "was only the external flash used?" must be in its documented place. */
static void test_recorder(void **state)
{
    struct kedge_smp_reader reader;
    struct kedge_bytes key = {0};
    struct kedge_smp_upload upload;
    uint32_t counts[KEDGE_DEVICES][KEDGE_PHASES][8];

    (void)state;
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_WRITE, 64, 0, "\xA0");
    EQUALS(reply, "\xBF\xFF");
    assert_int_equal(smp_device_upload(&device, &new_image, 1024, 4, &upload), 1);
    reply = ASK(&device, KEDGE_SMP_READ, 64, 0, "\xA0");
    assert_true(reply.rc == 0 && reply.cbor.size < 500);
    kedge_smp_read_start(&reader, reply.cbor);
    assert_true(kedge_smp_enter(&reader) && kedge_smp_next(&reader, &key));
    assert_true(kedge_smp_is(key, "counts") && kedge_smp_enter(&reader));
    for (unsigned d = 0; d < KEDGE_DEVICES; d++) {
        assert_true(kedge_smp_enter(&reader));
        for (unsigned p = 0; p < KEDGE_PHASES; p++) {
            assert_true(kedge_smp_enter(&reader));
            for (unsigned c = 0; c < 8; c++) {
                counts[d][p][c] = kedge_smp_read_uint(&reader);
            }
            kedge_smp_leave(&reader);
        }
        kedge_smp_leave(&reader);
    }
    kedge_smp_leave(&reader);
    assert_false(reader.failed);
    assert_int_equal(counts[KEDGE_INTERNAL][KEDGE_PHASE_DOWNLOAD][2], 0);
    assert_int_equal(counts[KEDGE_INTERNAL][KEDGE_PHASE_DOWNLOAD][4], 0);
    assert_true(counts[KEDGE_EXTERNAL][KEDGE_PHASE_DOWNLOAD][3] >= new_image.size);
    assert_true(counts[KEDGE_EXTERNAL][KEDGE_PHASE_DOWNLOAD][4] >= 5);
}

/* The ring, page by page, whatever the client has seen already. */
static void test_events(void **state)
{
    static uint8_t ring[8 * KEDGE_EVENT_SIZE];
    struct kedge_recorder *recorder = &device.device.recorder;
    struct kedge_smp_upload upload;

    (void)state;
    recorder->ring = kedge_buf(NULL, 0);
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 64, 1, "\xA0");
    refused(&reply, false, KEDGE_SMP_ENOTSUP);
    recorder->ring = kedge_buf(ring, sizeof(ring));
    kedge_recorder_clear(recorder);
    reply = ASK(&device, KEDGE_SMP_READ, 64, 1, "\xA0");
    EQUALS(reply, "\xBF\x66"
                  "events\x9F\xFF\x64next\x00\x65total\x00\xFF");
    assert_int_equal(smp_device_upload(&device, &new_image, 1024, 1, &upload), 1);
    assert_true(recorder->sequence > 8);

    uint32_t next = 0, total = 0;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("next", KEDGE_SMP_UINT, &next),
                                             KEDGE_SMP_FIELD("total", KEDGE_SMP_UINT, &total)};
    reply = ASK(&device, KEDGE_SMP_READ, 64, 1, "\xA0");
    assert_int_equal(kedge_smp_read_fields(reply.cbor, fields, 2), 3);
    assert_int_equal(next, recorder->sequence);
    assert_int_equal(total, recorder->sequence);
    /* map, "events", list, 8 events of 17 bytes, end, ... : the first one is the oldest kept */
    assert_int_equal(kedge_le32(reply.cbor.at + 10), recorder->sequence - 8);
    /* from the future: all that is kept again, no endless list */
    reply = ASK(&device, KEDGE_SMP_READ, 64, 1,
                "\xA1\x64"
                "from\x1A\xFF\xFF\xFF\xFF");
    assert_int_equal(kedge_le32(reply.cbor.at + 10), recorder->sequence - 8);
}

static void test_boot_report_and_history(void **state)
{
    (void)state;
    device.device.boot.reason = KEDGE_REASON_REFUSED;
    device.device.boot.verdict = KEDGE_IMAGE_BAD_SIGNATURE;
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 64, 2, "\xA0");
    assert_true(contains(&reply, kedge_reason_text(KEDGE_REASON_REFUSED)));
    assert_true(contains(&reply, kedge_verdict_text(KEDGE_IMAGE_BAD_SIGNATURE)));
    assert_true(contains(&reply, "1.0.0"));
    reply = ASK(&device, KEDGE_SMP_READ, 64, 3, "\xA0"); /* never updated */
    EQUALS(reply, "\xBF\x67records\x9F\xFF\xFF");
}

/* Ten updates in the loader's journal, of which it keeps eight. */
static void write_history(void)
{
    static uint8_t body[KEDGE_PLAN_TABLES + 8 * 255];
    const struct kedge_pair *const pair = &device.device.layout.pairs[0];
    struct kedge_journal journal = {.region = device.device.layout.journal,
                                    .body = kedge_buf(body, kedge_plan_size(pair)),
                                    .reserve = kedge_plan_reserve(pair)};

    kedge_plan_clear(body, pair);
    for (uint8_t i = 1; i <= 10; i++) {
        body[KEDGE_PLAN_VERSION_OLD] = i;
        body[KEDGE_PLAN_VERSION_NEW] = (uint8_t)(i + 1);
        kedge_history_note(body, KEDGE_REASON_REFUSED, KEDGE_IMAGE_BAD_HASH, false);
    }
    assert_int_equal(kedge_journal_open(&journal, NULL, NULL), KEDGE_E_NONE);
    assert_int_equal(kedge_journal_take_over(&journal), 0);
}

/* Records of the reply; each must follow the one before it. *next: 0 when it does not say. */
static unsigned count_records(const struct kedge_smp_reply *reply, uint32_t number, uint32_t *next)
{
    struct kedge_smp_reader reader;
    struct kedge_bytes key = {0};
    unsigned count = 0;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("next", KEDGE_SMP_UINT, next)};

    *next = 0;
    assert_true(kedge_smp_read_fields(reply->cbor, fields, 1) >= 0);
    kedge_smp_read_start(&reader, reply->cbor);
    assert_true(kedge_smp_enter(&reader) && kedge_smp_next(&reader, &key));
    assert_true(kedge_smp_is(key, "records") && kedge_smp_enter(&reader));
    for (; kedge_smp_more(&reader); count++) {
        assert_true(kedge_smp_enter(&reader) && kedge_smp_next(&reader, &key));
        assert_true(kedge_smp_is(key, "number"));
        assert_int_equal(kedge_smp_read_uint(&reader), number + count);
        kedge_smp_leave(&reader);
    }
    return count;
}

/* "Did my update work?": the device must be able to say what it did, also in small messages. */
static void test_history(void **state)
{
    static const uint8_t ask[] = "\x08\0\0\x09\0\x40\x01\x03\xA1\x65index\x18";
    uint8_t message[sizeof(ask)], small[600];
    uint32_t next, index = 0;
    size_t size;

    (void)state;
    write_history();
    struct kedge_smp_reply reply = ASK(&device, KEDGE_SMP_READ, 64, 3, "\xA0");
    assert_int_equal(reply.rc, 0);
    assert_int_equal(count_records(&reply, 3, &next), 8);
    assert_int_equal(next, 0);
    assert_true(contains(&reply, "3.0.0") && contains(&reply, "11.0.0"));
    assert_true(contains(&reply, kedge_reason_text(KEDGE_REASON_REFUSED)));
    assert_true(contains(&reply, kedge_verdict_text(KEDGE_IMAGE_BAD_HASH)));
    /* page by page */
    memcpy(message, ask, sizeof(ask));
    do {
        message[sizeof(ask) - 1] = (uint8_t)index;
        assert_int_equal(kedge_service_handle(&device.service, 1, kedge_bytes(message, sizeof(ask)),
                                              kedge_buf(small, sizeof(small)), &size),
                         0);
        assert_int_equal(kedge_smp_reply_parse(kedge_bytes(small, size), &reply), 0);
        const unsigned count = count_records(&reply, 3 + index, &next);

        assert_true(count > 0);
        index += count;
        assert_true(next == 0 || next == index);
    } while (next != 0);
    assert_int_equal(index, 8);
    /* a message that cannot hold one record */
    message[sizeof(ask) - 1] = 0;
    assert_int_equal(kedge_service_handle(&device.service, 1, kedge_bytes(message, sizeof(ask)),
                                          kedge_buf(small, 100), &size),
                     0);
    assert_int_equal(kedge_smp_reply_parse(kedge_bytes(small, size), &reply), 0);
    refused(&reply, false, KEDGE_SMP_EMSGSIZE);
    /* too little scratch for the journal: said, not guessed */
    device.device.config.scratch.size = 512;
    reply = ASK(&device, KEDGE_SMP_READ, 64, 3, "\xA0");
    refused(&reply, false, KEDGE_SMP_ENOTSUP);
}

/* A policy that the client believes to be set must be set, and the other way round. */
static void test_policy(void **state)
{
    (void)state;
    struct kedge_smp_reply reply =
        ASK(&device, KEDGE_SMP_WRITE, 64, 4, "\xA2\x63key\x64hold\x65value\x62on");
    EQUALS(reply, "\xBF\xFF");
    reply = ASK(&device, KEDGE_SMP_READ, 64, 4, "\xA0");
    assert_true(contains(&reply, "\x64hold\x62on"));
    assert_true(contains(&reply, "\x68"
                                 "attempts\x61"
                                 "1"));
    smp_device_power_on(&device);
    reply = ASK(&device, KEDGE_SMP_READ, 64, 4, "\xA0");
    assert_true(contains(&reply, "\x64hold\x62on"));

    reply = ASK(&device, KEDGE_SMP_WRITE, 64, 4, "\xA2\x63key\x64held\x65value\x62on");
    refused(&reply, true, 2);
    reply = ASK(&device, KEDGE_SMP_WRITE, 64, 4, "\xA2\x63key\x64hold\x65value\x62no");
    refused(&reply, true, 3);
    reply = ASK(&device, KEDGE_SMP_WRITE, 64, 4, "\xA1\x63key\x64hold");
    refused(&reply, false, KEDGE_SMP_EINVAL);
    device.device.agent.policy.locked = 1u << KEDGE_POLICY_HOLD;
    reply = ASK(&device, KEDGE_SMP_WRITE, 64, 4, "\xA2\x63key\x64hold\x65value\x63off");
    refused(&reply, false, KEDGE_SMP_EACCESS);
    reply = ASK(&device, KEDGE_SMP_READ, 64, 4, "\xA0");
    assert_true(contains(&reply, "\x66locked\x9F\x64hold\xFF"));
    assert_true(contains(&reply, "\x64hold\x62on"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_echo),
        TEST(test_os_shapes),
        TEST(test_info),
        TEST(test_bootloader),
        TEST(test_repeated_reset),
        TEST(test_list),
        TEST(test_longest_version),
        TEST(test_upload_list_test),
        TEST(test_confirm_of_the_running),
        TEST(test_refusals),
        TEST(test_upload_refusals),
        TEST(test_busy),
        TEST(test_erase_and_slots),
        TEST(test_enumeration),
        TEST(test_recorder),
        TEST(test_events),
        TEST(test_boot_report_and_history),
        TEST(test_history),
        TEST(test_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
