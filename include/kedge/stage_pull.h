/* Pulling a file into the chunk store from a source that can be asked for parts of it: a web
 * server, a CoAP server, a modem's file system. Which parts are asked for, in which order, how
 * often and when again is decided here, once for all of them; a source only moves bytes.
 *
 *      open(at, size) -> poll: piece, piece, ..., end     a source may give more or other bytes
 *                                                         than it was asked for: what fits is taken
 * No call blocks. */
#ifndef KEDGE_STAGE_PULL_H
#define KEDGE_STAGE_PULL_H

#include "kedge/stage.h"

/* What poll answers; errors are negative:
 *   KEDGE_E_IO, KEDGE_E_FORMAT   the link failed, the answer makes no sense: again, later
 *   KEDGE_E_NONE, KEDGE_E_REFUSED  there is no such file, it is not for us: stop
 *   KEDGE_E_STATE                the file is another one now: begin anew */
enum kedge_pull_answer {
    KEDGE_PULL_NOTHING, /* not yet */
    KEDGE_PULL_PIECE,   /* *piece is there, valid until the next call */
    KEDGE_PULL_END      /* all that this open will give */
};

struct kedge_pull_piece {
    uint32_t at; /* offset of its first byte in the file */
    struct kedge_bytes data;
};

struct kedge_pull_source {
    /* Begin to fetch `size` bytes from `at`; errors may come by poll as well. */
    int (*open)(void *ctx, uint32_t at, uint32_t size);
    int (*poll)(void *ctx, struct kedge_pull_piece *piece);
    /* Stop what is under way; nothing of it comes any more. */
    void (*close)(void *ctx);
    /* The check of chunk `index` (manifest.check_size bytes) into `check`: 0, or KEDGE_E_IO: not
     * now. NULL where the manifest has no checks. */
    int (*check)(void *ctx, uint32_t index, uint8_t *check);
    /* Words for the last error: "HTTP 503". Never NULL. */
    const char *(*reason)(void *ctx);
    void *ctx;
};

enum kedge_pull_state {
    KEDGE_PULL_WAITING, /* before an attempt, see pull->wait_ms */
    KEDGE_PULL_FETCHING,
    KEDGE_PULL_DECODING, /* all is there: hash, decode, request */
    KEDGE_PULL_DONE,     /* decoded, and asked for as was wanted */
    KEDGE_PULL_CHANGED,  /* the source has another file now: a new manifest is needed */
    KEDGE_PULL_STOPPED   /* for the words in pull->reason */
};

struct kedge_pull {
    /* set by the caller */
    struct kedge_stage *stage; /* started */
    const struct kedge_pull_source *source;
    struct kedge_manifest manifest;
    struct kedge_buf chunk; /* manifest.chunk bytes at least */
    uint8_t then;           /* enum kedge_stage_then */
    /* owned by the pull */
    uint8_t state;              /* enum kedge_pull_state */
    bool open;                  /* the source is at work */
    uint32_t at, have;          /* next byte that would follow; bytes of its chunk in `chunk` */
    uint32_t since_ms, wait_ms; /* of KEDGE_PULL_WAITING */
    uint32_t received;          /* chunks that were there at the last open */
    char reason[96];            /* of STOPPED, and of the last attempt that failed */
};

/* What an HTTP or CoAP status (class and detail: 4.04 is 404) means: 0, or one of poll's errors. */
int kedge_pull_status(uint32_t status);

/* Begin, or go on with what is staged. The state tells how it stands; STOPPED when the store
 * refused the manifest. */
void kedge_pull_start(struct kedge_pull *pull);

/* One bounded step: a piece, or a step of decoding. true: did something; call again soon. */
bool kedge_pull_step(struct kedge_pull *pull);

#endif
