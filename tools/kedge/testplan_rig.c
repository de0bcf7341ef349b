/* The device of the test plan. */
#include "testplan_rig.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "file.h"
#include "report.h"

#define LIVES_MAX 24 /* power-ons after which a device must have come to rest */

/* ---- the device ------------------------------------------------------------------------------ */

static void on_cut(void *ctx)
{
    longjmp(((struct rig *)ctx)->power, 1);
}

static void on_trace(void *ctx, const struct kedge_sim_event *event)
{
    struct rig *const rig = ctx;
    const struct kedge_region *const journal = &rig->state.layout.journal;
    const size_t room = sizeof(rig->journal_operations) / sizeof(rig->journal_operations[0]);

    if (event->device == KEDGE_INTERNAL && event->at - journal->start < journal->size &&
        rig->journal_count < room) {
        rig->journal_operations[rig->journal_count++] = event->number;
    }
}

static uint32_t now_ms(void *ctx)
{
    return (uint32_t)(kedge_sim_now_us(((struct rig *)ctx)->state.board.sim) / 1000u);
}

static void trust(struct rig *rig, const struct kedge_signature *type, enum plan_signer signer)
{
    rig->keys[rig->key_count++] =
        (struct kedge_key){.type = type, .der = rig->plan_keys->der[signer]};
}

int rig_open(struct rig *rig)
{
    char why[LAYOUT_WHY];
    const struct kedge_sim_hooks hooks = {.ctx = rig, .cut = on_cut, .trace = on_trace};

    if (state_open_dumps(&rig->state, NULL, NULL, NULL, why) != 0) {
        return fail("%s", why);
    }
    kedge_sim_hooks(rig->state.board.sim, &hooks);
    rig->random.state = rig->seed;
    rig->strategy = &kedge_swap;
    trust(rig, &kedge_ed25519, PLAN_ED25519);
    trust(rig, &kedge_ed25519_sha512, PLAN_ED25519);
    trust(rig, &kedge_ecdsa_p256, PLAN_P256);
    return 0;
}

void rig_close(struct rig *rig)
{
    for (size_t i = 0; i < rig->image_count; i++) {
        blob_free(&rig->images[i].bytes);
    }
    for (size_t i = 0; i < RIG_KEYS; i++) {
        free(rig->der[i]);
    }
    if (rig->start != NULL) {
        kedge_sim_snapshot_free(rig->start);
    }
    state_close(&rig->state);
}

static void check_rules(struct rig *rig)
{
    if (rig->faults.write_flip_at != 0) {
        return; /* an erase that left a wrong bit: what is programmed over it is the chip's doing */
    }
    if (kedge_sim_violations(rig->state.board.sim) != 0) {
        rig_fail(rig, "a rule of the flash was broken: %s",
                 kedge_sim_violation(rig->state.board.sim));
    }
}

bool rig_passes(struct rig *rig, void (*run)(struct rig *rig))
{
    if (setjmp(rig->failed) != 0) {
        return false;
    }
    run(rig);
    check_rules(rig);
    return true;
}

/* ---- failing --------------------------------------------------------------------------------- */

static const char *strategy_name(const struct rig *rig)
{
    return rig->strategy == &kedge_overwrite ? "overwrite"
           : rig->strategy == &kedge_backup  ? "backup"
                                             : "swap";
}

static int keep_file(const char *folder, const char *name, struct kedge_bytes bytes)
{
    char path[4096];

    snprintf(path, sizeof(path), "%.3000s/%.64s", folder, name);
    return file_write(path, bytes, 0666);
}

/* The flashes as they were before the life that failed, and the device's keys. */
static bool keep_device(struct rig *rig, char *folder, size_t room)
{
    static const char *const flashes[KEDGE_DEVICES] = {"internal.bin", "external.bin"};
    static const char *const keys[] = {"key0.pem", "key1.pem"};
    struct kedge_sim *const sim = rig->state.board.sim;
    int result = 0;

    snprintf(folder, room, "%.3000s/%s", rig->keep, rig->name);
    if ((mkdir(rig->keep, 0777) != 0 && errno != EEXIST) ||
        (mkdir(folder, 0777) != 0 && errno != EEXIST)) {
        fail("cannot make %s: %s", folder, strerror(errno));
        return false;
    }
    if (rig->start != NULL) {
        kedge_sim_restore(sim, rig->start);
    }
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        const uint32_t size = kedge_sim_part(sim, d)->geometry.size;

        result |= keep_file(folder, flashes[d], kedge_bytes(kedge_sim_contents(sim, d), size));
    }
    for (size_t i = 0; i < 2; i++) {
        size_t size = 0;
        uint8_t *const pem = key_public_pem(&rig->plan_keys->key[i], &size);

        result |= keep_file(folder, keys[i], kedge_bytes(pem, size));
        free(pem);
    }
    return result == 0;
}

/* How to see it again. A life that was one boot can be replayed by kedge-device itself. */
static void add_replay(struct rig *rig)
{
    static const char *const kinds[] = {"torn", "before", "after"};
    const size_t used = strlen(rig->why);
    char *const to = rig->why + used;
    const size_t room = sizeof(rig->why) - used;
    const struct kedge_sim_faults *const f = &rig->faults;
    char folder[4096];

    if (rig->keep == NULL) {
        snprintf(to, room, "; replay: kedge testplan run --case %s --seed %llu --keep DIR",
                 rig->name, (unsigned long long)rig->seed);
    } else if (keep_device(rig, folder, sizeof(folder)) && rig->cut_in_boot && f->cut_at != 0) {
        snprintf(to, room,
                 "; replay: kedge-device --state %s --key %s/key0.pem --key %s/key1.pem "
                 "--strategy %s --once --cut %u --cut-kind %s --seed %llu",
                 folder, folder, folder, strategy_name(rig), f->cut_at, kinds[f->cut_kind],
                 (unsigned long long)f->seed);
    } else {
        snprintf(to, room, "; its flashes before that: %s", folder);
    }
}

_Noreturn void rig_fail(struct rig *rig, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(rig->why, sizeof(rig->why), format, args);
    va_end(args);
    if (rig->faults.cut_at != 0) {
        const size_t used = strlen(rig->why);

        snprintf(rig->why + used, sizeof(rig->why) - used, " (seed %llu, operation %u)",
                 (unsigned long long)rig->faults.seed, rig->faults.cut_at);
    }
    add_replay(rig);
    longjmp(rig->failed, 1);
}

/* ---- what must hold -------------------------------------------------------------------------- */

/* "2.0.0 (a new image on trial)", or why nothing booted. */
static void say_boot(const struct rig *rig, char *text, size_t room)
{
    const struct kedge_boot_report *const report = &rig->report;
    char version[KEDGE_VERSION_TEXT_SIZE];

    kedge_version_text(&report->version, version);
    snprintf(text, room, "%s (%s%s%s)", report->boots != 0 ? version : "nothing",
             kedge_reason_text(report->reason), report->verdict != 0 ? "; " : "",
             report->verdict != 0 ? kedge_verdict_text(report->verdict) : "");
}

void rig_expect(struct rig *rig, const struct plan_image *image, enum kedge_reason reason)
{
    char text[256];
    char version[KEDGE_VERSION_TEXT_SIZE];
    const bool right =
        rig->report.boots != 0 && memcmp(rig->report.hash, image->hash, sizeof(image->hash)) == 0;

    if (!right || rig->report.reason != reason) {
        say_boot(rig, text, sizeof(text));
        kedge_version_text(&image->version, version);
        rig_fail(rig, "it booted %s, not %s (%s)", text, version, kedge_reason_text(reason));
    }
}

void rig_expect_nothing(struct rig *rig, enum kedge_verdict verdict)
{
    char text[256];

    if (rig->report.boots != 0 || rig->report.reason != KEDGE_REASON_NOTHING ||
        rig->report.verdict != verdict) {
        say_boot(rig, text, sizeof(text));
        rig_fail(rig, "it booted %s; nothing should: %s", text, kedge_verdict_text(verdict));
    }
}

void rig_expect_quiet(struct rig *rig, const struct plan_image *image)
{
    kedge_sim_arm(rig->state.board.sim, NULL);
    rig_run(rig);
    rig_expect(rig, image, KEDGE_REASON_NORMAL);
    if (kedge_sim_operations(rig->state.board.sim) != 0) {
        rig_fail(rig, "a boot without anything to do wrote to a flash %u times",
                 kedge_sim_operations(rig->state.board.sim));
    }
}

void rig_expect_refused(struct rig *rig, enum kedge_verdict verdict)
{
    rig_expect(rig, rig->old_image, KEDGE_REASON_REFUSED);
    if (rig->report.verdict != verdict) {
        rig_fail(rig, "refused because %s; it should be: %s",
                 kedge_verdict_text(rig->report.verdict), kedge_verdict_text(verdict));
    }
    rig_expect_holds(rig, KEDGE_PRIMARY, rig->old_image);
    if (!rig_mailbox_blank(rig)) {
        rig_fail(rig, "the request for a refused image is still there");
    }
    rig_expect_quiet(rig, rig->old_image);
}

void rig_expect_status(struct rig *rig, int status, int wanted, const char *what)
{
    if (status != wanted) {
        rig_fail(rig, "%s: the agent answered %d (%s), not %d", what, status,
                 rig->agent.detail[0] != '\0' ? rig->agent.detail : "no words", wanted);
    }
}

/* ---- slots ----------------------------------------------------------------------------------- */

static const struct kedge_slot *slot_of(const struct rig *rig, enum kedge_slot_name slot)
{
    return slot == KEDGE_PRIMARY     ? &rig->state.pair.primary
           : slot == KEDGE_SECONDARY ? &rig->state.pair.secondary
                                     : &rig->state.pair.backup;
}

static uint8_t chip_of(enum kedge_slot_name slot)
{
    return slot == KEDGE_PRIMARY ? KEDGE_INTERNAL : KEDGE_EXTERNAL;
}

/* Device address of the image byte `at` (a multiple of a unit) of an image at `base`. */
static uint32_t place(const struct kedge_slot *slot, unsigned base, uint32_t at)
{
    return slot->region.start + kedge_slot_unit_at(slot, base + at / slot->unit);
}

static uint32_t piece(const struct kedge_slot *slot, const struct plan_image *image, uint32_t at)
{
    const uint32_t left = (uint32_t)image->bytes.size - at;

    return left < slot->unit ? left : slot->unit;
}

void rig_put(struct rig *rig, enum kedge_slot_name name, unsigned base,
             const struct plan_image *image)
{
    const struct kedge_slot *const slot = slot_of(rig, name);

    for (uint32_t at = 0; at < image->bytes.size; at += slot->unit) {
        kedge_sim_poke(rig->state.board.sim, chip_of(name), place(slot, base, at),
                       kedge_bytes(image->bytes.at + at, piece(slot, image, at)));
    }
}

static bool holds_at(struct rig *rig, enum kedge_slot_name name, unsigned base,
                     const struct plan_image *image)
{
    const struct kedge_slot *const slot = slot_of(rig, name);
    const uint8_t *const flash = kedge_sim_contents(rig->state.board.sim, chip_of(name));

    for (uint32_t at = 0; at < image->bytes.size; at += slot->unit) {
        if (memcmp(flash + place(slot, base, at), image->bytes.at + at, piece(slot, image, at)) !=
            0) {
            return false;
        }
    }
    return true;
}

bool rig_holds(struct rig *rig, enum kedge_slot_name name, const struct plan_image *image)
{
    bool found = false;

    for (unsigned base = 0; base <= slot_of(rig, name)->last_base && !found; base++) {
        found = holds_at(rig, name, base, image);
    }
    return found;
}

void rig_expect_holds(struct rig *rig, enum kedge_slot_name name, const struct plan_image *image)
{
    static const char *const names[] = {"primary", "secondary", "backup"};
    char version[KEDGE_VERSION_TEXT_SIZE];

    if (!rig_holds(rig, name, image)) {
        kedge_version_text(&image->version, version);
        rig_fail(rig, "the %s does not hold %s byte for byte", names[name], version);
    }
}

static uint32_t trailer_end(const struct kedge_slot *slot)
{
    return slot->region.start + (slot->gap + 1u) * slot->unit;
}

void rig_ask(struct rig *rig, bool permanent)
{
    const struct kedge_slot *const slot = &rig->state.pair.secondary;
    const struct kedge_trailer_place at = kedge_trailer_place(slot->max_align);
    uint8_t tail[KEDGE_TRAILER_SIZE_MAX];

    memset(tail, 0xff, sizeof(tail));
    kedge_trailer_magic(slot->max_align, tail + at.size - at.magic);
    if (permanent) {
        tail[at.size - at.image_ok] = 1;
    }
    kedge_sim_poke(rig->state.board.sim, KEDGE_EXTERNAL, trailer_end(slot) - at.size,
                   kedge_bytes(tail, at.size));
}

bool rig_mailbox_blank(struct rig *rig)
{
    const struct kedge_slot *const slot = &rig->state.pair.secondary;
    const uint8_t *const flash = kedge_sim_contents(rig->state.board.sim, KEDGE_EXTERNAL);

    return kedge_all(kedge_bytes(flash + trailer_end(slot) - slot->unit, slot->unit), 0xff);
}

/* ---- images ---------------------------------------------------------------------------------- */

void rig_trust(struct rig *rig, const struct kedge_signature *type, const struct key *key)
{
    size_t size = 0;

    if (rig->key_count == RIG_KEYS) {
        rig_fail(rig, "the case trusts more keys than the rig has room for");
    }
    uint8_t *const der = key_public_der(key, &size);

    rig->der[rig->key_count] = der;
    rig->keys[rig->key_count++] = (struct kedge_key){.type = type, .der = kedge_bytes(der, size)};
}

static struct plan_image *next_image(struct rig *rig)
{
    if (rig->image_count == RIG_IMAGES) {
        rig_fail(rig, "the case makes more images than the rig has room for");
    }
    return &rig->images[rig->image_count++];
}

const struct plan_image *rig_image(struct rig *rig, const struct plan_image_spec *spec)
{
    struct plan_image *const image = next_image(rig);

    if (plan_image_make(image, rig->plan_keys, spec) != 0) {
        rig_fail(rig, "its image could not be made");
    }
    return image;
}

const struct plan_image *rig_altered(struct rig *rig, const struct plan_image *image, long from_end)
{
    struct plan_image *const copy = next_image(rig);
    const size_t at = from_end < 0 ? (size_t)-from_end : image->bytes.size - (size_t)from_end;

    *copy = *image;
    copy->bytes = (struct blob){0};
    blob_put(&copy->bytes, blob_bytes(&image->bytes));
    copy->bytes.at[at] ^= 0x10;
    return copy;
}

static void prepare(struct rig *rig, const struct plan_image_spec *old_spec,
                    const struct plan_image_spec *new_spec, unsigned base)
{
    rig->old_image = rig_image(rig, old_spec);
    rig->new_image = rig_image(rig, new_spec);
    rig_put(rig, KEDGE_PRIMARY, 0, rig->old_image);
    rig_run(rig);
    rig_expect(rig, rig->old_image, KEDGE_REASON_NORMAL);
    rig_put(rig, KEDGE_SECONDARY, base, rig->new_image);
}

uint32_t rig_size(const struct rig *rig, uint32_t units)
{
    return units * rig->state.pair.primary.unit - 900; /* room for the TLVs in the last unit */
}

void rig_prepare(struct rig *rig, uint32_t old_units, uint32_t new_units, unsigned base)
{
    const struct plan_image_spec old_spec = {.major = 1, .size = rig_size(rig, old_units)};
    const struct plan_image_spec new_spec = {.major = 2, .size = rig_size(rig, new_units)};

    prepare(rig, &old_spec, &new_spec, base);
}

void rig_prepare_sparse(struct rig *rig, uint32_t units)
{
    const struct plan_image_spec old_spec = {
        .major = 1, .size = rig_size(rig, units), .sparse = true};
    const struct plan_image_spec new_spec = {
        .major = 2, .size = rig_size(rig, units), .sparse = true};

    prepare(rig, &old_spec, &new_spec, 0);
}

/* ---- power ----------------------------------------------------------------------------------- */

static void configure(struct rig *rig)
{
    rig->boot_config = (struct kedge_boot_config){
        .layout = &rig->state.layout,
        .strategy = rig->strategy,
        .keys = rig->keys,
        .key_count = rig->key_count,
        .defaults = &kedge_policy_default,
        .recorder = &rig->state.recorder,
        .unit = kedge_buf(rig->unit, sizeof(rig->unit)),
        .state = kedge_buf(rig->body, sizeof(rig->body)),
    };
    rig->agent_config = (struct kedge_agent_config){
        .layout = &rig->state.layout,
        .keys = rig->keys,
        .key_count = rig->key_count,
        .defaults = &kedge_policy_default,
        .boot = &rig->report,
        .recorder = &rig->state.recorder,
        .now_ms = now_ms,
        .ctx = rig,
        .scratch = kedge_buf(rig->scratch, sizeof(rig->scratch)),
    };
}

static void power_on(struct rig *rig)
{
    rig->boots++;
    rig->tick();
    configure(rig);
    memset(rig->unit, 0xa5, sizeof(rig->unit)); /* RAM holds nothing across a power-on */
    memset(rig->body, 0xa5, sizeof(rig->body));
    memset(rig->scratch, 0xa5, sizeof(rig->scratch));
    rig->state.recorder.phase = KEDGE_PHASE_BOOT;
    (void)kedge_sim_board_power_on(&rig->state.board);
    if (kedge_boot(&rig->boot_config, &rig->report) != 0) {
        rig_fail(rig, "the loader refused its configuration");
    }
}

static void start_agent(struct rig *rig)
{
    rig->state.recorder.phase = KEDGE_PHASE_IDLE;
    kedge_agent_start(&rig->agent, &rig->agent_config);
}

/* False: power failed in it. */
static bool live(struct rig *rig, void (*app)(struct rig *rig))
{
    if (setjmp(rig->power) != 0) {
        return false;
    }
    power_on(rig);
    if (app != NULL) {
        start_agent(rig);
        app(rig);
    }
    return true;
}

bool rig_boot(struct rig *rig)
{
    return live(rig, NULL);
}

void rig_run(struct rig *rig)
{
    if (!rig_boot(rig)) {
        rig_fail(rig, "power failed where nobody cut it");
    }
    start_agent(rig);
}

/* ---- a client -------------------------------------------------------------------------------- */

#define CHUNK 2048u

int rig_upload(struct rig *rig, const struct plan_image *image)
{
    const uint32_t size = (uint32_t)image->bytes.size;
    struct kedge_upload_reply reply = {0};
    uint8_t sha[32];
    int status = KEDGE_AGENT_OK;

    kedge_hash_once(&kedge_sha256, blob_bytes(&image->bytes), sha);
    for (unsigned n = 0; status == KEDGE_AGENT_OK && reply.off < size; n++) {
        const uint32_t left = size - reply.off;
        const bool first = n == 0;
        const struct kedge_upload_request request = {
            .peer = 1,
            .has_off = true,
            .has_len = first,
            .off = first ? 0 : reply.off,
            .len = size,
            .sha = kedge_bytes(sha, first ? sizeof(sha) : 0),
            .data = kedge_bytes(image->bytes.at + reply.off, left < CHUNK ? left : CHUNK),
        };

        if (n > 4 * size / CHUNK + 100) {
            rig_fail(rig, "the upload does not come to an end");
        }
        status = kedge_agent_upload(&rig->agent, &request, &reply);
        (void)kedge_agent_idle(&rig->agent);
    }
    if (status == KEDGE_AGENT_OK && reply.has_match && !reply.match) {
        rig_fail(rig, "the upload arrived altered");
    }
    return status;
}

int rig_request(struct rig *rig, const struct plan_image *image, bool confirm)
{
    return kedge_agent_request(&rig->agent, kedge_bytes(image->hash, sizeof(image->hash)), confirm);
}

void rig_confirm(struct rig *rig)
{
    rig_expect_status(rig, kedge_agent_request(&rig->agent, kedge_bytes(NULL, 0), true),
                      KEDGE_AGENT_OK, "confirm");
}

void rig_policy(struct rig *rig, const char *key, const char *value)
{
    rig_expect_status(rig,
                      kedge_agent_policy_set(&rig->agent, kedge_bytes(key, strlen(key)),
                                             kedge_bytes(value, strlen(value))),
                      KEDGE_AGENT_OK, "policy set");
}

/* ---- sweeps ---------------------------------------------------------------------------------- */

void rig_mark(struct rig *rig)
{
    if (rig->start != NULL) {
        kedge_sim_snapshot_free(rig->start);
    }
    rig->start = kedge_sim_snapshot_make(rig->state.board.sim);
}

void rig_back(struct rig *rig, const struct kedge_sim_faults *faults)
{
    rig->faults = faults == NULL ? (struct kedge_sim_faults){0} : *faults;
    kedge_sim_restore(rig->state.board.sim, rig->start);
    kedge_sim_arm(rig->state.board.sim, faults);
}

static void arm_cut(struct rig *rig, uint32_t operations, struct kedge_sim_faults *faults)
{
    *faults = (struct kedge_sim_faults){
        .seed = kedge_random_next(&rig->random) >> 33,
        .cut_at = 1 + kedge_random_below(&rig->random, operations),
        .cut_kind = (uint8_t)(kedge_random_below(&rig->random, 4) % 3), /* torn twice as often */
    };
}

static void live_through(struct rig *rig, void (*app)(struct rig *rig), uint32_t operations,
                         unsigned cuts)
{
    struct kedge_sim_faults faults = {0};

    for (unsigned life = 0; !live(rig, app); life++) {
        if (life == LIVES_MAX) {
            rig_fail(rig, "after %u power-ons the device has not come to rest", LIVES_MAX);
        }
        if (life + 1 < cuts) {
            arm_cut(rig, operations, &faults);
        } else {
            faults.cut_at = 0;
        }
        kedge_sim_arm(rig->state.board.sim, &faults);
    }
    kedge_sim_faults(rig->state.board.sim)->cut_at = 0; /* one that did not come in time */
    check_rules(rig);
}

static uint32_t count_operations(struct rig *rig, const struct rig_sweep *sweep)
{
    rig->used_up = false;
    rig_back(rig, NULL);
    rig->journal_count = 0;
    live_through(rig, sweep->app, 1, 0);
    const uint32_t count = kedge_sim_operations(rig->state.board.sim);

    sweep->check(rig);
    if (count == 0) {
        rig_fail(rig, "there is no operation to cut");
    }
    return count;
}

void rig_sweep(struct rig *rig, const struct rig_sweep *sweep)
{
    rig->cut_in_boot = sweep->app == NULL;
    rig_mark(rig);
    const uint32_t count = count_operations(rig, sweep);

    for (unsigned i = 0; i < sweep->rounds; i++) {
        struct kedge_sim_faults faults;

        arm_cut(rig, count, &faults);
        if (i == 0) {
            faults.cut_at = 1;
        } else if (i == 1) {
            faults.cut_at = count;
        }
        rig->used_up = sweep->cuts > 1 || faults.cut_at == count;
        rig_back(rig, &faults);
        live_through(rig, sweep->app, count, sweep->cuts);
        sweep->check(rig);
    }
    rig_back(rig, NULL);
}

void rig_settle(struct rig *rig, void (*app)(struct rig *rig))
{
    live_through(rig, app, 1, 0);
}
