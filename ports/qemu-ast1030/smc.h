/* The two flash controllers as SPI buses, chip select 0 of each. */
#ifndef KEDGE_AST1030_SMC_H
#define KEDGE_AST1030_SMC_H

#include "kedge/spinor.h"

extern const struct kedge_spi_bus smc_internal, smc_external;
void smc_start(void);

#endif
