/* A session with a device: requests that are repeated until answered, refusals in words. */
#ifndef KEDGE_TOOL_EXCHANGE_H
#define KEDGE_TOOL_EXCHANGE_H

#include "kedge/smp_client.h"
#include "link.h"

struct device_link {
    struct link link;
    uint8_t sequence;                   /* of the next request */
    uint32_t buffer_size, buffer_count; /* of the device; 0: it did not tell */
    uint8_t request[KEDGE_SMP_MESSAGE_MAX];
};

/* How long an answer may take when the user gave no --timeout. */
enum patience {
    QUICK_MS = 2000, /* the device only has to look something up */
    SLOW_MS = 60000  /* it erases a slot, or verifies an image on a slow bus */
};

/* Opens the link and asks the device for its buffers. 0, or the exit code to end with, said. */
int device_link_open(struct device_link *device);
void device_link_close(struct device_link *device);

/* Begin a request; put its entries into ask->map. */
struct kedge_smp_request device_request(struct device_link *device, uint8_t op, uint16_t group,
                                        uint8_t command);

/* Send it, again and again with the same sequence number, until the answer comes or the patience
 * ends. 0: *reply is the answer (it may be a refusal: reply->rc), valid until the next exchange.
 * EXIT_REFUSED: no answer, said. */
int device_exchange(struct device_link *device, struct kedge_smp_request *ask,
                    enum patience patience, struct kedge_smp_reply *reply);

/* device_exchange, and a refusal is said ("WHAT: ...", with the device's own words where it has
 * some). 0: the answer is a success. */
int device_ask(struct device_link *device, struct kedge_smp_request *ask, enum patience patience,
               const char *what, struct kedge_smp_reply *reply);

/* Says a refusal of a request to `group`, in the device's own words where it has some. Returns
 * EXIT_REFUSED. */
int device_refused(struct device_link *device, const char *what, bool of_group, uint16_t group,
                   uint32_t rc);

/* "device does not answer at ...". Returns EXIT_REFUSED. */
int device_silent(const struct device_link *device, unsigned waited_ms);

/* The patience in milliseconds: --timeout where it was given. */
unsigned patience_ms(enum patience patience);

/* Waits, after a reset was answered, until the device is up again and says what runs.
 * 0, or EXIT_REFUSED, said. */
int device_wait(struct device_link *device);

#endif
