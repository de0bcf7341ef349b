/* What NimBLE wants of an operating system, for a program that has none: one thread, a queue of
 * events, timers, and semaphores whose waiting reads the controller (npl.c). Included by NimBLE's
 * nimble_npl.h, hence its name and folder. */
#ifndef KEDGE_NIMBLE_NPL_OS_H
#define KEDGE_NIMBLE_NPL_OS_H

#include <stdbool.h>
#include <stdint.h>

/* Memory pools hold pointers. */
#define BLE_NPL_OS_ALIGNMENT ((int)sizeof(void *))
#define BLE_NPL_TIME_FOREVER UINT32_MAX

typedef uint32_t ble_npl_time_t; /* milliseconds, wraps */
typedef int32_t ble_npl_stime_t;

struct ble_npl_event {
    ble_npl_event_fn *run;
    void *arg;
    struct ble_npl_event *next;
    bool queued;
};

struct ble_npl_eventq {
    struct ble_npl_event *first, *last;
};

struct ble_npl_callout {
    struct ble_npl_event event;
    struct ble_npl_eventq *queue;
    struct ble_npl_callout *next; /* in the list of all */
    ble_npl_time_t due;
    bool active, known;
};

struct ble_npl_mutex {
    uint8_t unused; /* one thread: nobody else can hold it */
};

struct ble_npl_sem {
    uint16_t tokens;
};

#endif
