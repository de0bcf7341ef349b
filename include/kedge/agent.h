/* The update agent: receives an image into the secondary slot, answers what is in the slots, writes
 * requests. It can only *request*; the loader swaps. It knows no protocol; src/smp's handlers call
 * it. It sees what a Zephyr application sees: slots and trailers, never the loader's journal (but
 * for reading the history). Rules: facts/smp.md A5, A6; SWAP.md 6. */
#ifndef KEDGE_AGENT_H
#define KEDGE_AGENT_H

#include "kedge/boot.h"
#include "kedge/device_key.h"
#include "kedge/pipe.h"

/* 0, or why not. The values 1..34 are SMP's codes of the image group; the others are below. */
enum kedge_agent_status {
    KEDGE_AGENT_OK = 0,
    KEDGE_AGENT_UNKNOWN = 1,
    KEDGE_AGENT_NO_IMAGE = 3,
    KEDGE_AGENT_INVALID_TLV = 5,
    KEDGE_AGENT_HASH_NOT_FOUND = 8,
    KEDGE_AGENT_NO_FREE_SLOT = 9,
    KEDGE_AGENT_READ_FAILED = 11,
    KEDGE_AGENT_WRITE_FAILED = 12,
    KEDGE_AGENT_ERASE_FAILED = 13,
    KEDGE_AGENT_INVALID_SLOT = 14,
    KEDGE_AGENT_INVALID_OFFSET = 20,
    KEDGE_AGENT_INVALID_LENGTH = 21,
    KEDGE_AGENT_INVALID_HEADER = 22,
    KEDGE_AGENT_INVALID_MAGIC = 23,
    KEDGE_AGENT_INVALID_HASH = 24,
    KEDGE_AGENT_NEWER_RUNS = 27,
    KEDGE_AGENT_ALREADY_PENDING = 28,
    KEDGE_AGENT_TOO_LARGE = 30,
    KEDGE_AGENT_OVERRUN = 31,
    KEDGE_AGENT_CONFIRM_DENIED = 32,
    KEDGE_AGENT_TEST_ACTIVE_DENIED = 33,
    /* not of the image group: sent as the management codes EBUSY (10), EACCESSDENIED (11) */
    KEDGE_AGENT_BUSY = 100,
    KEDGE_AGENT_DENIED = 101
};

struct kedge_agent_config {
    const struct kedge_layout *layout;
    const struct kedge_key *keys;
    size_t key_count;
    const struct kedge_policy *defaults;
    const struct kedge_boot_report *boot; /* what the loader said */
    struct kedge_recorder *recorder;      /* NULL: none */
    uint32_t (*now_ms)(void *ctx);        /* monotonic, may wrap */
    void *ctx;
    bool keeps_backup;        /* strategy `backup`: copy the running image ahead, when idle */
    struct kedge_buf scratch; /* >= 512 bytes for verification and read-back; 4096 is quick */
    /* A chunk that fits here is answered before it is written, so that no client waits for flash
     * while there is room; kedge_agent_idle() or the next chunk writes it. Size 0: none is. */
    struct kedge_buf behind;
    /* What uploads may need before they are images (pipe.h). kind_count 0: nothing, pipe NULL. */
    const struct kedge_pipe_kind *kinds;
    size_t kind_count;
    struct kedge_pipe *pipe;
    struct kedge_buf pipe_memory; /* states of the transforms that one file may need in a row */
    /* Encrypted candidates are opened with these before they are taken, count 0: refused. NULL: the
     * loader has keys that the agent has not; they are taken as they are. */
    const struct kedge_device_keys *device_keys;
    const struct kedge_cipher *cipher; /* goes with them */
};

/* An upload in progress. The image header (image bytes 0..31) is held back and written last, so
 * that no half-way upload can be taken for an image; a trailer at the end of an image as long as
 * the slot (imgtool --pad) is held back too and becomes a request once the image has been verified.
 *
 * A file in an envelope of a known kind goes through the pipe: `off` counts what the client sends,
 * `at` what the slot gets. Nothing is touched before the pipe knows what will come out and its
 * image header may come. */
#define KEDGE_UPLOAD_HEAD 32
enum kedge_upload_way {
    KEDGE_UPLOAD_PLAIN, /* the file is the image: off is at */
    KEDGE_UPLOAD_LOOKS, /* through the pipe, no image header has come out of it yet */
    KEDGE_UPLOAD_PIPED
};
struct kedge_upload {
    uint32_t off, size;  /* next byte expected; announced length. size 0: none */
    uint32_t at, length; /* next byte of the slot; all bytes that the slot will get, 0: not known */
    uint32_t same_to;    /* bytes of the slot below this lie there already: compared, not written */
    uint32_t image;      /* as the client told */
    uint8_t way;         /* enum kedge_upload_way */
    uint8_t depth;       /* transforms in a row; found after a reset: as many as there were */
    bool upgrade;        /* the client wants newer versions only */
    bool all_in; /* the pipe has the whole file, the slot has not: off stays at the last byte */
    uint32_t fresh_to;  /* sectors below this offset, from erased_to on, need no erase */
    uint32_t erased_to; /* sectors below this offset are erased or written */
    uint32_t last_ms;   /* of the last accepted chunk, for the 5 s rule */
    uint32_t peer;      /* who sends it */
    bool claimed;       /* false: found on flash after a reset, waits for its client */
    uint8_t stale_done; /* bases above 0 whose old header is out of the way */
    uint8_t tries;      /* how often the present sector has been begun anew */
    uint8_t sha[32];
    uint8_t sha_size; /* 0: client sent none */
    bool hashed;      /* `hash` has every byte from the first to `at`, each read back */
    struct kedge_hash_state hash;
    uint8_t pending_size; /* bytes held back because of the write block */
    uint8_t pending[32];
    uint8_t head[KEDGE_UPLOAD_HEAD];
    uint8_t tail[KEDGE_TRAILER_SIZE_MAX];
    /* size 0, off not 0: the last upload is complete; its last chunk, repeated, is answered so: */
    uint8_t status; /* enum kedge_agent_status */
    bool match;
    bool has_alias;
    uint8_t alias[32]; /* the envelope's hash: clients that know the file by it mean its image */
};

/* The copy of the running image that strategy `backup` needs (kedge/backup.h). */
enum kedge_backup_state { KEDGE_BACKUP_UNKNOWN, KEDGE_BACKUP_COPYING, KEDGE_BACKUP_OVER };
struct kedge_backup_copy {
    uint8_t state; /* enum kedge_backup_state; OVER: complete, impossible, or given up */
    uint8_t failures;
    uint16_t units, next;
    uint32_t size;    /* bytes of the running image */
    uint8_t have[32]; /* bit i: unit i has its cell */
};

/* The chunk that was answered and is not written yet. */
struct kedge_owed {
    uint32_t off;    /* file offset of its first byte that is not taken yet */
    size_t at, size; /* what is left of it in config->behind; size 0: nothing */
    uint32_t peer;   /* who sent it */
    int status;      /* why an owed chunk could not be written, for the next chunk's reply; 0 */
    char detail[96];
};

struct kedge_agent {
    const struct kedge_agent_config *config;
    struct kedge_policy policy;
    struct kedge_upload upload;
    struct kedge_owed owed;
    struct kedge_pipe_config transforms; /* config->pipe's, with the readers of this agent */
    struct kedge_backup_copy backup;
    /* the slot's sectors below were erased in this power-on, not written since */
    uint32_t fresh_to;
    bool mailbox_own; /* the mailbox sector was erased in this power-on, its trailer is untouched */
    char detail[96];  /* words for the last refusal (SMP "rsn", log); empty: none */
};

/* Settles and loads the policy (writes to the settings only after a policy_set that a cut
 * interrupted, and to count a boot of `hold for-N`), looks for an upload that a reset interrupted.
 * Never fails for flash contents. */
void kedge_agent_start(struct kedge_agent *agent, const struct kedge_agent_config *config);

/* The chunk store's number as a client: it decodes by an upload from inside. */
#define KEDGE_PEER_STAGE 0x4b535447u

struct kedge_upload_request {
    uint32_t peer; /* distinguishes clients: address hash, connection number; KEDGE_PEER_STAGE */
    bool has_off, has_len, upgrade;
    uint32_t off, len, image;
    struct kedge_bytes sha, data;
};
struct kedge_upload_reply {
    uint32_t off;
    bool has_match, match;
};
/* One chunk. At most one sector is erased inside a call, and one more for a chunk that was owed. On
 * success reply->off is what the client must send next (a wrong offset is answered with the right
 * one, the data dropped). After a cut: the same sha resumes at the last sector that was marked.
 *
 * With config->behind a reply says "received", not "written": should writing fail later, the next
 * reply sends the client back or refuses. The file's last chunk is answered when all is written.
 *
 * A file that goes through the pipe: reply->off may jump (a resume: to a border of the transform),
 * and may stay where it is for a call, while what the last bytes became is still being written. It
 * is `len` only when the image lies in the slot and was found good, hash and signature; a refusal
 * at the end leaves a slot that offers nothing. reply->match compares the file as it was sent;
 * where a resume jumped over bytes that this power-on has not seen, it says that the image is good.
 */
int kedge_agent_upload(struct kedge_agent *agent, const struct kedge_upload_request *request,
                       struct kedge_upload_reply *reply);

/* Write what is owed, else erase ahead of a running upload; without one, copy the next unit of the
 * running image to the backup (keeps_backup). Call when idle. At most one sector or unit a call.
 * true: did something. */
bool kedge_agent_idle(struct kedge_agent *agent);

struct kedge_slot_state {
    uint32_t image, slot;
    struct kedge_version version;
    uint8_t hash[KEDGE_DIGEST_MAX];
    uint8_t hash_size;
    bool bootable, pending, confirmed, active, permanent;
};
/* Slots that hold a readable image, ascending: fills up to 2, returns how many. */
size_t kedge_agent_list(struct kedge_agent *agent, struct kedge_slot_state states[2]);

/* "image test" (confirm false) and "image confirm" (true); hash empty: the running image; the hash
 * of the envelope that was uploaded last means the image that came out of it. Verifies
 * the image (signature too, as far as this device's keys go) before a request is written; refusal
 * words in agent->detail. */
int kedge_agent_request(struct kedge_agent *agent, struct kedge_bytes hash, bool confirm);

/* Erase the slot (1: secondary). Blank sectors are skipped. */
int kedge_agent_erase(struct kedge_agent *agent, uint32_t slot);

struct kedge_slot_info {
    uint32_t image, slot, size;
};
/* Sizes of both slots; *max_image: the largest image that a swap can take. Returns 2. */
size_t kedge_agent_slots(struct kedge_agent *agent, struct kedge_slot_info slots[2],
                         uint32_t *max_image);

/* Policy over the wire; KEDGE_AGENT_DENIED when locked, _UNKNOWN when there is no such key/value.
 */
int kedge_agent_policy_set(struct kedge_agent *agent, struct kedge_bytes key,
                           struct kedge_bytes value);

#endif
