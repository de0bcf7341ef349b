#include "say.h"

#include <string.h>

#include "board.h"

void say(const char *text)
{
    board_send(kedge_bytes(text, strlen(text)));
}

void say_number(uint32_t number)
{
    char digits[10];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    board_send(kedge_bytes(digits + at, sizeof digits - at));
}

void say_version(const struct kedge_version *version)
{
    char text[KEDGE_VERSION_TEXT_SIZE];
    board_send(kedge_bytes(text, kedge_version_text(version, text)));
}
