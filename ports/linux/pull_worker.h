/* A thread that fetches, so that the device serves its clients meanwhile: blocking transports
 * behind calls that do not block. Host code. */
#ifndef KEDGE_LINUX_PULL_WORKER_H
#define KEDGE_LINUX_PULL_WORKER_H

#include <pthread.h>

#include "kedge/stage_pull.h"
#include "pull_transport.h"

#define PULL_URL   1024
#define PULL_PIECE 65536

struct pull_job {
    char url[PULL_URL];
    uint32_t at, size, whole;
    char tag[PULL_TAG];
};

struct pull_worker {
    const struct pull_transport *transport;
    void *state;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t size;         /* of the thread alone: bytes that its job wants */
    atomic_bool cancelled; /* the job under way is not wanted any more */
    /* below the mutex */
    bool quit, wanted, working, full, over;
    struct pull_job job;
    struct pull_answer answer; /* of the job, once over */
    int error;
    uint32_t piece_at;
    size_t piece_size;
    uint8_t piece[PULL_PIECE];
};

/* 0, or -1 with the reason in `why` (PULL_REASON). */
int pull_worker_open(struct pull_worker *worker, const struct pull_transport *transport,
                     const struct pull_options *options, char *why);
void pull_worker_close(struct pull_worker *worker);

/* Begin a job; one that is under way is given up. */
void pull_worker_start(struct pull_worker *worker, const struct pull_job *job);
void pull_worker_cancel(struct pull_worker *worker);

/* As kedge_pull_source.poll; with KEDGE_PULL_END and errors, worker->answer tells more. */
int pull_worker_poll(struct pull_worker *worker, struct kedge_pull_piece *piece);

#endif
