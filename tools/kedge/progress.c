#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "link.h"

static struct {
    bool on, shown;
    uint64_t start_ms, last_ms, whole, from;
} progress;

void progress_start(uint64_t whole, uint64_t from)
{
    progress.on = isatty(STDERR_FILENO) != 0 && whole > 0;
    progress.shown = false;
    progress.start_ms = progress.last_ms = link_clock_ms();
    progress.whole = whole;
    progress.from = from;
}

void progress_show(uint64_t done)
{
    enum { WIDTH = 40 };
    const uint64_t now = link_clock_ms();

    /* nothing for what is over within a second, and no more than ten lines a second */
    if (!progress.on || now - progress.start_ms < 1000 || now - progress.last_ms < 100) {
        return;
    }
    const int filled = (int)(done * WIDTH / progress.whole);

    progress.last_ms = now;
    progress.shown = true;
    fprintf(stderr, "\r[%.*s%*s] %3d %%  %6.1f KB/s ", filled,
            "########################################", WIDTH - filled, "",
            (int)(done * 100 / progress.whole),
            (double)(done - (done < progress.from ? done : progress.from)) /
                (double)(now - progress.start_ms));
}

void progress_end(void)
{
    if (progress.shown) {
        fprintf(stderr, "\r%*s\r", 76, "");
    }
}
