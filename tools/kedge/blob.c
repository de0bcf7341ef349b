/* Bytes that grow. */
#include "blob.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

static uint8_t *extend(struct blob *blob, size_t count)
{
    if (blob->room - blob->size < count) {
        blob->room = (blob->size + count) * 2;
        blob->at = grow(blob->at, blob->room);
    }
    blob->size += count;
    return blob->at + blob->size - count;
}

void blob_put(struct blob *blob, struct kedge_bytes data)
{
    if (data.size > 0) {
        memcpy(extend(blob, data.size), data.at, data.size);
    }
}

void blob_fill(struct blob *blob, uint8_t value, size_t count)
{
    if (count > 0) {
        memset(extend(blob, count), value, count);
    }
}

void blob_byte(struct blob *blob, uint8_t value)
{
    *extend(blob, 1) = value;
}

void blob_le32(struct blob *blob, uint32_t value)
{
    kedge_put_le32(extend(blob, 4), value);
}

void blob_tlv(struct blob *blob, uint16_t type, struct kedge_bytes data)
{
    uint8_t *const head = extend(blob, 4);

    kedge_put_le16(head, type);
    kedge_put_le16(head + 2, (uint16_t)data.size);
    blob_put(blob, data);
}

void blob_free(struct blob *blob)
{
    free(blob->at);
    *blob = (struct blob){0};
}
