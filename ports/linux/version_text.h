/* Versions as imgtool takes them: maj[.min[.rev[+build]]], no leading zeros. */
#ifndef KEDGE_VERSION_TEXT_H
#define KEDGE_VERSION_TEXT_H

#include "kedge/image.h"

/* NULL, or what is wrong with `text`. */
const char *version_parse(const char *text, struct kedge_version *version);

#endif
