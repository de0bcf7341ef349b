#include "agent_device.h"

#include <monocypher-ed25519.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

#define HEADER    32u
#define SIGNATURE 64u

/* SubjectPublicKeyInfo of Ed25519 up to the key. */
static const uint8_t spki[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                               0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
static uint8_t known_der[sizeof(spki) + 32];

static void key_pair(bool foreign, uint8_t secret[64], uint8_t der[sizeof(known_der)])
{
    uint8_t seed[32];

    memset(seed, foreign ? 0x66 : 0x11, sizeof(seed));
    memcpy(der, spki, sizeof(spki));
    crypto_ed25519_key_pair(secret, der + sizeof(spki), seed);
}

static uint8_t *tlv(uint8_t *at, uint16_t type, const uint8_t *data, size_t size)
{
    kedge_put_le16(at, type);
    kedge_put_le16(at + 2, (uint16_t)size);
    memcpy(at + 4, data, size);
    return at + 4 + size;
}

void test_file_hash(struct test_file *file)
{
    kedge_hash_once(&kedge_sha256, kedge_bytes(file->bytes, file->size), file->sha);
}

void test_image_make(struct test_file *file, const struct test_image *image)
{
    const struct kedge_hash *const hash = kedge_ed25519.hash;
    const uint32_t tlvs = 4 + 3 * 4 + 2u * hash->size + SIGNATURE;
    const uint32_t payload = image->size - HEADER - tlvs;
    struct kedge_random random = {.state = image->seed};
    uint8_t secret[64], der[sizeof(known_der)], key_hash[KEDGE_DIGEST_MAX], signature[SIGNATURE];
    uint8_t *at;

    memset(file, 0, sizeof(*file));
    file->size = image->size;
    file->hash_size = hash->size;
    kedge_put_le32(file->bytes, KEDGE_IMAGE_MAGIC);
    kedge_put_le16(file->bytes + 8, HEADER);
    kedge_put_le32(file->bytes + 12, payload);
    kedge_put_le32(file->bytes + 16, image->flags);
    file->bytes[20] = image->version.major;
    file->bytes[21] = image->version.minor;
    kedge_put_le16(file->bytes + 22, image->version.revision);
    kedge_put_le32(file->bytes + 24, image->version.build);
    kedge_random_fill(&random, file->bytes + HEADER, payload);

    key_pair(image->foreign, secret, der);
    kedge_hash_once(hash, kedge_bytes(file->bytes, HEADER + payload), file->hash);
    kedge_hash_once(hash, kedge_bytes(der, sizeof(der)), key_hash);
    crypto_ed25519_sign(signature, secret, file->hash, hash->size);
    at = file->bytes + HEADER + payload;
    kedge_put_le16(at, 0x6907);
    kedge_put_le16(at + 2, (uint16_t)tlvs);
    at = tlv(at + 4, hash->tlv, file->hash, hash->size);
    at = tlv(at, 0x01, key_hash, hash->size);
    at = tlv(at, kedge_ed25519.tlv, signature, sizeof(signature));
    KEDGE_ASSERT(at == file->bytes + file->size);
    test_file_hash(file);
}

void test_file_pad(struct test_file *file, bool confirm)
{
    memset(file->bytes + file->size, 0xff, SLOT_SIZE - file->size);
    kedge_trailer_magic(8, file->bytes + SLOT_SIZE - 16);
    if (confirm) {
        file->bytes[SLOT_SIZE - 24] = 0x01;
    }
    file->size = SLOT_SIZE;
    test_file_hash(file);
}

static uint32_t tell_time(void *ctx)
{
    return ((struct agent_device *)ctx)->now_ms;
}

static void wrap(struct agent_device *device, uint8_t which)
{
    kedge_sim_flash(device->sim, which, &device->raw[which]);
    device->times[which] = kedge_sim_times(kedge_sim_part(device->sim, which));
    device->recorded[which] = (struct kedge_recorded){.inner = &device->raw[which],
                                                      .recorder = &device->recorder,
                                                      .times = &device->times[which],
                                                      .device = which};
    kedge_recorder_wrap(&device->recorded[which], &device->flash[which]);
}

void agent_device_open(struct agent_device *device)
{
    const struct kedge_sim_part internal = kedge_sim_small_internal(16 * SECTOR, SECTOR);
    const struct kedge_sim_part external = kedge_sim_small_external(16 * SECTOR, SECTOR);
    const struct kedge_sim_config config = {
        .internal = &internal, .external = &external, .time = KEDGE_SIM_TIME_TYPICAL, .seed = 1};
    char why[160];
    uint8_t secret[64];

    memset(device, 0, sizeof(*device));
    device->sim = kedge_sim_create(&config, why);
    if (device->sim == NULL) {
        fprintf(stderr, "simulator: %s\n", why);
        abort();
    }
    device->recorder.phase = KEDGE_PHASE_IDLE;
    device->recorder.forbidden[KEDGE_PHASE_DOWNLOAD] = 1u << KEDGE_INTERNAL;
    device->recorder.forbidden[KEDGE_PHASE_DECODE] = 1u << KEDGE_INTERNAL;
    wrap(device, KEDGE_INTERNAL);
    wrap(device, KEDGE_EXTERNAL);

    const struct kedge_region primary = {&device->flash[KEDGE_INTERNAL], PRIMARY_AT, SLOT_SIZE};
    const struct kedge_region secondary = {&device->flash[KEDGE_EXTERNAL], SECONDARY_AT,
                                           SLOT_SIZE + 2 * SECTOR};

    if (kedge_pair_make(&device->pair, &primary, &secondary, NULL, 8) != 0) {
        abort();
    }
    device->layout = (struct kedge_layout){
        .pairs = &device->pair,
        .pair_count = 1,
        .settings = {&device->flash[KEDGE_INTERNAL], SETTINGS_AT, 2 * SECTOR},
        .journal = {&device->flash[KEDGE_INTERNAL], JOURNAL_AT, 2 * SECTOR},
        .staging = {&device->flash[KEDGE_EXTERNAL], STAGING_AT, STAGING_SIZE},
    };
    key_pair(false, secret, known_der);
    device->key = (struct kedge_key){.type = &kedge_ed25519,
                                     .der = kedge_bytes(known_der, sizeof(known_der))};
    device->defaults = kedge_policy_default;
    device->boot =
        (struct kedge_boot_report){.boots = 1, .external_alive = 1, .version = {1, 0, 0, 0}};
    device->config = (struct kedge_agent_config){
        .layout = &device->layout,
        .keys = &device->key,
        .key_count = 1,
        .defaults = &device->defaults,
        .boot = &device->boot,
        .recorder = &device->recorder,
        .now_ms = tell_time,
        .ctx = device,
        .scratch = kedge_buf(device->scratch, sizeof(device->scratch)),
    };
}

void agent_device_close(struct agent_device *device)
{
    kedge_sim_destroy(device->sim);
}

void agent_device_power_on(struct agent_device *device)
{
    kedge_sim_power_on(device->sim);
    device->recorder.phase = KEDGE_PHASE_IDLE;
    kedge_agent_start(&device->agent, &device->config);
}

void agent_device_put(struct agent_device *device, bool secondary, unsigned base,
                      const struct test_file *file)
{
    const struct kedge_slot *const slot =
        secondary ? &device->pair.secondary : &device->pair.primary;
    const uint8_t which = secondary ? KEDGE_EXTERNAL : KEDGE_INTERNAL;

    for (uint32_t at = 0; at < file->size; at += SECTOR) {
        const uint32_t left = file->size - at;

        kedge_sim_poke(device->sim, which,
                       slot->region.start + kedge_slot_unit_at(slot, base + at / SECTOR),
                       kedge_bytes(file->bytes + at, left < SECTOR ? left : SECTOR));
    }
}

void agent_device_trailer(struct agent_device *device, enum test_trailer trailer)
{
    const bool asks = trailer >= TRAILER_ASKS_TEST;
    uint8_t tail[40];

    memset(tail, 0xff, sizeof(tail));
    kedge_trailer_magic(8, tail + 24);
    if (trailer == TRAILER_CONFIRMED || trailer == TRAILER_ASKS_PERMANENT) {
        tail[16] = 0x01;
    }
    if (!asks) {
        tail[8] = 0x01;
    }
    tail[0] = tail[16] == 0x01 ? KEDGE_SWAP_PERMANENT : KEDGE_SWAP_TEST;
    kedge_sim_poke(device->sim, asks ? KEDGE_EXTERNAL : KEDGE_INTERNAL, SLOT_SIZE - sizeof(tail),
                   kedge_bytes(tail, sizeof(tail)));
}

int agent_device_chunk(struct agent_device *device, const struct test_file *file, uint32_t off,
                       uint32_t size, bool with_sha, struct kedge_upload_reply *reply)
{
    const uint32_t left = file->size - off;
    struct kedge_upload_request request = {
        .peer = 1,
        .has_off = true,
        .off = off,
        .data = kedge_bytes(file->bytes + off, size < left ? size : left),
    };

    if (off == 0) {
        request.has_len = true;
        request.len = file->size;
        request.sha = kedge_bytes(file->sha, with_sha ? sizeof(file->sha) : 0);
    }
    return kedge_agent_upload(&device->agent, &request, reply);
}

int agent_device_upload(struct agent_device *device, const struct test_file *file, uint32_t chunk,
                        bool with_sha, unsigned *calls, struct kedge_upload_reply *reply)
{
    const unsigned most = 4 * file->size / chunk + 100;
    unsigned n = 0;
    int status;

    *reply = (struct kedge_upload_reply){0};
    do {
        status = agent_device_chunk(device, file, reply->off, chunk, with_sha, reply);
        n++;
    } while (status == KEDGE_AGENT_OK && reply->off < file->size && n < most);
    if (calls != NULL) {
        *calls = n;
    }
    return status;
}

struct kedge_trailer agent_device_mailbox(struct agent_device *device)
{
    struct kedge_trailer trailer;

    if (kedge_slot_trailer(&device->pair.secondary, 3, &trailer) != 0) {
        abort();
    }
    return trailer;
}

const uint8_t *agent_device_secondary(struct agent_device *device)
{
    return kedge_sim_contents(device->sim, KEDGE_EXTERNAL) + SECONDARY_AT;
}

bool agent_device_candidate_good(struct agent_device *device)
{
    struct kedge_image image;
    const int base = kedge_slot_find(&device->pair.secondary, 0, &image);
    const struct kedge_slot_view view = {.slot = &device->pair.secondary, .base = (uint8_t)base};
    uint8_t scratch[256];
    struct kedge_verify verify = {
        .keys = &device->key, .key_count = 1, .scratch = kedge_buf(scratch, sizeof(scratch))};

    if (base < 0) {
        return false;
    }
    const struct kedge_source source = kedge_slot_source(&view);

    return kedge_image_verify(&source, &verify) == KEDGE_IMAGE_GOOD;
}
