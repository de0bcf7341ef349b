/* The nRF52840 port: what the loader's main() puts together. */
#ifndef KEDGE_NRF52840_H
#define KEDGE_NRF52840_H

#include "kedge/spinor.h"

#define NRF52840_PAGE 4096u

extern const struct kedge_flash nrf52840_internal;
extern const struct kedge_spi_bus nrf52840_bus;
void nrf52840_spim_start(void); /* before the first use of the bus */

#endif
