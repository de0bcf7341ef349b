/* The chunk store: a file that arrives in pieces, in any order, over a link that stalls, repeats
 * and breaks, is kept in the staging region until it is whole, then decoded into the secondary
 * slot.
 *
 *      begin(manifest) -> put(chunk) ... -> finish -> step ... -> decoded, asked for
 *                         ^                 |
 *                         next_missing -----+  "incomplete"
 *
 * What is there is told by one byte a chunk in NOR, programmed once, after its chunk was programmed
 * and read back. A reset at any moment costs at most the chunk that was being written; the same
 * file (same id) goes on from there. FORMAT.md, "Chunk store", has the bytes and their reasons.
 *
 * Decoding is an ordinary upload that comes from inside: it goes through kedge_agent_upload(), so
 * every transform of the receive path (sealed, delta, encrypted) works from here as it does over
 * SMP, and a reset in its middle resumes by the agent's own record. */
#ifndef KEDGE_STAGE_H
#define KEDGE_STAGE_H

#include "kedge/agent.h"

#define KEDGE_STAGE_CHUNK_MAX 65536u /* bytes of the largest chunk */
#define KEDGE_STAGE_ATTEMPTS  64u    /* attempts of sources that are counted, with one file */
#define KEDGE_STAGE_IDLE_MAX  8u     /* ... so many in a row without a new chunk, then no more */
#define KEDGE_STAGE_ROUNDS    3u     /* a whole file whose hash is wrong is fetched so often */

/* How a chunk is checked before a byte of it is written. */
enum kedge_stage_check {
    KEDGE_STAGE_CHECK_NONE,   /* the link vouches for it; check_size 0 */
    KEDGE_STAGE_CHECK_CRC32,  /* IEEE 802.3, little endian; check_size 4 */
    KEDGE_STAGE_CHECK_SHA256, /* the first check_size (4..32) bytes of SHA-256 */
    KEDGE_STAGE_CHECKS
};

/* What the first chunk shows a file to be; in a manifest: what it is expected to be. */
enum kedge_stage_kind {
    KEDGE_STAGE_ANY,       /* manifest: whatever it is; otherwise: not known yet */
    KEDGE_STAGE_PLAIN,     /* an image whose payload can be read by anybody */
    KEDGE_STAGE_ENCRYPTED, /* an image of MCUboot's encrypted kind */
    KEDGE_STAGE_SEALED,    /* an envelope that only the device can open */
    KEDGE_STAGE_DELTA,     /* an envelope with a patch or a compressed image, readable by anybody */
    KEDGE_STAGE_KINDS
};

struct kedge_manifest {
    uint8_t id[32];     /* SHA-256 of the file as it is sent */
    uint32_t size;      /* bytes of the file, from 1 */
    uint32_t chunk;     /* bytes of a chunk but the last; a multiple of the flash's write block */
    uint8_t check;      /* enum kedge_stage_check */
    uint8_t check_size; /* bytes of check that come with each chunk */
    uint8_t transform;  /* enum kedge_stage_kind: the hint, enforced when the first chunk comes */
    uint32_t origin;    /* the source's own, e.g. a CRC of its URL; 0: nobody's */
};

/* 0, or why not; the words are in agent->detail. Codes of SMP group 64, FORMAT.md [G-7]. */
enum kedge_stage_status {
    KEDGE_STAGE_OK = 0,
    KEDGE_STAGE_INVALID = 16, /* manifest or chunk breaks a rule of form */
    KEDGE_STAGE_TOO_LARGE,    /* does not fit into the staging region */
    KEDGE_STAGE_OTHER_FILE,   /* another file is staged: abort it first */
    KEDGE_STAGE_NO_FILE,      /* nothing is staged: begin first */
    KEDGE_STAGE_BAD_CHECK,    /* this chunk is not what its check says: send it again */
    KEDGE_STAGE_CONFLICT,     /* this chunk was received before, with other bytes */
    KEDGE_STAGE_INCOMPLETE,   /* chunks are missing: see progress */
    KEDGE_STAGE_BAD_HASH,     /* all chunks are there, their hash is wrong: begin again */
    KEDGE_STAGE_PLAINTEXT,    /* policy confidential keeps such a file off the external flash */
    KEDGE_STAGE_GIVEN_UP,     /* the limit of attempts is reached: abort */
    KEDGE_STAGE_FLASH_FAILED,
    KEDGE_STAGE_BUSY,       /* it is being hashed or decoded */
    KEDGE_STAGE_UNSUPPORTED /* the board has no staging region */
};

enum kedge_stage_state {
    KEDGE_STAGE_EMPTY,     /* nothing is staged */
    KEDGE_STAGE_RECEIVING, /* begun; chunks may be missing */
    KEDGE_STAGE_SPOILT,    /* whole, with a wrong hash */
    KEDGE_STAGE_HASHING,   /* finish: being read */
    KEDGE_STAGE_DECODING,  /* finish: on its way into the slot */
    KEDGE_STAGE_FAILED,    /* finish: refused; the chunks are still there */
    KEDGE_STAGE_DECODED    /* the slot holds what came of it; asked for, if that was wanted */
};

/* What finish does with the decoded image. */
enum kedge_stage_then { KEDGE_STAGE_THEN_NOTHING, KEDGE_STAGE_THEN_TEST, KEDGE_STAGE_THEN_CONFIRM };

struct kedge_stage {
    /* set by the caller */
    struct kedge_agent *agent; /* started */
    struct kedge_buf buffer;   /* >= 128 bytes: a step reads and decodes so much */
    /* owned by the store */
    struct kedge_manifest manifest;
    uint32_t rank;    /* of the head in use; 0: there is none */
    uint8_t head;     /* its sector: 0 or 1 */
    uint8_t rounds;   /* times that the whole file was fetched before */
    uint8_t flags;    /* cells of the head that are set */
    bool affirmed;    /* the record was written, or written again, in this power-on */
    bool attempting;  /* an attempt has begun and brought no new chunk so far */
    uint8_t attempts; /* begun in all */
    uint8_t idle;     /* the last so many brought nothing */
    uint8_t kind;     /* enum kedge_stage_kind, once the first chunk is there */
    uint32_t chunks, received;
    uint32_t ready[2]; /* sectors (map, data) that are erased for sure; 0: none */
    uint8_t state;     /* enum kedge_stage_state */
    uint8_t then;      /* enum kedge_stage_then */
    uint8_t tries;
    uint32_t at, steps; /* of the work that is under way */
    struct kedge_hash_state hash;
    char reason[96]; /* of KEDGE_STAGE_FAILED and _SPOILT */
};

/* Find what an earlier power-on left. Requires agent and buffer. Never fails for flash contents;
 * reads only. Call it after kedge_agent_start(). */
void kedge_stage_start(struct kedge_stage *stage, struct kedge_agent *agent,
                       struct kedge_buf buffer);

/* The largest file that fits with chunks of `chunk` bytes; 0 when such chunks cannot be. */
uint32_t kedge_stage_capacity(const struct kedge_stage *stage, uint32_t chunk);

/* Stage a file, or go on with it. On KEDGE_STAGE_OK the store is open for its chunks: an unknown
 * one is begun (any that was decoded or aborted goes), the same one (equal id, size, chunks, check)
 * goes on with what is there, one with a wrong hash begins again.
 * After a cut: the old store or the new one.
 * Refused: KEDGE_STAGE_INVALID, _TOO_LARGE, _OTHER_FILE, _GIVEN_UP, _FLASH_FAILED, _UNSUPPORTED. */
int kedge_stage_begin(struct kedge_stage *stage, const struct kedge_manifest *manifest);

/* One whole chunk: `off` a multiple of the chunk size, `data` all of it, `check` as the manifest
 * says. A chunk that is there already is compared and not written. Erases a sector of the region
 * when the first of its bytes comes.
 * With policy confidential the first chunk comes first, and shows a sealed or encrypted file.
 * After a cut: the chunk is there, or missing and to be sent again; no other one is. */
int kedge_stage_put(struct kedge_stage *stage, uint32_t off, struct kedge_bytes data,
                    struct kedge_bytes check);

/* The first chunk from `index` on that is not there; stage->chunks when there is none. */
uint32_t kedge_stage_next_missing(struct kedge_stage *stage, uint32_t index);
/* The first chunk from `index` on that is there; stage->chunks when there is none. */
uint32_t kedge_stage_next_present(struct kedge_stage *stage, uint32_t index);

/* Bytes of chunk `index`: the chunk size, less for the last. */
uint32_t kedge_stage_chunk_size(const struct kedge_stage *stage, uint32_t index);

/* A source begins an attempt (a connection, a session): counted durably before it costs anything,
 * so that a reset loop is limited too. *wait_ms: how long to wait first; nothing after an attempt
 * that brought a chunk, doubling from 1 s to 10 min after those that did not.
 * KEDGE_STAGE_GIVEN_UP: too many, see KEDGE_STAGE_IDLE_MAX and _ATTEMPTS. */
int kedge_stage_attempt(struct kedge_stage *stage, uint32_t *wait_ms);

/* Begin to hash and decode, then to ask for it. The work is done by kedge_stage_step(),
 * stage->state tells how far it is: KEDGE_STAGE_DECODED in the end, or KEDGE_STAGE_FAILED or
 * _SPOILT with words in stage->reason; after FAILED it may be begun again. KEDGE_STAGE_OK: begun,
 * under way, or all done. Refused: KEDGE_STAGE_INCOMPLETE when chunks are missing, _BAD_HASH,
 * _NO_FILE, _BUSY. After a cut: nothing is lost; call it again. The request is written when the
 * decoded image passed hash and signature, never before. */
int kedge_stage_finish(struct kedge_stage *stage, enum kedge_stage_then then);

/* One bounded step of that work: about stage->buffer of it, one erase at most. true: did something.
 * Call when idle. */
bool kedge_stage_step(struct kedge_stage *stage);

/* Forget the file. After a cut inside: it is forgotten or not. */
int kedge_stage_abort(struct kedge_stage *stage);

/* ---- for whoever looks into a region from outside (flash inspect) ---------------------------- */

/* Parse a manifest record (FORMAT.md "Chunk store"); its rank, or 0 when it is none. */
#define KEDGE_STAGE_RECORD 64u
uint32_t kedge_stage_record_parse(const uint8_t *record, struct kedge_manifest *manifest,
                                  uint8_t *rounds);
/* The same record from a manifest, as it lies in the store and in a manifest file. */
void kedge_stage_record_make(uint8_t *record, const struct kedge_manifest *manifest, uint32_t rank,
                             uint8_t rounds);
/* What the first bytes of a file show it to be; KEDGE_STAGE_ANY: no image, or too few bytes. */
enum kedge_stage_kind kedge_stage_kind_of(struct kedge_bytes head);
/* "plain", "encrypted", "sealed", "delta", "any"; NULL: no such kind. */
const char *kedge_stage_kind_text(uint8_t kind);
const char *kedge_stage_state_text(uint8_t state);

#endif
