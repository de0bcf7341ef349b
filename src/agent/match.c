/* Is what lies in the slot what was sent? */
#include <string.h>

#include "agent/checked.h"
#include "agent/session.h"

static int hash_data(struct kedge_agent *agent, uint8_t base, uint32_t end,
                     struct kedge_hash_state *state)
{
    const struct kedge_buf scratch = agent->config->scratch;

    for (uint32_t at = 0; at < end;) {
        const uint32_t n = kedge_least((uint32_t)scratch.size, end - at);
        const int error =
            kedge_slot_read(kedge_agent_secondary(agent), base, at, kedge_buf(scratch.at, n));
        if (error != 0) {
            return error;
        }
        kedge_sha256.update(state, kedge_bytes(scratch.at, n));
        at += n;
    }
    return 0;
}

/* The trailer's sector as a file with a trailer has it: erased up to the tail. */
static void hash_trailer(struct kedge_agent *agent, uint32_t size, const uint8_t *tail,
                         struct kedge_hash_state *state)
{
    const struct kedge_buf scratch = agent->config->scratch;
    uint32_t left = size - kedge_agent_data_limit(agent) - kedge_upload_tail_size(agent);

    memset(scratch.at, kedge_agent_geometry(agent)->erased, scratch.size);
    while (left > 0) {
        const uint32_t n = kedge_least((uint32_t)scratch.size, left);

        kedge_sha256.update(state, kedge_bytes(scratch.at, n));
        left -= n;
    }
    kedge_sha256.update(state, kedge_bytes(tail, kedge_upload_tail_size(agent)));
}

/* Tried again: one flipped bit on the bus must not condemn a good upload. */
bool kedge_upload_matches(struct kedge_agent *agent, uint8_t base, uint32_t size,
                          const uint8_t *tail, const uint8_t *sha)
{
    bool same = false;

    for (unsigned i = 0; i < KEDGE_CHECKED_TRIES && !same; i++) {
        struct kedge_hash_state state;
        uint8_t digest[KEDGE_SHA256_SIZE];

        kedge_sha256.start(&state);
        if (hash_data(agent, base, kedge_upload_data_end(agent, size), &state) != 0) {
            continue;
        }
        if (size > kedge_agent_data_limit(agent)) {
            hash_trailer(agent, size, tail, &state);
        }
        kedge_sha256.finish(&state, digest);
        same = kedge_equal(digest, sha, sizeof(digest));
    }
    return same;
}
