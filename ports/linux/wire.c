/* UDP socket and ptys. A datagram is one message; a pty is a stream that console.c or raw.c cuts
 * into messages. */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

int wire_open_udp(struct wire *wire, const char *address, char *why)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    const unsigned long port = colon == NULL ? 1337 : strtoul(colon + 1, &end, 10);
    const size_t length = colon == NULL ? strlen(address) : (size_t)(colon - address);
    memset(wire, 0, sizeof *wire);
    wire->kind = WIRE_UDP;
    wire->peer_fd = -1;
    wire->from.sin_family = AF_INET;
    wire->from.sin_port = htons((uint16_t)port);
    if (length >= sizeof host || port > 65535 ||
        (end != NULL && (*end != '\0' || end == colon + 1))) {
        snprintf(why, WIRE_WHY, "--udp must be HOST:PORT, not %.100s", address);
        return -1;
    }
    memcpy(host, address, length);
    host[length] = '\0';
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                  &wire->from.sin_addr) != 1) {
        snprintf(why, WIRE_WHY, "--udp: %s is no IPv4 address (try 127.0.0.1)", host);
        return -1;
    }
    wire->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (wire->fd < 0 || bind(wire->fd, (struct sockaddr *)&wire->from, sizeof wire->from) != 0) {
        snprintf(why, WIRE_WHY, "cannot serve on UDP %.100s: %s (is another device running there?)",
                 address, strerror(errno));
        return -1;
    }
    return 0;
}

/* A leftover of an earlier run is replaced; anything that is no symbolic link is left alone. */
static int make_link(const char *target, const char *link, char *why)
{
    struct stat s;
    if (lstat(link, &s) == 0 && S_ISLNK(s.st_mode)) {
        unlink(link);
    }
    if (symlink(target, link) != 0) {
        snprintf(why, WIRE_WHY, "cannot make the link %.100s: %s", link, strerror(errno));
        return -1;
    }
    return 0;
}

int wire_open_pty(struct wire *wire, const char *link, uint8_t kind, char *why)
{
    struct termios raw;
    char name[128];
    memset(wire, 0, sizeof *wire);
    cfmakeraw(&raw);
    raw.c_cflag |= CREAD | CLOCAL;
    cfsetspeed(&raw, B115200);
    if (openpty(&wire->fd, &wire->peer_fd, name, &raw, NULL) != 0 ||
        fcntl(wire->fd, F_SETFL, O_NONBLOCK) != 0) {
        snprintf(why, WIRE_WHY, "cannot open a pty: %s", strerror(errno));
        return -1;
    }
    if (make_link(name, link, why) != 0) {
        return -1;
    }
    wire->kind = kind;
    wire->link = link;
    wire->peer = 0x70747900u | kind;
    const struct kedge_buf message = kedge_buf(wire->message, sizeof wire->message);
    kedge_console_start(&wire->console, message);
    kedge_raw_start(&wire->raw, message);
    return 0;
}

void wire_close(struct wire *wire)
{
    if (wire->link != NULL) {
        unlink(wire->link);
    }
    if (wire->peer_fd >= 0) {
        close(wire->peer_fd);
    }
    close(wire->fd);
}

static uint32_t peer_of(const struct sockaddr_in *from)
{
    return ntohl(from->sin_addr.s_addr) * 31u + ntohs(from->sin_port);
}

static int receive_datagram(struct wire *wire, struct kedge_bytes *message)
{
    socklen_t size = sizeof wire->from;
    const ssize_t n = recvfrom(wire->fd, wire->message, sizeof wire->message, MSG_TRUNC,
                               (struct sockaddr *)&wire->from, &size);
    if (n < 0) {
        return 0;
    }
    wire->peer = peer_of(&wire->from);
    *message = kedge_bytes(wire->message,
                           (size_t)n > sizeof wire->message ? sizeof wire->message : (size_t)n);
    return 1;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static bool refill(struct wire *wire)
{
    const ssize_t n = read(wire->fd, wire->chunk, sizeof wire->chunk);
    if (n <= 0) {
        return false;
    }
    const uint64_t now = now_ms();
    if (now - wire->last_ms > KEDGE_RAW_IDLE_MS) {
        kedge_raw_idle(&wire->raw);
    }
    wire->last_ms = now;
    wire->unread = kedge_bytes(wire->chunk, (size_t)n);
    return true;
}

int wire_receive(struct wire *wire, struct kedge_bytes *message)
{
    if (wire->kind == WIRE_UDP) {
        return receive_datagram(wire, message);
    }
    while (wire->unread.size > 0 || refill(wire)) {
        const uint8_t byte = *wire->unread.at++;
        wire->unread.size--;
        if (wire->kind == WIRE_CONSOLE ? kedge_console_push(&wire->console, byte, message)
                                       : kedge_raw_push(&wire->raw, byte, message)) {
            return 1;
        }
    }
    return 0;
}

/* A pty takes a few kilobytes; when its reader is slow the rest waits up to a second. */
static void write_all(int fd, struct kedge_bytes bytes)
{
    while (bytes.size > 0) {
        const ssize_t n = write(fd, bytes.at, bytes.size);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (n > 0) {
            bytes = kedge_bytes(bytes.at + n, bytes.size - (size_t)n);
        } else if (errno != EAGAIN || poll(&p, 1, 1000) <= 0) {
            return;
        }
    }
}

void wire_send(struct wire *wire, struct kedge_bytes message)
{
    struct kedge_console_lines lines;
    uint8_t line[KEDGE_CONSOLE_LINE];
    size_t size;
    if (wire->kind == WIRE_UDP) {
        (void)!sendto(wire->fd, message.at, message.size, 0, (struct sockaddr *)&wire->from,
                      sizeof wire->from);
    } else if (wire->kind == WIRE_RAW) {
        write_all(wire->fd, message);
    } else {
        kedge_console_lines_start(&lines, message);
        while ((size = kedge_console_lines_next(&lines, line)) > 0) {
            write_all(wire->fd, kedge_bytes(line, size));
        }
    }
}
