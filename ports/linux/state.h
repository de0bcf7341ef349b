/* A state directory: the two flashes of a virtual device as files, its layout, its trace. Shared by
 * kedge-device and the host tool's `flash` commands. Host code. */
#ifndef KEDGE_LINUX_STATE_H
#define KEDGE_LINUX_STATE_H

#include "board.h"
#include "layout_file.h"

struct state_options {
    const char *directory;
    const char *layout; /* a layout file to adopt, NULL: the directory's own, or the default */
    uint64_t seed;
    uint8_t time;   /* enum kedge_sim_time */
    bool exclusive; /* nobody else may have it open: the device, flash write, flash erase */
};

#define STATE_EVENTS 256

struct state {
    struct layout_file file;
    struct kedge_sim_board board;
    struct kedge_recorder recorder;
    struct kedge_recorded recorded[KEDGE_DEVICES];
    struct kedge_part_times times[KEDGE_DEVICES];
    struct kedge_flash flash[KEDGE_DEVICES]; /* recorded: what loader and agent see */
    struct kedge_pair pair;
    struct kedge_layout layout;
    uint8_t events[STATE_EVENTS * KEDGE_EVENT_SIZE];
    int lock; /* file descriptor */
};

/* Opens or creates the directory. 0, or -1 with the reason in `why` (LAYOUT_WHY bytes). The state
 * must not move in memory afterwards. */
int state_open(struct state *state, const struct state_options *options, char *why);

/* A device in memory with the contents of two dumps (each not longer than its part; missing bytes
 * are erased; NULL: all are): for dumps that were read with a programmer. Time is modelled and
 * costs none. */
int state_open_dumps(struct state *state, const char *layout, const char *internal,
                     const char *external, char *why);

/* A copy in memory of what `from`'s flashes hold: for trying what the loader would do. */
int state_open_copy(struct state *state, const struct state *from, char *why);

void state_close(struct state *state);

/* A whole file into malloc'd memory; NULL with the reason in `why`. */
uint8_t *state_read_file(const char *path, size_t most, size_t *size, char *why);

#endif
