/* SMP over Bluetooth LE: this program is the central, on a controller of its own (ports/nimble).
 * The connection comes and goes with the device: whatever is to be sent looks for it first, so a
 * reset in between is bridged. A link that the device wants secured is paired, and the request sent
 * again. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "central.h"
#include "command.h"
#include "file.h"
#include "line_linux.h"
#include "link.h"
#include "report.h"

#define DEFAULT_HCI "hci0"
#define ATT_MTU     498
#define WAKE_MS     3000  /* until the controller answers */
#define FIND_MS     10000 /* until the device was found for the first time */
#define AGAIN_MS    2000  /* until it was found again, before a request counts as lost */
#define PAIR_MS     60000 /* somebody has to read six digits and type them */
#define RETRY_MS    2000
#define INBOX       (2 * LINK_ROOM)
#define HOME_SIZE   6 /* bytes of our address in the file of bonds */

static struct {
    struct line_linux line;
    struct central_config config;
    bool denied; /* a request came back "access denied" and the link is being secured */
    char path[512];
    uint8_t kept[HOME_SIZE + BONDS_STORED]; /* our address, then the bonds */
    struct kedge_bytes sent;                /* the last message, for sending again */
    size_t have;                            /* bytes in inbox */
    uint8_t inbox[INBOX];
    uint8_t message[LINK_ROOM];
} ble;

/* ---- what is kept: our address and the bonds ------------------------------------------------- */

static int load_bonds(void *ctx, struct kedge_buf to)
{
    (void)ctx;
    memcpy(to.at, ble.kept + HOME_SIZE, to.size);
    return 0;
}

static int store_bonds(void *ctx, struct kedge_bytes bonds)
{
    (void)ctx;
    memcpy(ble.kept + HOME_SIZE, bonds.at, bonds.size);
    return file_write(ble.path, kedge_bytes(ble.kept, sizeof(ble.kept)), 0600);
}

/* Each folder on the way; errors show when the file is written. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
}

static int load_kept(void)
{
    const char *const state = getenv("XDG_STATE_HOME");
    const char *const home = getenv("HOME");
    struct file_data file = {0};

    if (state != NULL && *state == '/') {
        snprintf(ble.path, sizeof(ble.path), "%s/kedge/ble-bonds", state);
    } else {
        snprintf(ble.path, sizeof(ble.path), "%s/.local/state/kedge/ble-bonds",
                 home != NULL ? home : "/tmp");
    }
    memset(ble.kept, 0, sizeof(ble.kept));
    if (access(ble.path, F_OK) == 0) {
        if (file_read(ble.path, &file) != 0) {
            return 1;
        }
        if (file.size == sizeof(ble.kept)) {
            memcpy(ble.kept, file.at, sizeof(ble.kept));
        }
        free(file.at);
    }
    if ((ble.kept[HOME_SIZE - 1] & 0xC0) == 0xC0) {
        return 0;
    }
    make_folders(ble.path);
    if (getrandom(ble.kept, HOME_SIZE, 0) != HOME_SIZE) {
        return fail("this system gives no random numbers");
    }
    ble.kept[HOME_SIZE - 1] |= 0xC0; /* random static */
    return file_write(ble.path, kedge_bytes(ble.kept, sizeof(ble.kept)), 0600);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* One turn, of so many milliseconds at most. -1: the controller is gone (said). */
static int turn(struct link *link, uint64_t ms)
{
    const uint32_t next = central_next_ms();
    struct pollfd wait = {.fd = ble.line.fd, .events = POLLIN};

    (void)poll(&wait, 1, (int)(next < ms ? next : ms));
    if (central_poll() < 0) {
        (void)fail("the Bluetooth controller of %s is gone", link->name);
        return -1;
    }
    return 0;
}

/* Until the state is reached; 1: it is, 0: not within `ms`, or the attempt ended; -1: broken, said.
 */
static int reach(struct link *link, enum central_state wanted, unsigned ms)
{
    const uint64_t end = link_clock_ms() + ms;
    int result = 0;

    while (result == 0 && central_state() != wanted) {
        const uint64_t now = link_clock_ms();

        if (now >= end || (wanted == CENTRAL_READY && central_state() == CENTRAL_AWAY)) {
            return 0;
        }
        result = turn(link, end - now);
    }
    return result == 0 ? 1 : result;
}

static int bring_up(struct link *link, unsigned ms)
{
    const uint64_t end = link_clock_ms() + ms;
    int result = central_state() == CENTRAL_READY;

    while (result == 0 && link_clock_ms() < end) {
        const unsigned left = (unsigned)(end - link_clock_ms());

        ble.have = 0;
        kedge_raw_idle(&link->raw);
        central_connect(left);
        result = reach(link, CENTRAL_READY, left);
        if (result == 0 && central_state() == CENTRAL_AWAY && turn(link, 50) != 0) {
            result = -1;
        }
    }
    return result;
}

/* ---- pairing --------------------------------------------------------------------------------- */

static int ask_passkey(void *ctx)
{
    char line[32];
    char *end = NULL;

    (void)ctx;
    fputs("the device shows six digits; type them: ", stderr);
    if (fgets(line, sizeof(line), stdin) == NULL) {
        return -1;
    }
    const unsigned long passkey = strtoul(line, &end, 10);

    return end == line || passkey > 999999 ? -1 : (int)passkey;
}

/* The device denied a request over a plain link. 1: secured now; -1: not (said). */
static int secure(struct link *link)
{
    const uint64_t end = link_clock_ms() + PAIR_MS;

    if (central_pairing() == CENTRAL_NOT_PAIRED) {
        central_pair(); /* refused when it has begun already */
    }
    while (central_pairing() == CENTRAL_NOT_PAIRED && link_clock_ms() < end &&
           central_state() != CENTRAL_AWAY) {
        if (turn(link, end - link_clock_ms()) != 0) {
            return -1;
        }
    }
    switch (central_pairing()) {
    case CENTRAL_SECURED:
        (void)bonds_keep();
        return 1;
    case CENTRAL_BOND_UNKNOWN:
        (void)fail("%s does not know this computer any more: delete %s and try again to pair anew",
                   link->name, ble.path);
        return -1;
    default:
        (void)fail("%s demands pairing, and that failed (status %d): were the digits right?",
                   link->name, central_status());
        return -1;
    }
}

/* ---- messages -------------------------------------------------------------------------------- */

static void on_fragment(void *ctx, struct kedge_bytes fragment)
{
    (void)ctx;
    if (fragment.size <= INBOX - ble.have) { /* else it is lost, and asked for again */
        memcpy(ble.inbox + ble.have, fragment.at, fragment.size);
        ble.have += fragment.size;
    }
}

static int push_out(struct link *link, struct kedge_bytes rest)
{
    while (rest.size > 0 && central_state() == CENTRAL_READY) {
        const size_t size = central_send(rest);

        rest = kedge_bytes(rest.at + size, rest.size - size);
        if (turn(link, size > 0 ? 0 : 20) != 0) {
            return -1;
        }
    }
    return 0;
}

static int send_message(struct link *link, struct kedge_bytes message)
{
    const int up = bring_up(link, AGAIN_MS);

    if (up <= 0) {
        return up; /* not there: the message is lost, as on any link */
    }
    memcpy(ble.message, message.at, message.size);
    ble.sent = kedge_bytes(ble.message, message.size);
    return push_out(link, ble.sent);
}

/* What came goes through the framing; 1: a message. */
static int digest(struct link *link, struct kedge_bytes *message)
{
    size_t used = 0;
    int result = 0;

    while (result == 0 && used < ble.have) {
        result = kedge_raw_push(&link->raw, ble.inbox[used++], message);
    }
    memmove(ble.inbox, ble.inbox + used, ble.have - used);
    ble.have -= used;
    return result;
}

static bool is_denial(struct kedge_bytes message)
{
    static const uint8_t denial[] = {0xA1, 0x62, 'r', 'c', KEDGE_SMP_EACCESS};

    return central_pairing() != CENTRAL_SECURED && message.size == 8 + sizeof(denial) &&
           memcmp(message.at + 8, denial, sizeof(denial)) == 0;
}

static int receive_message(struct link *link, unsigned ms, struct kedge_bytes *message)
{
    uint64_t end = link_clock_ms() + ms;

    for (;;) {
        if (digest(link, message) == 1) {
            if (!is_denial(*message)) {
                return 1;
            }
            if (secure(link) < 0 || push_out(link, ble.sent) != 0) {
                return -1;
            }
            end = link_clock_ms() + ms;
        }
        const uint64_t now = link_clock_ms();

        if (ble.have == 0 && now >= end) {
            return 0;
        }
        if (ble.have == 0 && turn(link, end - now) != 0) {
            return -1;
        }
        (void)bonds_keep();
    }
}

static void close_ble(struct link *link)
{
    const uint64_t end = link_clock_ms() + 500;

    central_disconnect();
    while (central_state() == CENTRAL_READY && link_clock_ms() < end && turn(link, 20) == 0) {
    }
    (void)bonds_keep();
    line_linux_close(&ble.line);
}

static const struct link_ops ble_ops = {send_message, receive_message, close_ble};

/* ---- opening --------------------------------------------------------------------------------- */

static int start(struct link *link, const char *target)
{
    ble.config = (struct central_config){.target = target,
                                         .att_mtu = ATT_MTU,
                                         .bonds = {load_bonds, store_bonds, NULL},
                                         .passkey = ask_passkey,
                                         .received = on_fragment};
    memcpy(ble.config.address, ble.kept, HOME_SIZE);
    central_start(&ble.config, &ble.line.line);
    const int awake = reach(link, CENTRAL_AWAY, WAKE_MS);

    if (awake == 0) {
        (void)fail("no Bluetooth controller answers at %s",
                   device_target.hci == NULL ? DEFAULT_HCI : device_target.hci);
    }
    if (awake <= 0) {
        return -1;
    }
    const unsigned ms =
        device_target.timeout > 0 ? (unsigned)(device_target.timeout * 1000) : FIND_MS;
    const int found = bring_up(link, ms);

    if (found == 0) {
        (void)fail("no device %s within %g s: does it advertise, is it in reach, is nobody else "
                   "connected to it? (--timeout)",
                   link->name, ms / 1000.0);
    }
    return found == 1 ? 0 : -1;
}

int link_open_ble(struct link *link, const char *target, const char *hci)
{
    char why[LINE_WHY];

    link->ops = &ble_ops;
    link->fd = -1;
    link->retry_ms = RETRY_MS;
    link->overhead = 0;
    link->message_max = LINK_ROOM;
    snprintf(link->name, sizeof(link->name), "%s", target);
    kedge_raw_start(&link->raw, kedge_buf(link->packet, LINK_ROOM));
    if (load_kept() != 0) {
        return 1;
    }
    if (line_linux_open(&ble.line, hci == NULL ? DEFAULT_HCI : hci, why) != 0) {
        return fail("%s", why);
    }
    if (start(link, target) != 0) {
        close_ble(link);
        return 1;
    }
    return 0;
}
