/* Files in envelopes for tests of the agent: sealed with a key that the device shares, grown out of
 * a few bytes, in one another. */
#ifndef KEDGE_TEST_WRAPPED_FILE_H
#define KEDGE_TEST_WRAPPED_FILE_H

#include "agent_device.h"
#include "kedge/sealed.h"

struct wrapped_file {
    uint8_t *bytes; /* allocated */
    uint32_t size;
    uint8_t sha[32];
    uint8_t hash[32]; /* of the envelope */
};

/* The device takes sealed files and those of `wrapped_grow`; call before it is powered on. */
void wrapped_use(struct agent_device *device);

void wrapped_seal(struct wrapped_file *file, struct kedge_bytes plain, uint8_t segment_log);
/* The same for another key than the device's. */
void wrapped_seal_foreign(struct wrapped_file *file, struct kedge_bytes plain);
/* Run length: a transform that grows a few bytes to many, and cannot seek. Magic "GROW", u32 size,
 * then pairs {count u8, value u8}. */
void wrapped_grow(struct wrapped_file *file, struct kedge_bytes plain);
/* Encrypted with AES-CTR under wrapped_local. */
void wrapped_ctr(struct wrapped_file *file, struct kedge_bytes plain);
/* A patch from `old`, which the device runs, to `plain`; chunk_log 0: one chunk. */
void wrapped_delta(struct wrapped_file *file, struct kedge_bytes old, struct kedge_bytes plain,
                   uint32_t chunk_log);
/* Any payload in an envelope; `plain` is the image that comes out of it. */
void wrapped_any(struct wrapped_file *file, const char *kind, struct kedge_bytes payload,
                 struct kedge_bytes plain);
/* The key of AES-CTR files here. */
extern const uint8_t wrapped_local[32];
void wrapped_hash(struct wrapped_file *file);
/* Bytes were changed: the envelope's own hash is right for them again. */
void wrapped_rehash(struct wrapped_file *file);
void wrapped_free(struct wrapped_file *file);

/* As agent_device_chunk, agent_device_upload. */
int wrapped_chunk(struct agent_device *device, const struct wrapped_file *file, uint32_t off,
                  uint32_t size, bool with_sha, struct kedge_upload_reply *reply);
int wrapped_upload(struct agent_device *device, const struct wrapped_file *file, uint32_t chunk,
                   bool with_sha, unsigned *calls, struct kedge_upload_reply *reply);

/* The transform of wrapped_grow. */
extern const struct kedge_transform wrapped_growing;
#define WRAPPED_GROW_MAGIC 0x574f5247u

#endif
