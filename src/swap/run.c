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

uint8_t kedge_engine_phase(const struct kedge_engine *engine, uint8_t phase)
{
    return engine->recorder == NULL ? phase : kedge_recorder_phase(engine->recorder, phase);
}

const struct kedge_slot *kedge_engine_slot(const struct kedge_engine *engine, unsigned name)
{
    const struct kedge_pair *pair = engine->pair;
    return name == KEDGE_PRIMARY     ? &pair->primary
           : name == KEDGE_SECONDARY ? &pair->secondary
                                     : &pair->backup;
}

uint32_t kedge_engine_bytes(const struct kedge_engine *engine, bool old, unsigned i)
{
    const uint32_t unit = engine->pair->primary.unit;
    const uint8_t *plan = engine->journal.body.at;
    const uint32_t size = kedge_le32(plan + (old ? KEDGE_PLAN_SIZE_OLD : KEDGE_PLAN_SIZE_NEW));
    if (i * unit >= size)
        return 0;
    return size - i * unit < unit ? size - i * unit : unit;
}

int kedge_engine_log(struct kedge_engine *engine, uint16_t kind, uint16_t value)
{
    kedge_plan_fold(engine->journal.body.at, kind, value);
    if (kedge_journal_append(&engine->journal, kind, value) == 0)
        return 0;
    /* not our sector, no room, or a word that did not take: a fresh sector says it all */
    return kedge_journal_take_over(&engine->journal);
}

/* ---- authenticating ---------------------------------------------------------------------------
 */

/* Bytes as they were hashed: CRC tables and equality come from these and no others. */
static int tap(void *ctx, uint32_t at, struct kedge_bytes data)
{
    struct kedge_engine *engine = ctx;
    uint8_t *plan = engine->journal.body.at;
    const struct kedge_image *image = &engine->verify.image;
    const uint32_t unit = engine->pair->primary.unit;
    const uint32_t hashed = image->tlv_at + image->protected_size;
    const struct kedge_buf other = {engine->unit.at + unit / 2, unit / 2};
    feed(engine);
    while (data.size != 0) {
        const uint32_t i = at / unit;
        const uint32_t room = unit / 2 - at % (unit / 2);
        const uint32_t size = data.size < room ? (uint32_t)data.size : room;
        uint8_t *crc = plan + kedge_plan_crc_at(plan, engine->old, i);
        const struct kedge_bytes piece = {data.at, size};
        if (i >= engine->pair->primary.units)
            return KEDGE_E_SPACE;
        kedge_put_le32(crc, kedge_crc32(at % unit == 0 ? 0 : kedge_le32(crc), piece));
        if (at + size > hashed) {
            const uint32_t skip = at < hashed ? hashed - at : 0;
            engine->tail_crc =
                kedge_crc32(engine->tail_crc, kedge_bytes(data.at + skip, size - skip));
        }
        if (engine->compare) {
            const int rc =
                kedge_slot_read(&engine->pair->primary, 0, at, kedge_buf(other.at, size));
            if (rc != 0 || memcmp(other.at, data.at, size) != 0)
                plan[KEDGE_PLAN_SAME + i / 8] &= (uint8_t) ~(1u << (i % 8));
        }
        at += size;
        data.at += size;
        data.size -= size;
    }
    return 0;
}

/* The unhashed TLVs, read a second time: a bit that flipped on the bus in one of them would pass
 * the signature and go into the tables for ever. */
static bool tail_repeats(struct kedge_engine *engine, const struct kedge_slot *slot, uint8_t base)
{
    const struct kedge_image *image = &engine->verify.image;
    uint32_t crc = 0;
    for (uint32_t at = image->tlv_at + image->protected_size; at < image->size;) {
        const uint32_t left = image->size - at;
        const struct kedge_buf to = {engine->page, left < KEDGE_PAGE ? left : KEDGE_PAGE};
        if (kedge_slot_read(slot, base, at, to) != 0)
            return false;
        crc = kedge_crc32(crc, kedge_bytes(to.at, to.size));
        at += (uint32_t)to.size;
    }
    return crc == engine->tail_crc;
}

enum kedge_verdict kedge_engine_look(struct kedge_engine *engine, unsigned name, uint8_t base,
                                     bool tables)
{
    struct kedge_verify *v = &engine->verify;
    const struct kedge_slot *slot = kedge_engine_slot(engine, name);
    const struct kedge_slot_view view = {slot, base};
    struct kedge_source source = kedge_slot_source(&view);
    const uint32_t most = engine->pair->primary.units * engine->pair->primary.unit;
    const uint8_t phase = kedge_engine_phase(engine, KEDGE_PHASE_VALIDATE);
    if (source.size > most)
        source.size = most;
    v->scratch = kedge_buf(engine->unit.at, engine->pair->primary.unit / 2);
    v->tap = tables ? tap : NULL;
    v->tap_ctx = engine;
    engine->tail_crc = 0;
    enum kedge_verdict verdict = kedge_image_verify(&source, v);
    if (verdict == KEDGE_IMAGE_GOOD && tables && !tail_repeats(engine, slot, base))
        verdict = KEDGE_IMAGE_UNREADABLE;
    if (verdict == KEDGE_IMAGE_GOOD) {
        memcpy(engine->trusted, v->digest, sizeof(engine->trusted));
        engine->trusted_size = v->digest_size;
    }
    v->known.size = 0;
    kedge_engine_phase(engine, phase);
    return verdict;
}

/* ---- one unit ---------------------------------------------------------------------------------
 */

/* Flip the one bit whose syndrome explains a wrong CRC. A bit p places before the end changes the
 * CRC by the polynomial shifted p times. */
static bool repair(struct kedge_buf unit, uint32_t syndrome)
{
    uint32_t single = 0xEDB88320u;
    for (size_t bit = 8 * unit.size; bit-- > 0;) {
        if (single == syndrome) {
            unit.at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            return true;
        }
        single = (single >> 1) ^ (0xEDB88320u & (0u - (single & 1u)));
    }
    return false;
}

int kedge_engine_fetch(struct kedge_engine *engine, const struct kedge_copy *copy)
{
    const uint8_t *plan = engine->journal.body.at;
    const struct kedge_slot *slot = kedge_engine_slot(engine, copy->from_slot);
    const uint32_t want = kedge_le32(plan + kedge_plan_crc_at(plan, copy->old, copy->index));
    const struct kedge_buf to = {engine->unit.at,
                                 kedge_engine_bytes(engine, copy->old, copy->index)};
    uint32_t crc = 0;
    int rc = 0;
    feed(engine);
    for (unsigned i = 0; i < READS; i++) {
        rc = kedge_region_read(&slot->region, kedge_slot_unit_at(slot, copy->from), to);
        crc = kedge_crc32(0, kedge_bytes(to.at, to.size));
        if (rc == 0 && crc == want)
            return 0;
        engine->retries++;
    }
    if (rc != 0)
        return rc;
    if (!repair(to, crc ^ want))
        return KEDGE_E_SOURCE;
    engine->repaired++;
    return 0;
}

/* Does flash hold `bytes` at `at`? */
static bool reads_back(struct kedge_engine *engine, const struct kedge_region *region, uint32_t at,
                       struct kedge_bytes bytes)
{
    for (unsigned i = 0; i < READ_BACKS; i++) {
        if (kedge_region_read(region, at, kedge_buf(engine->page, bytes.size)) == 0 &&
            memcmp(engine->page, bytes.at, bytes.size) == 0)
            return true;
        engine->retries++;
    }
    return false;
}

static struct kedge_bytes piece_of(const struct kedge_engine *engine, uint32_t at)
{
    return kedge_bytes(engine->unit.at + at, KEDGE_PAGE);
}

/* A unit in flash, as a copy names it. */
struct spot {
    const struct kedge_region *region;
    uint32_t at;   /* in the region */
    uint32_t size; /* bytes of the image in it */
};

static struct spot target(const struct kedge_engine *engine, const struct kedge_copy *copy)
{
    const struct kedge_slot *slot = kedge_engine_slot(engine, copy->to_slot);
    return (struct spot){&slot->region, kedge_slot_unit_at(slot, copy->to),
                         kedge_engine_bytes(engine, copy->old, copy->index)};
}

/* An erase that the device silently ignored must not be programmed over. */
static int probe(struct kedge_engine *engine, const struct kedge_region *region, uint32_t at)
{
    const int rc = kedge_region_read(region, at, kedge_buf(engine->page, KEDGE_PAGE));
    if (rc != 0)
        return rc;
    return kedge_all(kedge_bytes(engine->page, KEDGE_PAGE), region->flash->geometry.erased)
               ? 0
               : KEDGE_E_READBACK;
}

/* Program one page of the unit buffer, unless it is blank; the first one is probed. */
static int program_page(struct kedge_engine *engine, const struct spot *to, uint32_t o,
                        bool *probed)
{
    const struct kedge_bytes piece = piece_of(engine, o);
    int rc = 0;
    if (kedge_all(piece, to->region->flash->geometry.erased))
        return 0;
    if (!*probed)
        rc = probe(engine, to->region, to->at + o);
    *probed = true;
    return rc != 0 ? rc : kedge_region_program(to->region, to->at + o, piece);
}

/* Does the spot hold the unit buffer? */
static int compare(struct kedge_engine *engine, const struct spot *to)
{
    for (uint32_t o = 0; o < to->size; o += KEDGE_PAGE)
        if (!reads_back(engine, to->region, to->at + o, piece_of(engine, o)))
            return KEDGE_E_READBACK;
    return 0;
}

/* What lies behind the image in its last unit is left erased. */
static void pad(struct kedge_engine *engine, const struct spot *to)
{
    memset(engine->unit.at + to->size, to->region->flash->geometry.erased,
           engine->pair->primary.unit - to->size);
}

/* Unit buffer -> flash: erase, program, read back. */
static int store(struct kedge_engine *engine, const struct spot *to)
{
    const uint32_t unit = engine->pair->primary.unit;
    int rc = 0;
    pad(engine, to);
    for (unsigned i = 0; i < WRITES; i++) {
        bool probed = false;
        rc = kedge_region_erase(to->region, to->at, unit);
        for (uint32_t o = 0; rc == 0 && o < unit; o += KEDGE_PAGE)
            rc = program_page(engine, to, o, &probed);
        if (rc == 0)
            rc = kedge_region_sync(to->region);
        if (rc == 0)
            rc = compare(engine, to);
        if (rc == 0)
            return 0;
        engine->retries++;
    }
    return rc;
}

/* ---- two units at once ------------------------------------------------------------------------
 */

/* With two spares the unit that save(next) writes is not the only copy of anything that load(i)
 * still needs (tests/model/test_closure.c), so the external chip erases and programs it while the
 * internal flash is busy with load(i). */
static bool overlaps(const struct kedge_engine *engine, unsigned pc, struct kedge_copy *save)
{
    const uint8_t *plan = engine->journal.body.at;
    const int shift = plan[KEDGE_PLAN_BASE] - plan[KEDGE_PLAN_OLD_BASE];
    return plan[KEDGE_PLAN_METHOD] == KEDGE_METHOD_TOGGLE && (shift == 2 || shift == -2) &&
           plan[KEDGE_PLAN_TYPE] != KEDGE_TYPE_RESTORE && pc % 3 == 2 &&
           kedge_step(plan, pc + 2, save);
}

/* One page from the primary to the erased secondary. */
static int forward(struct kedge_engine *engine, const struct kedge_copy *save,
                   const struct spot *to, uint32_t o, bool *probed)
{
    const struct kedge_slot *from = &engine->pair->primary;
    const uint8_t erased = to->region->flash->geometry.erased;
    const uint32_t left = to->size > o ? to->size - o : 0;
    const struct kedge_buf page = {engine->page, left < KEDGE_PAGE ? left : KEDGE_PAGE};
    int rc = *probed ? 0 : probe(engine, to->region, to->at + o);
    memset(page.at, erased, KEDGE_PAGE);
    if (rc == 0)
        rc = kedge_region_read(&from->region, kedge_slot_unit_at(from, save->from) + o, page);
    if (rc != 0 || kedge_all(kedge_bytes(page.at, KEDGE_PAGE), erased))
        return rc;
    *probed = true;
    return kedge_region_program(to->region, to->at + o, kedge_bytes(page.at, KEDGE_PAGE));
}

/* The unit buffer goes to `load`, and meanwhile a unit of the primary to `save`. Whatever goes
 * wrong with the save is left to its own step; *saved: it is done and read back. */
static int store_both(struct kedge_engine *engine, const struct spot *load,
                      const struct kedge_copy *copy, bool *saved)
{
    const uint32_t unit = engine->pair->primary.unit;
    bool probed = false, forwarded = false;
    const struct spot save = target(engine, copy);
    pad(engine, load);
    int out = kedge_region_erase(save.region, save.at, unit);
    int in = kedge_region_erase(load->region, load->at, unit);
    for (uint32_t o = 0; o < unit; o += KEDGE_PAGE) {
        if (out == 0)
            out = forward(engine, copy, &save, o, &forwarded);
        if (in == 0)
            in = program_page(engine, load, o, &probed);
    }
    if (in == 0)
        in = kedge_region_sync(load->region);
    if (in != 0 || compare(engine, load) != 0)
        in = store(engine, load);
    if (in == 0 && out == 0)
        *saved = kedge_engine_fetch(engine, copy) == 0 && compare(engine, &save) == 0;
    return in;
}

int kedge_engine_wipe(struct kedge_engine *engine, unsigned name, uint32_t at)
{
    const struct kedge_region *region = &kedge_engine_slot(engine, name)->region;
    const uint32_t unit = engine->pair->primary.unit;
    int rc = 0;
    for (unsigned i = 0; i < WRITES; i++) {
        bool blank = false;
        feed(engine);
        rc = kedge_region_erase(region, at, unit);
        if (rc == 0)
            rc = kedge_engine_blank(engine, name, at, &blank);
        if (rc == 0 && blank)
            return 0;
    }
    return rc != 0 ? rc : KEDGE_E_READBACK;
}

int kedge_engine_blank(struct kedge_engine *engine, unsigned name, uint32_t at, bool *blank)
{
    const struct kedge_region *region = &kedge_engine_slot(engine, name)->region;
    int rc = 0;
    *blank = false;
    /* one flipped bit on the bus makes a blank sector look written, never the other way round */
    for (unsigned i = 0; i < READ_BACKS && !*blank; i++)
        rc = kedge_region_blank(region, at, engine->pair->primary.unit,
                                kedge_buf(engine->page, KEDGE_PAGE), blank);
    return rc;
}

/* ---- the primary's trailer --------------------------------------------------------------------
 */

bool kedge_engine_tail(struct kedge_engine *engine)
{
    const struct kedge_slot *slot = &engine->pair->primary;
    const uint32_t size = kedge_trailer_place(slot->max_align).size;
    const uint32_t at = (slot->gap + 1u) * slot->unit - size;
    for (unsigned i = 0; i < STEADY; i++) {
        uint8_t *to = i == 0 ? engine->unit.at : engine->page;
        if (kedge_region_read(&slot->region, at, kedge_buf(to, size)) != 0 ||
            memcmp(to, engine->unit.at, size) != 0)
            return false;
    }
    return true;
}

bool kedge_engine_on_trial(struct kedge_engine *engine)
{
    const struct kedge_slot *slot = &engine->pair->primary;
    const struct kedge_trailer_place place = kedge_trailer_place(slot->max_align);
    const uint8_t *end = engine->unit.at + place.size;
    const uint8_t erased = slot->region.flash->geometry.erased;
    if (!kedge_engine_tail(engine))
        return false;
    const struct kedge_trailer t =
        kedge_trailer_parse(kedge_bytes(engine->unit.at, place.size), slot->max_align, erased);
    return t.magic == KEDGE_MAGIC_GOOD && t.copy_done == KEDGE_FLAG_SET &&
           kedge_all(kedge_bytes(end - place.image_ok, place.block), erased);
}

int kedge_engine_trailer(struct kedge_engine *engine, uint8_t type)
{
    const struct kedge_slot *slot = &engine->pair->primary;
    const struct kedge_region *region = &slot->region;
    const struct kedge_trailer_place place = kedge_trailer_place(slot->max_align);
    const uint32_t start = (slot->gap + 1u) * slot->unit - place.size;
    const uint8_t erased = region->flash->geometry.erased;
    uint8_t *tail = engine->unit.at;
    int rc = 0;
    /* After a revert the trailer of the test is still there, unconfirmed: one word makes it right.
     * Not after a resume: a hidden torn write of that word may be there already, and a third write
     * of it would break the part's limit. */
    bool whole = type != KEDGE_TYPE_REVERT || engine->resumed || !kedge_engine_on_trial(engine);
    for (unsigned i = 0; i < WRITES; i++, whole = true) {
        if (whole) {
            memset(tail, erased, place.size);
            tail[0] = type == KEDGE_TYPE_INSTALL ? KEDGE_SWAP_PERMANENT : type;
            tail[place.size - place.copy_done] = 1;
            kedge_trailer_magic(slot->max_align, tail + place.size - place.magic);
            rc = kedge_engine_wipe(engine, KEDGE_PRIMARY, slot->gap * slot->unit);
            if (rc != 0)
                break;
        }
        if (type != KEDGE_TYPE_TEST)
            tail[place.size - place.image_ok] = 1;
        /* upwards, so that the magic comes last: a trailer without it is no trailer */
        for (uint32_t o = 0; rc == 0 && o < place.size; o += place.block) {
            const struct kedge_bytes block = {tail + o, place.block};
            if (!kedge_all(block, erased) && (whole || o == place.size - (uint32_t)place.image_ok))
                rc = kedge_region_program(region, start + o, block);
        }
        if (rc == 0)
            rc = kedge_region_sync(region);
        if (rc == 0 && reads_back(engine, region, start, kedge_bytes(tail, place.size)))
            return 0;
        rc = 0;
    }
    return rc != 0 ? rc : KEDGE_E_READBACK;
}

/* ---- the program ------------------------------------------------------------------------------
 */

/* Results of a step: done and to be logged, nothing to do, or an error. */
#define DONE    1
#define NOTHING 0

static int consume_mailbox(struct kedge_engine *engine)
{
    const struct kedge_slot *slot = &engine->pair->secondary;
    const uint32_t at = slot->gap * slot->unit;
    bool blank = false;
    if ((engine->journal.body.at[KEDGE_PLAN_FLAGS] & KEDGE_PLAN_REQUESTED) == 0) {
        /* a request made during a trial must not outlive the revert */
        const int rc = kedge_engine_blank(engine, KEDGE_SECONDARY, at, &blank);
        if (rc == 0 && blank)
            return NOTHING;
    }
    const int rc = kedge_engine_wipe(engine, KEDGE_SECONDARY, at);
    return rc == 0 ? DONE : rc;
}

static int check_primary(struct kedge_engine *engine)
{
    const uint8_t *plan = engine->journal.body.at;
    const bool old = plan[KEDGE_PLAN_TYPE] == KEDGE_TYPE_RESTORE;
    const uint8_t *id = plan + (old ? KEDGE_PLAN_ID_OLD : KEDGE_PLAN_ID_NEW);
    /* the copies were read back against the bytes whose signature was good: only the hash again */
    engine->verify.known = kedge_bytes(engine->trusted, engine->trusted_size);
    if (kedge_engine_look(engine, KEDGE_PRIMARY, 0, false) != KEDGE_IMAGE_GOOD ||
        memcmp(engine->verify.digest, id, 8) != 0)
        return KEDGE_E_HASH;
    engine->checked = true;
    return DONE;
}

/* Posted, not waited for and not logged: the chip erases while the trailer is written, and after a
 * cut both are done again. A header that stays all the same is a nuisance, not a danger. */
static int clear_header(struct kedge_engine *engine)
{
    const struct kedge_slot *slot = &engine->pair->secondary;
    const int u = kedge_step_clear(engine->journal.body.at);
    if (u >= 0)
        (void)kedge_region_erase(&slot->region, kedge_slot_unit_at(slot, (uint32_t)u), slot->unit);
    return NOTHING;
}

static int project(struct kedge_engine *engine)
{
    const uint8_t *plan = engine->journal.body.at;
    const uint8_t type = plan[KEDGE_PLAN_TYPE];
    int rc = 0;
    if (type != KEDGE_TYPE_RESTORE && (plan[KEDGE_PLAN_FLAGS] & KEDGE_PLAN_TRAILER_DONE) == 0)
        rc = kedge_engine_trailer(engine, type);
    (void)kedge_region_sync(&engine->pair->secondary.region);
    return rc; /* what follows is the log of the end */
}

static int copy_unit(struct kedge_engine *engine, unsigned pc)
{
    struct kedge_copy copy, next;
    if (!kedge_step(engine->journal.body.at, pc, &copy))
        return NOTHING;
    if (engine->ahead) {
        engine->ahead = false;
        return DONE;
    }
    const struct spot to = target(engine, &copy);
    int rc = kedge_engine_fetch(engine, &copy);
    if (rc == 0)
        rc = overlaps(engine, pc, &next) ? store_both(engine, &to, &next, &engine->ahead)
                                         : store(engine, &to);
    return rc == 0 ? DONE : rc;
}

static int do_step(struct kedge_engine *engine, unsigned pc, unsigned copies)
{
    if (pc == 0)
        return consume_mailbox(engine);
    if (pc <= copies)
        return copy_unit(engine, pc);
    if (pc == copies + 1)
        return check_primary(engine);
    if (pc == copies + 2)
        return clear_header(engine);
    return project(engine);
}

int kedge_engine_run(struct kedge_engine *engine)
{
    uint8_t *plan = engine->journal.body.at;
    const unsigned copies = 3 * kedge_plan_k(plan);
    const unsigned end = copies + 4;
    const uint8_t phase = kedge_engine_phase(engine, KEDGE_PHASE_SWAP);
    int rc = 0;
    engine->checked = false;
    engine->ahead = false;
    for (unsigned pc = kedge_le16(plan + KEDGE_PLAN_PC); rc >= 0 && pc < end; pc++) {
        kedge_put_le16(plan + KEDGE_PLAN_PC, (uint16_t)pc);
        if (engine->hooks != NULL && engine->hooks->progress != NULL)
            engine->hooks->progress(engine->hooks->ctx, pc, end);
        rc = do_step(engine, pc, copies);
        if (rc == DONE)
            rc = kedge_engine_log(engine, KEDGE_RECORD_PC, (uint16_t)(pc + 1));
    }
    if (rc >= 0)
        rc = kedge_engine_log(engine, KEDGE_RECORD_PHASE,
                              plan[KEDGE_PLAN_TYPE] == KEDGE_TYPE_TEST ? KEDGE_STATE_TRIAL
                                                                       : KEDGE_STATE_IDLE);
    kedge_engine_phase(engine, phase);
    return rc;
}
