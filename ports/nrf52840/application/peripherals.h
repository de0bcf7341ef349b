/* What the application and the loader with a console use beyond ../registers.h. Addresses: nRF52840
 * Product Specification v1.7, chapters CLOCK, POWER, UARTE, TIMER, PPI, WDT, GPIO. */
#ifndef KEDGE_NRF52840_PERIPHERALS_H
#define KEDGE_NRF52840_PERIPHERALS_H

#include "registers.h"

#define CLOCK_HFXO_START  REGISTER(0x40000000)
#define CLOCK_HFXO_RUNS   REGISTER(0x40000100)
#define POWER_RESETREAS   REGISTER(0x40000400)
#define RESET_PIN         (1u << 0)
#define RESET_WATCHDOG    (1u << 1)
#define RESET_SOFT        (1u << 2)
#define RESET_LOCKUP      (1u << 3)

#define UARTE_START_RX    REGISTER(0x40002000)
#define UARTE_START_TX    REGISTER(0x40002008)
#define UARTE_STOP_RX     REGISTER(0x40002004)
#define UARTE_RX_READY    0x40002108u /* event: a byte came */
#define UARTE_TX_END      REGISTER(0x40002120)
#define UARTE_RX_STARTED  REGISTER(0x4000214C)
#define UARTE_SHORTS      REGISTER(0x40002200)
#define UARTE_INT_ENABLE  REGISTER(0x40002304)
#define UARTE_INT_DISABLE REGISTER(0x40002308)
#define UARTE_ENABLE      REGISTER(0x40002500)
#define UARTE_PSEL_TXD    REGISTER(0x4000250C)
#define UARTE_PSEL_RXD    REGISTER(0x40002514)
#define UARTE_BAUDRATE    REGISTER(0x40002524)
#define UARTE_RXD_PTR     REGISTER(0x40002534)
#define UARTE_RXD_MAXCNT  REGISTER(0x40002538)
#define UARTE_TXD_PTR     REGISTER(0x40002544)
#define UARTE_TXD_MAXCNT  REGISTER(0x40002548)
#define UARTE_CONFIG      REGISTER(0x4000256C)
#define UARTE_ENABLED     8u
#define UARTE_115200      0x01D60000u
#define UARTE_ENDRX_START (1u << 5)  /* short: the next buffer follows at once */
#define UARTE_ON_STARTED  (1u << 19) /* interrupt: the next buffer may be named */
#define UARTE_IRQ         2

/* TIMER1 counts the bytes that came, by PPI channel 0. */
#define TIMER1_START    REGISTER(0x40009000)
#define TIMER1_COUNT    0x40009008u /* task */
#define TIMER1_CLEAR    REGISTER(0x4000900C)
#define TIMER1_CAPTURE  REGISTER(0x40009040)
#define TIMER1_MODE     REGISTER(0x40009504)
#define TIMER1_BITMODE  REGISTER(0x40009508)
#define TIMER1_CC       REGISTER(0x40009540)
#define TIMER_COUNTS    2u
#define TIMER_32_BITS   3u
#define PPI_ENABLE_SET  REGISTER(0x4001F504)
#define PPI_EVENT       REGISTER(0x4001F510)
#define PPI_TASK        REGISTER(0x4001F514)

#define WDT_START       REGISTER(0x40010000)
#define WDT_RUNS        REGISTER(0x40010400)
#define WDT_RELOAD      REGISTER(0x40010504)
#define WDT_CHANNELS    REGISTER(0x40010508)
#define WDT_CONFIG      REGISTER(0x4001050C)
#define WDT_FEED        REGISTER(0x40010600)
#define WDT_FEED_WORD   0x6E524635u
#define WDT_WHEN_ASLEEP 1u

#define NVIC_ENABLE     REGISTER(0xE000E100)
#define NVIC_DISABLE    REGISTER(0xE000E180)
#define NVIC_CLEAR      REGISTER(0xE000E280)
#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD  REGISTER(0xE000E014)
#define SYSTICK_NOW     REGISTER(0xE000E018)
#define SYSTICK_ON      7u
#define CORE_KHZ        64000u
#define SCB_AIRCR       REGISTER(0xE000ED0C)
#define AIRCR_RESET     0x05FA0004u

/* nRF52840 DK: the debugger's serial port, and what keeps the flash chip awake (WP#, HOLD#). */
#define PIN_TXD  6u
#define PIN_RXD  8u
#define PIN_WP   22u
#define PIN_HOLD 23u

#endif
