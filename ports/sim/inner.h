/* Inside of the simulator; nobody outside ports/sim includes this.
 *
 *   array.c   cells: contents, unstable bits, write counts, the rules, what torn work leaves
 *   power.c   the clock, the operation counter, faults, cuts, lives
 *   chip.c    the external chip's commands
 *   flash.c   struct kedge_flash on either device
 *   sim.c     make, arm, poke, look
 *   snapshot.c  all state saved and brought back
 *   parts.c   part data */
#ifndef KEDGE_SIM_INNER_H
#define KEDGE_SIM_INNER_H

#include <stdarg.h>
#include <string.h>

#include "random.h"
#include "sim.h"

#define SIM_BURST 256 /* longest single operation of a program, bytes */
#define SIM_NEVER UINT64_MAX
#define SIM_WHY   160

/* Cells of one device. `taken` is what was programmed into each byte since its erase, inverted: 0
 * is erased, and untouched memory costs nothing. */
struct sim_array {
    struct kedge_sim_part part;
    uint8_t *contents;
    uint8_t *weak; /* 1: the bit is unstable */
    uint8_t *taken;
    uint8_t *writes;   /* per word, since its erase */
    uint64_t *version; /* per sector: which content this is; 0: erased and never touched */
    uint64_t *last;    /* source of versions, shared by both devices */
    uint8_t *has_weak; /* per sector */
    uint32_t weak_sectors;
    uint32_t sectors;
    uint32_t word; /* bytes */
    bool mapped;
    char *torn;    /* file of torn programs beside a mapped one, or NULL */
    bool has_torn; /* there are records in it */
};

/* What the external chip is doing. Its effect comes when it is finished, or torn. */
struct sim_work {
    uint64_t done_ns;
    uint32_t at, size;
    uint8_t operation; /* KEDGE_OP_PROGRAM, KEDGE_OP_ERASE; 0: the chip is idle or writes status */
    bool busy;
    bool scar; /* write_flip_at hit this erase: one bit stays programmed */
    uint8_t data[SIM_BURST];
};

struct sim_chip {
    uint64_t awake_ns;
    uint8_t status; /* block-protect and other stored bits; not WIP, not WEL */
    uint8_t config[2];
    bool enabled; /* write-enable latch */
    bool asleep;
    bool four_bytes;
    bool dead;
};

/* All that a snapshot copies as a block. */
struct sim_state {
    uint64_t now_ns;
    struct kedge_random random;
    uint64_t weak_seed; /* of this life */
    uint32_t operations, reads, answers, lives;
    uint32_t dead_since; /* life */
    uint32_t violations;
    bool off, warm;
    struct sim_chip chip;
    struct sim_work work;
    struct kedge_sim_faults faults;
    char violation[SIM_WHY];
};

struct kedge_sim {
    struct sim_array array[KEDGE_DEVICES];
    struct sim_state s;
    struct kedge_sim_hooks hooks;
    uint64_t last_version;
    uint8_t time;
    struct sim_port {
        struct kedge_sim *sim;
        uint8_t device;
    } port[KEDGE_DEVICES];
};

/* array.c */
int sim_array_open(struct sim_array *array, const struct kedge_sim_part *part, const char *file,
                   uint64_t *last, char *why);
void sim_array_close(struct sim_array *array);
void sim_array_touch(struct sim_array *array, uint32_t at, uint32_t size);
void sim_array_blank(struct sim_array *array, uint32_t sector); /* as never touched */
void sim_array_mark_weak(struct sim_array *array, uint32_t at);
void sim_array_program(struct sim_array *array, uint32_t at, uint32_t size, const uint8_t *data);
void sim_array_erase(struct sim_array *array, uint32_t at, uint32_t size);
void sim_array_tear_program(struct sim_array *array, uint32_t at, uint32_t size,
                            const uint8_t *data, unsigned how, struct kedge_random *random);
void sim_array_tear_erase(struct sim_array *array, uint32_t at, uint32_t size, unsigned how,
                          struct kedge_random *random);

/* torn.c: a torn program; the place was erased, or put as it is by a debugger; at the start. */
void sim_torn_keep(struct sim_array *array, uint32_t at, uint32_t size, const uint8_t *data);
void sim_torn_gone(struct sim_array *array, uint32_t at, uint32_t size);
void sim_torn_recall(struct sim_array *array);
void sim_array_read(struct kedge_sim *sim, uint8_t device, uint32_t at, uint8_t *to, size_t size);
void sim_check_program(struct kedge_sim *sim, uint8_t device, uint32_t at, uint32_t size,
                       const uint8_t *data);

/* power.c */
void sim_violate(struct kedge_sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_advance(struct kedge_sim *sim, uint64_t ns);
void sim_settle(struct kedge_sim *sim); /* external work that is finished takes effect */
uint64_t sim_duration_ns(const struct kedge_sim *sim, uint8_t device, uint8_t operation,
                         uint32_t size);
/* One operation of a device, `size` and place being right: counted, traced, faults applied. 0,
 * KEDGE_E_IO, KEDGE_E_CUT. */
int sim_operate(struct kedge_sim *sim, uint8_t device, uint8_t operation, uint32_t at,
                uint32_t size, const uint8_t *data);
bool sim_chip_silent(const struct kedge_sim *sim); /* dead, asleep or waking */
/* An external read is counted and its faults strike. 0 or KEDGE_E_IO. */
int sim_read_faults(struct kedge_sim *sim, struct kedge_buf to);
void sim_flip(struct kedge_sim *sim, struct kedge_buf in);

#endif
