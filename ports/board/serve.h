/* SMP for a board, in an application and in a loader's recovery mode: one agent, one service, and
 * the console as a client. One thread; the memory is serve.c's own, but for `scratch`. */
#ifndef KEDGE_BOARD_SERVE_H
#define KEDGE_BOARD_SERVE_H

#include "flashes.h"
#include "kedge/service.h"

struct serve {
    struct kedge_agent agent;
    struct kedge_service service;
};
extern struct serve serve;

/* Once. `report` and `scratch` (a sector of the external flash) stay the service's; `buffers`:
 * requests that may be in flight, as `os params` says it. */
void serve_start(struct flashes *flashes, const struct kedge_boot_report *report,
                 struct kedge_buf scratch, uint16_t buffers);

/* Take what came over the console and answer it. False: nothing came. */
bool serve_console(void);

/* One request of another line. The reply, valid until the next request; size 0: there is none. */
struct kedge_bytes serve_request(uint32_t peer, struct kedge_bytes message);

/* As a client asked (service.reset_requested). Whoever starts next knows the request: it is not
 * obeyed twice when its reply was lost. */
_Noreturn void serve_reset(void);

#endif
