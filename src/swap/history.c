/* The ring of what happened to this device. A record lies at its number mod 8; the plan says the
 * number of the newest. */
#include "kedge/history.h"

#include <string.h>

#include "kedge/plan.h"

static uint32_t at_number(uint32_t number)
{
    return KEDGE_PLAN_HISTORY + number % KEDGE_HISTORY_RECORDS * KEDGE_HISTORY_RECORD_SIZE;
}

uint8_t *kedge_history_newest(uint8_t *plan)
{
    return plan + at_number(kedge_le32(plan + KEDGE_PLAN_NOTES));
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
    kedge_put_le32(plan + KEDGE_PLAN_NOTES, number);
    uint8_t *record = kedge_history_newest(plan);
    memset(record, 0, KEDGE_HISTORY_RECORD_SIZE);
    kedge_put_le32(record, number);
    record[KEDGE_HISTORY_REASON] = reason;
    record[KEDGE_HISTORY_VERDICT] = verdict;
    record[KEDGE_HISTORY_ATTEMPTS] = plan[KEDGE_PLAN_ATTEMPTS];
    memcpy(record + KEDGE_HISTORY_FROM, plan + from + KEDGE_HALF_VERSION, 8);
    memcpy(record + KEDGE_HISTORY_TO, plan + to + KEDGE_HALF_VERSION, 16); /* and HASH */
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
        .number = kedge_le32(at),
        .reason = at[KEDGE_HISTORY_REASON],
        .verdict = at[KEDGE_HISTORY_VERDICT],
        .attempts = at[KEDGE_HISTORY_ATTEMPTS],
        .resumed = at[KEDGE_HISTORY_RESUMED],
        .from = kedge_history_version(at + KEDGE_HISTORY_FROM),
        .to = kedge_history_version(at + KEDGE_HISTORY_TO),
    };
    memcpy(record->hash, at + KEDGE_HISTORY_HASH, sizeof(record->hash));
    for (unsigned i = 0; i < KEDGE_EFFORTS; i++)
        record->effort[i] = kedge_le16(at + KEDGE_HISTORY_EFFORTS + 2 * i);
    return 0;
}
