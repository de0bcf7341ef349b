/* Commands of two words. */
#include "group.h"

#include <stdio.h>
#include <string.h>

#include "report.h"

static int show_help(const struct group *group)
{
    printf("Usage: kedge %s%s COMMAND\n\n%s.%s\n\nCommands (kedge %s COMMAND --help says more):\n",
           group->local ? ""
                        : "[--udp HOST[:PORT] | --serial TTY[:BAUD] | --ble NAME|ADDR [--hci "
                          "WHERE]] [--timeout SECONDS] ",
           group->name, group->summary, group->local ? "" : " Without any: UDP to 127.0.0.1:1337.",
           group->name);
    for (size_t i = 0; i < group->count; i++) {
        printf("  %-12s %s\n", group->commands[i].name, group->commands[i].summary);
    }
    return EXIT_DONE;
}

int group_run(const struct group *group, int argc, char **argv)
{
    if (argc < 2) {
        return misuse(group->name, "it needs a command");
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return show_help(group);
    }
    for (size_t i = 0; i < group->count; i++) {
        if (strcmp(group->commands[i].name, argv[1]) == 0) {
            return group->commands[i].run(argc - 1, argv + 1);
        }
    }
    return misuse(group->name, "there is no command %s %s", group->name, argv[1]);
}

int group_parse(const char *command, const char *operands, const char *about, size_t operands_min,
                size_t operands_max, int argc, char **argv, struct operands *given)
{
    static const struct option options[] = {OPTION_JSON};
    const struct syntax syntax = {.command = command,
                                  .operands = operands,
                                  .about = about,
                                  .options = options,
                                  .option_count = 1,
                                  .operands_min = operands_min,
                                  .operands_max = operands_max};

    return options_parse(&syntax, argc, argv, given);
}
