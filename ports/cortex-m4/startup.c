/* Vector table and reset. The loader takes no interrupts: anything but a reset ends in a trap, and
 * the watchdog that the application or a bootloader setting started does the rest. */
#include <stdint.h>

#include "kedge/base.h"

extern uint32_t link_stack_top, link_data_start, link_data_end, link_data_from, link_bss_start,
    link_bss_end;

int main(void);

_Noreturn void kedge_trap(void)
{
    for (;;) {
        __asm volatile("bkpt 0");
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

struct vectors {
    const uint32_t *stack;
    void (*handlers[6])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    .stack = &link_stack_top,
    .handlers = {on_reset, on_fault /* NMI */, on_fault /* hard fault */, on_fault /* memory */,
                 on_fault /* bus */, on_fault /* usage */},
};
