/* What is in a file that only travels as an image: a sealed file, a patch, a compressed image. */
#ifndef KEDGE_TOOL_INSIDE_H
#define KEDGE_TOOL_INSIDE_H

#include <jansson.h>

#include "kedge/base.h"

/* One line for people; NULL: the payload is of no kind that is known. Static memory. */
const char *inside_text(struct kedge_bytes payload);

/* The same as an object; NULL: as above. */
json_t *inside_json(struct kedge_bytes payload);

#endif
