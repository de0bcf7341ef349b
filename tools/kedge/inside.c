#include "inside.h"

#include <stdio.h>

#include "kedge/delta.h"
#include "kedge/sealed.h"

static char text[200];

static const char *hex8(const uint8_t *bytes)
{
    static char hex[2][17];
    static unsigned turn;
    char *const to = hex[turn++ % 2];

    for (int i = 0; i < 8; i++) {
        snprintf(to + 2 * i, 3, "%02x", bytes[i]);
    }
    return to;
}

static bool is_sealed(struct kedge_bytes payload)
{
    return payload.size >= KEDGE_SEALED_HEAD && kedge_le32(payload.at) == KEDGE_SEALED_MAGIC;
}

static bool is_delta(struct kedge_bytes payload)
{
    return payload.size >= KEDGE_DELTA_HEADER && kedge_le32(payload.at) == KEDGE_DELTA_MAGIC;
}

/* "device" or "shared" */
static const char *key_word(struct kedge_bytes payload)
{
    return payload.at[KEDGE_SEALED_WRAP_AT] == KEDGE_SEALED_SHARED ? "shared" : "device";
}

static unsigned segment_size(struct kedge_bytes payload)
{
    return 1u << (payload.at[KEDGE_SEALED_LOG_AT] & 31u);
}

const char *inside_text(struct kedge_bytes payload)
{
    if (is_sealed(payload)) {
        snprintf(text, sizeof(text), "sealed for the %s key %s: %u bytes, in segments of %u",
                 key_word(payload), hex8(payload.at + KEDGE_SEALED_KEY_ID_AT),
                 kedge_le32(payload.at + KEDGE_SEALED_SIZE_AT), segment_size(payload));
        return text;
    }
    if (!is_delta(payload)) {
        return NULL;
    }
    const uint32_t old_size = kedge_le32(payload.at + KEDGE_DELTA_OLD_SIZE_AT);
    const uint32_t new_size = kedge_le32(payload.at + KEDGE_DELTA_NEW_SIZE_AT);

    if (old_size == 0) {
        snprintf(text, sizeof(text), "compressed: becomes the %u bytes with SHA-256 %s...",
                 new_size, hex8(payload.at + KEDGE_DELTA_NEW_HASH_AT));
    } else {
        snprintf(text, sizeof(text),
                 "patch: turns the %u bytes with SHA-256 %s... into the %u with %s...", old_size,
                 hex8(payload.at + KEDGE_DELTA_OLD_HASH_AT), new_size,
                 hex8(payload.at + KEDGE_DELTA_NEW_HASH_AT));
    }
    return text;
}

json_t *inside_json(struct kedge_bytes payload)
{
    if (is_sealed(payload)) {
        return json_pack("{s:s, s:s, s:s, s:I, s:i}", "kind", "sealed", "key", key_word(payload),
                         "key_id", hex8(payload.at + KEDGE_SEALED_KEY_ID_AT), "size",
                         (json_int_t)kedge_le32(payload.at + KEDGE_SEALED_SIZE_AT), "segment",
                         (int)segment_size(payload));
    }
    if (!is_delta(payload)) {
        return NULL;
    }
    const json_int_t old_size = kedge_le32(payload.at + KEDGE_DELTA_OLD_SIZE_AT);

    return json_pack("{s:s, s:I, s:s, s:I, s:s}", "kind", old_size == 0 ? "compressed" : "delta",
                     "old_size", old_size, "old_sha256_begins",
                     hex8(payload.at + KEDGE_DELTA_OLD_HASH_AT), "new_size",
                     (json_int_t)kedge_le32(payload.at + KEDGE_DELTA_NEW_SIZE_AT),
                     "new_sha256_begins", hex8(payload.at + KEDGE_DELTA_NEW_HASH_AT));
}
