/* Lines for a person on the console; SMP's packets on the same line begin with bytes that no text
 * has, so both get along. */
#ifndef KEDGE_BOARD_SAY_H
#define KEDGE_BOARD_SAY_H

#include "kedge/boot.h"

void say(const char *text);
void say_number(uint32_t number);
void say_version(const struct kedge_version *version);

#endif
