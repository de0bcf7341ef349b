/* A file that is not an image, made to travel like one (FORMAT.md, Envelope): whoever makes sealed
 * files, patches or compressed images puts them in here. */
#ifndef KEDGE_TOOL_ENVELOPE_H
#define KEDGE_TOOL_ENVELOPE_H

#include "blob.h"
#include "kedge/image.h"

struct envelope {
    const char *kind;             /* one word for people: "sealed", "delta" */
    struct kedge_version version; /* of the image inside */
    struct kedge_bytes payload;   /* begins with its magic */
    uint32_t image_size;          /* bytes of the image that comes out: the file gets as many bytes
                                     behind the payload as a device needs calls to write them */
};

/* What `plain` becomes at most, for envelope.image_size: its size, or, if it is in an envelope
 * itself, what that one has allowed for. */
uint32_t envelope_grows_to(struct kedge_bytes plain);

void envelope_make(const struct envelope *envelope, struct blob *file);

/* The payload of a file in an envelope (of any kind): true; *image is the envelope's header. */
bool envelope_open(struct kedge_bytes file, struct kedge_bytes *payload, struct kedge_image *image);

#endif
