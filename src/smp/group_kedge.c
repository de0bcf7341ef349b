/* Group 64, what only a Kedge device can tell: flight recorder, boot report, history, policy, and
 * the words of the last refusal. Payloads: FORMAT.md "SMP group 64", rules [G-1] to [G-6]. */
#include "kedge/history.h"
#include "kedge/plan.h"
#include "kedge/service.h"
#include "kedge/smp_cbor.h"
#include "smp/group_stage.h"

enum group_error { NO_SUCH_KEY = 2, NO_SUCH_VALUE = 3, STORE_FAILED = 4, HISTORY_UNREADABLE = 5 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What the longest entry of a list takes in a reply, with what closes the reply behind it. */
#define EVENT_ROOM  (1u + KEDGE_EVENT_SIZE + 24u)
#define RECORD_ROOM 320u

static struct kedge_agent *agent_of(const struct kedge_smp_call *call)
{
    return ((struct kedge_service *)call->ctx)->agent;
}

static void put_version(struct kedge_smp_writer *reply, const char *key,
                        const struct kedge_version *version)
{
    char text[KEDGE_VERSION_TEXT_SIZE];

    kedge_smp_put_text(reply, key, kedge_bytes(text, kedge_version_text(version, text)));
}

/* ---- recorder [G-1] [G-2] ------------------------------------------------------------------- */

static void put_counts(struct kedge_smp_writer *reply, const struct kedge_counts *counts)
{
    const uint32_t columns[] = {counts->reads,         counts->read_bytes, counts->programs,
                                counts->program_bytes, counts->erases,     counts->erase_bytes,
                                counts->model_us,      counts->failures};

    kedge_smp_open_list(reply, NULL);
    for (size_t i = 0; i < COUNT(columns); i++) {
        kedge_smp_put_uint(reply, NULL, columns[i]);
    }
    kedge_smp_close(reply);
}

static int show_recorder(struct kedge_smp_call *call)
{
    const struct kedge_recorder *recorder = agent_of(call)->config->recorder;

    if (recorder == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    kedge_smp_open_list(call->reply, "counts");
    for (unsigned device = 0; device < KEDGE_DEVICES; device++) {
        kedge_smp_open_list(call->reply, NULL);
        for (unsigned phase = 0; phase < KEDGE_PHASES; phase++) {
            put_counts(call->reply, &recorder->counts[device][phase]);
        }
        kedge_smp_close(call->reply);
    }
    kedge_smp_close(call->reply);
    kedge_smp_open_list(call->reply, "forbidden");
    for (unsigned phase = 0; phase < KEDGE_PHASES; phase++) {
        kedge_smp_put_uint(call->reply, NULL, recorder->forbidden[phase]);
    }
    kedge_smp_close(call->reply);
    kedge_smp_put_uint(call->reply, "events", recorder->sequence);
    return 0;
}

static int clear_recorder(struct kedge_smp_call *call)
{
    struct kedge_recorder *recorder = agent_of(call)->config->recorder;

    if (recorder == NULL) {
        return KEDGE_SMP_ENOTSUP;
    }
    kedge_recorder_clear(recorder);
    return 0;
}

static int show_events(struct kedge_smp_call *call)
{
    const struct kedge_recorder *recorder = agent_of(call)->config->recorder;
    uint32_t next = 0;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("from", KEDGE_SMP_UINT, &next)};

    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) < 0) {
        return KEDGE_SMP_EINVAL;
    }
    if (recorder == NULL || recorder->ring.size < KEDGE_EVENT_SIZE) {
        return KEDGE_SMP_ENOTSUP;
    }
    const uint32_t slots = (uint32_t)(recorder->ring.size / KEDGE_EVENT_SIZE);
    const uint32_t kept = recorder->sequence < slots ? recorder->sequence : slots;

    if (recorder->sequence - next > kept) {
        next = recorder->sequence - kept; /* older ones are overwritten; later ones do not exist */
    }
    kedge_smp_open_list(call->reply, "events");
    for (; next != recorder->sequence && kedge_smp_room(call->reply) > EVENT_ROOM; next++) {
        kedge_smp_put_bytes(
            call->reply, NULL,
            kedge_bytes(recorder->ring.at + (size_t)KEDGE_EVENT_SIZE * (next % slots),
                        KEDGE_EVENT_SIZE));
    }
    kedge_smp_close(call->reply);
    kedge_smp_put_uint(call->reply, "next", next);
    kedge_smp_put_uint(call->reply, "total", recorder->sequence);
    return 0;
}

/* ---- boot report and history [G-3] [G-4] ---------------------------------------------------- */

/* What report and record have in common: why, and of which image. */
static void put_reason(struct kedge_smp_writer *reply, uint8_t reason, uint8_t verdict)
{
    kedge_smp_put_uint(reply, "reason", reason);
    kedge_smp_put_string(reply, "text", kedge_reason_text((enum kedge_reason)reason));
    if (verdict != KEDGE_IMAGE_GOOD) {
        kedge_smp_put_uint(reply, "verdict", verdict);
        kedge_smp_put_string(reply, "why", kedge_verdict_text((enum kedge_verdict)verdict));
    }
}

static int show_boot(struct kedge_smp_call *call)
{
    const struct kedge_boot_report *boot = agent_of(call)->config->boot;

    kedge_smp_put_bool(call->reply, "boots", boot->boots != 0);
    put_reason(call->reply, boot->reason, boot->verdict);
    kedge_smp_put_bool(call->reply, "external", boot->external_alive != 0);
    kedge_smp_put_bool(call->reply, "resumed", boot->resumed != 0);
    kedge_smp_put_uint(call->reply, "attempts", boot->attempts);
    put_version(call->reply, "version", &boot->version);
    put_version(call->reply, "from", &boot->from_version);
    kedge_smp_put_bytes(call->reply, "hash", kedge_bytes(boot->hash, sizeof(boot->hash)));
    kedge_smp_put_uint(call->reply, "retries", boot->retries);
    kedge_smp_put_uint(call->reply, "repaired", boot->repaired);
    return 0;
}

/* What an update cost: pages go out as bytes, hundredths of a second as milliseconds. */
static const struct {
    const char *key;
    uint32_t grain;
} effort_text[KEDGE_EFFORTS] = {
    [KEDGE_EFFORT_ERASES_INTERNAL] = {"erases_internal", 1},
    [KEDGE_EFFORT_ERASES_EXTERNAL] = {"erases_external", 1},
    [KEDGE_EFFORT_PAGES_INTERNAL] = {"bytes_internal", 256},
    [KEDGE_EFFORT_PAGES_EXTERNAL] = {"bytes_external", 256},
    [KEDGE_EFFORT_RETRIES] = {"retries", 1},
    [KEDGE_EFFORT_REPAIRED] = {"repaired", 1},
    [KEDGE_EFFORT_TIME] = {"ms", 10},
};

static void put_record(struct kedge_smp_writer *reply, const struct kedge_history *record)
{
    kedge_smp_open_map(reply, NULL);
    kedge_smp_put_uint(reply, "number", record->number);
    put_reason(reply, record->reason, record->verdict);
    kedge_smp_put_uint(reply, "resumed", record->resumed);
    kedge_smp_put_uint(reply, "attempts", record->attempts);
    put_version(reply, "from", &record->from);
    put_version(reply, "to", &record->to);
    kedge_smp_put_bytes(reply, "hash", kedge_bytes(record->hash, sizeof(record->hash)));
    for (unsigned i = 0; i < KEDGE_EFFORTS; i++) {
        kedge_smp_put_uint(reply, effort_text[i].key,
                           (uint32_t)record->effort[i] * effort_text[i].grain);
    }
    kedge_smp_close(reply);
}

/* The loader's journal, read only, into the agent's scratch: nothing else uses it inside a call. */
static int open_journal(const struct kedge_agent *agent, struct kedge_bytes *body)
{
    const struct kedge_agent_config *config = agent->config;
    const uint32_t size = kedge_plan_size(&config->layout->pairs[0]);

    if (config->scratch.size < size || config->layout->journal.flash == NULL) {
        return KEDGE_E_UNSUPPORTED;
    }
    struct kedge_journal journal = {
        .region = config->layout->journal,
        .body = kedge_buf(config->scratch.at, size),
        .reserve = kedge_plan_reserve(&config->layout->pairs[0]),
    };

    *body = kedge_bytes(config->scratch.at, size);
    return kedge_journal_open(&journal, kedge_plan_fold, config->scratch.at);
}

static int show_history(struct kedge_smp_call *call)
{
    struct kedge_agent *agent = agent_of(call);
    struct kedge_history record;
    struct kedge_bytes body;
    uint32_t index = 0;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("index", KEDGE_SMP_UINT, &index)};

    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) < 0) {
        return KEDGE_SMP_EINVAL;
    }
    const int error = open_journal(agent, &body);

    if (error == KEDGE_E_UNSUPPORTED) {
        return KEDGE_SMP_ENOTSUP;
    }
    if (error != 0 && error != KEDGE_E_NONE) {
        return KEDGE_SMP_GROUP_ERROR(HISTORY_UNREADABLE);
    }
    const uint32_t first = index;

    kedge_smp_open_list(call->reply, "records");
    /* no valid sector: the device has never done anything that is worth a record. The first one is
     * tried in any case: "too large for a message" is an answer, an empty list would be a lie. */
    for (; error == 0 && index < KEDGE_HISTORY_RECORDS; index++) {
        if ((index > first && kedge_smp_room(call->reply) <= RECORD_ROOM) ||
            kedge_history_read(body, agent->config->layout, index, &record) != 0) {
            break;
        }
        put_record(call->reply, &record);
    }
    kedge_smp_close(call->reply);
    if (error == 0 && kedge_history_read(body, agent->config->layout, index, &record) == 0) {
        kedge_smp_put_uint(call->reply, "next", index);
    }
    return 0;
}

/* ---- policy [G-5] --------------------------------------------------------------------------- */

static int show_policy(struct kedge_smp_call *call)
{
    const struct kedge_policy *policy = &agent_of(call)->policy;
    char text[8];

    kedge_smp_open_map(call->reply, "policy");
    for (unsigned key = 0; key < KEDGE_POLICY_KEYS; key++) {
        const size_t size =
            kedge_policy_value_text((enum kedge_policy_key)key, policy->value[key], text);

        kedge_smp_put_text(call->reply, kedge_policy_key_text((enum kedge_policy_key)key),
                           kedge_bytes(text, size));
    }
    kedge_smp_close(call->reply);
    kedge_smp_open_list(call->reply, "locked");
    for (unsigned key = 0; key < KEDGE_POLICY_KEYS; key++) {
        if ((policy->locked >> key & 1) != 0) {
            kedge_smp_put_string(call->reply, NULL,
                                 kedge_policy_key_text((enum kedge_policy_key)key));
        }
    }
    kedge_smp_close(call->reply);
    return 0;
}

static int set_policy(struct kedge_smp_call *call)
{
    struct kedge_bytes key, value;
    enum kedge_policy_key k;
    uint8_t v;
    const struct kedge_smp_field fields[] = {KEDGE_SMP_FIELD("key", KEDGE_SMP_TEXT, &key),
                                             KEDGE_SMP_FIELD("value", KEDGE_SMP_TEXT, &value)};

    if (kedge_smp_read_fields(call->request, fields, COUNT(fields)) != 3) {
        return KEDGE_SMP_EINVAL;
    }
    const int parsed = kedge_policy_parse(key, value, &k, &v);

    switch (kedge_agent_policy_set(agent_of(call), key, value)) {
    case KEDGE_AGENT_OK:
        return 0;
    case KEDGE_AGENT_UNKNOWN:
        return KEDGE_SMP_GROUP_ERROR(parsed == KEDGE_E_NONE ? NO_SUCH_KEY : NO_SUCH_VALUE);
    case KEDGE_AGENT_DENIED:
        return KEDGE_SMP_EACCESS;
    default:
        return KEDGE_SMP_GROUP_ERROR(STORE_FAILED);
    }
}

/* ---- last refusal [G-6] --------------------------------------------------------------------- */

static int show_refusal(struct kedge_smp_call *call)
{
    kedge_smp_put_string(call->reply, "text", agent_of(call)->detail);
    return 0;
}

static const struct kedge_smp_command commands[] = {
    {0, show_recorder, clear_recorder},
    {1, show_events, NULL},
    {2, show_boot, NULL},
    {3, show_history, NULL},
    {4, show_policy, set_policy},
    {5, show_refusal, NULL},
    {8, kedge_stage_on_show, kedge_stage_on_begin},
    {9, NULL, kedge_stage_on_data},
    {10, NULL, kedge_stage_on_end},
};

static int to_v1(int code)
{
    return code == NO_SUCH_KEY || code == NO_SUCH_VALUE ? KEDGE_SMP_EINVAL
                                                        : kedge_stage_to_v1(code);
}

const struct kedge_smp_group kedge_smp_kedge = {64, "kedge", commands, COUNT(commands), to_v1};
