/* The ring of what happened to this device. The newest record is the one with the highest number;
 * its place is number mod 8. */
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

static uint32_t newest(const uint8_t *plan)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < KEDGE_HISTORY_RECORDS; i++) {
        const uint32_t number = kedge_le32(plan + at_number(i) + NUMBER);
        most = number > most ? number : most;
    }
    return most;
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

void kedge_history_note(uint8_t *plan, uint8_t reason, uint8_t verdict, bool back)
{
    const uint32_t number = newest(plan) + 1;
    uint8_t *record = plan + at_number(number);
    memset(record, 0, KEDGE_HISTORY_RECORD_SIZE);
    kedge_put_le32(record + NUMBER, number);
    record[REASON] = reason;
    record[VERDICT] = verdict;
    record[ATTEMPTS] = plan[KEDGE_PLAN_ATTEMPTS];
    memcpy(record + FROM, plan + (back ? KEDGE_PLAN_VERSION_NEW : KEDGE_PLAN_VERSION_OLD), 8);
    memcpy(record + TO, plan + (back ? KEDGE_PLAN_VERSION_OLD : KEDGE_PLAN_VERSION_NEW), 8);
    memcpy(record + HASH, plan + (back ? KEDGE_PLAN_ID_OLD : KEDGE_PLAN_ID_NEW), 8);
}

void kedge_history_effort(uint8_t *plan, uint16_t value)
{
    uint8_t *record = plan + at_number(newest(plan));
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
    const uint32_t last = newest(plan);
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
