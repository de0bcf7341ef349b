/* BLE as a way in: NimBLE's host (ports/nimble) on the board's controller. */
#include "air.h"
#include "board.h"
#include "board_ble.h"
#include "say.h"

#define BUFFERS   4u
#define MESSAGE   2048u
#define LINGER_MS 250u  /* as long as Zephyr's servers wait */
#define STUCK_MS  5000u /* a reply that moves on no more */

const uint16_t air_buffers = BUFFERS;

static struct kedge_gatt gatt;
static struct peripheral_config config;
static uint8_t memory[BUFFERS * MESSAGE];
static bool dead;

static uint32_t random_word(void *ctx)
{
    (void)ctx;
    return board_random();
}

static void say_six_digits(uint32_t digits)
{
    for (uint32_t limit = 100000; limit > 1 && digits < limit; limit /= 10) {
        say("0");
    }
    say_number(digits);
}

static void on_event(void *ctx, const struct peripheral_event *event)
{
    static const char *const words[] = {
        [PERIPHERAL_READY] = "advertises",
        [PERIPHERAL_CONNECTED] = "connected",
        [PERIPHERAL_DISCONNECTED] = "disconnected",
        [PERIPHERAL_SECOND_REFUSED] = "another central is being served: refused",
        [PERIPHERAL_GAVE_WAY] = "a silent central gives way to another one",
        [PERIPHERAL_PASSKEY] = "to pair, type this on the other side: ",
        [PERIPHERAL_SECURED] = "the link is encrypted",
        [PERIPHERAL_PAIRING_FAILED] = "pairing failed: remove the bond there, pair again",
        [PERIPHERAL_DENIED] = "a request was denied: this device demands that it pairs first",
        [PERIPHERAL_BOND_LOST] = "the bond could not be kept",
    };
    (void)ctx;
    say("ble: ");
    say(words[event->kind]);
    if (event->kind == PERIPHERAL_PASSKEY) {
        say_six_digits((uint32_t)event->value);
    }
    say("\r\n");
}

void air_start(const struct kedge_region *settings)
{
    config = (struct peripheral_config){.name = "Kedge",
                                        .att_mtu = 498,
                                        .security = board_ble_security,
                                        .gatt = &gatt,
                                        .settings = *settings,
                                        .random = random_word,
                                        .event = on_event};
    for (unsigned i = 0; i < sizeof config.address; i++) {
        config.address[i] = board_ble_address[i];
    }
    kedge_gatt_start(&gatt, kedge_buf(memory, sizeof memory), BUFFERS);
    board_controller_start();
    peripheral_start(&config, &board_controller);
}

/* A line that went out of step stays dead until the next reset; the console is still there. */
static bool poll(void)
{
    if (!dead && peripheral_poll() < 0) {
        dead = true;
        kedge_gatt_disconnect(&gatt, gatt.link);
        say("ble: the controller is gone; it is looked for at the next reset\r\n");
    }
    return !dead;
}

static void send(struct kedge_bytes reply)
{
    const uint32_t start = board_now_ms();
    kedge_gatt_reply(&gatt, reply);
    while (!peripheral_send() && board_now_ms() - start < STUCK_MS && poll()) {
        board_watchdog_feed();
    }
}

bool air_receive(struct kedge_bytes *message, uint32_t *peer)
{
    uint8_t denial[32];
    if (!poll() || !kedge_gatt_message(&gatt, message)) {
        return false;
    }
    if (peripheral_denied()) {
        send(kedge_bytes(denial, peripheral_deny(*message, denial)));
        kedge_gatt_release(&gatt);
        return false;
    }
    *peer = peripheral_peer();
    return true;
}

void air_reply(struct kedge_bytes reply)
{
    if (reply.size > 0) {
        send(reply);
    }
    kedge_gatt_release(&gatt);
}

void air_idle(void)
{
    if (!dead) {
        peripheral_keep();
    }
}

/* The reply to the request for a reset may still wait for its turn on the air: a client that does
 * not get it asks again, which would end a trial. */
void air_stop(void)
{
    const uint32_t start = board_now_ms();
    while (gatt.connected && board_now_ms() - start < LINGER_MS && poll()) {
        board_watchdog_feed();
    }
    if (!dead) {
        peripheral_stop();
    }
}
