/* NimBLE's operating system, of which there is none: one thread. A semaphore is only waited for
 * while the controller's answer to a command is on its way; waiting reads the line (h4.c), which
 * releases the semaphore. Events that the line brings meanwhile are queued and run later. */
#include "npl.h"

#include <stddef.h>
#include <string.h>

#include "h4.h"
#include "nimble/nimble_npl.h"

static struct {
    const struct ble_line *line;
    struct ble_npl_eventq queue; /* the default one */
    struct ble_npl_callout *callouts;
    uint32_t critical;
} npl;

void npl_start(const struct ble_line *line)
{
    memset(&npl, 0, sizeof npl);
    npl.line = line;
}

/* ---- events ---------------------------------------------------------------------------------- */

struct ble_npl_eventq *nimble_port_get_dflt_eventq(void);

struct ble_npl_eventq *nimble_port_get_dflt_eventq(void)
{
    return &npl.queue;
}

void ble_npl_eventq_init(struct ble_npl_eventq *queue)
{
    queue->first = NULL;
    queue->last = NULL;
}

void ble_npl_eventq_put(struct ble_npl_eventq *queue, struct ble_npl_event *event)
{
    if (event->queued) {
        return;
    }
    event->queued = true;
    event->next = NULL;
    if (queue->first == NULL) {
        queue->first = event;
    } else {
        queue->last->next = event;
    }
    queue->last = event;
}

struct ble_npl_event *ble_npl_eventq_get(struct ble_npl_eventq *queue, ble_npl_time_t timeout)
{
    struct ble_npl_event *event = queue->first;
    (void)timeout;
    if (event != NULL) {
        queue->first = event->next;
        event->queued = false;
    }
    return event;
}

void ble_npl_eventq_remove(struct ble_npl_eventq *queue, struct ble_npl_event *event)
{
    struct ble_npl_event *before = NULL;
    struct ble_npl_event *at = queue->first;
    while (at != NULL && at != event) {
        before = at;
        at = at->next;
    }
    event->queued = false;
    if (at == NULL) {
        return;
    }
    if (before == NULL) {
        queue->first = at->next;
    } else {
        before->next = at->next;
    }
    if (queue->last == at) {
        queue->last = before;
    }
}

bool ble_npl_eventq_is_empty(struct ble_npl_eventq *queue)
{
    return queue->first == NULL;
}

void ble_npl_event_init(struct ble_npl_event *event, ble_npl_event_fn *run, void *arg)
{
    *event = (struct ble_npl_event){.run = run, .arg = arg};
}

void ble_npl_event_run(struct ble_npl_event *event)
{
    event->run(event);
}

bool ble_npl_event_is_queued(struct ble_npl_event *event)
{
    return event->queued;
}

void *ble_npl_event_get_arg(struct ble_npl_event *event)
{
    return event->arg;
}

void ble_npl_event_set_arg(struct ble_npl_event *event, void *arg)
{
    event->arg = arg;
}

/* ---- time ------------------------------------------------------------------------------------ */

ble_npl_time_t ble_npl_time_get(void)
{
    return npl.line->now_ms(npl.line->ctx);
}

ble_npl_error_t ble_npl_time_ms_to_ticks(uint32_t ms, ble_npl_time_t *ticks)
{
    *ticks = ms;
    return BLE_NPL_OK;
}

ble_npl_error_t ble_npl_time_ticks_to_ms(ble_npl_time_t ticks, uint32_t *ms)
{
    *ms = ticks;
    return BLE_NPL_OK;
}

ble_npl_time_t ble_npl_time_ms_to_ticks32(uint32_t ms)
{
    return ms;
}

uint32_t ble_npl_time_ticks_to_ms32(ble_npl_time_t ticks)
{
    return ticks;
}

void ble_npl_time_delay(ble_npl_time_t ticks)
{
    npl.line->wait(npl.line->ctx, ticks);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static uint32_t left(const struct ble_npl_callout *callout, ble_npl_time_t now)
{
    const ble_npl_stime_t ticks = (ble_npl_stime_t)(callout->due - now);
    return ticks > 0 ? (uint32_t)ticks : 0;
}

void ble_npl_callout_init(struct ble_npl_callout *callout, struct ble_npl_eventq *queue,
                          ble_npl_event_fn *run, void *arg)
{
    struct ble_npl_callout *at = npl.callouts;
    while (at != NULL && at != callout) {
        at = at->next;
    }
    struct ble_npl_callout *const next = at == NULL ? npl.callouts : callout->next;
    *callout = (struct ble_npl_callout){.queue = queue, .next = next};
    ble_npl_event_init(&callout->event, run, arg);
    if (at == NULL) {
        npl.callouts = callout;
    }
}

ble_npl_error_t ble_npl_callout_reset(struct ble_npl_callout *callout, ble_npl_time_t ticks)
{
    callout->due = ble_npl_time_get() + ticks;
    callout->active = true;
    return BLE_NPL_OK;
}

void ble_npl_callout_stop(struct ble_npl_callout *callout)
{
    callout->active = false;
}

bool ble_npl_callout_is_active(struct ble_npl_callout *callout)
{
    return callout->active;
}

ble_npl_time_t ble_npl_callout_get_ticks(struct ble_npl_callout *callout)
{
    return callout->due;
}

ble_npl_time_t ble_npl_callout_remaining_ticks(struct ble_npl_callout *callout, ble_npl_time_t now)
{
    return left(callout, now);
}

void ble_npl_callout_set_arg(struct ble_npl_callout *callout, void *arg)
{
    callout->event.arg = arg;
}

/* ---- the loop -------------------------------------------------------------------------------- */

uint32_t npl_next_ms(void)
{
    const ble_npl_time_t now = ble_npl_time_get();
    uint32_t least = npl.queue.first != NULL ? 0 : NPL_IDLE;
    for (const struct ble_npl_callout *at = npl.callouts; at != NULL; at = at->next) {
        if (at->active && left(at, now) < least) {
            least = left(at, now);
        }
    }
    return least;
}

void npl_run(void)
{
    struct ble_npl_event *event;
    const ble_npl_time_t now = ble_npl_time_get();
    for (struct ble_npl_callout *at = npl.callouts; at != NULL; at = at->next) {
        if (at->active && left(at, now) == 0) {
            at->active = false;
            ble_npl_eventq_put(at->queue, &at->event);
        }
    }
    while ((event = ble_npl_eventq_get(&npl.queue, 0)) != NULL) {
        ble_npl_event_run(event);
    }
}

/* ---- semaphores, mutexes, interrupts --------------------------------------------------------- */

ble_npl_error_t ble_npl_sem_init(struct ble_npl_sem *sem, uint16_t tokens)
{
    sem->tokens = tokens;
    return BLE_NPL_OK;
}

ble_npl_error_t ble_npl_sem_pend(struct ble_npl_sem *sem, ble_npl_time_t timeout)
{
    const ble_npl_time_t start = ble_npl_time_get();
    while (sem->tokens == 0) {
        const uint32_t waited = ble_npl_time_get() - start;
        if (waited >= timeout || h4_read(true) < 0) {
            return BLE_NPL_TIMEOUT;
        }
        if (sem->tokens == 0) {
            npl.line->wait(npl.line->ctx, timeout - waited);
        }
    }
    sem->tokens--;
    return BLE_NPL_OK;
}

ble_npl_error_t ble_npl_sem_release(struct ble_npl_sem *sem)
{
    sem->tokens++;
    return BLE_NPL_OK;
}

uint16_t ble_npl_sem_get_count(struct ble_npl_sem *sem)
{
    return sem->tokens;
}

ble_npl_error_t ble_npl_mutex_init(struct ble_npl_mutex *mutex)
{
    mutex->unused = 0;
    return BLE_NPL_OK;
}

ble_npl_error_t ble_npl_mutex_pend(struct ble_npl_mutex *mutex, ble_npl_time_t timeout)
{
    (void)mutex;
    (void)timeout;
    return BLE_NPL_OK;
}

ble_npl_error_t ble_npl_mutex_release(struct ble_npl_mutex *mutex)
{
    (void)mutex;
    return BLE_NPL_OK;
}

bool ble_npl_os_started(void)
{
    return true;
}

void *ble_npl_get_current_task_id(void)
{
    return &npl;
}

uint32_t ble_npl_hw_enter_critical(void)
{
    return npl.critical++;
}

void ble_npl_hw_exit_critical(uint32_t before)
{
    npl.critical = before;
}

bool ble_npl_hw_is_in_critical(void)
{
    return npl.critical > 0;
}
