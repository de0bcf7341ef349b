/* GATT framing: a message is the writes that the header of the first of them adds up to [G-1]. */
#include <string.h>

#include "kedge/transport.h"

#define HEADER     8
#define NO_REQUEST 0xE1 /* bits of the first byte that are 0 in every request */
#define ATT_WRITE  3    /* bytes of an ATT packet that are not value */

void kedge_gatt_start(struct kedge_gatt *gatt, struct kedge_buf memory, uint8_t count)
{
    KEDGE_ASSERT(count >= 1 && count <= KEDGE_GATT_BUFFERS && memory.size / count >= HEADER);
    *gatt = (struct kedge_gatt){
        .memory = memory, .count = count, .message_max = (uint32_t)(memory.size / count)};
}

/* Whatever belonged to the link that was. A handler may be at work on the oldest message still: its
 * buffer stays taken, its reply will go nowhere [G-5]. */
static void forget(struct kedge_gatt *gatt)
{
    gatt->have = 0;
    gatt->ready = gatt->taken ? 1 : 0;
    gatt->orphan = gatt->taken;
    gatt->reply = kedge_bytes(NULL, 0);
    gatt->reply_at = 0;
}

int kedge_gatt_connect(struct kedge_gatt *gatt, uint16_t link)
{
    if (gatt->connected && gatt->link != link) {
        return KEDGE_E_REFUSED;
    }
    forget(gatt);
    gatt->connected = true;
    gatt->link = link;
    return 0;
}

void kedge_gatt_disconnect(struct kedge_gatt *gatt, uint16_t link)
{
    if (gatt->connected && gatt->link == link) {
        forget(gatt);
        gatt->connected = false;
    }
}

static uint8_t *buffer_of(const struct kedge_gatt *gatt, unsigned place)
{
    return gatt->memory.at + (size_t)((gatt->first + place) % gatt->count) * gatt->message_max;
}

/* Takes bytes of the head; the rest of the fragment when it is whole, or nothing. */
static int take_head(struct kedge_gatt *gatt, struct kedge_bytes *rest)
{
    const size_t missing = HEADER - gatt->have;
    const size_t size = rest->size < missing ? rest->size : missing;
    if (gatt->have == 0 && (rest->at[0] & NO_REQUEST) != 0) {
        return KEDGE_E_FORMAT;
    }
    memcpy(gatt->head + gatt->have, rest->at, size);
    gatt->have += (uint32_t)size;
    *rest = kedge_bytes(rest->at + size, rest->size - size);
    if (gatt->have < HEADER) {
        return 0;
    }
    gatt->size = HEADER + (uint32_t)kedge_be16(gatt->head + 2);
    gatt->kept = gatt->ready < gatt->count && gatt->size <= gatt->message_max;
    if (gatt->kept) {
        memcpy(buffer_of(gatt, gatt->ready), gatt->head, HEADER);
    }
    return 0;
}

static int take_body(struct kedge_gatt *gatt, struct kedge_bytes rest)
{
    const uint32_t missing = gatt->size - gatt->have;
    const bool lies = rest.size > missing;
    const uint32_t size = lies ? missing : (uint32_t)rest.size;
    if (gatt->kept && size > 0) {
        memcpy(buffer_of(gatt, gatt->ready) + gatt->have, rest.at, size);
    }
    gatt->have += size;
    if (gatt->have < gatt->size) {
        return gatt->kept ? 0 : KEDGE_E_SPACE;
    }
    gatt->have = 0;
    if (!gatt->kept) {
        return KEDGE_E_SPACE;
    }
    gatt->ready++;
    return lies ? KEDGE_E_FORMAT : 0;
}

int kedge_gatt_write(struct kedge_gatt *gatt, uint16_t link, uint32_t now_ms,
                     struct kedge_bytes fragment)
{
    int result = 0;
    if (!gatt->connected || gatt->link != link) {
        return KEDGE_E_REFUSED;
    }
    if (gatt->have > 0 && now_ms - gatt->last_ms > KEDGE_GATT_IDLE_MS) {
        gatt->have = 0; /* its sender has given it up [G-4] */
    }
    gatt->last_ms = now_ms;
    if (fragment.size > 0 && gatt->have < HEADER) {
        result = take_head(gatt, &fragment);
    }
    if (result == 0 && gatt->have >= HEADER) {
        result = take_body(gatt, fragment);
    }
    gatt->dropped += result != 0;
    return result;
}

bool kedge_gatt_message(struct kedge_gatt *gatt, struct kedge_bytes *message)
{
    if (gatt->ready == 0 || gatt->taken) {
        return false;
    }
    const uint8_t *const at = buffer_of(gatt, 0);
    *message = kedge_bytes(at, HEADER + (size_t)kedge_be16(at + 2));
    gatt->taken = true;
    return true;
}

void kedge_gatt_release(struct kedge_gatt *gatt)
{
    KEDGE_ASSERT(gatt->taken);
    gatt->taken = false;
    gatt->orphan = false;
    gatt->ready--;
    gatt->first = (uint8_t)((gatt->first + 1) % gatt->count);
}

void kedge_gatt_reply(struct kedge_gatt *gatt, struct kedge_bytes reply)
{
    gatt->reply = gatt->connected && !gatt->orphan ? reply : kedge_bytes(NULL, 0);
    gatt->reply_at = 0;
}

bool kedge_gatt_fragment(const struct kedge_gatt *gatt, uint16_t att_mtu,
                         struct kedge_bytes *fragment)
{
    const size_t room = att_mtu > ATT_WRITE ? (size_t)(att_mtu - ATT_WRITE) : 0;
    const size_t left = gatt->reply.size - gatt->reply_at;
    if (left == 0 || room == 0) {
        *fragment = kedge_bytes(NULL, 0);
        return false;
    }
    *fragment = kedge_bytes(gatt->reply.at + gatt->reply_at, left < room ? left : room);
    return true;
}

void kedge_gatt_sent(struct kedge_gatt *gatt, size_t size)
{
    const size_t left = gatt->reply.size - gatt->reply_at;
    gatt->reply_at += size < left ? size : left;
}
