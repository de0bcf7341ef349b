/* Vector table and reset of a program that takes interrupts. Faults and broken promises wait for
 * the watchdog: an image on trial that does so is reverted. */
#include <stdint.h>

#include "board.h"

#define INTERRUPTS 96u

extern uint32_t link_stack_top, link_data_start, link_data_end, link_data_from, link_bss_start,
    link_bss_end;

int main(void);

_Noreturn void kedge_trap(void)
{
    __asm volatile("cpsid i");
    for (;;) {
        __asm volatile("nop");
    }
}

void on_reset(void);
void on_reset(void)
{
    const uint32_t *from = &link_data_from;
    for (uint32_t *to = &link_data_start; to < &link_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &link_bss_start; to < &link_bss_end; to++) {
        *to = 0;
    }
    (void)main();
    kedge_trap();
}

static void on_fault(void)
{
    kedge_trap();
}

static void on_interrupt(void)
{
    uint32_t number;
    __asm volatile("mrs %0, ipsr" : "=r"(number));
    board_interrupt((int)number - 16);
}

struct vectors {
    const uint32_t *stack;
    void (*system[14])(void);
    void (*handlers[1 + INTERRUPTS])(void); /* SysTick and the chip's own */
};

#define FOUR    on_interrupt, on_interrupt, on_interrupt, on_interrupt
#define SIXTEEN FOUR, FOUR, FOUR, FOUR

__attribute__((section(".vectors"), used, aligned(512))) static const struct vectors vectors = {
    .stack = &link_stack_top,
    .system = {on_reset, on_fault /* NMI */, on_fault /* hard fault */, on_fault /* memory */,
               on_fault /* bus */, on_fault /* usage */, on_fault, on_fault, on_fault, on_fault,
               on_fault /* SVCall */, on_fault, on_fault, on_fault /* PendSV */},
    .handlers = {on_interrupt, SIXTEEN, SIXTEEN, SIXTEEN, SIXTEEN, SIXTEEN, SIXTEEN},
};
