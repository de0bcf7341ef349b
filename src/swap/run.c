/* The engine's hands. Everything that a cut can interrupt is here, in one order: erase, program,
 * read back, log. A step that was not logged is done again from its erase; a step that was logged
 * is never looked at again. */
#include <string.h>

#include "kedge/swap.h"

#define READS      4 /* of a source, before it is repaired or given up */
#define WRITES     3 /* erase + program + read back */
#define READ_BACKS 3 /* a difference may be the bus */
#define STEADY     8 /* equal reads of a word that decides something */

static void feed(const struct kedge_engine *engine)
{
    if (engine->hooks != NULL && engine->hooks->feed != NULL)
        engine->hooks->feed(engine->hooks->ctx);
}

void kedge_engine_phase(const struct kedge_engine *engine, uint8_t phase)
{
    if (engine->recorder != NULL)
        (void)kedge_recorder_phase(engine->recorder, phase);
}

/* The slots of a pair lie in the order of their names. */
_Static_assert(offsetof(struct kedge_pair, secondary) ==
                   KEDGE_SECONDARY * sizeof(struct kedge_slot),
               "secondary");
_Static_assert(offsetof(struct kedge_pair, backup) == KEDGE_BACKUP * sizeof(struct kedge_slot),
               "backup");

const struct kedge_slot *kedge_engine_slot(const struct kedge_engine *engine, unsigned name)
{
    return (const struct kedge_slot *)(const void *)engine->pair + name;
}

static uint8_t erased(const struct kedge_slot *slot)
{
    return slot->region.flash->geometry.erased;
}

uint32_t kedge_engine_bytes(const struct kedge_engine *engine, bool old, unsigned i)
{
    const uint32_t unit = engine->unit_size;
    const uint32_t size =
        kedge_le32(engine->plan + (old ? KEDGE_PLAN_SIZE_OLD : KEDGE_PLAN_SIZE_NEW));
    const uint32_t left = size > i * unit ? size - i * unit : 0;
    return left < unit ? left : unit;
}

int kedge_engine_log(struct kedge_engine *engine, unsigned kind, unsigned value)
{
    kedge_plan_fold(engine->plan, (uint16_t)kind, (uint16_t)value);
    if (kedge_journal_append(&engine->journal, (uint16_t)kind, (uint16_t)value) == 0)
        return 0;
    /* not our sector, no room, or a word that did not take: a fresh sector says it all */
    return kedge_journal_take_over(&engine->journal);
}

/* ---- one unit -------------------------------------------------------------------------------- */

/* Flip the one bit whose syndrome explains a wrong CRC. A bit p places before the end changes the
 * CRC by the polynomial shifted p times. */
static bool repair(uint8_t *unit, uint32_t size, uint32_t syndrome)
{
    uint32_t single = 0xEDB88320u;
    for (uint32_t bit = 8 * size; bit-- > 0;) {
        if (single == syndrome) {
            unit[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            return true;
        }
        single = (single >> 1) ^ (0xEDB88320u & (0u - (single & 1u)));
    }
    return false;
}

int kedge_engine_fetch(struct kedge_engine *engine, const struct kedge_copy *copy)
{
    const struct kedge_slot *slot = kedge_engine_slot(engine, copy->from_slot);
    const uint32_t want =
        kedge_le32(engine->plan + kedge_plan_crc_at(engine->plan, copy->old, copy->index));
    const uint32_t size = kedge_engine_bytes(engine, copy->old, copy->index);
    const uint32_t at = kedge_slot_unit_at(slot, copy->from);
    uint32_t crc = 0;
    int rc = 0;
    feed(engine);
    memset(engine->unit, erased(kedge_engine_slot(engine, copy->to_slot)), engine->unit_size);
    for (unsigned i = 0; i < READS; i++) {
        rc = kedge_region_read(&slot->region, at, kedge_buf(engine->unit, size));
        if (engine->strategy->crypt != NULL && rc == 0 && copy->from_slot != KEDGE_PRIMARY)
            rc = engine->strategy->crypt(engine, copy, 0, kedge_buf(engine->unit, size));
        crc = kedge_crc32(0, kedge_bytes(engine->unit, size));
        if (rc == 0 && crc == want)
            return 0;
        engine->retries++;
    }
    if (rc != 0)
        return rc;
    if (!repair(engine->unit, size, crc ^ want))
        return KEDGE_E_SOURCE;
    engine->repaired++;
    return 0;
}

bool kedge_engine_page_holds(struct kedge_engine *engine, const struct kedge_slot *slot,
                             uint32_t at, uint32_t o)
{
    return kedge_region_read(&slot->region, at + o, kedge_buf(engine->page, KEDGE_PAGE)) == 0 &&
           memcmp(engine->page, engine->unit + o, KEDGE_PAGE) == 0;
}

bool kedge_engine_holds(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at)
{
    unsigned reads = READ_BACKS;
    uint32_t o = 0;
    if (kedge_region_sync(&slot->region) != 0)
        return false;
    while (o < engine->unit_size) {
        if (kedge_engine_page_holds(engine, slot, at, o)) {
            o += KEDGE_PAGE;
            reads = READ_BACKS;
        } else if (--reads == 0) {
            return false;
        }
    }
    return true;
}

bool kedge_engine_blank(const struct kedge_engine *engine, const struct kedge_slot *slot,
                        uint32_t at, uint32_t size)
{
    return kedge_region_read(&slot->region, at, kedge_buf(engine->page, size)) == 0 &&
           kedge_all(kedge_bytes(engine->page, size), erased(slot));
}

/* Erase, program. An erase that the device silently ignored must not be programmed over: the first
 * place that is to be programmed is probed. */
static int write(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at,
                 uint32_t piece)
{
    bool probed = false;
    int rc = kedge_region_erase(&slot->region, at, engine->unit_size);
    for (uint32_t o = 0; rc == 0 && o < engine->unit_size; o += piece) {
        const struct kedge_bytes data = {engine->unit + o, piece};
        if (kedge_all(data, erased(slot)))
            continue;
        if (!probed && !kedge_engine_blank(engine, slot, at + o, piece))
            return KEDGE_E_READBACK;
        probed = true;
        rc = kedge_region_program(&slot->region, at + o, data);
    }
    return rc;
}

int kedge_engine_store(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at,
                       uint32_t piece)
{
    int rc = 0;
    for (unsigned i = 0; i < WRITES; i++) {
        feed(engine);
        rc = write(engine, slot, at, piece);
        if (rc == 0 && kedge_engine_holds(engine, slot, at))
            return 0;
        engine->retries++;
    }
    return rc != 0 ? rc : KEDGE_E_READBACK;
}

static void empty(struct kedge_engine *engine, const struct kedge_slot *slot)
{
    memset(engine->unit, erased(slot), engine->unit_size);
}

int kedge_engine_wipe(struct kedge_engine *engine, const struct kedge_slot *slot, uint32_t at)
{
    empty(engine, slot);
    return kedge_engine_store(engine, slot, at, KEDGE_PAGE);
}

int kedge_engine_clear_mail(struct kedge_engine *engine)
{
    const struct kedge_slot *slot = &engine->pair->secondary;
    return kedge_engine_wipe(engine, slot, kedge_engine_gap(slot));
}

bool kedge_engine_no_mail(struct kedge_engine *engine)
{
    const struct kedge_slot *slot = &engine->pair->secondary;
    empty(engine, slot);
    return kedge_engine_holds(engine, slot, kedge_engine_gap(slot));
}

/* ---- authenticating -------------------------------------------------------------------------- */

/* Bytes as they were hashed: CRC tables and equality come from these and no others. The unhashed
 * TLVs are read a second time: a bit that flipped on the bus in one of them would pass the
 * signature and go into the tables for ever. */
static int tap(void *ctx, uint32_t at, struct kedge_bytes data)
{
    struct kedge_engine *engine = ctx;
    uint8_t *plan = engine->plan;
    const struct kedge_image *image = &engine->verify.image;
    const uint32_t unit = engine->unit_size;
    const uint32_t i = at / unit;
    const struct kedge_buf other = {engine->unit + unit / 2, data.size};
    uint8_t *crc = plan + kedge_plan_crc_at(plan, engine->old, i);
    feed(engine);
    kedge_put_le32(crc, kedge_crc32(at % unit == 0 ? 0 : kedge_le32(crc), data));
    if (!engine->old && (kedge_region_read(&engine->pair->primary.region, at, other) != 0 ||
                         memcmp(other.at, data.at, data.size) != 0))
        kedge_plan_differs(plan, i);
    if (at + data.size > image->tlv_at + image->protected_size &&
        (engine->source.read(engine->source.ctx, at, other) != 0 ||
         memcmp(other.at, data.at, data.size) != 0))
        return KEDGE_E_IO;
    return 0;
}

/* What the look found, into its half of the plan. */
static void note(const struct kedge_engine *engine)
{
    const struct kedge_image *image = &engine->verify.image;
    uint8_t *half = engine->plan + (engine->old ? KEDGE_PLAN_OLD : KEDGE_PLAN_NEW);
    half[KEDGE_HALF_K] = (uint8_t)((image->size + engine->unit_size - 1) / engine->unit_size);
    kedge_put_le32(half + KEDGE_HALF_SIZE, image->size);
    kedge_version_put(half + KEDGE_HALF_VERSION, &image->version);
    memcpy(half + KEDGE_HALF_ID, engine->verify.digest, 8);
}

enum kedge_verdict kedge_engine_look(struct kedge_engine *engine, unsigned name, unsigned base,
                                     bool tables)
{
    struct kedge_verify *v = &engine->verify;
    const uint32_t most = engine->pair->primary.units * engine->unit_size;
    engine->view.slot = kedge_engine_slot(engine, name);
    engine->view.base = (uint8_t)base;
    engine->source = kedge_slot_source(&engine->view);
    if (engine->source.size > most)
        engine->source.size = most;
    kedge_engine_phase(engine, KEDGE_PHASE_VALIDATE);
    v->tap = tables ? tap : NULL;
    engine->old = name == KEDGE_PRIMARY;
    /* The old image of a plan needs not be authentic: its units come back as they were. Masked, it
     * must be: its key comes from its hash. */
    v->look_only = tables && engine->old && engine->strategy->confidential == NULL;
    const enum kedge_verdict verdict = engine->strategy->verify(&engine->source, v);
    /* of a refused one too: the history says which it was */
    if (tables && (verdict == KEDGE_IMAGE_GOOD || verdict >= KEDGE_IMAGE_BAD_HASH))
        note(engine);
    return verdict;
}

/* ---- the primary's trailer ------------------------------------------------------------------- */

/* The sector of the primary's trailer into the unit buffer. */
static void compose(struct kedge_engine *engine, unsigned type, bool image_ok)
{
    const struct kedge_slot *slot = &engine->pair->primary;
    const struct kedge_trailer_place place = engine->place;
    uint8_t *end = engine->unit + engine->unit_size;
    empty(engine, slot);
    *(end - place.swap_info) = (uint8_t)type;
    *(end - place.copy_done) = 1;
    if (image_ok)
        *(end - place.image_ok) = 1;
    kedge_trailer_magic(slot->max_align, end - place.magic);
}

bool kedge_engine_on_trial(struct kedge_engine *engine, bool confirmed)
{
    const struct kedge_slot *slot = &engine->pair->primary;
    const uint32_t last = engine->unit_size - KEDGE_PAGE;
    compose(engine, KEDGE_TYPE_TEST, confirmed);
    for (unsigned i = 0; i < STEADY; i++)
        if (!kedge_engine_page_holds(engine, slot, kedge_engine_gap(slot), last))
            return false;
    return true;
}

int kedge_engine_trailer(struct kedge_engine *engine, unsigned type)
{
    const struct kedge_slot *slot = &engine->pair->primary;
    const uint32_t at = kedge_engine_gap(slot);
    const uint32_t o = engine->unit_size - engine->place.image_ok;
    /* After a revert the trailer of the test is still there, unconfirmed: one word makes it right.
     * Not after a resume: a hidden torn write of that word may be there already, and a third write
     * of it would break the part's limit. */
    if (type == KEDGE_TYPE_REVERT && !engine->resumed && kedge_engine_on_trial(engine, false)) {
        compose(engine, KEDGE_TYPE_TEST, true);
        if (kedge_region_program(&slot->region, at + o,
                                 kedge_bytes(engine->unit + o, slot->max_align)) == 0 &&
            kedge_engine_holds(engine, slot, at))
            return 0;
    }
    compose(engine, type > KEDGE_TYPE_REVERT ? KEDGE_TYPE_PERMANENT : type,
            type != KEDGE_TYPE_TEST);
    /* by words, so that the application's stays unwritten; upwards, so that the magic comes last: a
     * trailer without it is no trailer */
    return kedge_engine_store(engine, slot, at, slot->max_align);
}

/* ---- the program ----------------------------------------------------------------------------- */

/* Results of a step: done and to be logged, nothing to log, or an error. */
#define DONE    1
#define NOTHING 0

static int consume_mailbox(struct kedge_engine *engine)
{
    /* a request made during a trial must not outlive the revert */
    if ((engine->plan[KEDGE_PLAN_FLAGS] & KEDGE_PLAN_REQUESTED) == 0 &&
        kedge_engine_no_mail(engine))
        return NOTHING;
    const int rc = kedge_engine_clear_mail(engine);
    return rc == 0 ? DONE : rc;
}

static int copy_unit(struct kedge_engine *engine, unsigned pc)
{
    struct kedge_copy copy;
    if (!kedge_step(engine->plan, pc, &copy))
        return NOTHING;
    const struct kedge_slot *to = kedge_engine_slot(engine, copy.to_slot);
    int rc = kedge_engine_fetch(engine, &copy);
    if (rc == 0)
        rc = engine->strategy->store(engine, to, kedge_slot_unit_at(to, copy.to), KEDGE_PAGE);
    return rc == 0 ? DONE : rc;
}

/* The copies were read back against the bytes whose signature was good: only the hash again. */
static int check_primary(struct kedge_engine *engine)
{
    const uint8_t *id =
        engine->plan + (engine->plan[KEDGE_PLAN_TYPE] == KEDGE_TYPE_RESTORE ? KEDGE_PLAN_ID_OLD
                                                                            : KEDGE_PLAN_ID_NEW);
    engine->checked = kedge_engine_look(engine, KEDGE_PRIMARY, 0, false) == KEDGE_IMAGE_GOOD &&
                      memcmp(engine->verify.digest, id, 8) == 0;
    return engine->checked ? DONE : KEDGE_E_HASH;
}

/* Posted, not waited for and not logged: the chip erases while the trailer is written, and after a
 * cut both are done again. A header that stays all the same is a nuisance, not a danger. */
static void clear_header(struct kedge_engine *engine)
{
    const struct kedge_slot *slot = &engine->pair->secondary;
    const int u = kedge_step_clear(engine->plan);
    if (u >= 0)
        (void)kedge_region_erase(&slot->region, kedge_slot_unit_at(slot, (uint32_t)u), slot->unit);
}

static int project(struct kedge_engine *engine)
{
    const unsigned type = engine->plan[KEDGE_PLAN_TYPE];
    int rc = NOTHING; /* what follows is the log of the end */
    if (type != KEDGE_TYPE_RESTORE &&
        (engine->plan[KEDGE_PLAN_FLAGS] & KEDGE_PLAN_TRAILER_DONE) == 0)
        rc = kedge_engine_trailer(engine, type);
    (void)kedge_region_sync(&engine->pair->secondary.region);
    return rc;
}

static int do_step(struct kedge_engine *engine, unsigned pc, unsigned copies)
{
    if (pc == 0)
        return consume_mailbox(engine);
    if (pc <= copies)
        return copy_unit(engine, pc);
    if (pc == copies + 1)
        return check_primary(engine);
    if (pc == copies + 3)
        return project(engine);
    clear_header(engine);
    return NOTHING;
}

int kedge_engine_run(struct kedge_engine *engine)
{
    uint8_t *plan = engine->plan;
    const unsigned copies = 3 * kedge_plan_k(plan);
    const unsigned end = copies + 4;
    int rc = 0;
    engine->checked = false;
    engine->ahead = false;
    for (unsigned pc = kedge_le16(plan + KEDGE_PLAN_PC); rc >= 0 && pc < end; pc++) {
        kedge_engine_phase(engine, KEDGE_PHASE_SWAP);
        kedge_put_le16(plan + KEDGE_PLAN_PC, (uint16_t)pc);
        if (engine->hooks != NULL && engine->hooks->progress != NULL)
            engine->hooks->progress(engine->hooks->ctx, pc, end);
        rc = do_step(engine, pc, copies);
        if (rc == DONE)
            rc = kedge_engine_log(engine, KEDGE_RECORD_PC, pc + 1);
    }
    if (rc >= 0)
        rc = kedge_engine_log(engine, KEDGE_RECORD_PHASE,
                              plan[KEDGE_PLAN_TYPE] == KEDGE_TYPE_TEST ? KEDGE_STATE_TRIAL
                                                                       : KEDGE_STATE_IDLE);
    return rc;
}
