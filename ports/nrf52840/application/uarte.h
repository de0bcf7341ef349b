/* UARTE0 as a console at 115200 baud. */
#ifndef KEDGE_NRF52840_UARTE_H
#define KEDGE_NRF52840_UARTE_H

void uarte_start(void);
void uarte_stop(void);
void uarte_interrupt(void);

#endif
