/* Erasing slot 1, and the sizes of the slots. */
#include "agent/checked.h"
#include "agent/mailbox.h"
#include "agent/parts.h"

/* The next upload need not erase what was erased now, as long as there is no gap. */
static void note_fresh(struct kedge_agent *agent, uint32_t at)
{
    if (at == agent->fresh_to) {
        agent->fresh_to += kedge_agent_geometry(agent)->erase_size;
    }
}

/* Blank sectors are skipped: an upload erases every sector it writes whatever it reads, but for
 * those that were erased here. */
static int erase_one(struct kedge_agent *agent, uint32_t at, bool *blank)
{
    const struct kedge_region *const region = &kedge_agent_secondary(agent)->region;
    const struct kedge_buf scratch = agent->config->scratch;
    const int error =
        kedge_region_blank(region, at, region->flash->geometry.erase_size, scratch, blank);

    return error != 0 || *blank ? error : kedge_checked_erase(region, at, scratch);
}

/* Where sectors that are not blank lie in a row, the device erases them by larger blocks in less
 * time. What it leaves is looked at sector by sector behind it. Sectors in which an image may begin
 * go one by one, before all others. */
static int erase_sectors(struct kedge_agent *agent)
{
    const struct kedge_slot *const slot = kedge_agent_secondary(agent);
    const uint32_t sector = slot->region.flash->geometry.erase_size;
    const uint32_t heads = (slot->last_base + 1u) * slot->unit;
    uint32_t run = 0; /* bytes below `at` that are not blank */
    int error = 0;
    bool blank;

    for (uint32_t at = 0; at < heads && error == 0; at += sector) {
        error = erase_one(agent, at, &blank);
        if (error == 0 && !blank) {
            note_fresh(agent, at);
        }
    }
    for (uint32_t at = heads; at <= slot->region.size && error == 0; at += sector) {
        blank = true;
        if (at < slot->region.size) {
            error = kedge_region_blank(&slot->region, at, sector, agent->config->scratch, &blank);
        }
        if (error != 0 || !blank) {
            run += sector;
            continue;
        }
        if (run > sector) { /* a failure shows below */
            (void)kedge_region_erase(&slot->region, at - run, run);
        }
        for (; run != 0 && error == 0; run -= sector) {
            error = erase_one(agent, at - run, &blank);
            if (error == 0) {
                note_fresh(agent, at - run);
            }
        }
    }
    return error;
}

int kedge_agent_erase(struct kedge_agent *agent, uint32_t slot)
{
    agent->detail[0] = '\0';
    if (slot != 1) {
        return kedge_agent_refuse(agent, KEDGE_AGENT_INVALID_SLOT, "only slot 1 can be erased");
    }
    const int status = kedge_agent_slot_free(agent);

    if (status != KEDGE_AGENT_OK) {
        return status;
    }
    const uint8_t before = kedge_agent_enter(agent, KEDGE_PHASE_DOWNLOAD);
    /* The mailbox first: no request outlives its image. Then upwards: every image loses its header
     * before any of its other bytes, so a cut leaves whole images or none. */
    int error;

    agent->upload = (struct kedge_upload){0};
    agent->fresh_to = 0;
    error = kedge_mailbox_erase(agent);
    if (error == 0) {
        error = erase_sectors(agent);
    }
    (void)kedge_agent_enter(agent, before);
    return error == 0
               ? KEDGE_AGENT_OK
               : kedge_agent_refuse(agent, KEDGE_AGENT_ERASE_FAILED, kedge_error_text(error));
}

size_t kedge_agent_slots(struct kedge_agent *agent, struct kedge_slot_info slots[2],
                         uint32_t *max_image)
{
    slots[0] =
        (struct kedge_slot_info){.slot = 0, .size = kedge_agent_pair(agent)->primary.region.size};
    slots[1] = (struct kedge_slot_info){.slot = 1, .size = kedge_agent_slot_size(agent)};
    *max_image = kedge_pair_max_image(kedge_agent_pair(agent));
    return 2;
}
