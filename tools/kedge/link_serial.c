/* SMP over a serial line or pty: in console framing between log lines, or bare (--raw). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <unistd.h>

#include "link.h"
#include "options.h"
#include "report.h"

#define DEFAULT_BAUD 115200u
#define SEND_MS      5000 /* a line that takes no byte for so long is stuck */

static const struct {
    unsigned baud;
    speed_t speed;
} speeds[] = {
    {9600, B9600},       {19200, B19200},     {38400, B38400},     {57600, B57600},
    {115200, B115200},   {230400, B230400},   {460800, B460800},   {500000, B500000},
    {576000, B576000},   {921600, B921600},   {1000000, B1000000}, {1500000, B1500000},
    {2000000, B2000000}, {3000000, B3000000}, {4000000, B4000000},
};

static int write_all(struct link *link, const uint8_t *at, size_t size)
{
    while (size > 0) {
        struct pollfd wait = {.fd = link->fd, .events = POLLOUT};

        if (poll(&wait, 1, SEND_MS) == 0) {
            return 0; /* nobody reads the other end: a silent device */
        }
        const ssize_t written = write(link->fd, at, size);

        if (written < 0 && errno != EAGAIN && errno != EINTR) {
            (void)fail("cannot write to %s: %s: is it still plugged in?", link->name,
                       strerror(errno));
            return -1;
        }
        if (written > 0) {
            at += written;
            size -= (size_t)written;
        }
    }
    return 0;
}

static int send_raw(struct link *link, struct kedge_bytes message)
{
    return write_all(link, message.at, message.size);
}

static int send_lines(struct link *link, struct kedge_bytes message)
{
    struct kedge_console_lines lines;
    uint8_t line[KEDGE_CONSOLE_LINE];
    size_t size;
    int result = 0;

    kedge_console_lines_start(&lines, message);
    while (result == 0 && (size = kedge_console_lines_next(&lines, line)) > 0) {
        result = write_all(link, line, size);
    }
    return result;
}

/* What is unread goes through the decoder; 1: a message. */
static int digest(struct link *link, bool raw, struct kedge_bytes *message)
{
    while (link->unread.size > 0) {
        const uint8_t byte = *link->unread.at++;

        link->unread.size--;
        if (raw ? kedge_raw_push(&link->raw, byte, message)
                : kedge_console_push(&link->console, byte, message)) {
            return 1;
        }
    }
    return 0;
}

static int receive(struct link *link, bool raw, unsigned ms, struct kedge_bytes *message)
{
    const uint64_t end = link_clock_ms() + ms;

    while (digest(link, raw, message) == 0) {
        const uint64_t now = link_clock_ms();
        struct pollfd wait = {.fd = link->fd, .events = POLLIN};

        if (poll(&wait, 1, now < end ? (int)(end - now) : 0) <= 0) {
            if (link_clock_ms() >= end) {
                return 0;
            }
            continue;
        }
        const ssize_t size = read(link->fd, link->chunk, sizeof(link->chunk));

        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
            (void)fail("%s was closed: is the device still there?", link->name);
            return -1;
        }
        link->unread = kedge_bytes(link->chunk, size > 0 ? (size_t)size : 0);
    }
    return 1;
}

static int receive_raw(struct link *link, unsigned ms, struct kedge_bytes *message)
{
    const int result = receive(link, true, ms, message);

    if (result == 0) {
        kedge_raw_idle(&link->raw);
    }
    return result;
}

static int receive_lines(struct link *link, unsigned ms, struct kedge_bytes *message)
{
    return receive(link, false, ms, message);
}

static const struct link_ops raw_ops = {.send = send_raw, .receive = receive_raw};
static const struct link_ops console_ops = {.send = send_lines, .receive = receive_lines};

/* TTY[:BAUD]: a colon with digits behind it, or not part of the name. */
static int split(const char *line, char *path, size_t room, unsigned *baud)
{
    const char *const colon = strrchr(line, ':');
    size_t size = strlen(line);
    uint64_t value = DEFAULT_BAUD;

    if (colon != NULL && number_parse(colon + 1, UINT32_MAX, &value)) {
        size = (size_t)(colon - line);
    }
    if (size == 0 || size >= room) {
        return misuse(NULL, "--serial takes TTY[:BAUD], not %s", line);
    }
    memcpy(path, line, size);
    path[size] = '\0';
    *baud = (unsigned)value;
    return 0;
}

static int set_up_line(int fd, const char *path, unsigned baud)
{
    struct termios line;
    size_t i = 0;

    while (i < sizeof(speeds) / sizeof(speeds[0]) && speeds[i].baud != baud) {
        i++;
    }
    if (i == sizeof(speeds) / sizeof(speeds[0])) {
        return misuse(NULL, "%u is not a usual baud rate (115200, 1000000, ...)", baud);
    }
    if (tcgetattr(fd, &line) != 0) {
        return fail("%s is not a serial line", path);
    }
    cfmakeraw(&line);
    line.c_cflag |= CLOCAL | CREAD;
    cfsetispeed(&line, speeds[i].speed);
    cfsetospeed(&line, speeds[i].speed);
    if (tcsetattr(fd, TCSANOW, &line) != 0) {
        return fail("cannot set %s to %u baud: %s", path, baud, strerror(errno));
    }
    return 0;
}

static int open_line(const char *path, unsigned baud)
{
    const int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        (void)fail("cannot open %s: %s", path, strerror(errno));
        return -1;
    }
    /* two programs on one line take each other's answers away */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)fail("%s is in use by another program: close it first", path);
        close(fd);
        return -1;
    }
    if (set_up_line(fd, path, baud) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int link_open_serial(struct link *link, const char *line, bool raw)
{
    unsigned baud = DEFAULT_BAUD;
    const int result = split(line, link->name, sizeof(link->name), &baud);

    if (result != 0) {
        return result;
    }
    link->fd = open_line(link->name, baud);
    if (link->fd < 0) {
        return 1;
    }
    link->ops = raw ? &raw_ops : &console_ops;
    link->overhead = raw ? 0 : KEDGE_CONSOLE_OVERHEAD;
    link->message_max = KEDGE_CONSOLE_MESSAGE_MAX;
    /* a full buffer of 4 KiB there and a short reply back, 10 bits a byte, base64; and some rest */
    link->retry_ms = 1000u + 4096u * 4u / 3u * 10u * 1000u / baud;
    link->unread = kedge_bytes(NULL, 0);
    kedge_console_start(&link->console, kedge_buf(link->packet, sizeof(link->packet)));
    kedge_raw_start(&link->raw, kedge_buf(link->packet, LINK_ROOM));
    return 0;
}
