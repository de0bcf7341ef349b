/* Commands of two words: `kedge image list`. */
#ifndef KEDGE_TOOL_GROUP_H
#define KEDGE_TOOL_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "command.h"
#include "options.h"

struct group {
    const char *name, *summary;
    const struct command *commands;
    size_t count;
    bool local; /* works on files: no device is asked */
};

/* Finds argv[1] in the group and runs it with the arguments behind; an exit code. */
int group_run(const struct group *group, int argc, char **argv);

/* The option that every command has which shows facts. */
#define OPTION_JSON                                                                                \
    {                                                                                              \
        0, "json", NULL, "print facts as JSON", OPTION_FLAG, &device_target.json                   \
    }

/* Parse the arguments of a command that takes no option but --json. */
int group_parse(const char *command, const char *operands, const char *about, size_t operands_min,
                size_t operands_max, int argc, char **argv, struct operands *given);

#endif
