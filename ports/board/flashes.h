/* Both flashes of a board behind the recorder, and the layout on them: loader and application share
 * it, so that they cannot disagree. */
#ifndef KEDGE_BOARD_FLASHES_H
#define KEDGE_BOARD_FLASHES_H

#include "board.h"
#include "kedge/layout.h"

struct flashes {
    struct kedge_flash inner[KEDGE_DEVICES];
    struct kedge_flash flash[KEDGE_DEVICES]; /* what to use */
    struct kedge_recorded recorded[KEDGE_DEVICES];
    struct kedge_recorder recorder;
    struct kedge_pair pair;
    struct kedge_layout layout;
    int external; /* result of the probe */
};

/* 0, or why the board's map cannot work. */
int flashes_open(struct flashes *flashes);

#endif
