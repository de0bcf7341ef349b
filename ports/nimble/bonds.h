/* Bonds: the keys shared with whoever paired. NimBLE asks for them by callbacks; a device keeps
 * them in its settings, behind the policies (FORMAT.md, "Bonds"), the host tool in a file. */
#ifndef KEDGE_NIMBLE_BONDS_H
#define KEDGE_NIMBLE_BONDS_H

#include "host/ble_hs.h"
#include "kedge/base.h"

#define BONDS_MAX    4
#define BONDS_RECORD 56
#define BONDS_STORED (8 + BONDS_MAX * BONDS_RECORD) /* bytes of all, as they are kept */

/* Where they are kept. Load: 0 when `to` is filled. Store: 0, or an error; after a power cut the
 * old ones or the new ones. */
struct bonds_place {
    int (*load)(void *ctx, struct kedge_buf to);
    int (*store)(void *ctx, struct kedge_bytes bonds);
    void *ctx;
};

/* Read them, and become NimBLE's store. */
void bonds_start(const struct bonds_place *place);

/* A peer connected from this address. It is remembered with a bond that is made now: there are
 * centrals whose identity is another address than the static one they come from. */
void bonds_met(const ble_addr_t *over_air);

/* Write them if they changed since. 0, or the place's error (tried again next time). */
int bonds_keep(void);

/* How many centrals are bonded. */
unsigned bonds_count(void);

#endif
