/* How bytes of a file come over a network, blocking, in a thread of their own (pull_worker.h). One
 * file per protocol. Host code. */
#ifndef KEDGE_LINUX_PULL_TRANSPORT_H
#define KEDGE_LINUX_PULL_TRANSPORT_H

#include <stdatomic.h>

#include "kedge/stage_pull.h"
#include "pull_options.h"

#define PULL_REASON 96
#define PULL_TAG    96

struct pull_call {
    const char *url;
    uint32_t at, size; /* the part that is wanted; size 0: all of it */
    uint32_t whole;    /* bytes that the file has as far as we know; 0: not known */
    const char *tag;   /* of the file that we know; "": none */
    const atomic_bool *cancelled;
    /* Takes bytes of the file from `at` on; false: no more of it. */
    bool (*piece)(void *ctx, uint32_t at, struct kedge_bytes data);
    void *ctx;
};

struct pull_answer {
    uint32_t whole;           /* bytes of the file, where the server tells; 0 */
    char tag[PULL_TAG];       /* its ETag (or what stands for one), where there is one */
    char reason[PULL_REASON]; /* words of a failure */
};

/* get: 0, or the errors of kedge/stage_pull.h: KEDGE_E_IO and _FORMAT (again, later), _NONE,
 * _REFUSED (stop), _STATE (the file is another one than `tag` and `whole` say). */
struct pull_transport {
    /* NULL with the reason in `why` (PULL_REASON). */
    void *(*open)(const struct pull_options *options, char *why);
    int (*get)(void *state, const struct pull_call *call, struct pull_answer *answer);
    void (*close)(void *state);
};

extern const struct pull_transport pull_http, pull_coap, pull_modem;

/* ---- what servers write, read from text (pull_text.c); all of it hostile --------------------- */

/* "bytes FROM-TO/WHOLE"; WHOLE may be "*": *whole is 0 then. False: it is not that. */
bool pull_content_range(const char *text, uint32_t *from, uint32_t *to, uint32_t *whole);

/* 64 hex digits, as sha256sum writes them in front of a file's name. */
bool pull_sha256_text(struct kedge_bytes text, uint8_t sha[32]);

/* Record and checks of a manifest file (FORMAT.md, Manifest file): 0, or KEDGE_E_FORMAT. */
int pull_manifest_parse(struct kedge_bytes file, struct kedge_manifest *manifest);

#endif
