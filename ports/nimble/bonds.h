/* Bonds: the keys shared with centrals that paired. NimBLE asks for them by callbacks; in flash they
 * lie in the settings, behind the policies (FORMAT.md, "Bonds"). */
#ifndef KEDGE_NIMBLE_BONDS_H
#define KEDGE_NIMBLE_BONDS_H

#include "kedge/flash.h"

#define BONDS_MAX 4

/* Read them, and become NimBLE's store. `settings`.flash NULL: nothing is ever written. */
void bonds_start(const struct kedge_region *settings);

/* Write them if they changed since. 0, or the settings' error (tried again next time). */
int bonds_keep(void);

/* How many centrals are bonded. */
unsigned bonds_count(void);

#endif
