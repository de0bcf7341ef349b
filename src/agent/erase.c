/* Erasing slot 1, and the sizes of the slots. */
#include "agent/checked.h"
#include "agent/mailbox.h"
#include "agent/parts.h"

/* Blank sectors are skipped: an upload erases every sector it writes whatever it reads. */
static int erase_sectors(struct kedge_agent *agent)
{
    const struct kedge_region *const region = &kedge_agent_secondary(agent)->region;
    const uint32_t sector = region->flash->geometry.erase_size;

    for (uint32_t at = 0; at < region->size; at += sector) {
        bool blank = false;
        int error = kedge_region_blank(region, at, sector, agent->config->scratch, &blank);

        if (error == 0 && !blank) {
            error = kedge_checked_erase(region, at, agent->config->scratch);
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
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
