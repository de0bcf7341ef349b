/* The passphrase of a key: from the terminal without echo, or a line of standard input. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "key.h"
#include "report.h"

/* One line, byte by byte: what follows on standard input is not ours. False: too long or none. */
static bool read_line(int fd, char *to)
{
    size_t size = 0;
    char c = 0;

    while (size < PASSPHRASE_MAX) {
        const ssize_t got = read(fd, &c, 1);

        if (got <= 0 || c == '\n') {
            to[size] = '\0';
            return got > 0 || size > 0;
        }
        to[size++] = c;
    }
    to[0] = '\0';
    return false;
}

static bool ask(int terminal, const char *prompt, char *to)
{
    struct termios before;
    struct termios quiet;
    const bool can_hide = tcgetattr(terminal, &before) == 0;
    const ssize_t shown = write(terminal, prompt, strlen(prompt));

    if (can_hide) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(terminal, TCSAFLUSH, &quiet);
    }
    const bool got = shown >= 0 && read_line(terminal, to);

    if (can_hide) {
        tcsetattr(terminal, TCSAFLUSH, &before);
    }
    return write(terminal, "\n", 1) >= 0 && got;
}

int passphrase_read(const char *prompt, char *to)
{
    const int terminal = open("/dev/tty", O_RDWR | O_NOCTTY);
    const bool got = terminal >= 0 ? ask(terminal, prompt, to) : read_line(STDIN_FILENO, to);

    if (terminal >= 0) {
        close(terminal);
    }
    return got ? 0
               : fail("the key has a passphrase: run on a terminal, or give it as a line of "
                      "standard input");
}
