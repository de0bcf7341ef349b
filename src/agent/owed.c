/* A chunk that is answered before it is written: the client sends the next one while the flash
 * works. One chunk at a time, in memory of the caller. What a power cut takes with it was never
 * promised to be on flash: after a reset the client is told where the file goes on. */
#include <string.h>

#include "agent/session.h"

bool kedge_owed_takes(struct kedge_agent *agent, const struct kedge_upload_request *request)
{
    const struct kedge_upload *const upload = &agent->upload;
    const struct kedge_buf behind = agent->config->behind;
    const size_t size = request->data.size;

    /* the last chunk's reply tells how it all ended; a file that the pipe still looks at may be
     * refused or jump; the chunk store waits for nobody */
    if (size == 0 || size > behind.size || upload->size - upload->off <= size ||
        upload->way == KEDGE_UPLOAD_LOOKS || request->peer == KEDGE_PEER_STAGE) {
        return false;
    }
    memcpy(behind.at, request->data.at, size);
    agent->owed = (struct kedge_owed){.off = upload->off, .size = size, .peer = request->peer};
    return true;
}

bool kedge_owed_write(struct kedge_agent *agent)
{
    const struct kedge_upload *const upload = &agent->upload;
    struct kedge_owed *const owed = &agent->owed;
    const uint32_t erased_to = upload->erased_to;

    if (owed->size == 0) {
        return false;
    }
    /* the session that owes it may be over */
    if (!kedge_upload_runs(upload) || upload->off != owed->off) {
        owed->size = 0;
        return false;
    }
    const int status =
        kedge_upload_take(agent, kedge_bytes(agent->config->behind.at + owed->at, owed->size));

    if (status != KEDGE_AGENT_OK) {
        *owed = (struct kedge_owed){.status = status, .peer = owed->peer};
        memcpy(owed->detail, agent->detail, sizeof(owed->detail));
        return false;
    }
    /* sent back, or nothing moved: the client is told where it goes on */
    const bool moved = upload->off > owed->off || upload->erased_to > erased_to;

    if (upload->off < owed->off || !moved) {
        owed->size = 0;
        return false;
    }
    const uint32_t taken = upload->off - owed->off;

    owed->off = upload->off;
    owed->at += taken;
    owed->size -= taken;
    return owed->size > 0;
}

bool kedge_owed_failed(struct kedge_agent *agent, uint32_t peer, int *status)
{
    struct kedge_owed *const owed = &agent->owed;

    if (owed->status == KEDGE_AGENT_OK || owed->peer != peer) {
        return false;
    }
    *status = owed->status;
    memcpy(agent->detail, owed->detail, sizeof(agent->detail));
    owed->status = KEDGE_AGENT_OK;
    return true;
}
