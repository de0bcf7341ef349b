/* A pipe: what is pushed in is a file as it was sent, what is pulled out is the image in it.
 *
 *      push --> [ open envelope ] --> [ transform ] --> [ open envelope ] --> [ transform ] -->
 * pull
 *
 * A file that is not an image itself (sealed, a patch, compressed, a user's own) travels in an
 * *envelope* (FORMAT.md, Envelope): an image header with the flag NON_BOOTABLE, a payload whose
 * first four bytes tell the transform, a TLV area with the SHA-256 of it all. Clients take it for
 * an image and send it unmodified. The pipe opens the envelope, starts the transform of those four
 * bytes, and looks whether an envelope comes out of it again: a patch may be sealed. A file that is
 * no envelope, or one of an unknown kind, goes through as it is: the empty chain.
 *
 * All memory is the caller's. A pipe holds no pointer into itself: between two calls it may be
 * copied or moved; the states lie in config->memory. Nothing is allocated, every loop ends. */
#ifndef KEDGE_PIPE_H
#define KEDGE_PIPE_H

#include "kedge/crypto.h"
#include "kedge/transform.h"

#define KEDGE_PIPE_STAGES   3       /* transforms in a row; a file with more envelopes is refused */
#define KEDGE_ENVELOPE_HEAD 36      /* image header (32) and the payload's magic */
#define KEDGE_ENVELOPE_TLV  0x4ba0u /* vendor TLV: the kind in words, then padding; for people */

/* A transform and the payload magic that calls for it. */
struct kedge_pipe_kind {
    uint32_t magic; /* first four bytes of the payload, little endian; no other may have it */
    const struct kedge_transform *transform;
    const void *keys; /* its env->keys */
};

struct kedge_pipe_config {
    const struct kedge_pipe_kind *kinds;
    size_t kind_count;
    struct kedge_buf memory; /* for the states, aligned as uint64_t; kedge_pipe_state_size() each */
    struct kedge_source_reader old; /* env->old of every transform */
    struct kedge_source_reader out; /* env->out of the last one; the others cannot read back */
};

/* Bytes that a state takes of config->memory. */
static inline size_t kedge_pipe_state_size(const struct kedge_transform *transform)
{
    return (transform->state_size + 7u) & ~(size_t)7u;
}

/* One envelope, or (the last level) what comes out in the end. Private to pipe.c. */
struct kedge_pipe_level {
    const struct kedge_transform *transform; /* NULL: nothing was found here (yet) */
    void *state;
    struct kedge_transform_env env;
    struct kedge_hash_state hash; /* of this level's bytes so far */
    uint32_t payload_left;        /* payload bytes to come */
    uint32_t skip;                /* after a seek: bytes to drop before the first that is new */
    uint16_t protected_left, tlv_left, value_left;
    uint8_t phase, head_size, head_given, tlv_size, held_at, held_size;
    bool whole;   /* every byte from the first on was seen: the hash counts */
    bool checked; /* the envelope's hash was there, and right if `whole` */
    uint8_t tlv[4];
    uint8_t digest[32]; /* of header, payload and protected TLVs */
    uint8_t head[KEDGE_ENVELOPE_HEAD];
    uint8_t held[64]; /* bytes that came and are not taken yet */
};

struct kedge_pipe {
    const struct kedge_pipe_config *config;
    struct kedge_pipe_level levels[KEDGE_PIPE_STAGES + 1];
    size_t memory_used;
    uint8_t depth;     /* transforms so far; levels[depth] is what comes out */
    uint8_t failed_at; /* the level that failed last */
    const char *why;   /* the pipe's own words for the last error; NULL: the transform's */
};

/* Does a file that begins with `head` (KEDGE_ENVELOPE_HEAD bytes) need one of the kinds? */
const struct kedge_pipe_kind *kedge_pipe_find(const struct kedge_pipe_config *config,
                                              const uint8_t *head);

/* Begin. Keeps `config`, which must stay. */
void kedge_pipe_start(struct kedge_pipe *pipe, const struct kedge_pipe_config *config);

/* Take the first bytes of `in`; *taken may be less than in.size, and 0 when output has to be pulled
 * first. Errors: of the transforms; KEDGE_E_FORMAT, _HASH, _SPACE of the envelopes. After an error
 * only kedge_pipe_reason() may be called. */
int kedge_pipe_push(struct kedge_pipe *pipe, struct kedge_bytes in, size_t *taken);

/* Fill the front of `out`; *given 0: wants more input. Bounded work. Errors as above. */
int kedge_pipe_pull(struct kedge_pipe *pipe, struct kedge_buf out, size_t *given);

/* All input is pushed, all output pulled: 0 when every envelope was whole and had its hash, and
 * every transform says so too. */
int kedge_pipe_finish(struct kedge_pipe *pipe);

/* Bytes that will come out in all; 0: not known yet, or the empty chain. Needs no pull of output:
 * known as soon as the last transform's head was pushed. */
uint32_t kedge_pipe_size(const struct kedge_pipe *pipe);

/* Payload bytes of the outermost envelope that are still to be pushed; what follows them makes no
 * output. UINT32_MAX: not known yet, or no envelope. */
uint32_t kedge_pipe_payload_left(const struct kedge_pipe *pipe);

/* Transforms found so far. Final once output was given. */
static inline unsigned kedge_pipe_depth(const struct kedge_pipe *pipe)
{
    return pipe->depth;
}

/* SHA-256 of all that was pushed; false after a seek, when the pipe has not seen it all. */
bool kedge_pipe_digest(const struct kedge_pipe *pipe, uint8_t digest[32]);

/* The envelope's own hash (its SHA-256 TLV), by which clients know the file; after a seek not
 * compared with anything. false: no envelope, or its end has not come yet. */
bool kedge_pipe_envelope(const struct kedge_pipe *pipe, uint8_t digest[32]);

/* Resume after a reset. `depth` is what kedge_pipe_depth() was when the first *out bytes were
 * stored; nothing was pulled yet. KEDGE_E_STATE: push more and ask again. KEDGE_E_UNSUPPORTED: one
 * of the transforms cannot, the input goes on where it is and all output comes again. 0: *out is
 * the border from which output goes on, at or before what was asked; *in the input that has to be
 * pushed next. */
int kedge_pipe_seek(struct kedge_pipe *pipe, unsigned depth, uint32_t *out, uint32_t *in);

/* Words for the last error. Never NULL. */
const char *kedge_pipe_reason(const struct kedge_pipe *pipe, int error);

#endif
