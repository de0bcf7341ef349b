/* The ring of what happened to this device. A record lies at its number mod 8; the plan says the
 * number of the newest. */
#include "kedge/history.h"

#include <string.h>

#include "kedge/plan.h"

#define NUMBER   0
#define REASON   4
#define VERDICT  5
#define RESUMED  6
#define ATTEMPTS 7
#define FROM     8
#define TO       16
#define HASH     24
#define ERASES   32
#define RETRIES  34
#define REPAIRED 36

static uint32_t at_number(uint32_t number)
{
    return KEDGE_PLAN_HISTORY + number % KEDGE_HISTORY_RECORDS * KEDGE_HISTORY_RECORD_SIZE;
}

struct kedge_version kedge_history_version(const uint8_t *at)
{
    return (struct kedge_version){
        .major = at[0],
        .minor = at[1],
        .revision = kedge_le16(at + 2),
        .build = kedge_le32(at + 4),
    };
}

void kedge_history_put_version(uint8_t *at, const struct kedge_version *version)
{
    at[0] = version->major;
    at[1] = version->minor;
    kedge_put_le16(at + 2, version->revision);
    kedge_put_le32(at + 4, version->build);
}

void kedge_history_note(uint8_t *plan, uint8_t reason, uint8_t verdict, bool back)
{
    const uint32_t number = kedge_le32(plan + KEDGE_PLAN_NOTES) + 1;
    const unsigned from = back ? KEDGE_PLAN_NEW : KEDGE_PLAN_OLD;
    const unsigned to = KEDGE_PLAN_NEW + KEDGE_PLAN_OLD - from;
    uint8_t *record = plan + at_number(number);
    kedge_put_le32(plan + KEDGE_PLAN_NOTES, number);
    memset(record, 0, KEDGE_HISTORY_RECORD_SIZE);
    kedge_put_le32(record + NUMBER, number);
    record[REASON] = reason;
    record[VERDICT] = verdict;
    record[ATTEMPTS] = plan[KEDGE_PLAN_ATTEMPTS];
    memcpy(record + FROM, plan + from + KEDGE_HALF_VERSION, 8);
    memcpy(record + TO, plan + to + KEDGE_HALF_VERSION, 16); /* and HASH */
}

void kedge_history_effort(uint8_t *plan, uint16_t value)
{
    uint8_t *record = plan + at_number(kedge_le32(plan + KEDGE_PLAN_NOTES));
    if (value != 0) {
        record[RETRIES] = value & 63u;
        record[REPAIRED] = (uint8_t)(value >> 6);
    }
}

int kedge_history_read(struct kedge_bytes body, const struct kedge_layout *layout, unsigned index,
                       struct kedge_history *record)
{
    const uint8_t *plan = body.at;
    if (body.size < kedge_plan_size(&layout->pairs[0]) || kedge_le32(plan) != KEDGE_PLAN_MAGIC)
        return KEDGE_E_FORMAT;
    const uint32_t last = kedge_le32(plan + KEDGE_PLAN_NOTES);
    const uint32_t first = last > KEDGE_HISTORY_RECORDS ? last - KEDGE_HISTORY_RECORDS + 1 : 1;
    if (index > KEDGE_HISTORY_RECORDS || first + index > last)
        return KEDGE_E_NONE;
    const uint8_t *at = plan + at_number(first + index);
    *record = (struct kedge_history){
        .number = kedge_le32(at + NUMBER),
        .reason = at[REASON],
        .verdict = at[VERDICT],
        .resumed = at[RESUMED],
        .attempts = at[ATTEMPTS],
        .from = kedge_history_version(at + FROM),
        .to = kedge_history_version(at + TO),
        .erases_internal = at[ERASES],
        .erases_external = at[ERASES + 1],
        .retries = kedge_le16(at + RETRIES),
        .repaired = kedge_le16(at + REPAIRED),
    };
    memcpy(record->hash, at + HASH, sizeof(record->hash));
    return 0;
}
