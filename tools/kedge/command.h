/* What a command of the tool is. A new command: one file cmd_*.c, one line here, one in main.c. */
#ifndef KEDGE_TOOL_COMMAND_H
#define KEDGE_TOOL_COMMAND_H

#include <stdbool.h>

/* Exit codes: other programs rely on them. */
enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_MISUSE = 2 };

struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns an exit code */
};

int run_keygen(int argc, char **argv);
int run_getpub(int argc, char **argv);
int run_sign(int argc, char **argv);
int run_verify(int argc, char **argv);
int run_dumpinfo(int argc, char **argv);
int run_seal(int argc, char **argv);
int run_unseal(int argc, char **argv);
int run_delta(int argc, char **argv);
int run_image(int argc, char **argv);
int run_os(int argc, char **argv);
int run_recorder(int argc, char **argv);
int run_history(int argc, char **argv);
int run_policy(int argc, char **argv);
int run_stage(int argc, char **argv);
int run_flash(int argc, char **argv);
int run_testplan(int argc, char **argv);
int run_flash_report(int argc, char **argv);

/* Where the device is, for the commands that talk to one. These options stand before the command;
 * main fills this in before it runs the command. */
struct device_target {
    const char *udp, *serial, *ble, *hci; /* NULL: not given; at most one of the first three */
    double timeout;                       /* seconds; 0: the command's default */
    bool json, raw;                       /* raw: bare SMP on the serial line */
};
extern struct device_target device_target;

#endif
