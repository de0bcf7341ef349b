/* Where an image was linked to. */
#ifndef KEDGE_TOOL_DELTA_BASE_H
#define KEDGE_TOOL_DELTA_BASE_H

#include "kedge/base.h"

/* The address of the image's first byte, as far as its own pointers tell; a multiple of 256. 0:
 * they do not. A wrong guess makes a patch larger, never wrong. */
uint32_t delta_base_of(struct kedge_bytes image);

#endif
