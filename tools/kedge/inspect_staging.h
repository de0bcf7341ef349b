/* The staging region in words, for `kedge flash inspect`. */
#ifndef KEDGE_TOOL_INSPECT_STAGING_H
#define KEDGE_TOOL_INSPECT_STAGING_H

#include <stdio.h>

#include "state.h"

/* Requires a layout with a staging region. */
void inspect_staging(FILE *out, const struct state *state);

#endif
