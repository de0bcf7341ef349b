/* What is in the slots, and requests (facts/smp.md A5): the flags are derived from the trailers as
 * MCUboot derives them, so that a client sees here what it sees on any MCUboot device. */
#include <string.h>

#include "agent/checked.h"
#include "agent/mailbox.h"
#include "agent/parts.h"

/* An image is judged by so many passes: one flipped bit on the bus must not refuse it. */
#define PASSES 3u

uint8_t kedge_agent_enter(struct kedge_agent *agent, uint8_t phase)
{
    return agent->config->recorder == NULL ? phase
                                           : kedge_recorder_phase(agent->config->recorder, phase);
}

int kedge_agent_refuse(struct kedge_agent *agent, enum kedge_agent_status status, const char *words)
{
    size_t i = 0;

    for (; words[i] != '\0' && i + 1 < sizeof(agent->detail); i++) {
        agent->detail[i] = words[i];
    }
    agent->detail[i] = '\0';
    return (int)status;
}

/* ---- state ----------------------------------------------------------------------------------- */

static struct kedge_trailer read_trailer(const struct kedge_slot *slot)
{
    struct kedge_trailer trailer;

    for (unsigned i = 0; i < KEDGE_CHECKED_TRIES; i++) {
        if (kedge_slot_trailer(slot, 3, &trailer) == 0) {
            return trailer;
        }
    }
    /* unreadable counts as unset: with a dead external chip the running image can be confirmed */
    return (struct kedge_trailer){.blank = true};
}

enum kedge_swap_state kedge_agent_state(struct kedge_agent *agent)
{
    const struct kedge_trailer asked = read_trailer(kedge_agent_secondary(agent));
    const struct kedge_trailer running = read_trailer(&kedge_agent_pair(agent)->primary);

    switch (kedge_trailer_request(&asked)) {
    case KEDGE_REQUEST_TEST:
        return KEDGE_STATE_TEST;
    case KEDGE_REQUEST_PERMANENT:
        return KEDGE_STATE_PERMANENT;
    default:
        break;
    }
    /* a torn image_ok counts as not confirmed, as for the loader; unless the loader latched it when
     * it read as set, and will never revert, whatever the word reads later */
    return !agent->config->boot->settled && running.magic == KEDGE_MAGIC_GOOD &&
                   running.copy_done == KEDGE_FLAG_SET && running.image_ok != KEDGE_FLAG_SET
               ? KEDGE_STATE_REVERT
               : KEDGE_STATE_NONE;
}

int kedge_agent_slot_free(struct kedge_agent *agent)
{
    const enum kedge_swap_state state = kedge_agent_state(agent);

    if (state == KEDGE_STATE_REVERT) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_NO_FREE_SLOT,
                                  "slot 1 holds the image to revert to: confirm or reset first");
    }
    if (state != KEDGE_STATE_NONE && agent->policy.value[KEDGE_POLICY_ERASE_PENDING] != 0) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_NO_FREE_SLOT,
                                  "slot 1 is marked for the next boot: policy erase_pending");
    }
    return KEDGE_AGENT_OK;
}

/* ---- list ------------------------------------------------------------------------------------ */

static bool describe(const struct kedge_slot *slot, struct kedge_slot_state *state)
{
    struct kedge_image image;
    int base = KEDGE_E_NONE;
    int size = KEDGE_E_NONE;

    for (unsigned i = 0; i < PASSES && size < 0; i++) {
        base = kedge_slot_find(slot, 0, &image);
        if (base >= 0) {
            const struct kedge_slot_view view = {.slot = slot, .base = (uint8_t)base};
            const struct kedge_source source = kedge_slot_source(&view);

            size = kedge_image_hash(&source, &image, state->hash);
        }
    }
    if (size < 0) {
        return false;
    }
    state->hash_size = (uint8_t)size;
    state->version = image.version;
    state->bootable = (image.flags & KEDGE_IMAGE_NON_BOOTABLE) == 0;
    return true;
}

/* Slot 1 shows an image only when one is whole there: not while an upload is under way. */
static bool offers_second(struct kedge_agent *agent)
{
    const struct kedge_upload *const upload = &agent->upload;

    return !(upload->size > 0 && upload->claimed && upload->way != KEDGE_UPLOAD_LOOKS) &&
           !kedge_mailbox_half_way(agent);
}

size_t kedge_agent_list(struct kedge_agent *agent, struct kedge_slot_state states[2])
{
    const struct kedge_pair *const pair = kedge_agent_pair(agent);
    const enum kedge_swap_state state = kedge_agent_state(agent);
    size_t count = 0;

    states[0] = (struct kedge_slot_state){.slot = 0};
    if (describe(&pair->primary, &states[0])) {
        states[0].active = agent->config->boot->boots != 0;
        states[0].confirmed = state != KEDGE_STATE_REVERT;
        count = 1;
    }
    states[count] = (struct kedge_slot_state){.slot = 1};
    if (offers_second(agent) && describe(&pair->secondary, &states[count])) {
        states[count].pending = state == KEDGE_STATE_TEST || state == KEDGE_STATE_PERMANENT;
        states[count].permanent = state == KEDGE_STATE_PERMANENT;
        states[count].confirmed = state == KEDGE_STATE_REVERT;
        count++;
    }
    return count;
}

/* ---- may it boot ----------------------------------------------------------------------------- */

int kedge_agent_version_allowed(struct kedge_agent *agent, const struct kedge_version *version,
                                bool upgrade)
{
    const struct kedge_boot_report *const boot = agent->config->boot;
    struct kedge_version without_build = *version;

    if (boot->boots == 0) {
        return KEDGE_AGENT_OK;
    }
    if (agent->policy.value[KEDGE_POLICY_DOWNGRADE] != 0 &&
        kedge_version_compare(version, &boot->version) < 0) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_NEWER_RUNS,
                                  "a newer version runs: policy downgrade refuses older ones");
    }
    /* `upgrade` compares major, minor and revision: an equal one with a higher build is no upgrade
     */
    without_build.build = boot->version.build;
    if (upgrade && kedge_version_compare(&without_build, &boot->version) <= 0) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_NEWER_RUNS,
                                  "not newer than the running version (upgrade only was asked)");
    }
    return KEDGE_AGENT_OK;
}

/* The image group has no code for signatures; "access denied" is what clients print plainly. */
static int status_of(enum kedge_verdict verdict)
{
    switch (verdict) {
    case KEDGE_IMAGE_GOOD:
        return KEDGE_AGENT_OK;
    case KEDGE_IMAGE_ABSENT:
        return KEDGE_AGENT_NO_IMAGE;
    case KEDGE_IMAGE_UNREADABLE:
        return KEDGE_AGENT_READ_FAILED;
    case KEDGE_IMAGE_BAD_HEADER:
    case KEDGE_IMAGE_NOT_BOOTABLE:
        return KEDGE_AGENT_INVALID_HEADER;
    case KEDGE_IMAGE_TOO_LARGE:
        return KEDGE_AGENT_TOO_LARGE;
    case KEDGE_IMAGE_BAD_TLV:
        return KEDGE_AGENT_INVALID_TLV;
    case KEDGE_IMAGE_NO_HASH:
    case KEDGE_IMAGE_BAD_HASH:
        return KEDGE_AGENT_INVALID_HASH;
    case KEDGE_IMAGE_DOWNGRADE:
        return KEDGE_AGENT_NEWER_RUNS;
    default:
        return KEDGE_AGENT_DENIED;
    }
}

int kedge_agent_check_candidate(struct kedge_agent *agent, uint8_t base)
{
    const uint8_t before = kedge_agent_enter(agent, KEDGE_PHASE_VALIDATE);
    struct kedge_verify checked;
    enum kedge_verdict verdict = kedge_agent_verify(agent, base, &checked);

    if (verdict == KEDGE_IMAGE_GOOD && checked.depends) {
        verdict = KEDGE_IMAGE_DEPENDENCY;
    }
    const int status = status_of(verdict);

    (void)kedge_agent_enter(agent, before);
    if (status != KEDGE_AGENT_OK) {
        return kedge_agent_refuse(agent, (enum kedge_agent_status)status,
                                  kedge_verdict_text(verdict));
    }
    return kedge_agent_version_allowed(agent, &checked.image.version, false);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The base at which slot 1 holds the image with this hash; negative: none. */
static int find_base(struct kedge_agent *agent, struct kedge_bytes hash)
{
    const struct kedge_slot *const slot = kedge_agent_secondary(agent);

    for (unsigned i = 0; i < PASSES; i++) {
        struct kedge_image image;
        uint8_t stored[KEDGE_DIGEST_MAX];
        const int base = kedge_slot_find(slot, 0, &image);
        const struct kedge_slot_view view = {.slot = slot, .base = base < 0 ? 0 : (uint8_t)base};
        const struct kedge_source source = kedge_slot_source(&view);

        if (base >= 0 && kedge_image_hash(&source, &image, stored) == (int)hash.size &&
            memcmp(stored, hash.at, hash.size) == 0) {
            return base;
        }
    }
    return KEDGE_E_NONE;
}

static int write_request(struct kedge_agent *agent, struct kedge_bytes hash, bool permanent)
{
    const struct kedge_trailer_place place =
        kedge_trailer_place(kedge_agent_secondary(agent)->max_align);
    uint8_t tail[KEDGE_TRAILER_SIZE_MAX];
    const int base = find_base(agent, hash);
    int status;

    if (base < 0) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_READ_FAILED,
                                  "slot 1 reads differently each time");
    }
    status = kedge_agent_check_candidate(agent, (uint8_t)base);
    if (status != KEDGE_AGENT_OK) {
        return status;
    }
    memset(tail, kedge_agent_geometry(agent)->erased, sizeof(tail));
    kedge_trailer_magic(kedge_agent_secondary(agent)->max_align, tail + place.size - place.magic);
    if (permanent) {
        tail[place.size - place.image_ok] = 0x01;
    }
    tail[place.size - place.swap_info] = permanent ? KEDGE_SWAP_PERMANENT : KEDGE_SWAP_TEST;

    const int error = kedge_mailbox_request(agent, tail);

    return error == 0
               ? KEDGE_AGENT_OK
               : kedge_agent_refuse(agent, KEDGE_AGENT_WRITE_FAILED, kedge_error_text(error));
}

/* The one word of the primary that an application writes. No second try: the word of an internal
 * flash takes two writes between erases, and a torn one before this may have been the first. */
static int confirm_running(struct kedge_agent *agent)
{
    const struct kedge_slot *const slot = &kedge_agent_pair(agent)->primary;
    const struct kedge_geometry *const geometry = &slot->region.flash->geometry;
    const struct kedge_trailer_place place = kedge_trailer_place(slot->max_align);
    const uint32_t at = (slot->gap + 1u) * slot->unit - place.image_ok;
    uint8_t word[32];
    uint8_t now;
    int error;

    switch (read_trailer(slot).magic) {
    case KEDGE_MAGIC_UNSET:
        return KEDGE_AGENT_OK; /* nothing was swapped in: there is nothing to confirm */
    case KEDGE_MAGIC_BAD:
        return kedge_agent_refuse(agent, KEDGE_AGENT_UNKNOWN,
                                  "the running image's trailer is damaged: cannot confirm");
    default:
        break;
    }
    error = kedge_checked_read(&slot->region, at, kedge_buf(&now, 1));
    if (error != 0) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_READ_FAILED, kedge_error_text(error));
    }
    if (now == 0x01) {
        return KEDGE_AGENT_OK;
    }
    /* a torn confirm can be completed as long as no bit went the wrong way */
    if (((now ^ geometry->erased) & (0x01 ^ geometry->erased)) != (now ^ geometry->erased)) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_WRITE_FAILED,
                                  "the confirm word is damaged: reset, the loader mends it");
    }
    memset(word, geometry->erased, sizeof(word));
    word[0] = 0x01;
    error = kedge_region_program(&slot->region, at, kedge_bytes(word, geometry->write_block));
    if (error == 0) {
        error = kedge_region_sync(&slot->region);
    }
    if (error != 0 || read_trailer(slot).image_ok != KEDGE_FLAG_SET) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_WRITE_FAILED,
                                  kedge_error_text(error != 0 ? error : KEDGE_E_READBACK));
    }
    return KEDGE_AGENT_OK;
}

/* Which slot does the hash mean? From slot 0 upwards. Negative: none. */
static int find_slot(struct kedge_agent *agent, struct kedge_bytes hash)
{
    struct kedge_slot_state states[2];
    const size_t count = kedge_agent_list(agent, states);

    for (size_t i = 0; i < count; i++) {
        if (states[i].hash_size == hash.size && memcmp(states[i].hash, hash.at, hash.size) == 0) {
            return (int)states[i].slot;
        }
    }
    return KEDGE_E_NONE;
}

/* Clients that send a file in an envelope know it by the envelope's hash: they mean what came out
 * of it. `stored`: KEDGE_DIGEST_MAX bytes for the image's own. */
static struct kedge_bytes meant_by(struct kedge_agent *agent, struct kedge_bytes hash,
                                   uint8_t *stored)
{
    const struct kedge_upload *const upload = &agent->upload;
    struct kedge_slot_state states[2];

    if (upload->size > 0 || !upload->has_alias || hash.size != sizeof(upload->alias) ||
        memcmp(hash.at, upload->alias, sizeof(upload->alias)) != 0) {
        return hash;
    }
    const size_t count = kedge_agent_list(agent, states);

    if (count == 0 || states[count - 1].slot != 1) {
        return hash;
    }
    memcpy(stored, states[count - 1].hash, sizeof(states[0].hash));
    return kedge_bytes(stored, states[count - 1].hash_size);
}

/* Rules 2 to 6 of facts A5, in their order. */
static int request_slot(struct kedge_agent *agent, int slot, struct kedge_bytes hash, bool confirm)
{
    static const char *const pending = "an image is marked for the next boot already: reset first";
    const enum kedge_swap_state state = kedge_agent_state(agent);

    if (slot == 0 && !confirm) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_TEST_ACTIVE_DENIED,
                                  "this image runs already (same hash in slot 0)");
    }
    switch (state) {
    case KEDGE_STATE_TEST:
        return slot == 1 && !confirm
                   ? KEDGE_AGENT_OK
                   : kedge_agent_refuse(agent, KEDGE_AGENT_ALREADY_PENDING, pending);
    case KEDGE_STATE_PERMANENT:
        return slot == 1 && confirm
                   ? KEDGE_AGENT_OK
                   : kedge_agent_refuse(agent, KEDGE_AGENT_ALREADY_PENDING, pending);
    case KEDGE_STATE_REVERT:
        if (!confirm) {
            return kedge_agent_refuse(agent, KEDGE_AGENT_ALREADY_PENDING,
                                      "the running image is on trial: confirm it or reset first");
        }
        return slot == 1 ? KEDGE_AGENT_OK : confirm_running(agent);
    default:
        return slot == 1 ? write_request(agent, hash, confirm) : confirm_running(agent);
    }
}

static int request(struct kedge_agent *agent, struct kedge_bytes hash, bool confirm)
{
    uint8_t stored[KEDGE_DIGEST_MAX];
    int slot = 0;

    hash = meant_by(agent, hash, stored);
    if (hash.size == 0 && !confirm) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_HASH, "image test needs a hash");
    }
    if (hash.size != 0 && hash.size != 32 && hash.size != 48 && hash.size != 64) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_HASH,
                                  "a hash has 32, 48 or 64 bytes (see image list)");
    }
    for (unsigned i = 0; i < PASSES && hash.size != 0 && (i == 0 || slot < 0); i++) {
        slot = find_slot(agent, hash);
    }
    if (slot < 0) {
        return kedge_agent_refuse(
            agent, KEDGE_AGENT_HASH_NOT_FOUND,
            offers_second(agent) ? "no slot holds this hash (image list; not the file's sha256)"
                                 : "no slot holds this hash; the upload is not complete");
    }
    return request_slot(agent, slot, hash, confirm);
}

int kedge_agent_request(struct kedge_agent *agent, struct kedge_bytes hash, bool confirm)
{
    const uint8_t before = kedge_agent_enter(agent, KEDGE_PHASE_IDLE);

    agent->detail[0] = '\0';
    const int status = request(agent, hash, confirm);

    (void)kedge_agent_enter(agent, before);
    return status;
}
