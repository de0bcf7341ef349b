/* From request to reply: find the handler, run it, and say its result in the form that the client's
 * version of SMP knows.
 *
 *   result of the handler           version 2                        version 1
 *   0                               {entries}                        {entries}
 *   management code                 {"rc": code}                     {"rc": code}
 *   error of the group              {"err": {"group", "rc"}}         {"rc": to_v1(code)}
 *
 * A success never carries "rc": smpclient takes a reply with an unexpected key for a broken one. */
#include "kedge/smp.h"
#include "kedge/smp_cbor.h"

/* Header and the longest error map: what every reply buffer must hold. */
enum { LEAST_REPLY = 40, GROUP_ERROR = 0x10000 };

static const struct kedge_smp_group *find_group(const struct kedge_smp_server *server, uint16_t id)
{
    for (size_t i = 0; i < server->group_count; i++) {
        if (server->groups[i]->id == id) {
            return server->groups[i];
        }
    }
    return NULL;
}

static kedge_smp_handler find_handler(const struct kedge_smp_group *group,
                                      const struct kedge_smp_header *header)
{
    for (size_t i = 0; group != NULL && i < group->command_count; i++) {
        if (group->commands[i].id == header->command) {
            return header->op == KEDGE_SMP_READ ? group->commands[i].read
                                                : group->commands[i].write;
        }
    }
    return NULL;
}

static int run(const struct kedge_smp_group *group, struct kedge_smp_call *call)
{
    if (call->header->version > 1) {
        return KEDGE_SMP_TOO_NEW;
    }
    kedge_smp_handler handler = find_handler(group, call->header);

    if (handler == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    int result = handler(call);

    if (result == 0) {
        kedge_smp_close(call->reply);
        result = call->reply->failed ? KEDGE_SMP_EMSGSIZE : 0;
    }
    return result;
}

static void put_error(struct kedge_smp_writer *reply, const struct kedge_smp_group *group,
                      const struct kedge_smp_header *header, int result)
{
    uint32_t code = (uint32_t)result & 0xFFFF;
    const bool of_group = (result & GROUP_ERROR) != 0;

    kedge_smp_open_map(reply, NULL);
    if (of_group && header->version == 1) {
        kedge_smp_open_map(reply, "err");
        kedge_smp_put_uint(reply, "group", header->group);
        kedge_smp_put_uint(reply, "rc", code);
        kedge_smp_close(reply);
    } else {
        if (of_group) {
            code = group->to_v1 != NULL ? (uint32_t)group->to_v1((int)code) : KEDGE_SMP_EUNKNOWN;
        }
        kedge_smp_put_uint(reply, "rc", code);
    }
    kedge_smp_close(reply);
}

int kedge_smp_handle(const struct kedge_smp_server *server, uint32_t peer,
                     struct kedge_bytes request, struct kedge_buf reply, size_t *reply_size)
{
    struct kedge_smp_header header;
    struct kedge_smp_writer writer;

    *reply_size = 0;
    if (kedge_smp_header_parse(request, &header) != 0 ||
        (header.op != KEDGE_SMP_READ && header.op != KEDGE_SMP_WRITE) ||
        request.size != (size_t)header.size + KEDGE_SMP_HEADER_SIZE) {
        return KEDGE_E_FORMAT;
    }
    if (reply.size < LEAST_REPLY) {
        return KEDGE_E_SPACE;
    }
    const struct kedge_buf body =
        kedge_buf(reply.at + KEDGE_SMP_HEADER_SIZE, reply.size - KEDGE_SMP_HEADER_SIZE);
    const struct kedge_smp_group *group = find_group(server, header.group);
    struct kedge_smp_call call = {
        .header = &header,
        .peer = peer,
        .request = kedge_bytes(request.at + KEDGE_SMP_HEADER_SIZE, header.size),
        .reply = &writer,
        .ctx = server->ctx,
    };

    kedge_smp_write_start(&writer, body);
    kedge_smp_open_map(&writer, NULL);
    int result = run(group, &call);

    if (result != 0) {
        kedge_smp_write_start(&writer, body);
        put_error(&writer, group, &header, result);
        KEDGE_ASSERT(!writer.failed);
    }
    header.op |= 1;
    header.flags = 0;
    header.size = (uint16_t)kedge_smp_written(&writer);
    kedge_smp_header_put(reply.at, &header);
    *reply_size = KEDGE_SMP_HEADER_SIZE + kedge_smp_written(&writer);
    return 0;
}
