/* The nRF52840 registers that a loader needs. Addresses: nRF52840 Product Specification v1.7,
 * chapters NVMC, SPIM, GPIO. */
#ifndef KEDGE_NRF52840_REGISTERS_H
#define KEDGE_NRF52840_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define NVMC_READY        REGISTER(0x4001E400)
#define NVMC_CONFIG       REGISTER(0x4001E504)
#define NVMC_ERASEPAGE    REGISTER(0x4001E508)
#define NVMC_READ_ONLY    0u
#define NVMC_WRITE        1u
#define NVMC_ERASE        2u

#define SPIM_START        REGISTER(0x40003010)
#define SPIM_END          REGISTER(0x40003118)
#define SPIM_ENABLE       REGISTER(0x40003500)
#define SPIM_PSEL_SCK     REGISTER(0x40003508)
#define SPIM_PSEL_MOSI    REGISTER(0x4000350C)
#define SPIM_PSEL_MISO    REGISTER(0x40003510)
#define SPIM_FREQUENCY    REGISTER(0x40003524)
#define SPIM_RXD_PTR      REGISTER(0x40003534)
#define SPIM_RXD_MAXCNT   REGISTER(0x40003538)
#define SPIM_TXD_PTR      REGISTER(0x40003544)
#define SPIM_TXD_MAXCNT   REGISTER(0x40003548)
#define SPIM_CONFIG       REGISTER(0x40003554)
#define SPIM_ENABLED      7u
#define SPIM_8_MHZ        0x80000000u

#define P0_OUTSET         REGISTER(0x50000508)
#define P0_OUTCLR         REGISTER(0x5000050C)
#define P0_DIRSET         REGISTER(0x50000518)

/* nRF52840 DK: MX25R6435F on SCK 19, MOSI 20, MISO 21, chip select 17 (P0). */
#define PIN_SCK  19u
#define PIN_MOSI 20u
#define PIN_MISO 21u
#define PIN_CS   17u

#define SCB_VTOR REGISTER(0xE000ED08)

#endif
