/* The strict simulator: an internal flash (NVMC rules), an external SPI-NOR chip that understands
 * commands, one clock, and every fault of SWAP.md 0. Host code.
 *
 *      loader / agent
 *        |                        |
 *   kedge_flash              kedge_flash  <- kedge_spinor (the real driver)
 *   (kedge_sim_flash)             |
 *        |                  kedge_spi_bus (kedge_sim_bus)
 *   +----+------------------------+----+
 *   |  internal array    external chip |   one clock, one operation counter, one power supply
 *   +----------------------------------+
 *
 * An *operation* is one program command or one erase command of a device: a bus page program, a
 * sector or block erase, or at most part->burst bytes of an internal program call. Operations of
 * both devices are counted together, from 1, since kedge_sim_arm().
 *
 * The external chip works by itself: an operation starts when its command ends and is finished when
 * the clock has passed its time. Power lost meanwhile tears it, whatever the cut was aimed at.
 *
 * A *life* is the time between two power-ons. When a cut strikes, the simulator is off: the cut
 * handler is called (tests longjmp, a process exits); if it returns, every call gives KEDGE_E_CUT
 * (through the driver KEDGE_E_IO) until kedge_sim_power_on(). */
#ifndef KEDGE_SIM_H
#define KEDGE_SIM_H

#include <stdio.h>

#include "kedge/recorder.h"
#include "kedge/spinor.h"

/* ---- parts ---------------------------------------------------------------------------------- */

/* A flash part: data. Times from facts/flash-parts.md, microseconds unless the name says else. */
struct kedge_sim_part {
    const char *name;
    uint8_t id[3]; /* JEDEC id; internal flash: 0 */
    struct kedge_geometry geometry;
    uint32_t burst;          /* internal: bytes of a program call that count as one operation */
    uint8_t writes_per_word; /* nWRITE: writes of a word between two erases; 0: no limit */
    uint32_t erase_us, erase_max_us;     /* smallest sector */
    uint32_t block32_us, block32_max_us; /* 0: the chip has no such command */
    uint32_t block64_us, block64_max_us;
    uint32_t chip_us, chip_max_us;
    uint32_t page_us, page_max_us;              /* a full page; internal: one word */
    uint32_t program_fixed_us, program_byte_ns; /* shorter than a page; 0: page_us */
    uint32_t low_power_erase_us; /* MX25R until its high-performance bit is set; 0: no such mode */
    uint32_t low_power_page_us;
    uint32_t byte_ns; /* bus time of a byte */
    const uint8_t *sfdp;
    uint32_t sfdp_size; /* 0: the part has no SFDP and answers 0xFF */
};

extern const struct kedge_sim_part kedge_sim_nrf52840;   /* 1 MiB, 4 KiB sectors, nWRITE 2 */
extern const struct kedge_sim_part kedge_sim_mx25r64;    /* 8 MiB, low-power mode, SFDP at 0x30 */
extern const struct kedge_sim_part kedge_sim_w25q64;     /* 8 MiB, SFDP at 0x80 */
extern const struct kedge_sim_part kedge_sim_gd25q16;    /* 2 MiB, SFDP 1.0: nine words only */
extern const struct kedge_sim_part kedge_sim_mx25l25645; /* 32 MiB, four address bytes */

/* Custom parts for sweeps: any size, sectors down to 256 B (external) or 16 B (internal). The
 * external one has no SFDP; kedge_sim_board makes the driver's table entry for it. */
struct kedge_sim_part kedge_sim_small_internal(uint32_t size, uint32_t erase_size);
struct kedge_sim_part kedge_sim_small_external(uint32_t size, uint32_t erase_size);

/* ---- faults --------------------------------------------------------------------------------- */

enum kedge_sim_cut_kind {
    KEDGE_SIM_CUT_TORN,   /* power fails inside the operation */
    KEDGE_SIM_CUT_BEFORE, /* just before it */
    KEDGE_SIM_CUT_AFTER,  /* just after it */
    KEDGE_SIM_RESET_WARM /* the processor alone resets after the operation was started: the external
                            chip keeps its power, its state and its work */
};

/* What a torn program leaves of the bits that should change. */
enum kedge_sim_torn_program {
    KEDGE_SIM_PROGRAM_ANY,      /* one of the others, by the seed */
    KEDGE_SIM_PROGRAM_SUBSET,   /* any subset has changed, all stable */
    KEDGE_SIM_PROGRAM_UNSTABLE, /* any subset has changed, others are unstable */
    KEDGE_SIM_PROGRAM_SPARSE,   /* any subset has changed (often none or all), one is unstable */
    KEDGE_SIM_PROGRAM_HIDDEN    /* reads as before, one bit is unstable */
};

/* What a torn erase leaves. */
enum kedge_sim_torn_erase {
    KEDGE_SIM_ERASE_ANY,   /* one of the others, by the seed */
    KEDGE_SIM_ERASE_OLD,   /* old content */
    KEDGE_SIM_ERASE_MIX,   /* some bits erased, some old, some unstable */
    KEDGE_SIM_ERASE_ZERO,  /* all zeros (pre-programmed) */
    KEDGE_SIM_ERASE_WEAK,  /* all ones, many of them unstable */
    KEDGE_SIM_ERASE_SPARSE /* all ones, one of them unstable */
};

enum kedge_sim_weak {
    KEDGE_SIM_WEAK_CONSTANT, /* an unstable bit is drawn at power-on and reads so until the next */
    KEDGE_SIM_WEAK_RANDOM    /* ... is drawn at each read */
};

struct kedge_sim_stuck {
    uint32_t at;
    uint8_t device; /* enum kedge_device */
    uint8_t mask;   /* bits of the byte at `at` that are stuck; 0: entry not used */
    uint8_t value;  /* what they read, whatever is programmed or erased */
};
#define KEDGE_SIM_STUCK 4

/* All zero: no fault. Operation numbers count from 1 since kedge_sim_arm(); 0: never. */
struct kedge_sim_faults {
    uint64_t seed; /* of torn bits, flipped bits, unstable bits */

    uint32_t cut_at; /* operation at which power fails */
    uint8_t cut_kind;
    uint8_t torn_program;
    uint8_t torn_erase;
    uint8_t weak;

    /* One wrong thing on the external bus. Reads of contents are counted by their own number. */
    uint32_t read_flip_at;   /* the n-th external read has one bit flipped */
    uint32_t read_fail_at;   /* ... the controller reports KEDGE_E_IO */
    uint32_t answer_flip_at; /* the n-th answer of any command (status, id, SFDP, data) */
    uint32_t write_flip_at;  /* operation n, if it is external, leaves one wrong bit */
    uint32_t op_fail_at;     /* operation n is not done and reports KEDGE_E_IO (either device) */
    uint32_t op_ignore_at;   /* operation n is silently not done (either device) */

    uint32_t dead_from;  /* after operation n the external chip answers nothing ... */
    uint32_t dead_lives; /* ... until so many power-ons later; 0: for ever */
    bool external_dead;  /* the external chip answers nothing, from now on */
    bool dead_zero;      /* a chip that answers nothing reads 0x00 instead of 0xFF */
    bool busy_forever;   /* the external chip never finishes an operation */

    struct kedge_sim_stuck stuck[KEDGE_SIM_STUCK];
};

/* ---- the simulator -------------------------------------------------------------------------- */

enum kedge_sim_time {
    KEDGE_SIM_TIME_TYPICAL, /* the clock is virtual: this costs no real time */
    KEDGE_SIM_TIME_MAXIMUM,
    KEDGE_SIM_TIME_NONE /* operations take no time; the external chip is never busy */
};

struct kedge_sim_config {
    const struct kedge_sim_part *internal, *external; /* copied */
    const char *internal_file, *external_file; /* NULL: contents in memory only. Made erased if
        absent; an existing file must have the part's size. Written through: survives kill -9. */
    uint8_t time;                              /* enum kedge_sim_time */
    uint64_t seed;                             /* first seed, until kedge_sim_arm() */
};

/* One operation, as the trace sees it; called when the operation starts. */
struct kedge_sim_event {
    uint64_t time_us;
    uint32_t number;   /* operation number since arm */
    uint32_t at, size; /* bytes */
    uint8_t device;    /* enum kedge_device */
    uint8_t operation; /* KEDGE_OP_PROGRAM or KEDGE_OP_ERASE */
};

struct kedge_sim_hooks {
    void *ctx;
    void (*cut)(void *ctx);                                   /* power failed */
    void (*trace)(void *ctx, const struct kedge_sim_event *); /* an operation starts */
    void (*violated)(void *ctx, const char *message);         /* a rule was broken */
    void (*pace)(void *ctx, uint64_t now_us); /* the clock moved: sleep until real time is there */
};

struct kedge_sim;

/* NULL on failure, with the reason in words in `why` (at least 160 bytes). */
struct kedge_sim *kedge_sim_create(const struct kedge_sim_config *config, char *why);
void kedge_sim_destroy(struct kedge_sim *sim);
void kedge_sim_hooks(struct kedge_sim *sim, const struct kedge_sim_hooks *hooks);

/* Plan these faults (NULL: none) and count operations from 1 again. Power is not touched. */
void kedge_sim_arm(struct kedge_sim *sim, const struct kedge_sim_faults *faults);
/* The fault plan itself, to be changed without counting anew (e.g. one more cut). */
struct kedge_sim_faults *kedge_sim_faults(struct kedge_sim *sim);

/* Begin the next life: after a cut, or as a power cycle at any time (work of the external chip that
 * is under way is torn). After KEDGE_SIM_RESET_WARM the external chip is left as it is. */
void kedge_sim_power_on(struct kedge_sim *sim);
/* The processor resets, power stays: the external chip is left as it is, busy or not. */
void kedge_sim_warm_reset(struct kedge_sim *sim);
bool kedge_sim_is_off(const struct kedge_sim *sim);

/* Flash access. Internal: KEDGE_INTERNAL. KEDGE_EXTERNAL gives the chip without bus and driver:
 * posted operations and faults as ever, faster, for sweeps that do not care about the driver. */
void kedge_sim_flash(struct kedge_sim *sim, uint8_t device, struct kedge_flash *flash);
void kedge_sim_bus(struct kedge_sim *sim, struct kedge_spi_bus *bus);

uint64_t kedge_sim_now_us(const struct kedge_sim *sim);
void kedge_sim_wait_us(struct kedge_sim *sim, uint64_t us); /* lets the clock run */
uint32_t kedge_sim_operations(const struct kedge_sim *sim); /* since arm */
uint32_t kedge_sim_reads(const struct kedge_sim *sim);      /* external reads since arm */
uint32_t kedge_sim_lives(const struct kedge_sim *sim);
const struct kedge_sim_part *kedge_sim_part(const struct kedge_sim *sim, uint8_t device);
/* Typical times for the recorder. */
struct kedge_part_times kedge_sim_times(const struct kedge_sim_part *part);
/* The part's maximum times. */
struct kedge_part_times kedge_sim_times_max(const struct kedge_sim_part *part);

/* Broken rules: 1 over 0, 1 over an unstable bit, program of what is not erased (the same bits at
 * the same place are allowed), more than nWRITE writes, across a page, outside the device, a
 * command to a busy chip. The text names the first. */
uint32_t kedge_sim_violations(const struct kedge_sim *sim);
const char *kedge_sim_violation(const struct kedge_sim *sim); /* "" when there is none */
void kedge_sim_forgive(struct kedge_sim *sim);                /* back to none */

/* ---- the test's own hands: no operation is counted, no fault strikes ------------------------- */

/* Contents as they lie (unstable bits: as last drawn at the cut). Finished external work is in. */
const uint8_t *kedge_sim_contents(struct kedge_sim *sim, uint8_t device);
/* Put bytes as a debugger does: erased and programmed, stable. */
void kedge_sim_poke(struct kedge_sim *sim, uint8_t device, uint32_t at, struct kedge_bytes bytes);
void kedge_sim_fill(struct kedge_sim *sim, uint8_t device, uint8_t value);
/* A bit loses its charge: its content flips. */
void kedge_sim_decay(struct kedge_sim *sim, uint8_t device, uint32_t at, uint8_t mask);
/* Make bits unstable. */
void kedge_sim_weaken(struct kedge_sim *sim, uint8_t device, uint32_t at, uint8_t mask);
/* Number of unstable bits in [at, at + size). */
uint32_t kedge_sim_unstable(struct kedge_sim *sim, uint8_t device, uint32_t at, uint32_t size);
/* Status register of the external chip (block-protect bits), deep power-down. */
void kedge_sim_protect(struct kedge_sim *sim, uint8_t status_bits);
void kedge_sim_deep_power_down(struct kedge_sim *sim);

/* Everything: contents, unstable bits, write counts, chip state, clock, counters, faults, random
 * state. Not the hooks. Only sectors that changed since are copied, so restoring one snapshot again
 * and again is cheap. */
struct kedge_sim_snapshot;
struct kedge_sim_snapshot *kedge_sim_snapshot_make(struct kedge_sim *sim);
void kedge_sim_snapshot_take(struct kedge_sim *sim, struct kedge_sim_snapshot *snapshot);
void kedge_sim_restore(struct kedge_sim *sim, const struct kedge_sim_snapshot *snapshot);
void kedge_sim_snapshot_free(struct kedge_sim_snapshot *snapshot);
/* True when device contents equal the snapshot's in [at, at + size). Work that was under way when
 * the snapshot was taken is not in it. */
bool kedge_sim_same(struct kedge_sim *sim, const struct kedge_sim_snapshot *snapshot,
                    uint8_t device, uint32_t at, uint32_t size);

#endif
