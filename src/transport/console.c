/* Console framing, receiving side: a machine that eats one byte at a time, so that a line may be as
 * long as its sender likes and costs no line buffer. Rules: FORMAT.md [C-1] to [C-8]. */
#include "kedge/transport.h"
#include "transport/base64.h"

#define FIRST_A 0x06
#define FIRST_B 0x09
#define NEXT_A  0x04
#define NEXT_B  0x14

enum { TEXT, AFTER_FIRST_A, AFTER_NEXT_A, DIGITS };

void kedge_console_start(struct kedge_console *console, struct kedge_buf packet)
{
    KEDGE_ASSERT(packet.size >= KEDGE_CONSOLE_OVERHEAD);
    *console = (struct kedge_console){.packet = packet};
}

static void drop(struct kedge_console *c)
{
    c->open = false;
    c->state = TEXT;
}

/* Length field and all that it announces; 0 while the field is not there yet. */
static size_t packet_size(const struct kedge_console *c)
{
    return c->have < 2 ? 0 : 2u + kedge_be16(c->packet.at);
}

static void keep(struct kedge_console *c, uint8_t byte)
{
    if (c->have == c->packet.size || (c->have >= 2 && c->have == packet_size(c))) {
        drop(c);
        return;
    }
    c->packet.at[c->have++] = byte;
    if (c->have == 2 && packet_size(c) > c->packet.size) {
        drop(c);
    }
}

static void take_group(struct kedge_console *c)
{
    const uint32_t bits = c->bits;

    c->quad = 0;
    c->bits = 0;
    for (unsigned i = 0; i < 3u - c->padding && c->open; i++) {
        keep(c, (uint8_t)(bits >> (16 - 8 * i)));
    }
}

static void take_digit(struct kedge_console *c, uint8_t byte)
{
    const int digit = byte == '=' ? 0 : kedge_base64_digit(byte);

    /* '=' stands third or fourth in a group, and nothing stands behind it in its line. */
    if (digit < 0 || (byte == '=' && c->quad < 2) || (byte != '=' && c->padding != 0) ||
        (c->quad == 0 && c->padding != 0)) {
        drop(c);
        return;
    }
    c->padding = (uint8_t)(c->padding + (byte == '='));
    c->bits = (c->bits << 6) | (uint32_t)digit;
    if (++c->quad == 4) {
        take_group(c);
    }
}

static int end_line(struct kedge_console *c, struct kedge_bytes *message)
{
    const bool in_line = c->state == DIGITS;
    const size_t size = packet_size(c);

    c->state = TEXT;
    if (!in_line) {
        return 0;
    }
    if (c->quad != 0) {
        drop(c);
        return 0;
    }
    if (size == 0 || c->have < size) {
        return 0;
    }
    c->open = false;
    /* The CRC over message and CRC is 0. */
    if (size < KEDGE_CONSOLE_OVERHEAD ||
        kedge_crc16(0, kedge_bytes(c->packet.at + 2, size - 2)) != 0) {
        return 0;
    }
    *message = kedge_bytes(c->packet.at + 2, size - KEDGE_CONSOLE_OVERHEAD);
    return 1;
}

static void begin_line(struct kedge_console *c, bool first)
{
    if (first) {
        c->open = true;
        c->have = 0;
    }
    c->quad = 0;
    c->padding = 0;
    c->bits = 0;
    c->state = c->open ? DIGITS : TEXT;
}

int kedge_console_push(struct kedge_console *console, uint8_t byte, struct kedge_bytes *message)
{
    const uint8_t state = console->state;

    if (byte == '\r') {
        return 0;
    }
    if (byte == '\n') {
        return end_line(console, message);
    }
    /* Start bytes are found anywhere: no text and no base64 has them, and a lost LF costs one
     * packet instead of two. */
    if (byte == FIRST_A || byte == NEXT_A) {
        console->state = byte == FIRST_A ? AFTER_FIRST_A : AFTER_NEXT_A;
    } else if (state == DIGITS) {
        take_digit(console, byte);
    } else if (state == AFTER_FIRST_A && byte == FIRST_B) {
        begin_line(console, true);
    } else if (state == AFTER_NEXT_A && byte == NEXT_B) {
        begin_line(console, false);
    } else {
        console->state = TEXT;
    }
    return 0;
}
