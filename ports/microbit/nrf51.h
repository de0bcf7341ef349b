/* In the place of ../nrf52840/nrf52840.h (force-included, hence its guard): the nRF51 has the same
 * NVMC registers and pages of 1 KiB. */
#ifndef KEDGE_NRF52840_H
#define KEDGE_NRF52840_H

#include "kedge/flash.h"

#define NRF52840_PAGE 1024u

extern const struct kedge_flash nrf52840_internal;

#endif
