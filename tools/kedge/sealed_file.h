/* Sealed files on the host: made with OpenSSL's random numbers and key agreement, opened by the
 * very code that runs on devices. */
#ifndef KEDGE_TOOL_SEALED_FILE_H
#define KEDGE_TOOL_SEALED_FILE_H

#include "blob.h"
#include "kedge/pipe.h"
#include "kedge/sealed.h"
#include "key.h"

struct sealed_request {
    const struct key *device;  /* NULL: sealed with the shared key */
    struct kedge_bytes shared; /* 32 bytes */
    uint8_t segment_log;
};

/* `plain` is an image, or a file in an envelope; the result is one in an envelope. 0 or an exit
 * code, said. */
int sealed_make(const struct sealed_request *request, struct kedge_bytes plain, struct blob *file);

/* The same without the envelope, with an id and a secret of the caller's: for tests. */
void sealed_payload(const struct sealed_request *request, const uint8_t *id,
                    struct kedge_bytes secret, struct kedge_bytes wrapped, uint8_t wrap,
                    const uint8_t *key_id, struct kedge_bytes plain, struct blob *payload);

/* Pushes the file through a pipe of `kinds`; what comes out in `plain`. False: words in *why. */
bool sealed_open(const struct kedge_pipe_kind *kinds, size_t kind_count, struct kedge_bytes file,
                 struct blob *plain, const char **why);

#endif
