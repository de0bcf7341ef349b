/* Command line options by table: short and long forms, `--name=value`, help made from the same
 * table. An unknown option is wrong usage and named. */
#ifndef KEDGE_TOOL_OPTIONS_H
#define KEDGE_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_LIST_MAX 64

enum option_kind {
    OPTION_FLAG,   /* to: bool */
    OPTION_TEXT,   /* to: const char *; the last one given counts */
    OPTION_CHOICE, /* the same; the value is one of those in `values`, separated by | */
    OPTION_NUMBER, /* to: struct option_number; decimal, 0x, 0o or 0b */
    OPTION_LIST,   /* to: struct option_list; may be given several times */
    OPTION_PAIR,   /* the same, two values each time, one after the other in the list */
    OPTION_FOREIGN /* imgtool has it and this tool does not: refused by name */
};

struct option_number {
    bool given;
    uint32_t value;
};

struct option_list {
    const char *at[OPTION_LIST_MAX];
    size_t count;
};

struct option {
    char letter;        /* 0: only the long form */
    const char *name;   /* without dashes */
    const char *values; /* what follows it, for the help; NULL: a flag */
    const char *help;
    enum option_kind kind;
    void *to;
};

struct syntax {
    const char *command;  /* NULL: kedge itself */
    const char *operands; /* "IN OUT", for the help */
    const char *about;
    const struct option *options;
    size_t option_count;
    size_t operands_min, operands_max;
    bool stop_at_operand; /* what follows the first operand is left alone */
};

struct operands {
    const char *at[OPTION_LIST_MAX];
    size_t count;
    int index; /* in argv, of the first one; argc: none */
};

/* Parses argv[1..]. OPTIONS_GO: all is well; otherwise the exit code to end with (help was shown,
 * or the misuse was named). */
#define OPTIONS_GO (-1)
int options_parse(const struct syntax *syntax, int argc, char **argv, struct operands *operands);

/* The option part of the help on stdout. */
void options_help(const struct syntax *syntax);

/* A number in decimal, 0x, 0o or 0b; false: not one, or larger than `max`. */
bool number_parse(const char *text, uint64_t max, uint64_t *value);

#endif
