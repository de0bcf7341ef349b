/* Requests and replies as a client sees them, and what the codes mean. */
#include "kedge/smp_client.h"

/* Header and an empty map, with room to spare. */
#define REQUEST_LEAST 16u

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

void kedge_smp_request_start(struct kedge_smp_request *request, struct kedge_buf buffer, uint8_t op,
                             uint16_t group, uint8_t command, uint8_t sequence)
{
    KEDGE_ASSERT(buffer.size >= REQUEST_LEAST);
    request->header = (struct kedge_smp_header){
        .op = op, .version = 1, .group = group, .sequence = sequence, .command = command};
    request->buffer = buffer;
    kedge_smp_write_start(&request->map, kedge_buf(buffer.at + KEDGE_SMP_HEADER_SIZE,
                                                   buffer.size - KEDGE_SMP_HEADER_SIZE));
    kedge_smp_open_map(&request->map, NULL);
}

int kedge_smp_request_end(struct kedge_smp_request *request, size_t *size)
{
    kedge_smp_close(&request->map);
    const size_t written = kedge_smp_written(&request->map);

    if (request->map.failed || written > UINT16_MAX) {
        return KEDGE_E_SPACE;
    }
    request->header.size = (uint16_t)written;
    kedge_smp_header_put(request->buffer.at, &request->header);
    *size = KEDGE_SMP_HEADER_SIZE + written;
    return 0;
}

/* {"err": {"group": g, "rc": c}}, or {"rc": c} where the reader stands before the value. */
static void read_err(struct kedge_smp_reader *reader, struct kedge_smp_reply *reply)
{
    struct kedge_bytes key;

    if (kedge_smp_peek(reader) != KEDGE_SMP_TYPE_MAP) {
        reader->failed = true;
        return;
    }
    (void)kedge_smp_enter(reader);
    reply->of_group = true;
    while (kedge_smp_next(reader, &key)) {
        if (kedge_smp_is(key, "group")) {
            reply->group = (uint16_t)kedge_smp_read_uint(reader);
        } else if (kedge_smp_is(key, "rc")) {
            reply->rc = kedge_smp_read_uint(reader);
        } else {
            kedge_smp_skip(reader);
        }
    }
    kedge_smp_leave(reader);
}

int kedge_smp_reply_parse(struct kedge_bytes message, struct kedge_smp_reply *reply)
{
    struct kedge_smp_reader reader;
    struct kedge_bytes key;

    *reply = (struct kedge_smp_reply){0};
    if (kedge_smp_header_parse(message, &reply->header) != 0 ||
        message.size != (size_t)reply->header.size + KEDGE_SMP_HEADER_SIZE ||
        (reply->header.op != KEDGE_SMP_READ_REPLY && reply->header.op != KEDGE_SMP_WRITE_REPLY)) {
        return KEDGE_E_FORMAT;
    }
    reply->cbor = kedge_bytes(message.at + KEDGE_SMP_HEADER_SIZE, reply->header.size);
    if (reply->cbor.size == 0) {
        return 0;
    }
    kedge_smp_read_start(&reader, reply->cbor);
    if (kedge_smp_peek(&reader) != KEDGE_SMP_TYPE_MAP || !kedge_smp_enter(&reader)) {
        return KEDGE_E_FORMAT;
    }
    while (kedge_smp_next(&reader, &key)) {
        if (kedge_smp_is(key, "rc")) {
            /* negative codes of strange servers are errors like others */
            const int64_t rc = kedge_smp_read_int(&reader);

            reply->rc = rc < 0 || rc > UINT32_MAX ? KEDGE_SMP_EUNKNOWN : (uint32_t)rc;
        } else if (kedge_smp_is(key, "err")) {
            read_err(&reader, reply);
        } else if (kedge_smp_is(key, "rsn") && kedge_smp_peek(&reader) == KEDGE_SMP_TYPE_TEXT) {
            reply->reason = kedge_smp_read_bytes(&reader);
        } else {
            kedge_smp_skip(&reader);
        }
    }
    return reader.failed ? KEDGE_E_FORMAT : 0;
}

bool kedge_smp_answers(const struct kedge_smp_reply *reply, const struct kedge_smp_header *request)
{
    const struct kedge_smp_header *header = &reply->header;

    return header->op == (request->op | 1) && header->group == request->group &&
           header->command == request->command && header->sequence == request->sequence;
}

/* ---- words ---------------------------------------------------------------------------------- */

static const char *const management_words[] = {
    [KEDGE_SMP_EOK] = "done",
    [KEDGE_SMP_EUNKNOWN] = "the device reports an unknown error",
    [KEDGE_SMP_ENOMEM] = "the device is out of memory",
    [KEDGE_SMP_EINVAL] = "the device calls the request invalid",
    [KEDGE_SMP_ETIMEOUT] = "the device timed out",
    [KEDGE_SMP_ENOENT] = "there is no such thing on the device",
    [KEDGE_SMP_EBADSTATE] = "not possible in the device's present state",
    [KEDGE_SMP_EMSGSIZE] = "the message is too large for the device",
    [KEDGE_SMP_ENOTSUP] = "the device does not support this command",
    [KEDGE_SMP_ECORRUPT] = "the device calls the data corrupt",
    [KEDGE_SMP_EBUSY] = "the device is busy",
    [KEDGE_SMP_EACCESS] = "the device denies it",
    [KEDGE_SMP_TOO_OLD] = "the device wants a newer version of the protocol",
    [KEDGE_SMP_TOO_NEW] = "the device wants an older version of the protocol",
};

static const char *const image_words[] = {
    [1] = "the device reports an unknown error",
    [2] = "the device cannot read its flash layout",
    [3] = "there is no image",
    [4] = "the image has no TLVs",
    [5] = "the image's TLVs are damaged",
    [6] = "the image has several hashes",
    [7] = "a TLV of the image has the wrong size",
    [8] = "no slot holds an image with this hash",
    [9] = "there is no free slot",
    [10] = "the device cannot open its flash",
    [11] = "the device cannot read its flash",
    [12] = "the device cannot write its flash",
    [13] = "the device cannot erase its flash",
    [14] = "there is no such slot",
    [15] = "the device is out of memory",
    [16] = "the device's flash is in use",
    [17] = "the device's flash is not open",
    [18] = "the device has no such flash",
    [19] = "the offset does not fit a page",
    [20] = "the offset is missing or wrong",
    [21] = "the length is missing or wrong",
    [22] = "the image header is invalid",
    [23] = "this is no MCUboot image",
    [24] = "the hash is missing or invalid",
    [25] = "the address is outside the flash",
    [26] = "the image's version cannot be read",
    [27] = "a newer or equal version runs on the device",
    [28] = "an image is marked for the next boot already",
    [29] = "the image's vector table is invalid",
    [30] = "the image is too large for the slot",
    [31] = "more data than announced",
    [32] = "this image may not be confirmed",
    [33] = "the running image cannot be marked for a test",
    [34] = "the device does not know its running slot",
};

static const char *const os_words[] = {
    [1] = "the device reports an unknown error",
    [2] = "the device does not know this format",
    [3] = "the device has no answer to this query",
    [4] = "the device's clock is not set",
    [5] = "the device's clock failed",
};

static const char *const kedge_words[] = {
    [1] = "the device reports an unknown error",
    [2] = "there is no such policy key",
    [3] = "the key has no such value",
    [4] = "the device cannot store it",
    [5] = "the device's history cannot be read",
    [16] = "the manifest or chunk is malformed",
    [17] = "the file does not fit into the staging region",
    [18] = "another file is staged",
    [19] = "no file is staged",
    [20] = "the chunk is not what its check says",
    [21] = "the chunk came before with other bytes",
    [22] = "chunks are missing",
    [23] = "the whole file has a wrong hash",
    [24] = "the policy keeps plain files off the external flash",
    [25] = "too many attempts were made",
    [26] = "the staging flash failed",
    [27] = "the file is being hashed or decoded",
};

static const char unknown_error[] = "the device reports an error";

static const char *word(const char *const *words, size_t count, uint32_t rc)
{
    return rc < count && words[rc] != NULL ? words[rc] : unknown_error;
}

const char *kedge_smp_code_text(bool of_group, uint16_t group, uint32_t rc)
{
    if (!of_group) {
        return word(management_words, COUNT(management_words), rc);
    }
    switch (group) {
    case 0:
        return word(os_words, COUNT(os_words), rc);
    case 1:
        return word(image_words, COUNT(image_words), rc);
    case 64:
        return word(kedge_words, COUNT(kedge_words), rc);
    default:
        return unknown_error;
    }
}

/* ---- replies with a shape ------------------------------------------------------------------- */

/* Enter the list `name` of the map that `reader` has entered; false: there is none. */
static bool enter_list(struct kedge_smp_reader *reader, const char *name)
{
    struct kedge_bytes key;

    while (kedge_smp_next(reader, &key)) {
        if (kedge_smp_is(key, name) && kedge_smp_peek(reader) == KEDGE_SMP_TYPE_LIST) {
            return kedge_smp_enter(reader);
        }
        kedge_smp_skip(reader);
    }
    return false;
}

static void read_image(struct kedge_smp_reader *reader, struct kedge_smp_image_entry *entry)
{
    struct kedge_bytes key;

    *entry = (struct kedge_smp_image_entry){0};
    if (!kedge_smp_enter(reader)) {
        return;
    }
    while (kedge_smp_next(reader, &key)) {
        if (kedge_smp_is(key, "image")) {
            entry->image = kedge_smp_read_uint(reader);
        } else if (kedge_smp_is(key, "slot")) {
            entry->slot = kedge_smp_read_uint(reader);
        } else if (kedge_smp_is(key, "version")) {
            entry->version = kedge_smp_read_bytes(reader);
        } else if (kedge_smp_is(key, "hash")) {
            entry->hash = kedge_smp_read_bytes(reader);
        } else if (kedge_smp_is(key, "bootable")) {
            entry->bootable = kedge_smp_read_flag(reader);
        } else if (kedge_smp_is(key, "pending")) {
            entry->pending = kedge_smp_read_flag(reader);
        } else if (kedge_smp_is(key, "confirmed")) {
            entry->confirmed = kedge_smp_read_flag(reader);
        } else if (kedge_smp_is(key, "active")) {
            entry->active = kedge_smp_read_flag(reader);
        } else if (kedge_smp_is(key, "permanent")) {
            entry->permanent = kedge_smp_read_flag(reader);
        } else {
            kedge_smp_skip(reader);
        }
    }
    kedge_smp_leave(reader);
}

int kedge_smp_read_images(struct kedge_bytes cbor, struct kedge_smp_image_entry *entries,
                          size_t most)
{
    struct kedge_smp_reader reader;
    int count = 0;

    kedge_smp_read_start(&reader, cbor);
    if (!kedge_smp_enter(&reader) || !enter_list(&reader, "images")) {
        return KEDGE_E_FORMAT;
    }
    while (kedge_smp_more(&reader) && (size_t)count < most) {
        read_image(&reader, &entries[count++]);
    }
    return reader.failed ? KEDGE_E_FORMAT : count;
}

/* The slots of one image entry, appended from `count` on; -> new count. */
static size_t read_slots(struct kedge_smp_reader *reader, struct kedge_smp_slot_entry *entries,
                         size_t count, size_t most)
{
    (void)kedge_smp_enter(reader);
    while (kedge_smp_more(reader)) {
        struct kedge_smp_slot_entry entry = {0};
        struct kedge_bytes key;

        (void)kedge_smp_enter(reader);
        while (kedge_smp_next(reader, &key)) {
            if (kedge_smp_is(key, "slot")) {
                entry.slot = kedge_smp_read_uint(reader);
            } else if (kedge_smp_is(key, "size")) {
                entry.size = kedge_smp_read_uint(reader);
            } else {
                kedge_smp_skip(reader);
            }
        }
        kedge_smp_leave(reader);
        if (count < most) {
            entries[count++] = entry;
        }
    }
    kedge_smp_leave(reader);
    return count;
}

static size_t read_image_slots(struct kedge_smp_reader *reader,
                               struct kedge_smp_slot_entry *entries, size_t first, size_t most)
{
    size_t count = first;
    uint32_t image = 0, largest = 0;
    struct kedge_bytes key;

    (void)kedge_smp_enter(reader);
    while (kedge_smp_next(reader, &key)) {
        if (kedge_smp_is(key, "image")) {
            image = kedge_smp_read_uint(reader);
        } else if (kedge_smp_is(key, "max_image_size")) {
            largest = kedge_smp_read_uint(reader);
        } else if (kedge_smp_is(key, "slots") && kedge_smp_peek(reader) == KEDGE_SMP_TYPE_LIST) {
            count = read_slots(reader, entries, count, most);
        } else {
            kedge_smp_skip(reader);
        }
    }
    kedge_smp_leave(reader);
    for (size_t i = first; i < count; i++) {
        entries[i].image = image;
        entries[i].max_image = largest;
    }
    return count;
}

int kedge_smp_read_slots(struct kedge_bytes cbor, struct kedge_smp_slot_entry *entries, size_t most)
{
    struct kedge_smp_reader reader;
    size_t count = 0;

    kedge_smp_read_start(&reader, cbor);
    if (!kedge_smp_enter(&reader) || !enter_list(&reader, "images")) {
        return KEDGE_E_FORMAT;
    }
    while (kedge_smp_more(&reader)) {
        count = read_image_slots(&reader, entries, count, most);
    }
    return reader.failed ? KEDGE_E_FORMAT : (int)count;
}

int kedge_smp_read_params(struct kedge_bytes cbor, struct kedge_smp_params *params)
{
    const struct kedge_smp_field fields[] = {
        KEDGE_SMP_FIELD("buf_size", KEDGE_SMP_UINT, &params->buffer_size),
        KEDGE_SMP_FIELD("buf_count", KEDGE_SMP_UINT, &params->buffer_count),
    };

    return kedge_smp_read_fields(cbor, fields, COUNT(fields)) == 3 ? 0 : KEDGE_E_FORMAT;
}
