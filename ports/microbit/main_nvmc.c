/* The NVMC driver of the nRF52840 port on QEMU's microbit, whose nRF51 has the same registers: what
 * the loader does with internal flash, and the settings' two-sector log on top. Says `ok COUNT` or
 * `failed WHAT` over semihosting. */
#include <string.h>

#include "kedge/flash.h"
#include "kedge/policy.h"
#include "nrf51.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define PLACE             0x30000u
#define PAGES             4u
#define SIZE              (PAGES * NRF52840_PAGE)
#define SETTINGS          0x38000u
#define SETTINGS_SECTOR   4096u

#define SYS_WRITE0        4u
#define SYS_EXIT          0x18u
#define EXIT_DONE         0x20026u

static const struct kedge_region region = {&nrf52840_internal, PLACE, SIZE};
static unsigned checks;

static void semihost(uint32_t operation, uint32_t argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static _Noreturn void end(const char *text)
{
    semihost(SYS_WRITE0, (uint32_t)(uintptr_t)text);
    semihost(SYS_EXIT, EXIT_DONE);
    for (;;) {
    }
}

_Noreturn void kedge_trap(void)
{
    end("failed: trap\n");
}

static void check(bool holds, const char *what)
{
    if (!holds) {
        semihost(SYS_WRITE0, (uint32_t)(uintptr_t) "failed: ");
        semihost(SYS_WRITE0, (uint32_t)(uintptr_t)what);
        end("\n");
    }
    checks++;
}

static void fill(uint8_t *bytes, uint32_t seed)
{
    for (uint32_t i = 0; i < NRF52840_PAGE; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

static bool page_is(uint32_t page, const uint8_t *want)
{
    static uint8_t seen[NRF52840_PAGE];
    return kedge_region_read(&region, page * NRF52840_PAGE, kedge_buf(seen, sizeof seen)) == 0 &&
           memcmp(seen, want, sizeof seen) == 0;
}

static void pages(void)
{
    static uint8_t bytes[NRF52840_PAGE], blank[NRF52840_PAGE];
    memset(blank, 0xFF, sizeof blank);
    for (uint32_t p = 0; p < PAGES; p++) {
        fill(bytes, p);
        check(kedge_region_erase(&region, p * NRF52840_PAGE, NRF52840_PAGE) == 0, "erase");
        check(page_is(p, blank), "erased");
        check(kedge_region_program(&region, p * NRF52840_PAGE, kedge_bytes(bytes, sizeof bytes)) ==
                  0,
              "program");
        check(page_is(p, bytes), "programmed");
    }
    check(kedge_region_erase(&region, NRF52840_PAGE, 2 * NRF52840_PAGE) == 0, "erase two");
    for (uint32_t p = 0; p < PAGES; p++) {
        fill(bytes, p);
        check(page_is(p, p == 1 || p == 2 ? blank : bytes), "only two pages are erased");
    }
    check(kedge_region_program(&region, NRF52840_PAGE + 1, kedge_bytes(bytes, 4)) == KEDGE_E_ALIGN,
          "half a word is refused");
}

/* A word only loses bits, as a trailer's does when the application confirms. */
static void words(void)
{
    static const uint8_t first[] = {0xF0, 0xFF, 0xFF, 0xFF}, second[] = {0xF0, 0x0F, 0xFF, 0xFF};
    uint8_t seen[4];
    check(kedge_region_erase(&region, 0, NRF52840_PAGE) == 0, "erase for words");
    check(kedge_region_program(&region, 8, kedge_bytes(first, 4)) == 0, "first word");
    check(kedge_region_program(&region, 8, kedge_bytes(second, 4)) == 0, "second word");
    check(kedge_region_read(&region, 8, kedge_buf(seen, 4)) == 0 && memcmp(seen, second, 4) == 0,
          "a word loses bits");
    check(kedge_region_read(&region, 4, kedge_buf(seen, 4)) == 0 &&
              kedge_all(kedge_bytes(seen, 4), 0xFF),
          "its neighbours do not");
}

static void settings(void)
{
    const struct kedge_region place = {&nrf52840_internal, SETTINGS, 2 * SETTINGS_SECTOR};
    struct kedge_policy policy, again;
    check(kedge_region_erase(&place, 0, place.size) == 0, "erase settings");
    kedge_policy_load(&place, &kedge_policy_default, &policy);
    for (uint8_t attempts = 2; attempts < 8; attempts++) {
        check(kedge_policy_store(&place, &policy, KEDGE_POLICY_ATTEMPTS, attempts) == 0, "store");
        check(kedge_policy_settle(&place) == 0, "settle");
        kedge_policy_load(&place, &kedge_policy_default, &again);
        check(again.value[KEDGE_POLICY_ATTEMPTS] == attempts, "load");
    }
}

int main(void)
{
    char text[] = "ok 00\n";
    pages();
    words();
    settings();
    text[3] = (char)('0' + checks / 10 % 10);
    text[4] = (char)('0' + checks % 10);
    end(text);
}

extern uint32_t link_stack_top, link_bss_start, link_bss_end, link_data_start, link_data_end,
    link_data_from;
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
}

static void on_fault(void)
{
    end("failed: fault\n");
}

struct vectors {
    const uint32_t *stack;
    void (*handlers[3])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    .stack = &link_stack_top, .handlers = {on_reset, on_fault, on_fault}};
