/* What a device says, as JSON: keys as on the wire, bytes as hex. */
#ifndef KEDGE_TOOL_CBOR_JSON_H
#define KEDGE_TOOL_CBOR_JSON_H

#include <stdio.h>

#include "kedge/base.h"

/* One CBOR item. KEDGE_E_FORMAT: it is malformed; what was printed is no JSON. */
int json_item(FILE *to, struct kedge_bytes cbor);
/* A reply on a line of its own, to stdout. An exit code, said. */
int json_print(struct kedge_bytes cbor);
/* A text in quotes. */
void json_text(FILE *to, struct kedge_bytes text);
/* Bytes as hex, without quotes. */
void hex_print(FILE *to, struct kedge_bytes bytes);

#endif
