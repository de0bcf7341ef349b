/* Group 10, enumeration: which groups this device answers. */
#include "kedge/service.h"
#include "kedge/smp_cbor.h"

enum enum_error { TOO_MANY = 2, INDEX_TOO_LARGE = 4 };

/* Most groups that a client may ask about in one request. */
#define FILTER_MAX   16u

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct kedge_smp_server *server_of(const struct kedge_smp_call *call)
{
    return &((const struct kedge_service *)call->ctx)->server;
}

static int count_groups(struct kedge_smp_call *call)
{
    kedge_smp_put_uint(call->reply, "count", (uint32_t)server_of(call)->group_count);
    return 0;
}

static int list_groups(struct kedge_smp_call *call)
{
    const struct kedge_smp_server *server = server_of(call);

    kedge_smp_open_list(call->reply, "groups");
    for (size_t i = 0; i < server->group_count; i++) {
        kedge_smp_put_uint(call->reply, NULL, server->groups[i]->id);
    }
    kedge_smp_close(call->reply);
    return 0;
}

static int single_group(struct kedge_smp_call *call)
{
    const struct kedge_smp_server *server = server_of(call);
    uint32_t index = 0;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("index", KEDGE_SMP_UINT, &index)};

    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) < 0) {
        return KEDGE_SMP_EINVAL;
    }
    if (index >= server->group_count) {
        return KEDGE_SMP_GROUP_ERROR(INDEX_TOO_LARGE);
    }
    kedge_smp_put_uint(call->reply, "group", server->groups[index]->id);
    if (index + 1 == server->group_count) {
        kedge_smp_put_bool(call->reply, "end", true);
    }
    return 0;
}

/* The ids in the list `groups` of the request into `ids`; -> how many, or a result to return as it
 * is, negative when there is no such list (all groups are meant). */
static int read_filter(struct kedge_bytes request, uint32_t ids[FILTER_MAX], size_t *count)
{
    struct kedge_smp_reader reader;
    struct kedge_bytes key;
    bool filtered = false;

    *count = 0;
    kedge_smp_read_start(&reader, request);
    if (request.size == 0 || !kedge_smp_enter(&reader)) {
        return request.size == 0 ? -1 : KEDGE_SMP_EINVAL;
    }
    while (kedge_smp_next(&reader, &key)) {
        if (!kedge_smp_is(key, "groups") || kedge_smp_peek(&reader) != KEDGE_SMP_TYPE_LIST) {
            kedge_smp_skip(&reader);
            continue;
        }
        (void)kedge_smp_enter(&reader);
        for (filtered = true; kedge_smp_more(&reader); (*count)++) {
            if (*count == FILTER_MAX) {
                return KEDGE_SMP_GROUP_ERROR(TOO_MANY);
            }
            ids[*count] = kedge_smp_read_uint(&reader);
        }
        kedge_smp_leave(&reader);
    }
    if (reader.failed) {
        return KEDGE_SMP_EINVAL;
    }
    return filtered ? 0 : -1;
}

static bool is_wanted(const struct kedge_smp_group *group, const uint32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == group->id) {
            return true;
        }
    }
    return false;
}

static int describe_groups(struct kedge_smp_call *call)
{
    const struct kedge_smp_server *server = server_of(call);
    uint32_t ids[FILTER_MAX];
    size_t count;
    const int filter = read_filter(call->request, ids, &count);

    if (filter > 0) {
        return filter;
    }
    kedge_smp_open_list(call->reply, "groups");
    for (size_t i = 0; i < server->group_count; i++) {
        const struct kedge_smp_group *group = server->groups[i];

        if (filter < 0 || is_wanted(group, ids, count)) {
            kedge_smp_open_map(call->reply, NULL);
            kedge_smp_put_uint(call->reply, "group", group->id);
            kedge_smp_put_string(call->reply, "name", group->name);
            kedge_smp_put_uint(call->reply, "handlers", (uint32_t)group->command_count);
            kedge_smp_close(call->reply);
        }
    }
    kedge_smp_close(call->reply);
    return 0;
}

static const struct kedge_smp_command commands[] = {
    {0, count_groups, NULL},
    {1, list_groups, NULL},
    {2, single_group, NULL},
    {3, describe_groups, NULL},
};

const struct kedge_smp_group kedge_smp_enumeration = {10, "enum mgmt", commands, COUNT(commands),
                                                      NULL};
