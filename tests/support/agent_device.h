/* A small device for the agent's tests: strict simulator, recorder with its rule for downloads,
 * a primary of 6 sectors of 4 KiB, a secondary of 6 + 2, signed images made on the spot. */
#ifndef KEDGE_TEST_AGENT_DEVICE_H
#define KEDGE_TEST_AGENT_DEVICE_H

#include "kedge/agent.h"
#include "sim.h"

#define SECTOR       4096u
#define SLOT_SECTORS 6u
#define SLOT_SIZE    (SLOT_SECTORS * SECTOR)
#define IMAGE_MAX    ((SLOT_SECTORS - 1) * SECTOR)
#define PRIMARY_AT   0u
#define SETTINGS_AT  (SLOT_SIZE)
#define JOURNAL_AT   (SLOT_SIZE + 2 * SECTOR)
#define SECONDARY_AT 0u
#define MAILBOX_AT   (SLOT_SIZE - SECTOR)
#define STAGING_AT   (8 * SECTOR)
#define STAGING_SIZE (8 * SECTOR)

struct test_file {
    uint8_t bytes[SLOT_SIZE];
    uint32_t size;
    uint8_t hash[KEDGE_DIGEST_MAX]; /* image hash TLV */
    uint8_t hash_size;
    uint8_t sha[32]; /* of the file */
};

struct test_image {
    uint32_t size; /* the whole image, TLVs included */
    struct kedge_version version;
    uint32_t flags;
    uint8_t seed;
    bool foreign; /* signed by somebody we don't know */
};

struct agent_device {
    struct kedge_sim *sim;
    struct kedge_flash raw[KEDGE_DEVICES], flash[KEDGE_DEVICES];
    struct kedge_part_times times[KEDGE_DEVICES];
    struct kedge_recorded recorded[KEDGE_DEVICES];
    struct kedge_recorder recorder;
    struct kedge_pair pair;
    struct kedge_layout layout;
    struct kedge_policy defaults;
    struct kedge_key key;
    struct kedge_boot_report boot;
    struct kedge_agent_config config;
    struct kedge_agent agent;
    uint32_t now_ms;
    uint8_t scratch[SECTOR];
    uint8_t behind[SECTOR]; /* for config.behind, which is empty */
};

/* A signed image, and the SHA-256 of the file. */
void test_image_make(struct test_file *file, const struct test_image *image);
/* imgtool --pad, --pad --confirm. */
void test_file_pad(struct test_file *file, bool confirm);
void test_file_hash(struct test_file *file);

/* Power on with erased flashes; the agent is not started. */
void agent_device_open(struct agent_device *device);
void agent_device_close(struct agent_device *device);
/* Next life: power, agent. */
void agent_device_power_on(struct agent_device *device);

/* As a debugger: an image at `base` of a slot, a trailer. */
void agent_device_put(struct agent_device *device, bool secondary, unsigned base,
                      const struct test_file *file);
enum test_trailer { TRAILER_TESTING, TRAILER_CONFIRMED, TRAILER_ASKS_TEST, TRAILER_ASKS_PERMANENT };
void agent_device_trailer(struct agent_device *device, enum test_trailer trailer);

/* One chunk of `file` at `off`; the first one carries length and sha (with_sha). */
int agent_device_chunk(struct agent_device *device, const struct test_file *file, uint32_t off,
                       uint32_t size, bool with_sha, struct kedge_upload_reply *reply);
/* The whole file, following the offsets of the replies. Status of the last call. *calls: how many.
 */
int agent_device_upload(struct agent_device *device, const struct test_file *file, uint32_t chunk,
                        bool with_sha, unsigned *calls, struct kedge_upload_reply *reply);

/* What MCUboot and the loader read in the mailbox. */
struct kedge_trailer agent_device_mailbox(struct agent_device *device);
/* Contents of the secondary, as they lie. */
const uint8_t *agent_device_secondary(struct agent_device *device);
/* The image at the lowest base of the secondary verifies. */
bool agent_device_candidate_good(struct agent_device *device);

#endif
