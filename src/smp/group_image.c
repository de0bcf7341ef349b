/* Group 1, images: the map of the wire to and from the agent's calls. Keys exactly as clients
 * expect them; everything that is ours alone lives in group 64. */
#include "kedge/agent.h"
#include "kedge/service.h"
#include "kedge/smp_cbor.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The agent's statuses 1..34 are codes of this group already. */
static int result_of(int status)
{
    switch (status) {
    case KEDGE_AGENT_OK:
        return 0;
    case KEDGE_AGENT_BUSY:
        return KEDGE_SMP_EBUSY;
    case KEDGE_AGENT_DENIED:
        return KEDGE_SMP_EACCESS;
    default:
        return KEDGE_SMP_GROUP_ERROR(status);
    }
}

static struct kedge_agent *agent_of(const struct kedge_smp_call *call)
{
    return ((struct kedge_service *)call->ctx)->agent;
}

static void put_slot(struct kedge_smp_writer *reply, const struct kedge_slot_state *slot)
{
    char version[KEDGE_VERSION_TEXT_SIZE];

    kedge_smp_open_map(reply, NULL);
    if (slot->image > 0) {
        kedge_smp_put_uint(reply, "image", slot->image);
    }
    kedge_smp_put_uint(reply, "slot", slot->slot);
    kedge_smp_put_text(reply, "version",
                       kedge_bytes(version, kedge_version_text(&slot->version, version)));
    kedge_smp_put_bytes(reply, "hash", kedge_bytes(slot->hash, slot->hash_size));
    kedge_smp_put_bool(reply, "bootable", slot->bootable);
    kedge_smp_put_bool(reply, "pending", slot->pending);
    kedge_smp_put_bool(reply, "confirmed", slot->confirmed);
    kedge_smp_put_bool(reply, "active", slot->active);
    kedge_smp_put_bool(reply, "permanent", slot->permanent);
    kedge_smp_close(reply);
}

static int list(struct kedge_smp_call *call)
{
    struct kedge_slot_state slots[2];
    const size_t count = kedge_agent_list(agent_of(call), slots);

    kedge_smp_open_list(call->reply, "images");
    for (size_t i = 0; i < count; i++) {
        put_slot(call->reply, &slots[i]);
    }
    kedge_smp_close(call->reply);
    kedge_smp_put_uint(call->reply, "splitStatus", 0);
    return 0;
}

static int request(struct kedge_smp_call *call)
{
    struct kedge_bytes hash = kedge_bytes(NULL, 0);
    bool confirm = false;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("hash", KEDGE_SMP_BYTES, &hash),
                                             KEDGE_SMP_FIELD("confirm", KEDGE_SMP_FLAG, &confirm)};

    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) < 0) {
        return KEDGE_SMP_EINVAL;
    }
    const int status = kedge_agent_request(agent_of(call), hash, confirm);

    return status == KEDGE_AGENT_OK ? list(call) : result_of(status);
}

static int upload(struct kedge_smp_call *call)
{
    struct kedge_upload_request chunk = {.peer = call->peer};
    struct kedge_upload_reply reply = {0};
    enum { OFF, LEN };
    const struct kedge_smp_field fields[] = {
        [OFF] = KEDGE_SMP_FIELD("off", KEDGE_SMP_UINT, &chunk.off),
        [LEN] = KEDGE_SMP_FIELD("len", KEDGE_SMP_UINT, &chunk.len),
        KEDGE_SMP_FIELD("data", KEDGE_SMP_BYTES, &chunk.data),
        KEDGE_SMP_FIELD("sha", KEDGE_SMP_BYTES, &chunk.sha),
        KEDGE_SMP_FIELD("image", KEDGE_SMP_UINT, &chunk.image),
        KEDGE_SMP_FIELD("upgrade", KEDGE_SMP_FLAG, &chunk.upgrade),
    };
    const int found = kedge_smp_read_fields(call->request, fields, COUNT(fields));

    if (found < 0) {
        return KEDGE_SMP_EINVAL;
    }
    chunk.has_off = (found >> OFF & 1) != 0;
    chunk.has_len = (found >> LEN & 1) != 0;
    const int status = kedge_agent_upload(agent_of(call), &chunk, &reply);

    if (status == KEDGE_AGENT_OK) {
        kedge_smp_put_uint(call->reply, "off", reply.off);
        if (reply.has_match) {
            kedge_smp_put_bool(call->reply, "match", reply.match);
        }
    }
    return result_of(status);
}

static int erase(struct kedge_smp_call *call)
{
    uint32_t slot = 1;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("slot", KEDGE_SMP_UINT, &slot)};

    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) < 0) {
        return KEDGE_SMP_EINVAL;
    }
    return result_of(kedge_agent_erase(agent_of(call), slot));
}

static int list_slots(struct kedge_smp_call *call)
{
    struct kedge_slot_info slots[2];
    uint32_t largest;
    const size_t count = kedge_agent_slots(agent_of(call), slots, &largest);

    kedge_smp_open_list(call->reply, "images");
    kedge_smp_open_map(call->reply, NULL);
    kedge_smp_put_uint(call->reply, "image", 0);
    kedge_smp_open_list(call->reply, "slots");
    for (size_t i = 0; i < count; i++) {
        kedge_smp_open_map(call->reply, NULL);
        kedge_smp_put_uint(call->reply, "slot", slots[i].slot);
        kedge_smp_put_uint(call->reply, "size", slots[i].size);
        kedge_smp_close(call->reply);
    }
    kedge_smp_close(call->reply);
    kedge_smp_put_uint(call->reply, "max_image_size", largest);
    kedge_smp_close(call->reply);
    kedge_smp_close(call->reply);
    return 0;
}

static const struct kedge_smp_command commands[] = {
    {0, list, request},
    {1, NULL, upload},
    {5, NULL, erase},
    {6, list_slots, NULL},
};

/* What a client of version 1 is told; as Zephyr does, so that its users find their error again. */
static int to_v1(int code)
{
    switch (code) {
    case 3:
    case 4:
        return KEDGE_SMP_ENOENT;
    case 9:
    case 27:
    case 28:
        return KEDGE_SMP_EBADSTATE;
    case 15:
        return KEDGE_SMP_ENOMEM;
    case 14:
    case 19:
    case 20:
    case 21:
    case 22:
    case 24:
    case 25:
        return KEDGE_SMP_EINVAL;
    default:
        return KEDGE_SMP_EUNKNOWN;
    }
}

const struct kedge_smp_group kedge_smp_image = {1, "img mgmt", commands, COUNT(commands), to_v1};
