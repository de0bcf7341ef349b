/* An image that comes now goes to the secondary slot, and the next boot installs it, for in the
 * primary there is none. */
#include "recover.h"
#include "say.h"
#include "serve.h"

#define QUIET_MS 10000u /* without a byte on the console: then the watchdog may have it */

void recover(struct flashes *flashes, const struct kedge_boot_report *report,
             struct kedge_buf scratch)
{
    say("recovery: waiting for an image, SMP on this console\r\n");
    serve_start(flashes, report, scratch, 1);
    uint32_t heard = board_now_ms();
    while (!serve.service.reset_requested) {
        if (serve_console()) {
            heard = board_now_ms();
        } else if (!kedge_agent_idle(&serve.agent)) {
            board_sleep();
        }
        if (board_now_ms() - heard < QUIET_MS) {
            board_watchdog_feed();
        }
    }
    serve_reset();
}
