/* The small loader: strategy `swap`, one P-256 key, the MX25R64 of the nRF52840 DK by its table,
 * the default layout of PRODUCT.md. `make size` measures this program. */
#include "kedge/boot.h"
#include "kedge/spinor.h"
#include "loader_build.h"
#include "loader_key.h"
#include "nrf52840.h"
#include "registers.h"

#define PAGE       NRF52840_PAGE
#define SLOT_PAGES 113u
#define SPARES     2u

static struct kedge_flash external;
static struct kedge_spinor nor;
static uint8_t unit[PAGE];
/* kedge_boot_state_size() of this layout; checked at start */
static uint64_t state[(2040 + LOADER_STATE_MORE) / 8];

static const struct kedge_pair pair = {
    .primary = {.region = {&nrf52840_internal, 0xC000, SLOT_PAGES *PAGE},
                .unit = PAGE,
                .units = SLOT_PAGES - 1,
                .gap = SLOT_PAGES - 1,
                .max_align = 8},
    .secondary = {.region = {&external, 0, (SLOT_PAGES + SPARES) * PAGE},
                  .unit = PAGE,
                  .units = SLOT_PAGES - 1 + SPARES,
                  .gap = SLOT_PAGES - 1,
                  .last_base = SPARES,
                  .max_align = 8},
    .spares = SPARES,
};

static const struct kedge_layout layout = {
    .pairs = &pair,
    .pair_count = 1,
    .journal = {&nrf52840_internal, 0x7D000, 2 * PAGE},
    .settings = {&nrf52840_internal, 0x7F000, 2 * PAGE},
};

static const struct kedge_boot_config config = {
    .layout = &layout,
    .strategy = &LOADER_STRATEGY(kedge_swap_serial),
    .keys = &loader_key,
    .key_count = 1,
    .defaults = &kedge_policy_default,
    .unit = {unit, sizeof unit},
    .state = {(uint8_t *)state, sizeof state},
};

/* To the image: its vector table gives stack and entry, as an application linked for MCUboot
 * expects. */
static _Noreturn void jump(uint32_t entry)
{
    SCB_VTOR = entry;
    __asm volatile("msr msp, %0\n\tbx %1" : : "r"(REGISTER(entry)), "r"(REGISTER(entry + 4)));
    __builtin_unreachable();
}

int main(void)
{
    struct kedge_boot_report report;
    nrf52840_spim_start();
    (void)kedge_spinor_open(&nor, &nrf52840_bus, &kedge_spinor_mx25r64_table, &external);
    const int error = kedge_boot(&config, &report);
    loader_forget();
    if (error == 0 && report.boots) {
        jump(report.entry);
    }
    return 1; /* recovery mode: startup traps; a port with a console serves SMP here */
}
