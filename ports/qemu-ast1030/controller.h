/* UART1, where a Bluetooth controller may be (controller.c) or nothing is (controller_none.c). */
#ifndef KEDGE_AST1030_CONTROLLER_H
#define KEDGE_AST1030_CONTROLLER_H

void controller_interrupt(void);

#endif
