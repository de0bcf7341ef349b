#include "line_linux.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STUCK_MS 5000 /* a controller that takes no byte for so long is gone */

/* Of <bluetooth/hci.h>, which is BlueZ's and not on every machine. */
#define PROTOCOL_HCI 1
#define CHANNEL_USER 1
struct hci_address {
    sa_family_t family;
    unsigned short device, channel;
};

/* ---- bytes ----------------------------------------------------------------------------------- */

static int send_all(void *ctx, struct kedge_bytes bytes)
{
    const struct line_linux *line = ctx;
    while (bytes.size > 0) {
        const ssize_t n = send(line->fd, bytes.at, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        struct pollfd writable = {.fd = line->fd, .events = POLLOUT};
        if (n > 0) {
            bytes = kedge_bytes(bytes.at + n, bytes.size - (size_t)n);
        } else if ((errno != EAGAIN && errno != EINTR) || poll(&writable, 1, STUCK_MS) == 0) {
            return -1;
        }
    }
    return 0;
}

static int receive(void *ctx, struct kedge_buf to)
{
    const struct line_linux *line = ctx;
    const ssize_t n = recv(line->fd, to.at, to.size, MSG_DONTWAIT);
    if (n > 0) {
        return (int)n;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void wait_for(void *ctx, uint32_t ms)
{
    const struct line_linux *line = ctx;
    struct pollfd readable = {.fd = line->fd, .events = POLLIN};
    (void)poll(&readable, 1, ms > INT32_MAX ? -1 : (int)ms);
}

static uint32_t now_ms(void *ctx)
{
    struct timespec t;
    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)((uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_tcp(const char *address, char *why)
{
    char host[128];
    const char *colon = strrchr(address, ':');
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const int on = 1;
    int fd = -1;
    if (colon == NULL || colon == address || (size_t)(colon - address) >= sizeof host) {
        snprintf(why, LINE_WHY, "--hci must be tcp:HOST:PORT or hciN, not tcp:%.100s", address);
        return -1;
    }
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    const int error = getaddrinfo(host, colon + 1, &hints, &found);
    if (error != 0) {
        snprintf(why, LINE_WHY, "cannot find the controller %.100s: %s", address,
                 gai_strerror(error));
        return -1;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, found->ai_protocol);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        snprintf(why, LINE_WHY, "cannot reach the controller at %.100s: %s", address,
                 strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        fd = -1;
    } else {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    freeaddrinfo(found);
    return fd;
}

static int open_user_channel(const char *name, char *why)
{
    char *end;
    const unsigned long number = strtoul(name + 3, &end, 10);
    if (end == name + 3 || *end != '\0' || number > 255) {
        snprintf(why, LINE_WHY, "--hci must be tcp:HOST:PORT or hciN, not %.100s", name);
        return -1;
    }
    const struct hci_address address = {
        .family = AF_BLUETOOTH, .device = (unsigned short)number, .channel = CHANNEL_USER};
    const int fd = socket(AF_BLUETOOTH, SOCK_RAW | SOCK_CLOEXEC, PROTOCOL_HCI);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        return fd;
    }
    snprintf(why, LINE_WHY, "cannot take %.20s: %s%s", name, strerror(errno),
             errno == EBUSY
                 ? " (bring it down first: sudo hciconfig hciN down, or btmgmt power off)"
             : errno == EPERM  ? " (this needs root or CAP_NET_ADMIN)"
             : errno == ENODEV ? " (there is no such adapter; see hciconfig)"
                               : "");
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

int line_linux_open(struct line_linux *line, const char *where, char *why)
{
    if (strncmp(where, "tcp:", 4) == 0) {
        line->fd = open_tcp(where + 4, why);
    } else if (strncmp(where, "hci", 3) == 0) {
        line->fd = open_user_channel(where, why);
    } else {
        line->fd = -1;
        snprintf(why, LINE_WHY, "--hci must be tcp:HOST:PORT or hciN, not %.100s", where);
    }
    line->line = (struct ble_line){
        .send = send_all, .receive = receive, .wait = wait_for, .now_ms = now_ms, .ctx = line};
    return line->fd < 0 ? -1 : 0;
}

void line_linux_close(struct line_linux *line)
{
    if (line->fd >= 0) {
        close(line->fd);
        line->fd = -1;
    }
}
