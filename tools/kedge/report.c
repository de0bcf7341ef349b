/* One line on stderr for everything that goes wrong. */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"

#define LINE_SIZE 1024

/* Formats behind what is in `line` already. */
static void append(char *line, size_t *used, const char *format, va_list args)
{
    const int written = vsnprintf(line + *used, LINE_SIZE - *used, format, args);

    if (written > 0) {
        *used += (size_t)written < LINE_SIZE - *used ? (size_t)written : LINE_SIZE - *used - 1;
    }
}

static void append_text(char *line, size_t *used, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void append_text(char *line, size_t *used, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    append(line, used, format, args);
    va_end(args);
}

static void print(char *line, size_t used)
{
    for (size_t i = 0; i < used; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    fflush(stdout);
    fprintf(stderr, "%s\n", line);
}

int fail(const char *format, ...)
{
    char line[LINE_SIZE];
    size_t used = 0;
    va_list args;

    append_text(line, &used, "kedge: ");
    va_start(args, format);
    append(line, &used, format, args);
    va_end(args);
    print(line, used);
    return EXIT_REFUSED;
}

int misuse(const char *command, const char *format, ...)
{
    const char *const gap = command == NULL ? "" : " ";
    const char *const name = command == NULL ? "" : command;
    char line[LINE_SIZE];
    size_t used = 0;
    va_list args;

    append_text(line, &used, "kedge%s%s: ", gap, name);
    va_start(args, format);
    append(line, &used, format, args);
    va_end(args);
    append_text(line, &used, "; see kedge%s%s --help", gap, name);
    print(line, used);
    return EXIT_MISUSE;
}

void *grow(void *at, size_t size)
{
    void *const grown = realloc(at, size == 0 ? 1 : size);

    if (grown == NULL) {
        exit(fail("out of memory (%zu bytes): give the tool less at once", size));
    }
    return grown;
}

void *grab(size_t size)
{
    return grow(NULL, size);
}
