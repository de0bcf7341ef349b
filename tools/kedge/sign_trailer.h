/* The trailer that --pad and --confirm put at the slot's end (facts 7.5). */
#ifndef KEDGE_TOOL_SIGN_TRAILER_H
#define KEDGE_TOOL_SIGN_TRAILER_H

#include "sign_image.h"

/* Bytes that the loader needs at the slot's end; an image may not reach into them. */
uint32_t sign_trailer_size(const struct sign_request *r, size_t enctlv_size);

#endif
