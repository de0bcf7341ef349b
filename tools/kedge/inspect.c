/* The words of `flash inspect`. The next boot is not guessed: the loader runs on a copy of both
 * flashes in memory and says what it did. Where no key is given that cannot be done; then the
 * trailers are read as MCUboot's loader would read them (facts 7.6). */
#include "inspect.h"

#include <stdlib.h>
#include <string.h>

#include "inspect_staging.h"
#include "kedge/backup.h"
#include "kedge/boot.h"
#include "kedge/budget.h"
#include "kedge/confidential.h"
#include "kedge/history.h"
#include "kedge/plan.h"
#include "kedge/policy.h"
#include "kedge/swap.h"

#define UNIT_MAX  131072u
#define STATE_MAX 8192u

struct view {
    FILE *out;
    struct state *state;
    const struct kedge_key *keys;
    size_t key_count;
    const struct kedge_device_keys *own; /* NULL: not known */
};

static const uint8_t *bytes_of(const struct view *v, const struct kedge_region *region)
{
    const uint8_t device =
        region->flash == &v->state->flash[KEDGE_INTERNAL] ? KEDGE_INTERNAL : KEDGE_EXTERNAL;
    return kedge_sim_contents(v->state->board.sim, device) + region->start;
}

static void heading(const struct view *v, const char *name, const struct kedge_region *region)
{
    const uint8_t *at = bytes_of(v, region);
    const uint32_t sector = region->flash->geometry.erase_size;
    uint32_t used = 0;
    uint32_t bytes = 0;
    for (uint32_t s = 0; s < region->size; s += sector) {
        uint32_t in_sector = 0;
        for (uint32_t i = 0; i < sector; i++) {
            in_sector += at[s + i] != region->flash->geometry.erased;
        }
        used += in_sector != 0;
        bytes += in_sector;
    }
    fprintf(v->out,
            "%-10s %s 0x%06X-0x%06X  %u of %u sectors in use, %u bytes that are not erased\n", name,
            region->flash == &v->state->flash[KEDGE_INTERNAL] ? "internal" : "external",
            region->start, region->start + region->size, used, region->size / sector, bytes);
}

static void print_hash(FILE *out, const uint8_t *hash, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        fprintf(out, "%02x", hash[i]);
    }
}

/* Without keys only header, TLVs and the hash can be judged. */
static enum kedge_verdict judge(const struct view *v, const struct kedge_source *source)
{
    static uint8_t scratch[4096];
    struct kedge_key nobody = {.type = &kedge_ecdsa_p256, .der = {NULL, 0}};
    struct kedge_verify verify = {.keys = v->key_count > 0 ? v->keys : &nobody,
                                  .key_count = v->key_count > 0 ? v->key_count : 1,
                                  .scratch = kedge_buf(scratch, sizeof scratch)};
    return kedge_image_verify(source, &verify);
}

static const char *verdict_text(const struct view *v, enum kedge_verdict verdict)
{
    if (v->key_count == 0 && verdict == KEDGE_IMAGE_UNKNOWN_KEY) {
        return "complete, its hash is right; signature not checked (give -k PUB.pem)";
    }
    return verdict == KEDGE_IMAGE_GOOD ? "complete, hash and signature are right"
                                       : kedge_verdict_text(verdict);
}

static bool hash_is_wrong(enum kedge_verdict verdict)
{
    return verdict == KEDGE_IMAGE_BAD_HASH || verdict == KEDGE_IMAGE_ENCRYPTED;
}

/* Opened with the device's key; what does not open so stays as it is. */
static enum kedge_verdict judge_opened(const struct view *v, const struct kedge_source *source,
                                       const struct kedge_image *image, enum kedge_lies lies)
{
    struct kedge_plain_view plain = {.inner = *source, .cipher = &kedge_aes};
    uint8_t record[KEDGE_KEY_RECORD];
    if (kedge_plain_view_open(&plain, image, v->own, lies, record) != 0) {
        return KEDGE_IMAGE_FOREIGN;
    }
    const struct kedge_source opened = kedge_plain_view_source(&plain);
    const enum kedge_verdict verdict = judge(v, &opened);
    return verdict == KEDGE_IMAGE_ENCRYPTED ? KEDGE_IMAGE_BAD_HASH : verdict;
}

/* The kind of the first key TLV, in words; NULL: there is none. */
static const char *wrapping_of(const struct kedge_source *source, const struct kedge_image *image)
{
    static const char *const names[] = {"RSA-2048", "AES key wrap", "ECIES-P256", "ECIES-X25519",
                                        "ECIES-X25519 with SHA-512"};
    struct kedge_tlv_walk walk;
    struct kedge_tlv tlv;
    kedge_tlv_start(&walk, source, image);
    while (kedge_tlv_next(&walk, &tlv) > 0) {
        if (tlv.type >= KEDGE_TLV_ENC_RSA && tlv.type <= KEDGE_TLV_ENC_X25519_SHA512) {
            return names[tlv.type - KEDGE_TLV_ENC_RSA];
        }
    }
    return NULL;
}

/* Encrypted, hidden or plain? One line, where there is something to say. */
static void say_secrecy(const struct view *v, const struct kedge_slot *slot,
                        const struct kedge_source *source, const struct kedge_image *image)
{
    const bool inside = slot == &v->state->pair.primary;
    const bool flagged = kedge_image_is_encrypted(image);
    const char *const wrapping = wrapping_of(source, image);
    const enum kedge_verdict verdict = judge(v, source);
    if (!hash_is_wrong(verdict)) {
        if (flagged) {
            fprintf(v->out, "           plain here, made for encryption (%s)%s\n",
                    wrapping == NULL ? "no key TLV" : wrapping,
                    inside ? ": it leaves this flash encrypted" : "");
        } else if (!inside) {
            fputs("           not encrypted\n", v->out);
        }
        return;
    }
    if (inside) {
        return; /* nothing is encrypted there: the verdict has said that it is damaged */
    }
    if (flagged) {
        fprintf(v->out, "           encrypted for the device: %s, AES-%u\n",
                wrapping == NULL ? "no key TLV" : wrapping,
                (image->flags & KEDGE_IMAGE_AES256) != 0 ? 256u : 128u);
    }
    if (v->own == NULL) {
        fprintf(v->out, "           %s: give -E PRIV.pem, the device's own key, to know\n",
                flagged ? "whether it is good" : "damaged, or hidden by the device's own key");
        return;
    }
    enum kedge_verdict opened =
        flagged ? judge_opened(v, source, image, KEDGE_LIES_WRAPPED) : verdict;
    if (hash_is_wrong(opened) || opened == KEDGE_IMAGE_FOREIGN) {
        const enum kedge_verdict hidden = judge_opened(v, source, image, KEDGE_LIES_DERIVED);
        if (!hash_is_wrong(hidden)) {
            fputs("           hidden by the device's own key: it came without one that opens\n",
                  v->out);
            opened = hidden;
        }
    }
    fprintf(v->out, "           opened: %s\n", verdict_text(v, opened));
}

static void say_image(const struct view *v, const struct kedge_slot *slot, uint8_t base)
{
    const struct kedge_slot_view view = {.slot = slot, .base = base};
    const struct kedge_source source = kedge_slot_source(&view);
    struct kedge_image image;
    uint8_t hash[KEDGE_DIGEST_MAX];
    char version[32];
    if (kedge_image_parse(&source, &image) != KEDGE_IMAGE_GOOD) {
        return;
    }
    const enum kedge_verdict verdict = judge(v, &source);
    const bool masked = slot != &v->state->pair.primary && hash_is_wrong(verdict);
    kedge_version_text(&image.version, version);
    fprintf(v->out, "           image %s, %u bytes, at +0x%X: %s\n", version, image.size,
            kedge_slot_unit_at(slot, base),
            masked ? "its payload does not lie there as it was signed" : verdict_text(v, verdict));
    const int size = kedge_image_hash(&source, &image, hash);
    if (size > 0) {
        fputs("           hash ", v->out);
        print_hash(v->out, hash, (size_t)size);
        fputc('\n', v->out);
    }
    say_secrecy(v, slot, &source, &image);
}

static const char *flag_text(enum kedge_flag flag)
{
    return flag == KEDGE_FLAG_SET ? "set" : flag == KEDGE_FLAG_UNSET ? "not set" : "torn";
}

static void say_trailer(const struct view *v, const struct kedge_slot *slot,
                        const struct kedge_trailer *t)
{
    static const char *const types[] = {"none", "?", "test", "permanent", "revert"};
    const struct kedge_trailer_place place = kedge_trailer_place(slot->max_align);
    if (t->blank) {
        fprintf(v->out, "           trailer: erased\n");
        return;
    }
    fprintf(v->out,
            "           trailer (last %u bytes of the slot): magic %s, image_ok %s, copy_done %s, "
            "swap type %s\n",
            place.size,
            t->magic == KEDGE_MAGIC_GOOD    ? "good"
            : t->magic == KEDGE_MAGIC_UNSET ? "erased"
                                            : "bad",
            flag_text(t->image_ok), flag_text(t->copy_done),
            t->swap_type <= 4 ? types[t->swap_type] : "?");
}

static void say_primary(const struct view *v)
{
    const struct kedge_slot *slot = &v->state->pair.primary;
    struct kedge_trailer t;
    struct kedge_image image;
    heading(v, "primary", &slot->region);
    if (kedge_slot_find(slot, 0, &image) < 0) {
        fprintf(v->out, "           no image\n");
    }
    say_image(v, slot, 0);
    if (kedge_slot_trailer(slot, 1, &t) != 0) {
        return;
    }
    say_trailer(v, slot, &t);
    if (t.magic == KEDGE_MAGIC_GOOD && t.copy_done == KEDGE_FLAG_SET) {
        fprintf(v->out,
                t.image_ok == KEDGE_FLAG_SET
                    ? "           this image is confirmed: it stays\n"
                    : "           this image is on trial: unless it is confirmed, the next boot "
                      "reverts it\n");
    } else if (t.blank) {
        fprintf(v->out, "           put there by a programmer, not by an update: it stays\n");
    }
}

static void say_mailbox(const struct view *v, const struct kedge_trailer *t)
{
    static const char *const words[] = {
        [KEDGE_REQUEST_NONE] = "no request",
        [KEDGE_REQUEST_TEST] = "request: test this image (one boot, then revert unless confirmed)",
        [KEDGE_REQUEST_PERMANENT] = "request: install this image for good",
        [KEDGE_REQUEST_TORN] = "a request that was cut while it was written: it will be cleared",
    };
    fprintf(v->out, "           %s\n", words[kedge_trailer_request(t)]);
}

/* The mailbox sector: trailer at its high end, the agent's upload record at its low end. */
static void say_record(const struct view *v, const struct kedge_slot *slot)
{
    const uint8_t *at = bytes_of(v, &slot->region) + (size_t)slot->gap * slot->unit;
    if (!kedge_all(kedge_bytes(at, 64), slot->region.flash->geometry.erased)) {
        fprintf(v->out,
                "           at +0x%X the agent keeps its upload record (length, hash, one byte "
                "a sector): an upload resumes from it after a reset\n",
                (unsigned)(slot->gap * slot->unit));
    }
}

static void say_secondary(const struct view *v)
{
    const struct kedge_slot *slot = &v->state->pair.secondary;
    struct kedge_trailer t;
    struct kedge_image image;
    heading(v, "secondary", &slot->region);
    int base = kedge_slot_find(slot, 0, &image);
    if (base < 0) {
        fprintf(v->out, "           no image\n");
    }
    while (base >= 0) {
        say_image(v, slot, (uint8_t)base);
        base = base < slot->last_base ? kedge_slot_find(slot, (uint8_t)(base + 1), &image) : -1;
    }
    if (kedge_slot_trailer(slot, 1, &t) == 0) {
        say_trailer(v, slot, &t);
        say_mailbox(v, &t);
    }
    say_record(v, slot);
}

/* What the agent says of its copy of the running image (kedge/backup.h). */
static void say_backup_record(const struct view *v, const struct kedge_slot *slot)
{
    const struct kedge_slot_view view = {.slot = &v->state->pair.primary};
    const struct kedge_source source = kedge_slot_source(&view);
    struct kedge_image image;
    uint8_t head[KEDGE_BACKUP_HEAD], hash[KEDGE_DIGEST_MAX], cell;
    unsigned copied = 0;
    if (kedge_image_parse(&source, &image) != KEDGE_IMAGE_GOOD ||
        kedge_image_hash(&source, &image, hash) < 0) {
        return;
    }
    const unsigned units = (image.size + slot->unit - 1) / slot->unit;
    const uint32_t record = kedge_backup_record(slot, units);
    if (record == 0 ||
        kedge_region_read(&slot->region, record, kedge_buf(head, sizeof head)) != 0 ||
        !kedge_backup_is(head, hash)) {
        return;
    }
    for (unsigned i = 0; i < units; i++) {
        copied += kedge_region_read(&slot->region, record + kedge_backup_cell(slot, i),
                                    kedge_buf(&cell, 1)) == 0 &&
                  (cell ^ slot->region.flash->geometry.erased) == 0xFF;
    }
    fprintf(v->out, "           the agent copied %u of the running image's %u units here\n", copied,
            units);
}

static void say_backup(const struct view *v)
{
    const struct kedge_slot *slot = &v->state->pair.backup;
    if (slot->region.flash != NULL) {
        heading(v, "backup", &slot->region);
        say_image(v, slot, 0);
        say_backup_record(v, slot);
    }
}

/* ---- journal --------------------------------------------------------------------------------- */

static void say_plan(const struct view *v, const uint8_t *plan)
{
    static const char *const types[] = {
        [KEDGE_TYPE_TEST] = "test",       [KEDGE_TYPE_PERMANENT] = "permanent update",
        [KEDGE_TYPE_REVERT] = "revert",   [KEDGE_TYPE_RESTORE] = "restore",
        [KEDGE_TYPE_INSTALL] = "install",
    };
    static const char *const methods[] = {"swap", "in-place swap", "overwrite", "backup",
                                          "from backup"};
    char from[32];
    char to[32];
    const uint8_t type = plan[KEDGE_PLAN_TYPE];
    const struct kedge_version old = kedge_history_version(plan + KEDGE_PLAN_VERSION_OLD);
    const struct kedge_version new = kedge_history_version(plan + KEDGE_PLAN_VERSION_NEW);
    kedge_version_text(&old, from);
    kedge_version_text(&new, to);
    switch (plan[KEDGE_PLAN_STATE]) {
    case KEDGE_STATE_RUN:
        fprintf(v->out, "           an update is under way: %s by %s, %s -> %s, at step %u of %u\n",
                type < sizeof types / sizeof types[0] && types[type] != NULL ? types[type] : "?",
                methods[plan[KEDGE_PLAN_METHOD] % KEDGE_METHODS], from, to,
                kedge_le16(plan + KEDGE_PLAN_PC), 3 * kedge_plan_k(plan) + 4);
        break;
    case KEDGE_STATE_TRIAL:
        fprintf(v->out, "           %s is on trial (%u boots so far); %s waits to come back\n", to,
                plan[KEDGE_PLAN_ATTEMPTS], from);
        break;
    default:
        fprintf(v->out, "           nothing under way\n");
    }
}

static void say_history(const struct view *v, struct kedge_bytes body)
{
    struct kedge_history h;
    char from[32];
    char to[32];
    for (unsigned i = 0; kedge_history_read(body, &v->state->layout, i, &h) == 0; i++) {
        kedge_version_text(&h.from, from);
        kedge_version_text(&h.to, to);
        fprintf(v->out, "           #%u %s: %s -> %s", h.number, kedge_reason_text(h.reason), from,
                to);
        if (h.verdict != KEDGE_IMAGE_GOOD) {
            fprintf(v->out, " (%s)", kedge_verdict_text(h.verdict));
        }
        if (h.resumed != 0) {
            fprintf(v->out, ", resumed after %u power cut%s", h.resumed, h.resumed == 1 ? "" : "s");
        }
        if (h.effort[KEDGE_EFFORT_ERASES_INTERNAL] != 0 ||
            h.effort[KEDGE_EFFORT_ERASES_EXTERNAL] != 0) {
            fprintf(v->out, ", sectors erased: %u internal, %u external",
                    h.effort[KEDGE_EFFORT_ERASES_INTERNAL], h.effort[KEDGE_EFFORT_ERASES_EXTERNAL]);
        }
        if (h.effort[KEDGE_EFFORT_RETRIES] != 0 || h.effort[KEDGE_EFFORT_REPAIRED] != 0) {
            fprintf(v->out, ", %u retries, %u bits repaired", h.effort[KEDGE_EFFORT_RETRIES],
                    h.effort[KEDGE_EFFORT_REPAIRED]);
        }
        fputc('\n', v->out);
    }
}

/* The journal's body; none where it is not Kedge's. */
static bool read_journal(struct state *state, uint8_t body[STATE_MAX])
{
    const uint32_t size = kedge_plan_size(&state->pair);
    struct kedge_journal journal = {.region = state->layout.journal,
                                    .body = kedge_buf(body, size),
                                    .reserve = kedge_plan_reserve(&state->pair)};
    return size <= STATE_MAX && kedge_journal_open(&journal, kedge_plan_fold, body) == 0 &&
           kedge_plan_fits(body, &state->pair);
}

void inspect_history(FILE *out, struct state *state)
{
    static uint8_t body[STATE_MAX];
    const struct view v = {.out = out, .state = state};
    if (read_journal(state, body)) {
        say_history(&v, kedge_bytes(body, kedge_plan_size(&state->pair)));
    }
}

static bool say_journal(const struct view *v)
{
    static uint8_t body[STATE_MAX];
    heading(v, "journal", &v->state->layout.journal);
    if (!read_journal(v->state, body)) {
        fprintf(v->out,
                "           no valid journal of Kedge's: no update has happened yet, or this is "
                "another loader's device\n");
        return false;
    }
    say_plan(v, body);
    say_history(v, kedge_bytes(body, kedge_plan_size(&v->state->pair)));
    return true;
}

/* As kedge-device has them: with a key of its own, confidential is on. */
static struct kedge_policy defaults_of(const struct view *v)
{
    struct kedge_policy policy = kedge_policy_default;
    policy.value[KEDGE_POLICY_CONFIDENTIAL] = v->own != NULL;
    return policy;
}

static void say_settings(const struct view *v)
{
    struct kedge_policy policy;
    char value[16];
    heading(v, "settings", &v->state->layout.settings);
    const struct kedge_policy defaults = defaults_of(v);
    kedge_policy_load(&v->state->layout.settings, &defaults, &policy);
    fputs("           ", v->out);
    for (unsigned k = 0; k < KEDGE_POLICY_KEYS; k++) {
        const size_t n = kedge_policy_value_text((enum kedge_policy_key)k, policy.value[k], value);
        fprintf(v->out, "%s%s %.*s", k == 0 ? "" : ", ",
                kedge_policy_key_text((enum kedge_policy_key)k), (int)n, value);
    }
    fputc('\n', v->out);
}

/* ---- the next boot --------------------------------------------------------------------------- */

/* MCUboot's decision table, for dumps that Kedge's loader has never seen (facts 7.6). */
static void say_mcuboot(const struct view *v)
{
    struct kedge_trailer p;
    struct kedge_trailer s;
    const char *words = "none: the image in the primary boots";
    if (kedge_slot_trailer(&v->state->pair.primary, 1, &p) != 0 ||
        kedge_slot_trailer(&v->state->pair.secondary, 1, &s) != 0) {
        return;
    }
    if (p.magic == KEDGE_MAGIC_GOOD && p.copy_done == KEDGE_FLAG_UNSET && p.swap_type != 0) {
        words = "a swap was interrupted: it goes on";
    } else if (s.magic == KEDGE_MAGIC_GOOD && s.image_ok == KEDGE_FLAG_UNSET) {
        words = s.copy_done == KEDGE_FLAG_SET ? "REVERT (swap-offset)" : "TEST: swap, one boot";
    } else if (s.magic == KEDGE_MAGIC_GOOD && s.image_ok == KEDGE_FLAG_SET) {
        words = "PERM: swap for good";
    } else if (p.magic == KEDGE_MAGIC_GOOD && p.image_ok == KEDGE_FLAG_UNSET &&
               p.copy_done == KEDGE_FLAG_SET) {
        words = "REVERT: the image in the primary was not confirmed";
    } else if (s.magic == KEDGE_MAGIC_GOOD) {
        words = "none, and stuck: the request was torn (image_ok is neither set nor erased)";
    }
    fprintf(v->out, "as MCUboot: swap type %s\n", words);
}

static const struct kedge_strategy *strategy_of(const struct view *v)
{
    const char *name = v->state->file.strategy;
    return strcmp(name, "overwrite") == 0 ? &kedge_overwrite
           : strcmp(name, "backup") == 0  ? &kedge_backup
                                          : &kedge_swap;
}

/* What this layout costs at worst. */
static void say_budget(const struct view *v)
{
    struct kedge_part_times typical[KEDGE_DEVICES], most[KEDGE_DEVICES];
    struct kedge_budget usual, slow;
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        const struct kedge_sim_part *part = kedge_sim_part(v->state->board.sim, d);
        typical[d] = kedge_sim_times(part);
        most[d] = kedge_sim_times_max(part);
    }
    kedge_budget_of(&v->state->layout, strategy_of(v), typical, &usual);
    kedge_budget_of(&v->state->layout, strategy_of(v), most, &slow);
    fprintf(v->out,
            "budget     strategy %s: largest image %u bytes; its update, every sector different, "
            "takes at most "
            "%u.%u s of flash time (slowest parts: %u.%u s)\n"
            "           erases by that: %u sectors internal, %u external; a single sector at most "
            "%u times in one "
            "update\n"
            "           the watchdog is fed at least every %u ms of flash time (slowest parts: %u "
            "ms), a signature "
            "comes on top\n",
            v->state->file.strategy, usual.max_image, usual.update_ms / 1000,
            usual.update_ms % 1000 / 100, slow.update_ms / 1000, slow.update_ms % 1000 / 100,
            usual.erases_internal, usual.erases_external, usual.erases_sector, usual.feed_ms,
            slow.feed_ms);
}

/* Something outside of the internal flash that only the device's own key opens: a candidate, or an
 * image that the plan under way masks. */
static bool needs_own_key(const struct view *v)
{
    static uint8_t body[STATE_MAX];
    const struct kedge_slot *slot = &v->state->pair.secondary;
    struct kedge_image image;
    bool needs =
        read_journal(v->state, body) && body[KEDGE_PLAN_STATE] != KEDGE_STATE_IDLE &&
        (body[KEDGE_PLAN_NEW + KEDGE_HALF_KEY] | body[KEDGE_PLAN_OLD + KEDGE_HALF_KEY]) != 0;
    for (int base = 0; base <= slot->last_base; base++) {
        const struct kedge_slot_view view = {.slot = slot, .base = (uint8_t)base};
        const struct kedge_source source = kedge_slot_source(&view);
        needs |= kedge_image_parse(&source, &image) == KEDGE_IMAGE_GOOD &&
                 kedge_image_is_encrypted(&image) && hash_is_wrong(judge(v, &source));
    }
    return needs;
}

static void say_next(const struct view *v)
{
    static struct state copy;
    static uint8_t unit[UNIT_MAX];
    static uint8_t memory[STATE_MAX];
    char why[LAYOUT_WHY];
    char version[32];
    struct kedge_boot_report report;
    if (v->key_count == 0) {
        fprintf(v->out, "next boot: depends on the keys of the device: give -k PUB.pem to know\n");
        return;
    }
    if (v->own == NULL && needs_own_key(v)) {
        fprintf(v->out, "next boot: depends on the device's own key: give -E PRIV.pem to know\n");
        return;
    }
    if (state_open_copy(&copy, v->state, why) != 0) {
        fprintf(v->out, "next boot: %s\n", why);
        return;
    }
    static struct kedge_opened opened;
    const struct kedge_policy defaults = defaults_of(v);
    const struct kedge_confidential confidential = {
        .inner = strategy_of(v), .keys = v->own, .cipher = &kedge_aes, .opened = &opened};
    const struct kedge_strategy masks =
        KEDGE_CONFIDENTIAL_STRATEGY(strategy_of(v)->method, &confidential);
    const struct kedge_boot_config config = {.layout = &copy.layout,
                                             .strategy = v->own != NULL ? &masks : strategy_of(v),
                                             .keys = v->keys,
                                             .key_count = v->key_count,
                                             .defaults = &defaults,
                                             .recorder = &copy.recorder,
                                             .unit = kedge_buf(unit, copy.pair.primary.unit),
                                             .state = kedge_buf(memory, sizeof memory)};
    const int result = kedge_boot(&config, &report);
    kedge_opened_forget(&opened);
    kedge_version_text(&report.version, version);
    const struct kedge_counts in = kedge_recorder_total(&copy.recorder, KEDGE_INTERNAL);
    const struct kedge_counts ex = kedge_recorder_total(&copy.recorder, KEDGE_EXTERNAL);
    fprintf(v->out, "next boot: ");
    if (result != 0) {
        fprintf(v->out, "the loader cannot work with this layout: %s\n", kedge_error_text(result));
    } else if (report.boots) {
        fprintf(v->out, "boots %s (%s", version, kedge_reason_text(report.reason));
    } else {
        fprintf(v->out, "nothing bootable (%s", kedge_reason_text(report.reason));
    }
    if (result == 0) {
        if (report.verdict != KEDGE_IMAGE_GOOD) {
            fprintf(v->out, ": %s", kedge_verdict_text(report.verdict));
        }
        fprintf(v->out,
                "), with %u erases and %u bytes written on the internal flash, %u and %u on the "
                "external\n",
                in.erases, in.program_bytes, ex.erases, ex.program_bytes);
    }
    state_close(&copy);
}

void inspect(FILE *out, struct state *state, const struct kedge_key *keys, size_t key_count,
             const struct kedge_device_keys *own)
{
    const struct view v = {
        .out = out, .state = state, .keys = keys, .key_count = key_count, .own = own};
    say_primary(&v);
    const bool ours = say_journal(&v);
    say_settings(&v);
    say_secondary(&v);
    say_backup(&v);
    if (state->layout.staging.flash != NULL) {
        heading(&v, "staging", &state->layout.staging);
        inspect_staging(out, state);
    }
    say_budget(&v);
    if (!ours) {
        say_mcuboot(&v);
    }
    say_next(&v);
}
