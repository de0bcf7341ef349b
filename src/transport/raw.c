/* Raw serial framing: the SMP header says how long a message is [C-9]. */
#include "kedge/transport.h"

#define HEADER   8
#define RESERVED 0xE0 /* bits of the first byte that are 0 in every message */

void kedge_raw_start(struct kedge_raw *raw, struct kedge_buf buffer)
{
    KEDGE_ASSERT(buffer.size >= HEADER);
    *raw = (struct kedge_raw){.buffer = buffer};
}

void kedge_raw_idle(struct kedge_raw *raw)
{
    raw->have = 0;
}

static uint32_t message_size(const struct kedge_raw *raw)
{
    return HEADER + (uint32_t)kedge_be16(raw->buffer.at + 2);
}

int kedge_raw_push(struct kedge_raw *raw, uint8_t byte, struct kedge_bytes *message)
{
    /* The message before this byte was handed out, or passed over. */
    if (raw->have >= HEADER && raw->have == message_size(raw)) {
        raw->have = 0;
    }
    if (raw->have == 0 && (byte & RESERVED) != 0) {
        return 0;
    }
    if (raw->have < raw->buffer.size) {
        raw->buffer.at[raw->have] = byte;
    }
    raw->have++;
    if (raw->have < HEADER || raw->have != message_size(raw) || raw->have > raw->buffer.size) {
        return 0;
    }
    *message = kedge_bytes(raw->buffer.at, raw->have);
    return 1;
}
