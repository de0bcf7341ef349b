#include "scenario.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/agent.h"

#define ALL (~(uint64_t)0)

const struct scenario scenarios[] = {
    {"swap down, two spares", &kedge_swap, 2, 0, 3, 3, ALL, ASK_TEST, false},
    {"swap up from base 2", &kedge_swap, 2, 2, 3, 3, ALL, ASK_TEST, false},
    {"swap up from base 1 of two", &kedge_swap, 2, 1, 3, 3, ALL, ASK_TEST, false},
    {"swap down, one spare", &kedge_swap, 1, 0, 3, 3, ALL, ASK_TEST, false},
    {"swap up, one spare", &kedge_swap, 1, 1, 3, 3, ALL, ASK_TEST, false},
    {"swap down, serial", &kedge_swap_serial, 2, 0, 3, 3, ALL, ASK_TEST, false},
    {"serial, one unit", &kedge_swap_serial, 2, 0, 1, 1, ALL, ASK_TEST, true},
    {"swap up, serial", &kedge_swap_serial, 2, 2, 2, 4, ALL, ASK_TEST, false},
    {"growing", &kedge_swap, 2, 0, 2, 4, ALL, ASK_TEST, false},
    {"growing, up", &kedge_swap, 1, 1, 1, 4, ALL, ASK_TEST, false},
    {"shrinking", &kedge_swap, 2, 0, 4, 2, ALL, ASK_TEST, false},
    {"shrinking, up", &kedge_swap, 1, 1, 4, 1, ALL, ASK_TEST, false},
    {"one unit", &kedge_swap, 2, 0, 1, 1, ALL, ASK_TEST, true},
    {"some units equal", &kedge_swap, 2, 0, 4, 4, 6, ASK_TEST, false},
    {"in place", &kedge_swap, 2, 0, 4, 4, 0, ASK_TEST, false},
    {"in place at base 2", &kedge_swap, 2, 2, 4, 4, 0, ASK_TEST, false},
    {"in place, one spare, base 1", &kedge_swap, 1, 1, 4, 4, 0, ASK_TEST, false},
    {"permanent", &kedge_swap, 2, 0, 2, 2, ALL, ASK_PERMANENT, false},
    {"revert", &kedge_swap, 2, 0, 3, 3, ALL, REVERT, false},
    {"revert, up", &kedge_swap, 2, 2, 3, 3, ALL, REVERT, false},
    {"revert, one spare, grown", &kedge_swap, 1, 0, 2, 4, ALL, REVERT, false},
    {"revert, one spare, shrunk", &kedge_swap, 1, 1, 4, 2, ALL, REVERT, false},
    {"revert, serial", &kedge_swap_serial, 2, 0, 3, 3, ALL, REVERT, false},
    {"revert, one unit", &kedge_swap, 1, 0, 1, 1, ALL, REVERT, true},
    {"revert in place", &kedge_swap, 2, 0, 4, 4, 0, REVERT, false},
    {"confirm", &kedge_swap, 2, 0, 2, 2, ALL, CONFIRM, true},
    {"confirm, trailer", &kedge_swap, 2, 0, 2, 2, ALL, CONFIRM_TRAILER, false},
    {"second trial", &kedge_swap, 2, 0, 1, 1, ALL, SECOND_TRIAL, true},
    {"overwrite", &kedge_overwrite, 2, 0, 3, 3, ALL, ASK_TEST, false},
    {"overwrite, one unit", &kedge_overwrite, 2, 0, 1, 1, ALL, ASK_TEST, true},
    {"backup", &kedge_backup, 2, 0, 3, 3, ALL, ASK_TEST, false},
    {"backup, one unit", &kedge_backup, 2, 0, 1, 1, ALL, ASK_TEST, true},
    {"backup, prepared, one unit", &kedge_backup, 2, 0, 1, 1, ALL, ASK_PREPARED, true},
    {"backup, revert, one unit", &kedge_backup, 2, 0, 1, 1, ALL, REVERT, true},
    {"backup, prepared", &kedge_backup, 2, 0, 3, 3, ALL, ASK_PREPARED, false},
    {"backup, prepared, growing", &kedge_backup, 2, 0, 2, 4, 6, ASK_PREPARED, false},
    {"backup, revert", &kedge_backup, 2, 0, 3, 2, ALL, REVERT, false},
    {"lost primary", &kedge_swap, 2, 0, 2, 2, ALL, LOST_PRIMARY, true},
    {"lost primary, base 2", &kedge_swap, 2, 2, 1, 3, ALL, LOST_PRIMARY, false},
    {"broken candidate", &kedge_swap, 2, 0, 2, 2, ALL, ASK_BROKEN, true},
    {"torn request", &kedge_swap, 2, 0, 2, 2, ALL, TORN_REQUEST, true},
    {"wipe", &kedge_swap, 2, 0, 2, 2, ALL, WIPE, false},
    {"request during the trial", &kedge_swap, 2, 0, 2, 2, ALL, ASK_IN_TRIAL, false},
};
const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);

struct device device;
struct device_image old_image, new_image;
const struct scenario *scenario;
struct kedge_sim_snapshot *scenario_start;
uint64_t scenario_boots;
bool scenario_driver, scenario_effort;
enum scenario_secrecy scenario_secrecy;
static struct leak secrets, keys;
char where[160];

void scenario_fail(const char *what)
{
    fail_msg("%s: %s: %s (booted %u, reason %u, verdict %u) %s", scenario->name, where, what,
             device.report.version.major, device.report.reason, device.report.verdict,
             device_violation(&device));
}

static uint32_t size_of(uint32_t units)
{
    return units * device.shape.unit - 300; /* the last unit is not full */
}

/* Where the image that was in the primary lies after a finished swap of an image at `base`. */
static unsigned other_base(unsigned base)
{
    const uint32_t k = scenario->k_old > scenario->k_new ? scenario->k_old : scenario->k_new;
    /* what is masked always goes all the way */
    const bool inplace = scenario->differs == 0 && 2 * 2 <= k && scenario_secrecy == SCENARIO_PLAIN;
    if (inplace)
        return base;
    return base != 0 ? 0 : scenario->spares;
}

static bool keeps_old(void)
{
    return scenario->strategy != &kedge_overwrite && scenario->event != LOST_PRIMARY;
}

static bool old_is_kept(void)
{
    if (scenario->strategy == &kedge_backup)
        return device_has(&device, KEDGE_BACKUP, 0, &old_image);
    return device_has(&device, KEDGE_SECONDARY, other_base(scenario->base), &old_image);
}

static bool new_is_kept(void)
{
    return device_has(&device, KEDGE_SECONDARY, scenario->base, &new_image);
}

enum device_outcome scenario_boot(void)
{
    scenario_boots++;
    const enum device_outcome outcome = device_boot(&device);
    /* what a look in the middle of a program said of half a copy is no verdict on what boots */
    require(outcome != DEVICE_BOOTED || !device.report.resumed ||
            device.report.reason < KEDGE_REASON_TESTING ||
            device.report.reason > KEDGE_REASON_RESTORED ||
            device.report.verdict == KEDGE_IMAGE_GOOD);
    return outcome;
}

static void boot_clean(unsigned major)
{
    require(scenario_boot() == DEVICE_BOOTED);
    require(device.report.version.major == major);
}

static void damage_primary(void)
{
    static const uint8_t zero[4] = {0};
    kedge_sim_poke(device.sim, KEDGE_INTERNAL, 100, kedge_bytes(zero, sizeof(zero)));
}

static uint32_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

void scenario_agent(void)
{
    static struct kedge_agent agent;
    static struct kedge_agent_config config;
    static uint8_t scratch[512];
    config = (struct kedge_agent_config){.layout = &device.layout,
                                         .keys = &device.key,
                                         .key_count = 1,
                                         .defaults = &device.policy,
                                         .boot = &device.report,
                                         .recorder = &device.recorder,
                                         .now_ms = no_time,
                                         .keeps_backup = scenario->strategy == &kedge_backup,
                                         .scratch = kedge_buf(scratch, sizeof(scratch))};
    kedge_agent_start(&agent, &config);
    for (unsigned i = 0; i < 100 && kedge_agent_idle(&agent); i++)
        ;
    require(!kedge_agent_idle(&agent));
}

/* Neither payload nor content key may come to the external flash in clear. */
static void watch(void)
{
    const struct device_image *const images[] = {&old_image, &new_image};
    if (scenario_secrecy == SCENARIO_PLAIN)
        return;
    leak_clear(&secrets);
    leak_clear(&keys);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t key[16];
        for (unsigned b = 0; b < sizeof(key); b++)
            key[b] = (uint8_t)(b + (i == 0 ? 0x31 : 0x81));
        leak_add(&secrets, kedge_bytes(key, sizeof(key)));
        leak_add(&keys, kedge_bytes(key, sizeof(key)));
        leak_add(&secrets, kedge_bytes(images[i]->bytes + 32, kedge_le32(images[i]->bytes + 12)));
    }
    device.secrets = &secrets;
}

/* A world in which the next power-on is the interesting one. */
void scenario_prepare(const struct scenario *s)
{
    const struct device_shape shape = {.unit = 512,
                                       .spares = s->spares,
                                       .strategy = s->strategy,
                                       .driver = scenario_driver,
                                       .effort = scenario_effort,
                                       .confidential = scenario_secrecy != SCENARIO_PLAIN,
                                       .backup = s->strategy == &kedge_backup};
    scenario = s;
    device_open(&device, &shape);
    const struct device_image_spec old_spec = {.size = size_of(s->k_old),
                                               .fill = 250,
                                               .major = 1,
                                               .differs = s->differs,
                                               .key = scenario_secrecy == SCENARIO_ENCRYPTED ? 0x31
                                                                                             : 0};
    const struct device_image_spec new_spec = {.size = size_of(s->k_new),
                                               .fill = 250,
                                               .major = 2,
                                               .differs = s->differs,
                                               .key =
                                                   scenario_secrecy != SCENARIO_PLAIN ? 0x81 : 0};
    device_image_make(&device, &old_image, &old_spec);
    device_image_make(&device, &new_image, &new_spec);
    device_put(&device, KEDGE_PRIMARY, 0, &old_image);
    watch();
    strcpy(where, "preparing");
    boot_clean(1);
    device_put(&device, KEDGE_SECONDARY, s->base, &new_image);
    if (s->event == SECOND_TRIAL)
        device.policy.value[KEDGE_POLICY_ATTEMPTS] = 2;
    if (s->event == WIPE || s->event == CONFIRM_TRAILER)
        device.policy.value[KEDGE_POLICY_AFTER_CONFIRM] = s->event == WIPE ? 2 : 1;
    switch (s->event) {
    case ASK_TEST:
        device_request(&device, false);
        break;
    case ASK_PREPARED:
        scenario_agent();
        require(device_has(&device, KEDGE_BACKUP, 0, &old_image));
        device_request(&device, false);
        break;
    case ASK_PERMANENT:
        device_request(&device, true);
        break;
    case LOST_PRIMARY:
        damage_primary();
        break;
    case ASK_BROKEN:
        device_request(&device, false);
        kedge_sim_decay(device.sim, KEDGE_EXTERNAL, s->base * device.shape.unit + 60, 3);
        break;
    case TORN_REQUEST:
        device_request(&device, false);
        kedge_sim_decay(device.sim, KEDGE_EXTERNAL, device.shape.sectors * device.shape.unit - 3,
                        9);
        break;
    default:
        device_request(&device, false);
        boot_clean(2);
        require(device.report.reason == KEDGE_REASON_TESTING);
        if (s->event == CONFIRM || s->event == CONFIRM_TRAILER || s->event == WIPE)
            device_confirm(&device);
        if (s->event == ASK_IN_TRIAL || s->event == CONFIRM_TRAILER)
            device_request(&device, true);
        break;
    }
    scenario_start = kedge_sim_snapshot_make(device.sim);
}

void scenario_finish(void)
{
    kedge_sim_snapshot_free(scenario_start);
    device_close(&device);
}

/* A boot without anything to do writes nothing. A torn SEAL may have read as whole once and not
 * again: then one more power-on makes the state its own first. */
void scenario_quiet(unsigned major)
{
    kedge_sim_arm(device.sim, NULL);
    boot_clean(major);
    if (kedge_sim_operations(device.sim) == 0)
        return;
    kedge_sim_arm(device.sim, NULL);
    boot_clean(major);
    require(kedge_sim_operations(device.sim) == 0);
}

/* After a test boot: first what it must look like, then the revert, then quiet. */
static void check_trial(bool used_up)
{
    if (!used_up || device.report.version.major != 1) {
        require(device.report.version.major == 2);
        require(device.report.reason == KEDGE_REASON_TESTING);
        require(device_has(&device, KEDGE_PRIMARY, 0, &new_image));
        require(old_is_kept());
        require(device_mailbox_blank(&device));
        kedge_sim_arm(device.sim, NULL);
        boot_clean(1);
        require(device.report.reason == KEDGE_REASON_REVERTED);
    }
    require(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
    require(new_is_kept());
}

/* An image that was installed for good has a trailer that says so, in MCUboot's words. */
static bool permanent_trailer(void)
{
    struct kedge_trailer trailer;
    return kedge_slot_trailer(&device.pair.primary, 1, &trailer) == 0 &&
           trailer.magic == KEDGE_MAGIC_GOOD && trailer.copy_done == KEDGE_FLAG_SET &&
           trailer.image_ok == KEDGE_FLAG_SET && trailer.swap_type == KEDGE_SWAP_PERMANENT;
}

/* The internal flash holds plain firmware, but no key of it. */
static bool no_key_inside(void)
{
    const uint32_t size = kedge_sim_part(device.sim, KEDGE_INTERNAL)->geometry.size;
    return leak_find(&keys, kedge_bytes(kedge_sim_contents(device.sim, KEDGE_INTERNAL), size)) ==
           SIZE_MAX;
}

void scenario_check(bool used_up)
{
    const unsigned major = device.report.version.major;
    kedge_sim_faults(device.sim)->cut_at = 0; /* a cut that did not come in time */
    switch (scenario->event) {
    case ASK_TEST:
    case ASK_PREPARED:
        if (keeps_old()) {
            check_trial(used_up);
            scenario_quiet(1);
            break;
        }
        /* without an old image to go back to a test is permanent */
        /* fall through */
    case ASK_PERMANENT:
        require(major == 2);
        require(device_has(&device, KEDGE_PRIMARY, 0, &new_image));
        require(!keeps_old() || old_is_kept());
        scenario_quiet(2);
        require(permanent_trailer());
        break;
    case REVERT:
    case ASK_IN_TRIAL:
        require(major == 1);
        require(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
        require(new_is_kept());
        scenario_quiet(1);
        break;
    case CONFIRM:
    case CONFIRM_TRAILER:
        require(major == 2);
        require(old_is_kept());
        scenario_quiet(2);
        require(device.report.reason == KEDGE_REASON_NORMAL);
        break;
    case WIPE:
        require(major == 2);
        require(!old_is_kept());
        scenario_quiet(2);
        break;
    case SECOND_TRIAL:
        require(major == 2 || used_up);
        if (major == 2)
            boot_clean(1);
        require(device_has(&device, KEDGE_PRIMARY, 0, &old_image));
        require(new_is_kept());
        scenario_quiet(1);
        break;
    case LOST_PRIMARY:
        require(major == 2);
        scenario_quiet(2);
        require(permanent_trailer());
        break;
    case ASK_BROKEN:
    case TORN_REQUEST:
        require(major == 1);
        scenario_quiet(1);
        break;
    }
    require(device_mailbox_blank(&device));
    require(kedge_sim_violations(device.sim) == 0);
    require(device_no_leak(&device, true));
    require(device.leaks == 0);
    require(scenario_secrecy == SCENARIO_PLAIN || no_key_inside());
}

void scenario_settle(void)
{
    unsigned lives = 0;
    while (scenario_boot() == DEVICE_CUT)
        require(++lives < SCENARIO_LIVES);
    require(device.report.boots != 0);
}
