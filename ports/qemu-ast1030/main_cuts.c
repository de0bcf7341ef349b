/* Power cuts at any instruction of the real loader: under `-icount shift=10` the watchdog that is
 * armed with N microseconds resets after about N instructions, wherever that is: between two bytes
 * of a page, between two commands. One process walks through many N, for the whole of a test swap
 * and of the revert. After each cut the loader recovers, and both chips are compared with the two
 * images byte by byte. tests/qemu/sweep.py starts it:
 *
 *     0x5F000  struct order: which cuts     0x60000  old image     0x68000  new image
 *
 * Lines for it: `case NAME took US operations COUNT places COUNT`, `lost CASE US BOOT WHY`, `sum
 * CUTS LOST`. */
#include <string.h>

#include "board.h"
#include "kedge/boot.h"
#include "loader_key.h"
#include "registers.h"
#include "say.h"
#include "smc.h"

#define SECTOR     4096u
#define SLOT       (6u * SECTOR)
#define SPARES     (2u * SECTOR)
#define PRIMARY    0xC000u
#define JOURNAL    0x7D000u
#define SETTINGS   0x7F000u
#define SECTORS    16u   /* that a case can change: primary, journal, secondary with spares */
#define WINDOWS    4096u /* program and erase calls of one run */
#define BEFORE     16u   /* instructions around a call's start and end that are all cut */
#define AFTER      64u
#define LIFE       4u /* boots in which a device must have settled */
#define IMAGE_MOST (5u * SECTOR)

enum scenario { SWAP, REVERT, SCENARIOS };
static const char *const names[SCENARIOS] = {"swap", "revert"};

/* From the host: this process takes the cuts number first, first + step, ... */
struct order {
    uint32_t first, step;
    uint32_t near;  /* inside a call: every near-th instruction */
    uint32_t far;   /* elsewhere: every far-th */
    uint32_t most;  /* cuts of this process; 0: all */
    uint32_t again; /* 1: the recovery is cut as well, once */
};

struct window {
    uint32_t from, to; /* microseconds since the watchdog was armed */
};

enum stage { FRESH, ARMED, CUT_AGAIN, DONE };

struct kept {
    uint32_t magic, stage, scenario, now, number, cuts, lost, trials;
    uint32_t took[SCENARIOS], windows[SCENARIOS], sealed[SCENARIOS];
    struct window window[SCENARIOS][WINDOWS];
    uint8_t snapshot[SCENARIOS][SECTORS][SECTOR];
};
#define KEPT_MAGIC 0x53545543u /* "CUTS" */

extern struct kept link_kept;
extern const struct order link_order;
extern const uint8_t link_old[], link_new[];

static struct kept *const kept = &link_kept;
static struct kedge_flash inner[2], flash[2];
static struct kedge_pair pair;
static struct kedge_layout layout;
static uint8_t unit[SECTOR];
static uint64_t state[BOARD_STATE / 8];
static uint8_t sector[SECTOR];
static struct window noted_calls[WINDOWS]; /* of the present run */
static uint32_t noted_count;

static struct kedge_boot_config config = {
    .layout = &layout,
    .strategy = &kedge_swap,
    .keys = &loader_key,
    .key_count = 1,
    .defaults = &kedge_policy_default,
    .unit = {unit, sizeof unit},
    .state = {(uint8_t *)state, sizeof state},
};

/* ---- time and watchdog ----------------------------------------------------------------------- */

static void start_clock(void)
{
    TIMERS_CLEAR = TIMER1_ON;
    TIMER1_RELOAD = UINT32_MAX;
    noted_count = 0;
    TIMERS_CONTROL = TIMER1_ON;
}

static uint32_t now_us(void)
{
    return UINT32_MAX - TIMER1_NOW;
}

/* The watchdog starts when call `cut_call` begins, from 1; AT_ONCE: when it is armed. QEMU's is
 * late behind long calculations (0.4 s behind the 6 s of a signature), which would shift the places
 * away from the calls. */
#define AT_ONCE 0u
static uint32_t cut_call, cut_us;

static void arm(uint32_t call, uint32_t us)
{
    smc_sends_bursts = false;
    cut_call = call;
    cut_us = us;
    start_clock();
    if (call == AT_ONCE) {
        board_watchdog_start(us);
    }
}

static uint32_t begin_call(void)
{
    if (noted_count + 1 == cut_call) {
        board_watchdog_start(cut_us);
    }
    return now_us();
}

static void disarm(void)
{
    WDT1_CONTROL = 0;
    smc_sends_bursts = true;
}

/* ---- flash: calls are noted, so that the cuts can be dense around them ----------------------- */

/* In every run, so that all runs take the same time. */
static int note(uint32_t from, int result)
{
    if (noted_count < WINDOWS) {
        noted_calls[noted_count++] = (struct window){from, now_us()};
    }
    return result;
}

static int noted_read(void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct kedge_flash *f = ctx;
    return f->ops->read(f->ctx, at, to);
}

static int noted_program(void *ctx, uint32_t at, struct kedge_bytes from)
{
    const struct kedge_flash *f = ctx;
    const uint32_t begun = begin_call();
    return note(begun, f->ops->program(f->ctx, at, from));
}

static int noted_erase(void *ctx, uint32_t at, uint32_t size)
{
    const struct kedge_flash *f = ctx;
    const uint32_t begun = begin_call();
    return note(begun, f->ops->erase(f->ctx, at, size));
}

static int noted_sync(void *ctx)
{
    const struct kedge_flash *f = ctx;
    return f->ops->sync(f->ctx);
}

static int noted_probe(void *ctx)
{
    const struct kedge_flash *f = ctx;
    return f->ops->probe(f->ctx);
}

static const struct kedge_flash_ops noted = {.read = noted_read,
                                             .program = noted_program,
                                             .erase = noted_erase,
                                             .sync = noted_sync,
                                             .probe = noted_probe};

static void open(void)
{
    KEDGE_ASSERT(board_open(&inner[0], &inner[1]) == 0);
    for (unsigned d = 0; d < 2; d++) {
        flash[d] = (struct kedge_flash){&noted, &inner[d], inner[d].geometry};
    }
    const struct kedge_region primary = {&flash[0], PRIMARY, SLOT};
    const struct kedge_region secondary = {&flash[1], 0, SLOT + SPARES};
    KEDGE_ASSERT(kedge_pair_make(&pair, &primary, &secondary, NULL, 8) == 0);
    layout = (struct kedge_layout){.pairs = &pair,
                                   .pair_count = 1,
                                   .journal = {&flash[0], JOURNAL, 2 * SECTOR},
                                   .settings = {&flash[0], SETTINGS, 2 * SECTOR}};
}

/* ---- the sectors that a case may change ------------------------------------------------------ */

static const struct kedge_flash *place(unsigned i, uint32_t *at)
{
    if (i < 6) {
        *at = PRIMARY + i * SECTOR;
        return &inner[0];
    }
    if (i < 8) {
        *at = JOURNAL + (i - 6) * SECTOR;
        return &inner[0];
    }
    *at = (i - 8) * SECTOR;
    return &inner[1];
}

static void take_snapshot(enum scenario scenario)
{
    for (unsigned i = 0; i < SECTORS; i++) {
        uint32_t at;
        const struct kedge_flash *f = place(i, &at);
        KEDGE_ASSERT(f->ops->read(f->ctx, at, kedge_buf(kept->snapshot[scenario][i], SECTOR)) == 0);
    }
}

static void restore_sector(const struct kedge_flash *f, uint32_t at, const uint8_t *want)
{
    KEDGE_ASSERT(f->ops->read(f->ctx, at, kedge_buf(sector, SECTOR)) == 0);
    if (memcmp(sector, want, SECTOR) == 0) {
        return;
    }
    KEDGE_ASSERT(f->ops->erase(f->ctx, at, SECTOR) == 0);
    for (uint32_t o = 0; o < SECTOR; o += 256) {
        if (!kedge_all(kedge_bytes(want + o, 256), 0xFF)) {
            KEDGE_ASSERT(f->ops->program(f->ctx, at + o, kedge_bytes(want + o, 256)) == 0);
        }
    }
}

static void restore(enum scenario scenario)
{
    for (unsigned i = 0; i < SECTORS; i++) {
        uint32_t at;
        const struct kedge_flash *f = place(i, &at);
        restore_sector(f, at, kept->snapshot[scenario][i]);
    }
}

/* ---- what must be true ----------------------------------------------------------------------- */

static uint32_t size_of(const uint8_t *image)
{
    const uint32_t tlvs = kedge_le16(image + 8) + kedge_le32(image + 12);
    return tlvs + kedge_le16(image + tlvs + 2);
}

static bool holds(const struct kedge_slot *slot, uint8_t base, const uint8_t *image)
{
    const uint32_t size = size_of(image);
    for (uint32_t at = 0; at < size; at += SECTOR) {
        const uint32_t piece = size - at < SECTOR ? size - at : SECTOR;
        if (kedge_slot_read(slot, base, at, kedge_buf(sector, piece)) != 0 ||
            memcmp(sector, image + at, piece) != 0) {
            return false;
        }
    }
    return true;
}

static bool secondary_holds(const uint8_t *image)
{
    for (uint8_t base = 0; base <= pair.secondary.last_base; base++) {
        if (holds(&pair.secondary, base, image)) {
            return true;
        }
    }
    return false;
}

static void lose(unsigned boots, const char *why)
{
    kept->lost++;
    say("lost ");
    say(names[kept->scenario]);
    say(" ");
    say_number(kept->now);
    say(" ");
    say_number(boots);
    say(" ");
    say(why);
    say("\r\n");
}

/* One boot: something is booted, it is whole, and it is the image that the reason says. */
static const char *boot_once(struct kedge_boot_report *report)
{
    if (kedge_boot(&config, report) != 0 || !report->boots) {
        return "nothing bootable";
    }
    switch (report->reason) {
    case KEDGE_REASON_TESTING:
        return holds(&pair.primary, 0, link_new) ? NULL : "the new image is not whole";
    case KEDGE_REASON_REVERTED:
    case KEDGE_REASON_NORMAL:
        return holds(&pair.primary, 0, link_old) ? NULL : "the old image is not whole";
    default:
        return kedge_reason_text(report->reason);
    }
}

/* A trial or the end of the revert may be written down already where the cut came after it. */
static bool may_be_sealed(void)
{
    return link_order.again != 0 || kept->now + AFTER >= kept->sealed[kept->scenario];
}

/* From the cut on: a test swap is tried once and reverted, a revert is done; the old image runs and
 * the new one lies in the secondary, bit for bit. completed: the last run came to its end. */
static void settle(bool completed)
{
    struct kedge_boot_report report;
    bool tried = kept->scenario == REVERT || completed;
    bool reverted = kept->scenario == REVERT && completed;
    for (unsigned boots = 1; boots <= LIFE; boots++) {
        const char *why = boot_once(&report);
        if (why != NULL) {
            lose(boots, why);
            return;
        }
        switch (report.reason) {
        case KEDGE_REASON_TESTING:
            why = tried ? "tried twice" : NULL;
            tried = true;
            break;
        case KEDGE_REASON_REVERTED:
            why = tried || may_be_sealed() ? NULL : "reverted before it was tried";
            kept->trials += !tried;
            tried = reverted = true;
            break;
        default:
            why = reverted || (tried && may_be_sealed()) ? NULL : "the request is gone";
            tried = reverted = true;
            break;
        }
        if (why != NULL) {
            lose(boots, why);
            return;
        }
        if (reverted) {
            break;
        }
    }
    if (!reverted) {
        lose(LIFE, "does not settle");
    } else if (!secondary_holds(link_new)) {
        lose(LIFE, "the new image is not in the secondary");
    }
}

/* ---- the walk -------------------------------------------------------------------------------- */

static void run(void)
{
    struct kedge_boot_report report;
    (void)kedge_boot(&config, &report);
}

static void format(void)
{
    for (unsigned s = 0; s < SCENARIOS; s++) {
        memset(kept->snapshot[s], 0xFF, sizeof kept->snapshot[s]);
    }
    memcpy(kept->snapshot[SWAP][0], link_old, size_of(link_old));
    memcpy(kept->snapshot[SWAP][8], link_new, size_of(link_new));
    kedge_trailer_magic(8, kept->snapshot[SWAP][8 + 6] - 16);
    restore(SWAP);
}

/* The next place to cut behind `now`. */
static uint32_t next(uint32_t now)
{
    const struct window *w = kept->window[kept->scenario];
    const uint32_t count = kept->windows[kept->scenario];
    for (uint32_t i = 0; i < count; i++, w++) {
        if (now + link_order.far < w->from - BEFORE) {
            return now + link_order.far;
        }
        if (now < w->to + BEFORE) {
            const bool edge = now < w->from + AFTER || now + AFTER > w->to;
            const uint32_t to = now + (edge ? 1u : link_order.near);
            return now + 1 < w->from - BEFORE ? w->from - BEFORE : to;
        }
    }
    return now + link_order.far;
}

static uint32_t count_places(void)
{
    uint32_t count = 0;
    for (uint32_t now = next(0); now < kept->took[kept->scenario]; now = next(now)) {
        count++;
    }
    return count;
}

/* Each case once without a cut: where its calls are, and what the next one starts from. */
static void rehearse(void)
{
    for (unsigned s = 0; s < SCENARIOS; s++) {
        kept->scenario = s;
        if (s > 0) {
            take_snapshot(s);
        }
        arm(AT_ONCE, UINT32_MAX);
        run();
        kept->took[s] = now_us();
        disarm();
        memcpy(kept->window[s], noted_calls, sizeof noted_calls);
        const uint32_t last = kept->windows[s] = noted_count;
        kept->sealed[s] = kept->window[s][last > 2 ? last - 2 : 0].from;
        say("case ");
        say(names[s]);
        say(" took ");
        say_number(kept->took[s]);
        say(" operations ");
        say_number(last);
        say(" places ");
        say_number(count_places());
        say("\r\n");
    }
}

/* `us` of the run at hand, counted from the last call that begins before. */
static void arm_place(uint32_t us)
{
    const struct window *const calls = kept->window[kept->scenario];
    uint32_t call = 0;
    while (call < kept->windows[kept->scenario] && calls[call].from < us) {
        call++;
    }
    if (call == 0) {
        arm(AT_ONCE, us);
    } else {
        arm(call, us - calls[call - 1].from);
    }
}

/* To this process's next cut. False: there is none. */
static bool advance(void)
{
    for (;;) {
        kept->now = next(kept->now);
        if (kept->now >= kept->took[kept->scenario]) {
            kept->now = 0;
            if (++kept->scenario == SCENARIOS) {
                return false;
            }
            continue;
        }
        if (kept->number++ % link_order.step == link_order.first) {
            return true;
        }
    }
}

static void finish(void)
{
    kept->stage = DONE;
    say("sum ");
    say_number(kept->cuts);
    say(" ");
    say_number(kept->lost);
    say(" ");
    say_number(kept->trials);
    say("\r\n");
}

static void walk(void)
{
    for (;;) {
        if ((link_order.most != 0 && kept->cuts >= link_order.most) || !advance()) {
            finish();
            return;
        }
        restore(kept->scenario);
        kept->stage = ARMED;
        arm_place(kept->now);
        run();
        disarm(); /* it was over before the cut: the last few instructions */
        settle(true);
    }
}

/* Behind a cut. With `again`, the recovery is cut once too, at a place that differs from cut to
 * cut. */
static void recover(void)
{
    bool completed = false;
    if (kept->stage == ARMED && link_order.again != 0) {
        const uint32_t took = kept->took[kept->scenario];
        kept->stage = CUT_AGAIN;
        arm(AT_ONCE, 1u + (uint32_t)((uint64_t)(kept->now * 2654435761u) * took >> 32));
        run();
        disarm();
        completed = true;
    }
    kept->stage = DONE;
    kept->cuts++;
    settle(completed);
}

int main(void)
{
    board_start();
    disarm();
    open();
    if (kept->magic != KEPT_MAGIC) {
        memset(kept, 0, sizeof *kept);
        kept->magic = KEPT_MAGIC;
        format();
        rehearse();
        kept->scenario = SWAP;
        walk();
    } else if (kept->stage == ARMED || kept->stage == CUT_AGAIN) {
        recover();
        walk();
    }
    for (;;) {
        board_sleep();
    }
}
