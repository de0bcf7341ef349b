/* A whole device for the loader's tests: strict simulator, recorder, layout, journal, settings, the
 * real loader, in one struct. Flash geometry is small so that every operation can be cut;
 * signatures are real, but a verdict is computed once for the same key, digest and signature. */
#ifndef KEDGE_TEST_DEVICE_H
#define KEDGE_TEST_DEVICE_H

#include <setjmp.h>

#include "board.h"
#include "kedge/boot.h"
#include "kedge/confidential.h"
#include "leak.h"

#define DEVICE_UNIT_MAX  4096u
#define DEVICE_IMAGE_MAX (128u * DEVICE_UNIT_MAX)

/* What a device is made of; zero fields mean the default in brackets. */
struct device_shape {
    uint32_t unit;     /* bytes of a sector of both chips [1024]; at least 512 */
    uint32_t sectors;  /* of the primary slot, trailer included [5] */
    uint32_t spares;   /* [2] */
    bool backup;       /* there is a backup region */
    bool driver;       /* the real SPI-NOR driver on the bus [the chip without it: faster] */
    bool effort;       /* the history says what an update cost [no: fewer operations to cut] */
    bool confidential; /* it has a key of its own, and the policy is on */
    bool timed;        /* operations take their typical time [no time] */
    bool slow;         /* ... their maximum time */
    const struct kedge_strategy *strategy;            /* [kedge_swap] */
    const struct kedge_sim_part *internal, *external; /* [small parts of the sizes above] */
};

struct device {
    struct device_shape shape;
    struct kedge_sim *sim;
    struct kedge_spi_bus bus;
    struct kedge_spinor_part part;
    struct kedge_spinor nor;
    struct kedge_flash raw[KEDGE_DEVICES], flash[KEDGE_DEVICES];
    struct kedge_part_times times[KEDGE_DEVICES];
    struct kedge_recorded recorded[KEDGE_DEVICES];
    struct kedge_recorder recorder;
    struct kedge_pair pair;
    struct kedge_layout layout;
    struct kedge_policy policy;
    struct kedge_key key;
    struct kedge_boot_report report;
    struct kedge_boot_hooks hooks;
    uint32_t effort[KEDGE_EFFORTS];
    struct kedge_opened opened;
    struct kedge_confidential confidential;
    struct kedge_strategy strategy; /* around shape.strategy */
    const struct leak *secrets;     /* looked for where an external operation wrote; NULL: not */
    uint32_t touched, touched_size; /* by the last external operation, not looked at yet */
    unsigned leaks;
    jmp_buf power; /* where a cut goes */
    uint8_t unit[DEVICE_UNIT_MAX];
    uint64_t state[2048]; /* loader's memory */
};

struct device_image {
    uint32_t size; /* header, payload, TLVs */
    struct kedge_version version;
    uint8_t hash[32];
    uint8_t bytes[DEVICE_IMAGE_MAX];   /* as the primary holds it */
    uint8_t outside[DEVICE_IMAGE_MAX]; /* as the external flash does */
};

/* How to make an image. Two images with the same seed and size are equal but for the units in
 * `differs`, for the version (unit 0) and for the signature (last unit). */
struct device_image_spec {
    uint32_t size;    /* total bytes */
    uint32_t fill;    /* bytes of each unit that are not blank; 0: all */
    uint8_t major;    /* version; version 1 and 2 are the old and the new image of most tests */
    uint32_t counter; /* security counter; 0: no TLV */
    uint64_t differs; /* bit i: unit i has content of this version's own; ~0: all */
    uint8_t key;      /* 0: no key TLV; else encrypted with a content key of 16 such bytes + i */
};

void device_open(struct device *d, const struct device_shape *shape);
void device_close(struct device *d);

void device_image_make(const struct device *d, struct device_image *image,
                       const struct device_image_spec *spec);

/* The test's own hands, as a debugger or a running application; nothing is counted. */
void device_put(struct device *d, unsigned slot, unsigned base, const struct device_image *image);
/* Content of the slot equals the image, byte for byte, at `base`. */
bool device_has(struct device *d, unsigned slot, unsigned base, const struct device_image *image);
void device_request(struct device *d, bool permanent);
/* The application confirms: one word of the primary's trailer, by an ordinary flash write that can
 * be cut. MCUboot's call: only where the magic is good and the word blank. */
void device_confirm(struct device *d);
/* Nothing in the mailbox sector. */
bool device_mailbox_blank(struct device *d);

enum device_outcome { DEVICE_BOOTED, DEVICE_NOTHING, DEVICE_CUT };

/* One power-on: the loader runs. BOOTED and NOTHING as d->report has it; CUT when power failed. */
enum device_outcome device_boot(struct device *d);
/* Boots until no cut strikes; at most `limit` times, else fails the test. */
enum device_outcome device_settle(struct device *d, unsigned limit);

/* Record `index` of the history (0: oldest); false: there is none. */
bool device_history(struct device *d, unsigned index, struct kedge_history *record);

/* Look at all that the last operation wrote and, `whole`, at everything else on the external flash.
 * False: a secret lies there. Counted in d->leaks too, operation by operation. */
bool device_no_leak(struct device *d, bool whole);

/* Words for a failure. */
const char *device_violation(struct device *d);

/* What a device with shape.confidential has. */
extern const struct kedge_device_keys device_own_keys;

/* false: compute every signature (a pass without memo). */
extern bool device_signature_memo;

#endif
