/* The flight recorder: a decorator on flash devices that counts every operation, per device and
 * phase, keeps the last ones in a ring, and enforces rules ("in the phase `download` nobody touches
 * the internal flash"). It answers the user's question "how can I prove that only the external
 * flash was used" with a number that can be queried, and a rule that makes it so. */
#ifndef KEDGE_RECORDER_H
#define KEDGE_RECORDER_H

#include "kedge/flash.h"

enum kedge_phase {
    KEDGE_PHASE_BOOT,     /* loader: journal, decision */
    KEDGE_PHASE_VALIDATE, /* loader or agent: hash and signature */
    KEDGE_PHASE_SWAP,     /* loader: moving images */
    KEDGE_PHASE_IDLE,     /* agent: requests, confirm, settings */
    KEDGE_PHASE_DOWNLOAD, /* agent: an upload or chunks are being received */
    KEDGE_PHASE_DECODE,   /* agent: what a transform made of a file goes into the slot */
    KEDGE_PHASES
};

enum kedge_device { KEDGE_INTERNAL, KEDGE_EXTERNAL, KEDGE_DEVICES };

enum kedge_operation { KEDGE_OP_READ = 1, KEDGE_OP_PROGRAM, KEDGE_OP_ERASE, KEDGE_OP_REFUSED };

struct kedge_counts {
    uint32_t reads, read_bytes;
    uint32_t programs, program_bytes; /* calls by page; bytes */
    uint32_t erases, erase_bytes;     /* in units of the device's smallest sector */
    uint32_t model_us;                /* time by the part's typical figures (flash-parts.md) */
    uint32_t failures;
};

/* Typical times of a part, for model_us. */
struct kedge_part_times {
    uint32_t erase_us; /* smallest sector */
    uint32_t page_us;  /* a full page (NVMC: one word) */
    uint32_t byte_ns;  /* bus time of one byte read or written */
    /* a program shorter than a page costs fixed + per byte; 0: page_us */
    uint32_t program_fixed_us;
    uint32_t program_byte_ns;
};

/* 16 bytes on the wire and in the ring: sequence (u32), address (u32), length (u32), device (u8),
 * phase (u8), operation (u8), result (i8). Little endian. Reads are counted, not ringed. */
#define KEDGE_EVENT_SIZE 16

struct kedge_recorder {
    struct kedge_counts counts[KEDGE_DEVICES][KEDGE_PHASES];
    uint8_t forbidden[KEDGE_PHASES]; /* bit d: no program or erase of device d in this phase */
    uint8_t phase;                   /* enum kedge_phase, set by whoever enters a phase */
    uint32_t sequence;               /* events so far */
    struct kedge_buf ring;           /* a multiple of KEDGE_EVENT_SIZE; may be empty */
};

/* The decorator: a flash device whose ctx is this struct. */
struct kedge_recorded {
    const struct kedge_flash *inner;
    struct kedge_recorder *recorder;
    const struct kedge_part_times *times;
    uint8_t device; /* enum kedge_device */
};

void kedge_recorder_clear(struct kedge_recorder *recorder); /* counts and ring; rules stay */
/* Fill `flash` so that it forwards to recorded->inner and counts. */
void kedge_recorder_wrap(struct kedge_recorded *recorded, struct kedge_flash *flash);
/* Switch the phase; returns the one before, to be restored. */
uint8_t kedge_recorder_phase(struct kedge_recorder *recorder, uint8_t phase);
/* Sum over all phases. */
struct kedge_counts kedge_recorder_total(const struct kedge_recorder *recorder, uint8_t device);
const char *kedge_phase_text(uint8_t phase);

#endif
