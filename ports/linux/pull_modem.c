/* HTTP by a cellular modem on a serial line (--modem): kedge/stage_modem.h behind this thread. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "kedge/stage_modem.h"
#include "pull_transport.h"

#define STEP_MS 20
#define PART    65536u /* every modem's file system has as much */

struct cellular {
    int fd;
    struct kedge_modem_line line;
    struct kedge_modem modem;
};

static const char *const setup[] = {"ATE0", "AT+QHTTPCFG=\"contextid\",1", "AT+QIACT=1", NULL};

static size_t read_line(void *ctx, struct kedge_buf to)
{
    const struct cellular *const cellular = ctx;
    const ssize_t got = read(cellular->fd, to.at, to.size);

    return got > 0 ? (size_t)got : 0;
}

static bool write_line(void *ctx, struct kedge_bytes bytes)
{
    const struct cellular *const cellular = ctx;

    while (bytes.size > 0) {
        struct pollfd ready = {.fd = cellular->fd, .events = POLLOUT};
        const ssize_t sent = write(cellular->fd, bytes.at, bytes.size);

        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        if (sent > 0) {
            bytes = kedge_bytes(bytes.at + sent, bytes.size - (size_t)sent);
        } else if (poll(&ready, 1, 1000) <= 0) {
            return false; /* nobody reads on the other side */
        }
    }
    return true;
}

static uint32_t line_ms(void *ctx)
{
    struct timespec t;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)((uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u);
}

/* Pieces until the part is there, somebody has had enough, or it fails. */
static int fetch(struct cellular *cellular, const struct kedge_pull_source *source,
                 const struct pull_call *call)
{
    struct kedge_pull_piece piece;
    int result = KEDGE_PULL_NOTHING;

    while (result >= 0 && result != KEDGE_PULL_END) {
        if (atomic_load(call->cancelled)) {
            return KEDGE_E_IO;
        }
        result = source->poll(source->ctx, &piece);
        if (result == KEDGE_PULL_NOTHING) {
            struct pollfd ready = {.fd = cellular->fd, .events = POLLIN};

            (void)poll(&ready, 1, STEP_MS);
        } else if (result == KEDGE_PULL_PIECE && !call->piece(call->ctx, piece.at, piece.data)) {
            return 0;
        }
    }
    return result == KEDGE_PULL_END ? 0 : result;
}

static int get(void *state, const struct pull_call *call, struct pull_answer *answer)
{
    struct cellular *const cellular = state;
    const struct kedge_pull_source source = kedge_modem_source(&cellular->modem);

    *answer = (struct pull_answer){0};
    if (call->size == 1 && call->whole == 0) {
        snprintf(answer->reason, sizeof answer->reason,
                 "a modem does not tell a file's size: put a .manifest beside it");
        return KEDGE_E_REFUSED;
    }
    cellular->modem.url = call->url;
    int error = source.open(source.ctx, call->at, call->size);

    if (error == 0) {
        error = fetch(cellular, &source, call);
    }
    source.close(source.ctx);
    if (error != 0) {
        snprintf(answer->reason, sizeof answer->reason, "%s", cellular->modem.reason);
    } else if (call->size == 0) {
        answer->whole = cellular->modem.end;
    }
    return error;
}

static void *open_modem(const struct pull_options *options, char *why)
{
    struct cellular *const cellular = calloc(1, sizeof *cellular);
    struct termios raw;

    if (cellular == NULL) {
        snprintf(why, PULL_REASON, "out of memory");
        return NULL;
    }
    cellular->fd = open(options->modem, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (cellular->fd < 0 || tcgetattr(cellular->fd, &raw) != 0) {
        snprintf(why, PULL_REASON, "--modem %.40s is no serial line: %s", options->modem,
                 strerror(errno));
        if (cellular->fd >= 0) {
            close(cellular->fd);
        }
        free(cellular);
        return NULL;
    }
    cfmakeraw(&raw);
    (void)tcsetattr(cellular->fd, TCSANOW, &raw);
    cellular->line = (struct kedge_modem_line){read_line, write_line, line_ms, cellular};
    cellular->modem = (struct kedge_modem){
        .line = &cellular->line, .file = "UFS:kedge.part", .setup = setup, .part = PART};
    return cellular;
}

static void close_modem(void *state)
{
    struct cellular *const cellular = state;

    close(cellular->fd);
    free(cellular);
}

const struct pull_transport pull_modem = {open_modem, get, close_modem};
