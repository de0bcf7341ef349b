/* The AST1030 registers that are used here, as QEMU 7.2 has them (hw/arm/aspeed_ast10x0.c,
 * hw/ssi/aspeed_smc.c, hw/watchdog/wdt_aspeed.c); bits as in ASPEED's SDK. */
#ifndef KEDGE_AST1030_REGISTERS_H
#define KEDGE_AST1030_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Flash controllers: FMC (the "internal" chip) and SPI1; chip 0 of each. */
#define FMC_BASE     0x7E620000u
#define FMC_WINDOW   0x80000000u
#define SPI1_BASE    0x7E630000u
#define SPI1_WINDOW  0x90000000u
#define SMC_CONFIG   0x00u
#define SMC_CONTROL  0x10u
#define SMC_WRITABLE (1u << 16)
#define SMC_SELECT   0x3u /* user mode, chip select low */
#define SMC_RELEASE  0x7u

/* 16550, registers four bytes apart; the first -serial. */
#define UART5_BASE       0x7E784000u
#define UART1_BASE       0x7E783000u /* the second -serial */
#define UART_DATA        0x00u
#define UART_ENABLE      0x04u
#define UART_FIFO        0x08u
#define UART_LINE        0x0Cu
#define UART_STATUS      0x14u
#define UART_ON_DATA     1u
#define UART_FIFO_ON     0xC1u
#define UART_DIVISOR     0x80u
#define UART_8N1         0x03u
#define UART_HAS_DATA    0x01u
#define UART_HAS_ROOM    0x20u
#define UART_EMPTY       0x40u
#define UART5_IRQ        8
#define UART1_IRQ        47

#define WDT1_RELOAD      REGISTER(0x7E785004)
#define WDT1_RESTART     REGISTER(0x7E785008)
#define WDT1_CONTROL     REGISTER(0x7E78500C)
#define WDT_RESTART      0x4755u
#define WDT_SYSTEM       0x13u /* on, resets the system, counts microseconds */

#define NVIC_ENABLE      REGISTER(0xE000E100)
#define NVIC_ENABLE_HIGH REGISTER(0xE000E104)
#define NVIC_DISABLE     REGISTER(0xE000E180)
#define NVIC_CLEAR       REGISTER(0xE000E280)
/* timer 1: counts down once a microsecond by the same clock as the watchdog */
#define TIMER1_NOW      REGISTER(0x7E782000)
#define TIMER1_RELOAD   REGISTER(0x7E782004)
#define TIMERS_CONTROL  REGISTER(0x7E782030)
#define TIMERS_CLEAR    REGISTER(0x7E78203C)
#define TIMER1_ON       3u /* on, 1 MHz */

#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD  REGISTER(0xE000E014)
#define SYSTICK_NOW     REGISTER(0xE000E018)
#define SYSTICK_ON      7u /* by the processor's clock, with interrupt */
#define CORE_MHZ        200u
#define SCB_VTOR        REGISTER(0xE000ED08)
#define SCB_AIRCR       REGISTER(0xE000ED0C)
#define AIRCR_RESET     0x05FA0004u

#endif
