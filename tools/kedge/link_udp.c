/* SMP over UDP: a datagram is a message. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"
#include "report.h"

#define DEFAULT_PORT "1337"
#define RETRY_MS     500u
/* Without knowledge of the path: Ethernet's 1500 less the headers of IPv6 and UDP. */
#define SAFE_MESSAGE 1452u

/* What a socket reports when nobody listens there, or not yet again: the device is silent. */
static bool is_silence(int error)
{
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
           error == EAGAIN || error == EINTR || error == ENOBUFS || error == EMSGSIZE;
}

static int send_datagram(struct link *link, struct kedge_bytes message)
{
    if (send(link->fd, message.at, message.size, 0) < 0 && !is_silence(errno)) {
        (void)fail("cannot send to %s: %s", link->name, strerror(errno));
        return -1;
    }
    return 0;
}

static int receive_datagram(struct link *link, unsigned ms, struct kedge_bytes *message)
{
    const uint64_t end = link_clock_ms() + ms;

    for (;;) {
        const uint64_t now = link_clock_ms();
        struct pollfd wait = {.fd = link->fd, .events = POLLIN};

        if (poll(&wait, 1, now < end ? (int)(end - now) : 0) <= 0) {
            if (link_clock_ms() >= end) {
                return 0;
            }
            continue;
        }
        const ssize_t size = recv(link->fd, link->packet, sizeof(link->packet), MSG_DONTWAIT);

        if (size >= 0) {
            *message = kedge_bytes(link->packet, (size_t)size);
            return 1;
        }
        if (!is_silence(errno)) {
            (void)fail("cannot receive from %s: %s", link->name, strerror(errno));
            return -1;
        }
    }
}

static const struct link_ops udp_ops = {.send = send_datagram, .receive = receive_datagram};

/* HOST, HOST:PORT, [V6]:PORT or a bare IPv6 address into its two parts. */
static int split(const char *address, char *host, size_t room, const char **port)
{
    const char *const bracket = address[0] == '[' ? strchr(address, ']') : NULL;
    const char *const first = bracket != NULL ? bracket + 1 : strchr(address, ':');
    const bool bare_v6 = bracket == NULL && first != NULL && strchr(first + 1, ':') != NULL;
    const char *const start = bracket != NULL ? address + 1 : address;
    const char *const end = bracket != NULL            ? bracket
                            : first == NULL || bare_v6 ? address + strlen(address)
                                                       : first;

    *port = DEFAULT_PORT;
    if (!bare_v6 && first != NULL && *first == ':') {
        *port = first + 1;
    }
    if (end == start || (size_t)(end - start) >= room || **port == '\0') {
        return misuse(NULL, "--udp takes HOST[:PORT], not %s", address);
    }
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    return 0;
}

/* What one datagram may hold without being cut in pieces on the way. */
static size_t path_room(int fd, int family)
{
    int mtu = 0;
    socklen_t size = sizeof(mtu);
    const int headers = family == AF_INET6 ? 48 : 28;
    const int result = family == AF_INET6 ? getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &size)
                                          : getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &size);

    return result == 0 && mtu > headers ? (size_t)(mtu - headers) : SAFE_MESSAGE;
}

int link_open_udp(struct link *link, const char *address)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    const char *port;
    char host[128];
    int result = split(address, host, sizeof(host), &port);

    if (result != 0) {
        return result;
    }
    const int error = getaddrinfo(host, port, &hints, &found);

    if (error != 0) {
        return fail("cannot find %s port %s: %s", host, port, gai_strerror(error));
    }
    link->ops = &udp_ops;
    link->retry_ms = RETRY_MS;
    link->overhead = 0;
    snprintf(link->name, sizeof(link->name), strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host,
             port);
    link->fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, found->ai_protocol);
    if (link->fd < 0 || connect(link->fd, found->ai_addr, found->ai_addrlen) != 0) {
        result = fail("cannot reach %s: %s", link->name, strerror(errno));
        if (link->fd >= 0) {
            close(link->fd);
        }
    } else {
        link->message_max = path_room(link->fd, found->ai_family);
        if (link->message_max > LINK_ROOM) {
            link->message_max = LINK_ROOM;
        }
    }
    freeaddrinfo(found);
    return result;
}
