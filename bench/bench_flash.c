/* Flash work and model time of uploads, swaps and reverts at the product's geometry, beside what
 * was measured on MCUboot (shared/PEERS.md) and the goals. The real loader, the real SPI-NOR
 * driver, the strict simulator with the typical times of facts/flash-parts.md; the processor's own
 * time is not in the model, for the peers neither. usage: bench_flash OUT.json */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "kedge/agent.h"
#include "state.h"

#define IMAGE_SIZE 261889u /* 64 units of 4 KiB: the image of PEERS.md's table */
#define CHUNK      1448u   /* what smpclient sends over UDP */

static const char one_spare_yaml[] =
    "strategy: swap\n"
    "devices:\n"
    "  internal: {part: nrf52840, size: 0x100000, sector: 4096}\n"
    "  external: {part: mx25r64, size: 0x800000, sector: 4096}\n"
    "regions:\n"
    "  primary: {device: internal, address: 0xC000, size: 0x71000}\n"
    "  journal: {device: internal, address: 0x7D000, size: 0x2000}\n"
    "  settings: {device: internal, address: 0x7F000, size: 0x2000}\n"
    "  secondary: {device: external, address: 0x0, size: 0x71000}\n"
    "  spares: {device: external, address: 0x71000, size: 0x1000}\n";

struct work {
    uint32_t slot_erases, other_erases; /* internal: primary; journal and settings */
    uint32_t internal_bytes, external_erases, external_bytes, external_reads;
    double seconds;
};

static struct state state;
static struct device maker; /* only its keys and its image maker are used */
static struct device_image old_image, new_image;
static struct work work;
static uint8_t unit[4096], memory[16384], scratch[4096];

static void on_trace(void *ctx, const struct kedge_sim_event *event)
{
    const struct kedge_region *primary = &state.pair.primary.region;
    (void)ctx;
    if (event->operation != KEDGE_OP_ERASE) {
        if (event->device == KEDGE_INTERNAL) {
            work.internal_bytes += event->size;
        } else {
            work.external_bytes += event->size;
        }
        return;
    }
    const uint32_t sectors = event->size / 4096u;
    if (event->device == KEDGE_EXTERNAL) {
        work.external_erases += sectors;
    } else if (event->at >= primary->start && event->at < primary->start + primary->size) {
        work.slot_erases += sectors;
    } else {
        work.other_erases += sectors;
    }
}

static void die(const char *why)
{
    fprintf(stderr, "bench_flash: %s\n", why);
    exit(1);
}

static void open_device(const char *layout)
{
    char why[LAYOUT_WHY];
    const struct kedge_sim_hooks hooks = {.trace = on_trace};
    if (state_open_dumps(&state, layout, NULL, NULL, why) != 0) {
        die(why);
    }
    kedge_sim_hooks(state.board.sim, &hooks);
    kedge_sim_poke(state.board.sim, KEDGE_INTERNAL, state.pair.primary.region.start,
                   kedge_bytes(old_image.bytes, old_image.size));
}

static struct work measure_boot(const struct kedge_strategy *strategy, unsigned major)
{
    struct kedge_boot_report report;
    const struct kedge_boot_config config = {.layout = &state.layout,
                                             .strategy = strategy,
                                             .keys = &maker.key,
                                             .key_count = 1,
                                             .defaults = &kedge_policy_default,
                                             .recorder = &state.recorder,
                                             .unit = kedge_buf(unit, sizeof unit),
                                             .state = kedge_buf(memory, sizeof memory)};
    memset(&work, 0, sizeof work);
    kedge_sim_board_power_on(&state.board);
    kedge_recorder_clear(&state.recorder);
    const uint64_t start = kedge_sim_now_us(state.board.sim);
    if (kedge_boot(&config, &report) != 0 || !report.boots || report.version.major != major) {
        die("the wrong image booted");
    }
    work.seconds = (double)(kedge_sim_now_us(state.board.sim) - start) / 1e6;
    work.external_reads = kedge_recorder_total(&state.recorder, KEDGE_EXTERNAL).read_bytes;
    if (kedge_sim_violations(state.board.sim) != 0) {
        die(kedge_sim_violation(state.board.sim));
    }
    return work;
}

/* The first boot of a device makes its journal; every other one finds it. */
static void first_boot(const struct kedge_strategy *strategy)
{
    (void)measure_boot(strategy, 1);
}

static void ask(void)
{
    uint8_t tail[40];
    const struct kedge_slot *slot = &state.pair.secondary;
    memset(tail, 0xFF, sizeof tail);
    tail[0] = KEDGE_SWAP_TEST;
    kedge_trailer_magic(8, tail + 24);
    kedge_sim_poke(state.board.sim, KEDGE_EXTERNAL,
                   (slot->gap + 1u) * slot->unit - (uint32_t)sizeof tail,
                   kedge_bytes(tail, sizeof tail));
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return (uint32_t)(kedge_sim_now_us(state.board.sim) / 1000u);
}

static struct work measure_upload(void)
{
    static struct kedge_agent agent;
    static struct kedge_boot_report report;
    const struct kedge_agent_config config = {.layout = &state.layout,
                                              .keys = &maker.key,
                                              .key_count = 1,
                                              .defaults = &kedge_policy_default,
                                              .boot = &report,
                                              .recorder = &state.recorder,
                                              .now_ms = now_ms,
                                              .scratch = kedge_buf(scratch, sizeof scratch)};
    struct kedge_upload_reply reply = {0};
    memset(&work, 0, sizeof work);
    kedge_agent_start(&agent, &config);
    const uint64_t start = kedge_sim_now_us(state.board.sim);
    for (uint32_t off = 0; off < new_image.size; off = reply.off) {
        const uint32_t left = new_image.size - off;
        const struct kedge_upload_request request = {
            .peer = 1,
            .has_off = true,
            .off = off,
            .has_len = off == 0,
            .len = new_image.size,
            .data = kedge_bytes(new_image.bytes + off, left < CHUNK ? left : CHUNK)};
        if (kedge_agent_upload(&agent, &request, &reply) != 0 || reply.off <= off) {
            die("the upload stopped");
        }
    }
    work.seconds = (double)(kedge_sim_now_us(state.board.sim) - start) / 1e6;
    work.external_reads = kedge_recorder_total(&state.recorder, KEDGE_EXTERNAL).read_bytes;
    return work;
}

/* Strategy `backup`: the agent of the running image copies it in idle time, long before the reboot.
 */
static void copy_ahead(void)
{
    static struct kedge_agent agent;
    struct kedge_boot_report running = {.boots = 1, .settled = 1};
    memcpy(running.hash, old_image.hash, sizeof running.hash);
    const struct kedge_agent_config config = {.layout = &state.layout,
                                              .keys = &maker.key,
                                              .key_count = 1,
                                              .defaults = &kedge_policy_default,
                                              .boot = &running,
                                              .recorder = &state.recorder,
                                              .now_ms = now_ms,
                                              .keeps_backup = true,
                                              .scratch = kedge_buf(scratch, sizeof scratch)};
    memset(&work, 0, sizeof work);
    kedge_agent_start(&agent, &config);
    while (kedge_agent_idle(&agent)) {
    }
    if (work.slot_erases + work.other_erases + work.internal_bytes != 0 ||
        work.external_erases < 64) {
        die("the agent did not copy the running image ahead");
    }
}

/* ---- the table ------------------------------------------------------------------------------- */

static FILE *json;
static int misses;

struct bound {
    uint32_t slot_erases, external_erases; /* 0xFFFF: none */
    double seconds;                        /* 0: none */
    const char *beside;                    /* the peer's figure */
};
#define ANY 0xFFFFu

static void row(const char *name, const struct work *w, const struct bound *b)
{
    const bool ok = (b->slot_erases == ANY || w->slot_erases <= b->slot_erases) &&
                    (b->external_erases == ANY || w->external_erases <= b->external_erases) &&
                    (b->seconds == 0 || w->seconds <= b->seconds);
    char goal[40] = "-";
    if (b->seconds != 0) {
        snprintf(goal, sizeof goal, "<= %.2f s", b->seconds);
    }
    printf("%-38s %4u+%-2u %7u %4u %7u %7.2f s  %-10s %-4s %s\n", name, w->slot_erases,
           w->other_erases, w->internal_bytes, w->external_erases, w->external_bytes, w->seconds,
           goal, ok ? "ok" : "MISS", b->beside);
    fprintf(json,
            "%s    {\"case\": \"%s\", \"internal_slot_erases\": %u, \"internal_other_erases\": %u, "
            "\"internal_bytes\": %u, \"external_erases\": %u, \"external_bytes\": %u, "
            "\"external_read_bytes\": %u, \"seconds\": %.3f, \"goal_seconds\": %.2f, \"met\": %s}",
            ftell(json) > 20 ? ",\n" : "", name, w->slot_erases, w->other_erases, w->internal_bytes,
            w->external_erases, w->external_bytes, w->external_reads, w->seconds, b->seconds,
            ok ? "true" : "false");
    misses += !ok;
}

static void make_images(uint64_t differs)
{
    const struct device_image_spec old_spec = {.size = IMAGE_SIZE, .major = 1, .differs = differs};
    const struct device_image_spec new_spec = {.size = IMAGE_SIZE, .major = 2, .differs = differs};
    device_image_make(&maker, &old_image, &old_spec);
    device_image_make(&maker, &new_image, &new_spec);
}

struct update {
    const char *name;
    uint64_t differs;
    const char *layout;
    const struct kedge_strategy *strategy;
    struct bound swap, revert; /* revert.beside NULL: there is none */
};

static void measure_update(const struct update *u)
{
    char name[64];
    make_images(u->differs);
    open_device(u->layout);
    first_boot(u->strategy);
    kedge_sim_poke(state.board.sim, KEDGE_EXTERNAL, 0,
                   kedge_bytes(new_image.bytes, new_image.size));
    if (u->strategy == &kedge_backup) {
        copy_ahead();
    }
    ask();
    const struct work swap = measure_boot(u->strategy, 2);
    snprintf(name, sizeof name, "%s: upgrade", u->name);
    row(name, &swap, &u->swap);
    if (u->revert.beside != NULL) {
        const struct work revert = measure_boot(u->strategy, 1);
        snprintf(name, sizeof name, "%s: revert", u->name);
        row(name, &revert, &u->revert);
        const struct work quiet = measure_boot(u->strategy, 1);
        if (quiet.slot_erases + quiet.other_erases + quiet.internal_bytes + quiet.external_erases +
                quiet.external_bytes !=
            0) {
            die("a quiet boot wrote to flash");
        }
    }
    state_close(&state);
}

static void measure_same(void)
{
    static const struct bound bound = {1, 1, 0, "MCUboot: a whole swap, 13.05 s"};
    make_images(0);
    open_device(NULL);
    first_boot(&kedge_swap);
    kedge_sim_poke(state.board.sim, KEDGE_EXTERNAL, 0,
                   kedge_bytes(old_image.bytes, old_image.size));
    ask();
    const struct work w = measure_boot(&kedge_swap, 1);
    row("the same image again", &w, &bound);
    state_close(&state);
}

static void measure_uploads(void)
{
    static const struct bound bound = {0, 66, 0, "internal must be 0"};
    make_images(~0ull);
    open_device(NULL);
    const struct work w = measure_upload();
    row("upload of 256 KiB in chunks of 1448 B", &w, &bound);
    state_close(&state);
}

/* A client erases a slot that is full to the last byte. */
static void measure_erase(void)
{
    static const struct bound bound = {0, 116, 0, "sector by sector: 6.49 s"};
    static struct kedge_agent agent;
    static const struct kedge_boot_report report = {.boots = 1, .settled = 1};
    const struct kedge_agent_config config = {.layout = &state.layout,
                                              .defaults = &kedge_policy_default,
                                              .boot = &report,
                                              .recorder = &state.recorder,
                                              .now_ms = now_ms,
                                              .scratch = kedge_buf(scratch, sizeof scratch)};
    open_device(NULL);
    const uint32_t size = state.pair.secondary.region.size;
    for (uint32_t at = 0; at < size; at += IMAGE_SIZE) {
        kedge_sim_poke(
            state.board.sim, KEDGE_EXTERNAL, at,
            kedge_bytes(old_image.bytes, size - at < IMAGE_SIZE ? size - at : IMAGE_SIZE));
    }
    memset(&work, 0, sizeof work);
    kedge_agent_start(&agent, &config);
    const uint64_t start = kedge_sim_now_us(state.board.sim);
    if (kedge_agent_erase(&agent, 1) != 0) {
        die("the slot cannot be erased");
    }
    work.seconds = (double)(kedge_sim_now_us(state.board.sim) - start) / 1e6;
    row("erase of a full slot", &work, &bound);
    state_close(&state);
}

static void measure_quiet(void)
{
    static const struct bound bound = {0, 0, 0, "MCUboot: reads 262 KB int, 51-261 B ext"};
    open_device(NULL);
    first_boot(&kedge_swap);
    const struct work w = measure_boot(&kedge_swap, 1);
    row("quiet boot (no update)", &w, &bound);
    printf("    external bytes read by it: %u\n", w.external_reads);
    state_close(&state);
}

int main(int argc, char **argv)
{
    static const char one_spare[] = "/tmp/kedge-bench-one-spare.yml";
    static const struct device_shape shape = {.unit = 4096};
    /* 10 KB lie in units 20 to 22; unit 0 holds the version, unit 63 the hash and the signature */
    const uint64_t ten = 7ull << 20;
    static const char m1[] = "MCUboot swap-offset 65/65, 13.05 s";
    static const char m2[] = "MCUboot swap-offset 65/68, 13.2 s";
    const struct update updates[] = {
        {"swap, all differ, two spares",
         ~0ull,
         NULL,
         &kedge_swap,
         {65, 66, 9.4, m1},
         {65, 66, 9.4, m2}},
        {"swap, all differ, one spare",
         ~0ull,
         one_spare,
         &kedge_swap,
         {65, 66, 13.5, m1},
         {65, 66, 13.5, m2}},
        {"swap, 10 KB differ", ten, NULL, &kedge_swap, {6, 11, 1.9, m1}, {6, 11, 1.9, m2}},
        {"swap, only the version differs", 0, NULL, &kedge_swap, {3, 5, 1.1, m1}, {3, 5, 1.1, m2}},
        {"backup prepared, all differ",
         ~0ull,
         NULL,
         &kedge_backup,
         {65, 1, 9.2, m1},
         {65, 0, 8.8, m2}},
        {"backup prepared, 10 KB differ",
         ten,
         NULL,
         &kedge_backup,
         {6, 1, 1.9, m1},
         {6, 0, 1.9, m2}},
        {"overwrite, all differ",
         ~0ull,
         NULL,
         &kedge_overwrite,
         {65, 2, 9.2, "MCUboot overwrite-fast 65/2, 8.83 s"},
         {0, 0, 0, NULL}},
    };
    FILE *f = fopen(one_spare, "w");
    if (argc != 2 || f == NULL || fputs(one_spare_yaml, f) < 0 || fclose(f) != 0 ||
        (json = fopen(argv[1], "w")) == NULL) {
        die("usage: bench_flash OUT.json");
    }
    fprintf(json, "{\"flash\": [\n");
    device_open(&maker, &shape);
    printf("%-38s %-7s %7s %4s %7s %9s  %-10s\n", "nRF52840 + MX25R64 at 8 MHz, 256 KiB", "int.er.",
           "bytes", "ext.", "bytes", "model", "goal");
    make_images(~0ull);
    measure_uploads();
    for (size_t i = 0; i < sizeof updates / sizeof updates[0]; i++) {
        measure_update(&updates[i]);
    }
    measure_same();
    measure_erase();
    measure_quiet();
    fprintf(json, "\n]}\n");
    fclose(json);
    remove(one_spare);
    printf("erases: primary slot + journal; %d bounds missed\n", misses);
    return 0;
}
