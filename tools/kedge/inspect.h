/* `kedge flash inspect`: every region of both flashes in words, and what the next boot will do. */
#ifndef KEDGE_TOOL_INSPECT_H
#define KEDGE_TOOL_INSPECT_H

#include <stdio.h>

#include "kedge/device_key.h"
#include "state.h"

/* keys: what the device trusts; none: signatures are not judged. own: the device's own key, for
 * what lies encrypted; NULL: it is not known. */
void inspect(FILE *out, struct state *state, const struct kedge_key *keys, size_t key_count,
             const struct kedge_device_keys *own);

/* The updates that the journal remembers, a line each; nothing where there is no journal. */
void inspect_history(FILE *out, struct state *state);

#endif
