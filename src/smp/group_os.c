/* Group 0, the operating system: echo, what the port knows about itself, reset. */
#include <string.h>

#include "kedge/service.h"
#include "kedge/smp_cbor.h"

enum os_error { INVALID_FORMAT = 2, NO_ANSWER = 3, CLOCK_NOT_SET = 4, CLOCK_FAILED = 5 };

/* Longest list of tasks or pools; a port's callback that never ends must not hold us. */
#define LIST_MAX 64u
/* A reset request is recognised as a repetition for so long; clients retry after about a second. */
#define REPEAT_MS    1000u

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct kedge_system *system_of(const struct kedge_smp_call *call)
{
    return ((const struct kedge_service *)call->ctx)->system;
}

static int echo(struct kedge_smp_call *call)
{
    struct kedge_bytes text = kedge_bytes(NULL, 0);
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("d", KEDGE_SMP_TEXT, &text)};

    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) < 0) {
        return KEDGE_SMP_EINVAL;
    }
    kedge_smp_put_text(call->reply, "r", text);
    return 0;
}

static int list_tasks(struct kedge_smp_call *call)
{
    const struct kedge_system *system = system_of(call);
    struct kedge_system_task task;

    if (system->task == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    kedge_smp_open_map(call->reply, "tasks");
    for (unsigned i = 0; i < LIST_MAX && system->task(system->ctx, i, &task); i++) {
        kedge_smp_open_map(call->reply, task.name);
        kedge_smp_put_uint(call->reply, "prio", task.priority);
        kedge_smp_put_uint(call->reply, "tid", task.id);
        kedge_smp_put_uint(call->reply, "state", task.state);
        kedge_smp_close(call->reply);
    }
    kedge_smp_close(call->reply);
    return 0;
}

static int list_pools(struct kedge_smp_call *call)
{
    const struct kedge_system *system = system_of(call);
    struct kedge_system_pool pool;

    if (system->pool == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    for (unsigned i = 0; i < LIST_MAX && system->pool(system->ctx, i, &pool); i++) {
        kedge_smp_open_map(call->reply, pool.name);
        kedge_smp_put_uint(call->reply, "blksiz", pool.block_size);
        kedge_smp_put_uint(call->reply, "nblks", pool.blocks);
        kedge_smp_put_uint(call->reply, "nfree", pool.free_blocks);
        kedge_smp_put_uint(call->reply, "min", pool.least_free);
        kedge_smp_close(call->reply);
    }
    return 0;
}

static int get_time(struct kedge_smp_call *call)
{
    const struct kedge_system *system = system_of(call);
    char text[40] = "";

    if (system->get_time == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    const int error = system->get_time(system->ctx, text, sizeof(text));

    if (error != 0) {
        return KEDGE_SMP_GROUP_ERROR(error == KEDGE_E_NONE ? CLOCK_NOT_SET : CLOCK_FAILED);
    }
    kedge_smp_put_string(call->reply, "datetime", text);
    return 0;
}

static int set_time(struct kedge_smp_call *call)
{
    const struct kedge_system *system = system_of(call);
    struct kedge_bytes text;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("datetime", KEDGE_SMP_TEXT, &text)};

    if (system->set_time == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) != 1) {
        return KEDGE_SMP_EINVAL;
    }
    const int error = system->set_time(system->ctx, text);

    if (error != 0) {
        return KEDGE_SMP_GROUP_ERROR(error == KEDGE_E_FORMAT ? INVALID_FORMAT : CLOCK_FAILED);
    }
    return 0;
}

/* A reply may get lost and the client ask again, while the device is on its way down or already up
 * again. A second reset would take a trial away from the image under test, so the same request is
 * the same reset. A reset is never refused as busy: an upload goes on after it. */
static int reset(struct kedge_smp_call *call)
{
    struct kedge_service *service = call->ctx;
    bool force = false;
    uint32_t mode = 0;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("force", KEDGE_SMP_FLAG, &force),
                                             KEDGE_SMP_FIELD("boot_mode", KEDGE_SMP_UINT, &mode)};

    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) < 0 || mode > UINT8_MAX) {
        return KEDGE_SMP_EINVAL;
    }
    if (service->agent == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    const struct kedge_agent_config *config = service->agent->config;
    const uint32_t now = config->now_ms(config->ctx);

    if (service->reset_seen && service->reset_peer == call->peer &&
        service->reset_sequence == call->header->sequence && now - service->reset_ms < REPEAT_MS) {
        return 0;
    }
    service->reset_seen = true;
    service->reset_peer = call->peer;
    service->reset_sequence = call->header->sequence;
    service->reset_ms = now;
    service->reset_mode = (uint8_t)mode;
    service->reset_requested = true;
    return 0;
}

static int params(struct kedge_smp_call *call)
{
    const struct kedge_system *system = system_of(call);

    if (system->buffer_size == 0) {
        return KEDGE_SMP_ENOTSUP;
    }
    kedge_smp_put_uint(call->reply, "buf_size", system->buffer_size);
    kedge_smp_put_uint(call->reply, "buf_count", system->buffer_count);
    return 0;
}

/* ---- info: like uname --------------------------------------------------------------------- */

static const char letters[] = "snrvbmpio"; /* also the order of the words in the answer */

/* The letters of `format` as bits in the order of `letters`; 0: one is unknown. */
static unsigned wanted(struct kedge_bytes format)
{
    const size_t count = sizeof(letters) - 1;
    unsigned set = 0;

    for (size_t i = 0; i < format.size; i++) {
        const char *at = memchr(letters, format.at[i], count);

        if (at == NULL && format.at[i] != 'a') {
            return 0;
        }
        set |= at == NULL ? (1u << count) - 1 : 1u << (at - letters);
    }
    return format.size == 0 ? 1 : set;
}

static int info(struct kedge_smp_call *call)
{
    const struct kedge_service *service = call->ctx;
    const struct kedge_system *system = service->system;
    struct kedge_bytes format = kedge_bytes(NULL, 0);
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("format", KEDGE_SMP_TEXT, &format)};
    char version[KEDGE_VERSION_TEXT_SIZE] = "unknown";
    char output[256];
    size_t used = 0;

    if (system->kernel_name == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) < 0) {
        return KEDGE_SMP_EINVAL;
    }
    const unsigned set = wanted(format);

    if (set == 0) {
        return KEDGE_SMP_GROUP_ERROR(INVALID_FORMAT);
    }
    if (service->agent != NULL && service->agent->config->boot->boots != 0) {
        (void)kedge_version_text(&service->agent->config->boot->version, version);
    }
    /* release and version are both the running image's; processor is the machine */
    const char *const words[] = {
        system->kernel_name, system->node_name, version,         version,
        system->build_time,  system->machine,   system->machine, system->hardware,
        system->kernel_name};

    for (unsigned i = 0; i < COUNT(words); i++) {
        if ((set >> i & 1) == 0) {
            continue;
        }
        struct kedge_bytes word = kedge_smp_text(words[i] != NULL ? words[i] : "unknown");

        if (used + word.size + 1 > sizeof(output)) {
            return KEDGE_SMP_EMSGSIZE;
        }
        if (used > 0) {
            output[used++] = ' ';
        }
        memcpy(output + used, word.at, word.size);
        used += word.size;
    }
    kedge_smp_put_text(call->reply, "output", kedge_bytes(output, used));
    return 0;
}

/* Clients decide by this name how they treat the device; by what they expect of it we are that. */
static int bootloader(struct kedge_smp_call *call)
{
    const struct kedge_service *service = call->ctx;
    struct kedge_bytes query;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("query", KEDGE_SMP_TEXT, &query)};

    switch (kedge_smp_read_fields(call->request, fields, COUNT(fields))) {
    case 0:
        kedge_smp_put_string(call->reply, "bootloader", "MCUboot");
        return 0;
    case 1:
        break;
    default:
        return KEDGE_SMP_EINVAL;
    }
    if (!kedge_smp_is(query, "mode")) {
        return KEDGE_SMP_GROUP_ERROR(NO_ANSWER);
    }
    kedge_smp_put_uint(call->reply, "mode", service->system->overwrites ? 2 : 3);
    if (service->agent != NULL && service->agent->policy.value[KEDGE_POLICY_DOWNGRADE] != 0) {
        kedge_smp_put_bool(call->reply, "no-downgrade", true);
    }
    return 0;
}

static const struct kedge_smp_command commands[] = {
    {0, echo, echo},  {2, list_tasks, NULL}, {3, list_pools, NULL}, {4, get_time, set_time},
    {5, NULL, reset}, {6, params, NULL},     {7, info, NULL},       {8, bootloader, NULL},
};

static int to_v1(int code)
{
    switch (code) {
    case INVALID_FORMAT:
        return KEDGE_SMP_EINVAL;
    case NO_ANSWER:
        return KEDGE_SMP_ENOENT;
    default:
        return KEDGE_SMP_EUNKNOWN;
    }
}

const struct kedge_smp_group kedge_smp_os = {0, "os mgmt", commands, COUNT(commands), to_v1};
