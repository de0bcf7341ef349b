/* The loader on QEMU's mps2-an386 (-icount shift=0: one instruction a nanosecond): instructions and
 * deepest stack of a plain boot, a test swap and the revert, with both flashes as plain RAM and
 * then with the external one behind the SPI-NOR driver. One line each on the debugger's console:
 *
 *     ram|nor CASE REASON INSTRUCTIONS STACK
 *
 * bench/size.sh starts it with two signed images at MPS2_OLD and MPS2_NEW. */
#include <string.h>

#include "flash.h"
#include "kedge/boot.h"
#include "loader_build.h"
#include "loader_key.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define SYSTICK_CONTROL   REGISTER(0xE000E010)
#define SYSTICK_RELOAD    REGISTER(0xE000E014)
#define SYSTICK_NOW       REGISTER(0xE000E018)
#define SYSTICK_MOST      0xFFFFFFu
#define PER_TICK          40u /* instructions: 25 MHz, 1 ns each */

#define SYS_WRITE0        4u
#define SYS_EXIT          0x18u
#define EXIT_DONE         0x20026u

#define SLOT              0x71000u
#define IMAGE_MOST        0x42000u
#define STATE_MOST        4096u
#define DEPTH             6144u /* of the stack that is watched */
#define PAINT             0x5AA55AA5u

static uint8_t unit[4096];
static uint64_t state[STATE_MOST / 8];
static struct kedge_spinor nor;
static struct kedge_flash external;
static struct kedge_pair pair;
static struct kedge_layout layout;

static const struct kedge_boot_config config = {
    .layout = &layout,
    .strategy = &LOADER_STRATEGY(kedge_swap),
    .keys = &loader_key,
    .key_count = 1,
    .defaults = &kedge_policy_default,
    .unit = {unit, sizeof unit},
    .state = {(uint8_t *)state, sizeof state},
};

static void semihost(uint32_t operation, uint32_t argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void print(const char *text)
{
    semihost(SYS_WRITE0, (uint32_t)(uintptr_t)text);
}

static void print_number(uint32_t value)
{
    char text[12];
    char *at = text + sizeof text;
    *--at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    *--at = ' ';
    print(at);
}

/* What a port's main() does, with its report on the stack. */
static __attribute__((noinline)) uint32_t boot(void)
{
    struct kedge_boot_report report;
    const int error = kedge_boot(&config, &report);
    loader_forget();
    return error == 0 ? report.reason : UINT32_MAX;
}

static void measure(const char *external_kind, const char *name)
{
    uint32_t *const top = __builtin_frame_address(0);
    volatile uint32_t *const bottom = top - DEPTH / 4;
    uint32_t *sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    for (volatile uint32_t *word = bottom; word < sp; word++) {
        *word = PAINT;
    }
    SYSTICK_NOW = 0;
    const uint32_t from = SYSTICK_NOW;
    const uint32_t reason = boot();
    const uint32_t ticks = (from - SYSTICK_NOW) & SYSTICK_MOST;
    volatile uint32_t *deepest = bottom;
    while (*deepest == PAINT) {
        deepest++;
    }
    print(external_kind);
    print(" ");
    print(name);
    print_number(reason);
    print_number(ticks * PER_TICK);
    print_number((uint32_t)((uintptr_t)sp - (uintptr_t)deepest));
    print("\n");
}

/* The factory's state: the old image in the primary, the new one waits, nothing is asked for. */
static void set_up(const struct kedge_flash *flash)
{
    const struct kedge_region primary = {&mps2_internal, 0xC000, SLOT};
    const struct kedge_region secondary = {flash, 0, SLOT + 0x2000};
    memset((void *)MPS2_INTERNAL, 0xFF, MPS2_INTERNAL_SIZE);
    memset((void *)MPS2_EXTERNAL, 0xFF, MPS2_EXTERNAL_SIZE);
    memcpy((void *)(MPS2_INTERNAL + 0xC000), (const void *)MPS2_OLD, IMAGE_MOST);
    memcpy((void *)MPS2_EXTERNAL, (const void *)MPS2_NEW, IMAGE_MOST);
    KEDGE_ASSERT(kedge_pair_make(&pair, &primary, &secondary, NULL, 8) == 0);
    layout.pairs = &pair;
    layout.pair_count = 1;
    layout.journal = (struct kedge_region){&mps2_internal, 0x7D000, 0x2000};
    layout.settings = (struct kedge_region){&mps2_internal, 0x7F000, 0x2000};
}

static void request_test(void)
{
    kedge_trailer_magic(8, (uint8_t *)(MPS2_EXTERNAL + SLOT - 16));
}

static void run(const struct kedge_flash *flash, const char *kind)
{
    set_up(flash);
    measure(kind, "plain");
    request_test();
    measure(kind, "test");
    measure(kind, "revert");
}

int main(void)
{
    SYSTICK_RELOAD = SYSTICK_MOST;
    SYSTICK_CONTROL = 5; /* on, by the processor's clock */
    run(&mps2_external, "ram");
    KEDGE_ASSERT(kedge_spinor_open(&nor, &mps2_bus, &kedge_spinor_mx25r64_table, &external) == 0);
    run(&external, "nor");
    print("state");
    print_number((uint32_t)kedge_boot_state_size(&layout) + LOADER_STATE_MORE);
    print("\n");
    semihost(SYS_EXIT, EXIT_DONE);
    return 0;
}
