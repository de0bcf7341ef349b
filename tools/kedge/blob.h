/* Bytes that grow, and MCUboot's TLVs in them. */
#ifndef KEDGE_TOOL_BLOB_H
#define KEDGE_TOOL_BLOB_H

#include "kedge/base.h"

struct blob {
    uint8_t *at;
    size_t size, room;
};

void blob_put(struct blob *blob, struct kedge_bytes data);
void blob_fill(struct blob *blob, uint8_t value, size_t count);
void blob_byte(struct blob *blob, uint8_t value);
void blob_le32(struct blob *blob, uint32_t value);
/* {u16 type, u16 size, data}; data up to 65535 bytes. */
void blob_tlv(struct blob *blob, uint16_t type, struct kedge_bytes data);
void blob_free(struct blob *blob);

static inline struct kedge_bytes blob_bytes(const struct blob *blob)
{
    return kedge_bytes(blob->at, blob->size);
}

#endif
