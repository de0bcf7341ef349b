#include "pull_worker.h"

#include <stdio.h>
#include <string.h>

/* In the thread: hand a piece over and wait until it was taken. */
static bool hand_over(struct pull_worker *worker, uint32_t at, struct kedge_bytes data)
{
    pthread_mutex_lock(&worker->mutex);
    while (worker->full && !atomic_load(&worker->cancelled)) {
        pthread_cond_wait(&worker->changed, &worker->mutex);
    }
    const bool wanted = !atomic_load(&worker->cancelled);

    if (wanted) {
        memcpy(worker->piece, data.at, data.size);
        worker->piece_at = at;
        worker->piece_size = data.size;
        worker->full = true;
    }
    pthread_mutex_unlock(&worker->mutex);
    return wanted;
}

static bool on_piece(void *ctx, uint32_t at, struct kedge_bytes data)
{
    const struct pull_worker *const worker = ctx;
    bool wanted = true;

    while (data.size > 0 && wanted) {
        const size_t n = data.size < PULL_PIECE ? data.size : PULL_PIECE;

        wanted = hand_over(ctx, at, kedge_bytes(data.at, n));
        at += (uint32_t)n;
        data = kedge_bytes(data.at + n, data.size - n);
    }
    /* one byte: only the size is asked for, and this server sends the whole file */
    return wanted && worker->size != 1;
}

/* Waits for a job, with the mutex held; false: it is over with this thread. */
static bool next_job(struct pull_worker *worker, struct pull_job *job)
{
    while (!worker->wanted && !worker->quit) {
        pthread_cond_wait(&worker->changed, &worker->mutex);
    }
    *job = worker->job;
    worker->wanted = false;
    worker->working = true;
    if (!worker->quit) {
        atomic_store(&worker->cancelled, false);
    }
    return !worker->quit;
}

static void *work(void *ctx)
{
    struct pull_worker *const worker = ctx;
    struct pull_job job;

    pthread_mutex_lock(&worker->mutex);
    while (next_job(worker, &job)) {
        worker->size = job.size;
        const struct pull_call call = {.url = job.url,
                                       .at = job.at,
                                       .size = job.size,
                                       .whole = job.whole,
                                       .tag = job.tag,
                                       .cancelled = &worker->cancelled,
                                       .piece = on_piece,
                                       .ctx = worker};
        struct pull_answer answer;

        pthread_mutex_unlock(&worker->mutex);
        const int error = worker->transport->get(worker->state, &call, &answer);

        pthread_mutex_lock(&worker->mutex);
        worker->working = false;
        if (!worker->wanted && !atomic_load(&worker->cancelled)) {
            worker->answer = answer;
            worker->error = error;
            worker->over = true;
        }
        pthread_cond_broadcast(&worker->changed);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

int pull_worker_open(struct pull_worker *worker, const struct pull_transport *transport,
                     const struct pull_options *options, char *why)
{
    memset(worker, 0, sizeof *worker);
    worker->transport = transport;
    worker->state = transport->open(options, why);
    if (worker->state == NULL) {
        return -1;
    }
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->changed, NULL);
    if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
        snprintf(why, PULL_REASON, "no thread can be started");
        transport->close(worker->state);
        return -1;
    }
    return 0;
}

void pull_worker_close(struct pull_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    worker->quit = true;
    atomic_store(&worker->cancelled, true);
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->mutex);
    pthread_join(worker->thread, NULL);
    worker->transport->close(worker->state);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->mutex);
}

void pull_worker_cancel(struct pull_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    worker->wanted = false;
    worker->full = false;
    worker->over = false;
    atomic_store(&worker->cancelled, true);
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->mutex);
}

void pull_worker_start(struct pull_worker *worker, const struct pull_job *job)
{
    pull_worker_cancel(worker);
    pthread_mutex_lock(&worker->mutex);
    worker->job = *job;
    worker->wanted = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->mutex);
}

int pull_worker_poll(struct pull_worker *worker, struct kedge_pull_piece *piece)
{
    static uint8_t taken[PULL_PIECE]; /* valid until the next call, while the thread fetches on */
    int result = KEDGE_PULL_NOTHING;

    pthread_mutex_lock(&worker->mutex);
    if (worker->full) {
        memcpy(taken, worker->piece, worker->piece_size);
        *piece = (struct kedge_pull_piece){.at = worker->piece_at,
                                           .data = kedge_bytes(taken, worker->piece_size)};
        worker->full = false;
        pthread_cond_broadcast(&worker->changed);
        result = KEDGE_PULL_PIECE;
    } else if (worker->over) {
        worker->over = false;
        result = worker->error == 0 ? KEDGE_PULL_END : worker->error;
    }
    pthread_mutex_unlock(&worker->mutex);
    return result;
}
