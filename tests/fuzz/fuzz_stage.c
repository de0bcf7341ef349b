/* Any manifests, chunks and contents of the staging region, with resets in between. What breaks in
 * the field if it fails: who can send chunks, or write to the external chip, crashes the device,
 * makes it break a rule of the flash, or counts chunks that are not there. Input: records of a
 * command byte and its arguments. */
#include <stdlib.h>
#include <string.h>

#include "agent_device.h"
#include "kedge/stage.h"

#define STEPS_MAX 200u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct agent_device device;
static struct kedge_stage stage;
static struct kedge_sim_snapshot *fresh;
static struct test_file running;
static uint8_t buffer[256];

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void power_on(void)
{
    agent_device_power_on(&device);
    kedge_stage_start(&stage, &device.agent, kedge_buf(buffer, sizeof(buffer)));
}

/* What the input goes through. */
static struct kedge_bytes left;

static uint32_t number(unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes && left.size > 0; i++) {
        value |= (uint32_t)left.at[0] << (8 * i);
        left = kedge_bytes(left.at + 1, left.size - 1);
    }
    return value;
}

static struct kedge_bytes some(size_t size)
{
    const struct kedge_bytes got = kedge_bytes(left.at, size < left.size ? size : left.size);

    left = kedge_bytes(left.at + got.size, left.size - got.size);
    return got;
}

static void begin(void)
{
    struct kedge_manifest manifest = {.id = {(uint8_t)number(1)}};

    manifest.size = number(3);
    manifest.chunk = number(2);
    manifest.check = (uint8_t)(number(1) % 4);
    manifest.check_size = manifest.check == KEDGE_STAGE_CHECK_CRC32 ? 4 : (uint8_t)number(1);
    manifest.transform = (uint8_t)number(1);
    (void)kedge_stage_begin(&stage, &manifest);
}

static void put(void)
{
    uint8_t check[4];
    const bool right = number(1) % 4 != 0;
    const uint32_t index = number(1);
    const uint32_t off = right ? index * stage.manifest.chunk : number(3);
    const uint32_t size =
        right && off < stage.manifest.size ? kedge_stage_chunk_size(&stage, index) : number(1);
    const struct kedge_bytes chunk = some(size);
    const struct kedge_bytes given = some(right ? 0 : 4);

    kedge_put_le32(check, kedge_crc32(0, chunk));
    (void)kedge_stage_put(&stage, off, chunk,
                          right && stage.manifest.check_size == 4 ? kedge_bytes(check, 4) : given);
}

/* As whoever has the external chip in hand. */
static void scribble(void)
{
    const uint32_t at = number(2) % (3 * SECTOR);
    const struct kedge_bytes bytes = some(number(1));

    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, STAGING_AT + at, bytes);
    power_on();
}

/* A head that parses, with any contents. */
static void forge(void)
{
    uint8_t record[KEDGE_STAGE_RECORD];
    struct kedge_manifest manifest = {.size = number(4), .chunk = number(4)};

    manifest.check = (uint8_t)number(1);
    manifest.check_size = (uint8_t)number(1);
    kedge_stage_record_make(record, &manifest, number(4), (uint8_t)number(1));
    kedge_sim_poke(device.sim, KEDGE_EXTERNAL, STAGING_AT + number(1) % 2 * SECTOR,
                   kedge_bytes(record, sizeof(record)));
    power_on();
}

static void step(void)
{
    for (unsigned n = 0; n < STEPS_MAX && kedge_stage_step(&stage); n++) {
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fresh == NULL) {
        agent_device_open(&device);
        test_image_make(&running, &(struct test_image){
                                      .size = SECTOR + 100, .version = {1, 0, 0, 0}, .seed = 1});
        agent_device_put(&device, false, 0, &running);
        fresh = kedge_sim_snapshot_make(device.sim);
    }
    kedge_sim_restore(device.sim, fresh);
    power_on();
    left = kedge_bytes(data, size);
    while (left.size > 0) {
        switch (number(1) % 9) {
        case 0:
            begin();
            break;
        case 1:
            power_on();
            break;
        case 2:
            scribble();
            break;
        case 3:
            forge();
            break;
        case 4:
            (void)kedge_stage_finish(&stage, (enum kedge_stage_then)(number(1) % 3));
            step();
            break;
        case 5:
            (void)kedge_stage_abort(&stage);
            break;
        case 6: {
            uint32_t wait;

            (void)kedge_stage_attempt(&stage, &wait);
            break;
        }
        default:
            put();
            break;
        }
        must(stage.received <= stage.chunks);
        must(kedge_sim_violation(device.sim)[0] == '\0');
        must(stage.state != KEDGE_STAGE_DECODED || stage.received == stage.chunks);
    }
    return 0;
}
