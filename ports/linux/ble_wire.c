#include "ble_wire.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define LOOK_AGAIN_MS  500  /* for a controller that was lost */
#define LINGER_MS      250u /* as long as Zephyr's servers wait for a reply to go out */
#define LINGER_STEP_MS 1u   /* a central that is gone must not find this power-on again */
#define STUCK_MS       5000 /* a reply that moves on no more */

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static uint32_t random_word(void *ctx)
{
    uint32_t word = 0;
    (void)ctx;
    if (getrandom(&word, sizeof word, 0) != sizeof word) {
        abort();
    }
    return word;
}

/* ---- words ----------------------------------------------------------------------------------- */

static void say(const struct ble_wire *wire, const char *text)
{
    wire->options.say(wire->options.ctx, text);
}

static void address_text(const uint8_t *address, char *text)
{
    snprintf(text, 18, "%02X:%02X:%02X:%02X:%02X:%02X", address[5], address[4], address[3],
             address[2], address[1], address[0]);
}

static void on_event(void *ctx, const struct peripheral_event *event)
{
    struct ble_wire *wire = ctx;
    char line[160];
    char peer[18];
    address_text(event->kind == PERIPHERAL_READY ? wire->config.address : event->peer, peer);
    switch (event->kind) {
    case PERIPHERAL_READY:
        wire->answered = true;
        snprintf(line, sizeof line, "ble: \"%s\" advertises as %s", wire->config.name, peer);
        break;
    case PERIPHERAL_CONNECTED:
        snprintf(line, sizeof line, "ble: %s connected", peer);
        break;
    case PERIPHERAL_DISCONNECTED:
        snprintf(line, sizeof line, "ble: %s disconnected (0x%02x)", peer, event->value & 0xFF);
        break;
    case PERIPHERAL_SECOND_REFUSED:
        snprintf(line, sizeof line, "ble: %s refused: another central is being served", peer);
        break;
    case PERIPHERAL_GAVE_WAY:
        snprintf(line, sizeof line, "ble: %s was silent and gives way to another central", peer);
        break;
    case PERIPHERAL_PASSKEY:
        snprintf(line, sizeof line, "ble: to pair, type this on the other side: %06d",
                 event->value);
        break;
    case PERIPHERAL_SECURED:
        snprintf(line, sizeof line, "ble: link with %s is encrypted%s", peer,
                 event->value ? " and authenticated" : "");
        break;
    case PERIPHERAL_PAIRING_FAILED:
        snprintf(
            line, sizeof line,
            "ble: pairing or encryption with %s failed (%d): remove the bond there, pair again",
            peer, event->value);
        break;
    case PERIPHERAL_DENIED:
        snprintf(line, sizeof line,
                 "ble: a request of %s was denied: this device demands that it pairs first", peer);
        break;
    default:
        snprintf(line, sizeof line, "ble: a bond could not be kept: %s",
                 kedge_error_text(event->value));
    }
    say(wire, line);
}

/* ---- controller ------------------------------------------------------------------------------ */

/* Random static, the same for the same device. */
static void make_address(const char *identity, uint8_t *address)
{
    const struct kedge_bytes text = kedge_bytes(identity, strlen(identity));
    kedge_put_le32(address, kedge_crc32(0, text));
    kedge_put_le16(address + 4, (uint16_t)(kedge_crc32(1, text) | 0xC000));
}

static int open_line(struct ble_wire *wire, char *why)
{
    wire->answered = false;
    if (line_linux_open(&wire->line, wire->options.hci, why) != 0) {
        return -1;
    }
    peripheral_start(&wire->config, &wire->line.line);
    return 0;
}

int ble_wire_open(struct ble_wire *wire, const struct ble_wire_options *options, char *why)
{
    wire->options = *options;
    wire->config =
        (struct peripheral_config){.name = options->name != NULL ? options->name : "Kedge",
                                   .att_mtu = options->att_mtu,
                                   .security = options->security,
                                   .gatt = &wire->gatt,
                                   .settings = options->settings,
                                   .random = random_word,
                                   .event = on_event,
                                   .ctx = wire};
    make_address(options->identity, wire->config.address);
    kedge_gatt_start(&wire->gatt, kedge_buf(wire->memory, sizeof wire->memory), BLE_WIRE_BUFFERS);
    wire->open = open_line(wire, why) == 0;
    return wire->open ? 0 : -1;
}

void ble_wire_close(struct ble_wire *wire)
{
    if (wire->open && wire->line.fd >= 0) {
        peripheral_stop();
        peripheral_keep();
        line_linux_close(&wire->line);
    }
    wire->open = false;
}

/* Without a controller the device lives on, and looks for it now and then. */
static void look_again(struct ble_wire *wire)
{
    char why[LINE_WHY];
    if (now_us() / 1000u < wire->retry_ms) {
        return;
    }
    wire->retry_ms = now_us() / 1000u + LOOK_AGAIN_MS;
    if (open_line(wire, why) == 0) {
        say(wire, "ble: the controller is there again");
    }
}

void ble_wire_poll(struct ble_wire *wire)
{
    if (wire->line.fd < 0) {
        look_again(wire);
    } else if (peripheral_poll() < 0) {
        say(wire, wire->answered ? "ble: the controller is gone; looking for it"
                                 : "ble: no controller answers there; looking again");
        kedge_gatt_disconnect(&wire->gatt, wire->gatt.link);
        line_linux_close(&wire->line);
        wire->retry_ms = now_us() / 1000u + LOOK_AGAIN_MS;
    }
}

int ble_wire_next_ms(const struct ble_wire *wire, int most)
{
    const uint32_t next = wire->line.fd < 0 ? LOOK_AGAIN_MS : peripheral_next_ms();
    return next < (uint32_t)most ? (int)next : most;
}

void ble_wire_wait(struct ble_wire *wire, uint64_t us)
{
    const uint64_t end = now_us() + us;
    for (uint64_t now = now_us(); now < end; now = now_us()) {
        const struct timespec left = {.tv_sec = (time_t)((end - now) / 1000000u),
                                      .tv_nsec = (long)((end - now) % 1000000u) * 1000};
        struct pollfd readable = {.fd = wire->line.fd, .events = POLLIN};
        if (ppoll(&readable, 1, &left, NULL) > 0) {
            ble_wire_poll(wire);
        }
    }
}

void ble_wire_linger(struct ble_wire *wire)
{
    for (unsigned ms = 0; ms < LINGER_MS && wire->gatt.connected; ms += LINGER_STEP_MS) {
        ble_wire_wait(wire, LINGER_STEP_MS * 1000u);
    }
}

/* ---- messages -------------------------------------------------------------------------------- */

void ble_wire_reply(struct ble_wire *wire, struct kedge_bytes reply)
{
    const uint64_t end = now_us() + STUCK_MS * 1000u;
    kedge_gatt_reply(&wire->gatt, reply);
    while (wire->line.fd >= 0 && !peripheral_send() && now_us() < end) {
        ble_wire_wait(wire, 1000);
    }
}

bool ble_wire_message(struct ble_wire *wire, struct kedge_bytes *message, uint32_t *peer)
{
    uint8_t denial[32];
    if (wire->line.fd < 0 || !kedge_gatt_message(&wire->gatt, message)) {
        return false;
    }
    if (peripheral_denied()) {
        ble_wire_reply(wire, kedge_bytes(denial, peripheral_deny(*message, denial)));
        kedge_gatt_release(&wire->gatt);
        return false;
    }
    *peer = peripheral_peer();
    return true;
}
