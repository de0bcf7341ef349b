/* kedge-device --pull URL: the file at URL into the chunk store, decoded, asked for, started. What
 * the file is, is told by what lies beside it on the server: URL.manifest (kedge stage manifest),
 * or URL.sha256 (sha256sum), or by --pull-sha256. Host code. */
#ifndef KEDGE_LINUX_PULL_H
#define KEDGE_LINUX_PULL_H

#include "pull_options.h"
#include "pull_worker.h"

#define PULL_SIDECAR (4u << 20) /* bytes of the largest manifest */

enum pull_phase {
    PULL_MANIFEST, /* asking for URL.manifest */
    PULL_SHA256,   /* ... for URL.sha256 */
    PULL_SIZE,     /* ... for the file's size */
    PULL_RESTING,  /* before asking again */
    PULL_RUNS,     /* the store is being filled, or decoded */
    PULL_OVER
};

struct pull {
    const struct pull_options *options;
    struct pull_worker worker;
    struct kedge_stage *stage;
    struct kedge_pull engine;
    struct kedge_pull_source source;
    uint8_t phase;   /* enum pull_phase */
    uint8_t again;   /* what to ask for after PULL_RESTING */
    uint8_t tries;   /* without an answer */
    uint8_t damaged; /* manifests that came so */
    bool asks_again; /* is it still the file that is staged? */
    uint32_t since_ms, wait_ms;
    struct kedge_manifest manifest;
    size_t sidecar_size;
    uint8_t *sidecar;   /* manifest: record and checks; PULL_SIDECAR bytes */
    char tag[PULL_TAG]; /* of the file */
    char reason[PULL_REASON];
    uint8_t chunk[KEDGE_STAGE_CHUNK_MAX];
    void (*say)(void *ctx, const char *line); /* a line for a person */
    void *ctx;
};

/* 0: begun; -1 with the reason in `why` (PULL_REASON): the URL or the key is wrong. */
int pull_open(struct pull *pull, const struct pull_options *options, struct kedge_stage *stage,
              char *why);
void pull_close(struct pull *pull);

/* One bounded step; true: did something. *asked: the image is decoded and asked for, in this step.
 */
bool pull_step(struct pull *pull, bool *asked);

#endif
