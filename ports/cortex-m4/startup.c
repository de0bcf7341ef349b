/* Vector table and reset. The loader takes no interrupts: anything but a reset ends in a trap, and
 * the watchdog that the application or a bootloader setting started does the rest. */
#include <stdint.h>
#include <string.h>

#include "kedge/base.h"

extern uint32_t link_stack_top, link_bss_start, link_bss_end;

int main(void);

_Noreturn void kedge_trap(void)
{
    for (;;) {
        __asm volatile("bkpt 0");
    }
}

/* Variables with a first value there are none: link.ld sees to it. */
_Noreturn void on_reset(void);
_Noreturn void on_reset(void)
{
    memset(&link_bss_start, 0, (size_t)((uint8_t *)&link_bss_end - (uint8_t *)&link_bss_start));
    (void)main();
    kedge_trap();
}

struct vectors {
    const uint32_t *stack;
    void (*reset)(void);
    void (*nmi)(void);
    void (*hard_fault)(void); /* and every other fault, while those are not enabled */
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    .stack = &link_stack_top,
    .reset = on_reset,
    .nmi = kedge_trap,
    .hard_fault = kedge_trap,
};
