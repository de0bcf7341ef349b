/* What the tool says when it cannot do what it was asked: one line on stderr, and an exit code. */
#ifndef KEDGE_TOOL_REPORT_H
#define KEDGE_TOOL_REPORT_H

#include <stddef.h>

/* "kedge: ..." with what is wrong and what to do. Returns EXIT_REFUSED. Control characters from
 * file names and the like are replaced, so it stays one line. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "kedge COMMAND: ...; see kedge COMMAND --help". Returns EXIT_MISUSE. command NULL: kedge alone.
 */
int misuse(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Memory or the end of the program, with one line. */
void *grab(size_t size);
void *grow(void *at, size_t size);

#endif
