/* The upload session, as its files share it:
 *
 *   first_chunk.c   may this file come, from where does it go on         off = 0
 *   chunks.c        bytes into sectors
 *   wrapped.c       a file in an envelope: through the pipe into sectors
 *   match.c         is what lies in the slot what was sent
 *   owed.c          a chunk that is answered before it is written
 *   upload.c        who speaks, how it ends, start after a reset */
#ifndef KEDGE_AGENT_SESSION_H
#define KEDGE_AGENT_SESSION_H

#include "agent/parts.h"

#define KEDGE_SHA256_SIZE 32u

static inline uint32_t kedge_agent_sector(const struct kedge_agent *agent)
{
    return kedge_agent_geometry(agent)->erase_size;
}

/* Bytes of an image of this length that go to image sectors; the rest is its trailer's sector. */
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

/* May an image with this header, that takes `length` bytes of the slot, come? 0 or a refusal. */
int kedge_upload_admit(struct kedge_agent *agent, const uint8_t *head, uint32_t length,
                       bool upgrade);

/* A session is open: erase the mailbox, write the record of `upload`, with so many sectors marked.
 */
int kedge_upload_record(struct kedge_agent *agent, uint32_t marked);

/* Write what can be written of `data` at upload->at, with one sector erased at most, and that only
 * while *may_erase; advances `at`, or moves it back to the start of a sector that did not hold its
 * bytes. */
int kedge_upload_put(struct kedge_agent *agent, struct kedge_bytes data, bool *may_erase);

/* Take what can be taken of a chunk at upload->off, with one sector erased at most; advances off,
 * or moves it back. */
int kedge_upload_take(struct kedge_agent *agent, struct kedge_bytes data);

/* May this chunk, which follows what the session has, be answered now? Then it is owed. */
bool kedge_owed_takes(struct kedge_agent *agent, const struct kedge_upload_request *request);

/* One step of writing what is owed; true while there is more. Bounded: each step takes some of the
 * chunk or drops the rest. */
bool kedge_owed_write(struct kedge_agent *agent);

/* Did an owed chunk of this client fail? Then once: *status and agent->detail say how. */
bool kedge_owed_failed(struct kedge_agent *agent, uint32_t peer, int *status);

/* How far `at` may go before the next sector is erased. */
uint32_t kedge_upload_limit(const struct kedge_agent *agent);

/* The first chunk of a file, or of what may be one (its head is not all here), for the pipe? */
bool kedge_wrapped_is(const struct kedge_agent *agent, struct kedge_bytes data);

/* Open a session through the pipe; *upload is set but for its `way`. */
int kedge_wrapped_open(struct kedge_agent *agent, struct kedge_bytes data);

/* As much of `data` at upload->off as can be taken; advances off. */
int kedge_wrapped_take(struct kedge_agent *agent, struct kedge_bytes data);

/* The whole file is through: 0 when all is as it must be, *match as for a plain file. */
int kedge_wrapped_finish(struct kedge_agent *agent, bool *match);

/* The session is over: what the transforms hold is gone too, keys and all. */
void kedge_wrapped_forget(struct kedge_agent *agent);

/* The agent's side of env.old and env.out. */
void kedge_wrapped_start(struct kedge_agent *agent);

/* The header, held back so far, into the slot: an image exists. */
int kedge_upload_put_header(struct kedge_agent *agent);
int kedge_upload_complete(struct kedge_agent *agent);

/* Make the next sector writable, or the next old header disappear; *erased: a sector was erased.
 * Requires kedge_upload_unprepared(). */
int kedge_upload_prepare(struct kedge_agent *agent, bool *erased);
bool kedge_upload_unprepared(const struct kedge_agent *agent);

/* SHA-256 over the file as it lies at `base` equals `sha`; `tail`: its trailer, if it is so long.
 */
bool kedge_upload_matches(struct kedge_agent *agent, uint8_t base, uint32_t size,
                          const uint8_t *tail, const uint8_t *sha);

#endif
