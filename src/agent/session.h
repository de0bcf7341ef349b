/* The upload session, as its files share it:
 *
 *   first_chunk.c   may this file come, from where does it go on         off = 0
 *   chunks.c        bytes into sectors                                   off > 0
 *   match.c         is what lies in the slot what was sent
 *   upload.c        who speaks, how it ends, start after a reset */
#ifndef KEDGE_AGENT_SESSION_H
#define KEDGE_AGENT_SESSION_H

#include "agent/parts.h"

#define KEDGE_SHA256_SIZE 32u

static inline uint32_t kedge_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t kedge_agent_sector(const struct kedge_agent *agent)
{
    return kedge_agent_geometry(agent)->erase_size;
}

/* Bytes of a file of this size that go to image sectors; the rest is its trailer's sector. */
static inline uint32_t kedge_upload_data_end(const struct kedge_agent *agent, uint32_t size)
{
    return kedge_least(size, kedge_agent_data_limit(agent));
}

static inline uint32_t kedge_upload_tail_size(const struct kedge_agent *agent)
{
    return kedge_trailer_place(kedge_agent_secondary(agent)->max_align).size;
}

static inline bool kedge_upload_runs(const struct kedge_upload *upload)
{
    return upload->size > 0 && upload->claimed;
}

/* The session is over, its record stays half-way: a client starts again, or comes back after a
 * reset. Returns `status`. */
int kedge_upload_fail(struct kedge_agent *agent, enum kedge_agent_status status, int error);

/* off = 0: refuse, resume, find that all is there, or open a session. */
int kedge_upload_first(struct kedge_agent *agent, const struct kedge_upload_request *request,
                       struct kedge_upload_reply *reply);

/* Take what can be taken of `data` at upload->off with one sector erased at most; advances off, or
 * moves it back to the start of a sector that did not hold its bytes. */
int kedge_upload_take(struct kedge_agent *agent, struct kedge_bytes data);

/* Make the next sector writable, or the next old header disappear; *erased: a sector was erased.
 * Requires kedge_upload_unprepared(). */
int kedge_upload_prepare(struct kedge_agent *agent, bool *erased);
bool kedge_upload_unprepared(const struct kedge_agent *agent);

/* SHA-256 over the file as it lies at `base` equals `sha`; `tail`: its trailer, if it is so long.
 */
bool kedge_upload_matches(struct kedge_agent *agent, uint8_t base, uint32_t size,
                          const uint8_t *tail, const uint8_t *sha);

#endif
