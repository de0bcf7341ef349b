/* The two flash controllers as SPI buses, chip select 0 of each. */
#ifndef KEDGE_AST1030_SMC_H
#define KEDGE_AST1030_SMC_H

#include "kedge/spinor.h"

extern const struct kedge_spi_bus smc_internal, smc_external;
void smc_start(void);

/* Send 32 bytes at a time too, as they are received: quicker, and a cut no longer tears between any
 * two bytes of a page. Off at start. */
extern bool smc_sends_bursts;

#endif
