/* The journal: two sectors, of which one is the authority.
 *
 * Everything rests on two words, a bump and a mark of the same rank. A mark makes a sector count; a
 * bump of that rank was finished before the mark was begun. So whoever comes after a cut may read a
 * torn mark as there or as not there, once so and once so, but always sees that its rank is taken.
 * What it then does is: give the sector it believes in a mark of a still higher rank, finish it, and
 * only then erase the other one. From there on both readings of the torn mark agree.
 *
 * No word is acted on unless it is exact: value and CRC as they were written. Rules: FORMAT.md [J1]
 * to [J9]. */
#include "kedge/journal.h"

#include <string.h>

#define CHUNK 32 /* bytes streamed at a time; the largest write block */
#define SLOTS 16
#define TRIES 3
#define MIN_RECORDS 8
#define RANK_LIMIT 0x80000000u /* more take-overs than any flash survives; keeps rank + 1 exact */

/* What the CRC of a cell covers besides its value, so that no cell is taken for another kind. A LOG
 * record has its index there. */
#define SALT_BUMP 0x504D5542u /* "BUMP" */
#define SALT_MARK 0x4B52414Du /* "MARK" */

static void encode(uint8_t *cell, uint32_t value, uint32_t salt)
{
    kedge_put_le32(cell, value);
    kedge_put_le32(cell + 4, salt);
    kedge_put_le32(cell + 4, kedge_crc32(0, kedge_bytes(cell, 8)));
}

/* A word that the flash cannot read (torn, behind ECC) is not exact. */
static bool read_exact(const struct kedge_journal *j, uint32_t at, uint32_t salt, uint32_t *value)
{
    uint8_t found[8], exact[8];

    if (kedge_region_read(&j->region, at, kedge_buf(found, sizeof found)) != 0) {
        return false;
    }
    *value = kedge_le32(found);
    encode(exact, *value, salt);
    return memcmp(found, exact, sizeof exact) == 0;
}

/* Program and read back. Filling that is all erased needs no program. */
static int write_back(const struct kedge_journal *j, uint32_t at, struct kedge_bytes from)
{
    uint8_t found[CHUNK];
    int rc = 0;

    if (!kedge_all(from, j->region.flash->geometry.erased)) {
        rc = kedge_region_program(&j->region, at, from);
    }
    if (rc == 0) {
        rc = kedge_region_read(&j->region, at, kedge_buf(found, from.size));
    }
    if (rc == 0 && memcmp(found, from.at, from.size) != 0) {
        rc = KEDGE_E_READBACK;
    }
    return rc;
}

static int write_cell(const struct kedge_journal *j, uint32_t at, uint32_t value, uint32_t salt)
{
    uint8_t cell[CHUNK];

    memset(cell, j->region.flash->geometry.erased, sizeof cell);
    encode(cell, value, salt);
    return write_back(j, at, kedge_bytes(cell, j->cell));
}

static uint32_t marks_of(const struct kedge_journal *j, uint8_t sector)
{
    return (sector == 0 ? 0 : j->sector) + j->marks_at;
}

static uint32_t slot_of(const struct kedge_journal *j, uint8_t sector, uint32_t rank)
{
    return marks_of(j, sector) + 2u * j->cell * (rank % SLOTS);
}

static uint32_t record_of(const struct kedge_journal *j, uint32_t index)
{
    return marks_of(j, j->authority) + j->cell * (2u * SLOTS + index);
}

/* Sizes follow from the region and the device alone [J7]. */
static int measure(struct kedge_journal *j)
{
    const struct kedge_geometry *g = &j->region.flash->geometry;
    const size_t needed = j->body.size + 4;
    uint32_t log_at, records;

    j->cell = (uint8_t)(g->write_block > 8 ? g->write_block : 8);
    j->sector = j->region.size / 2;
    j->marks_at = j->reserve != 0 ? j->reserve : (uint32_t)(needed + 255) & ~255u;
    log_at = j->marks_at + 2u * SLOTS * j->cell;
    if (g->write_block > CHUNK || j->sector % g->erase_size != 0 || j->body.size % 4 != 0 ||
        j->marks_at % 256 != 0) {
        return KEDGE_E_ALIGN;
    }
    if (j->sector < KEDGE_JOURNAL_SECTOR_MIN || needed > j->marks_at ||
        log_at + MIN_RECORDS * j->cell > j->sector) {
        return KEDGE_E_SPACE;
    }
    records = (j->sector - log_at) / j->cell;
    j->capacity = (uint16_t)(records < UINT16_MAX ? records : UINT16_MAX);
    return 0;
}

/* Highest exact mark of a sector, 0: none. Notes every rank that was ever taken. */
static uint32_t scan_marks(struct kedge_journal *j, uint8_t sector)
{
    uint32_t rank = 0, value;

    for (uint32_t i = 0; i < 2 * SLOTS; i++) {
        const bool is_mark = (i & 1) != 0;

        if (read_exact(j, marks_of(j, sector) + i * j->cell, is_mark ? SALT_MARK : SALT_BUMP,
                       &value) &&
            value < RANK_LIMIT) {
            rank = is_mark && value > rank ? value : rank;
            j->highest = value > j->highest ? value : j->highest;
        }
    }
    return rank;
}

/* True when BODY of the sector has the right CRC; with `keep` its bytes go to RAM. */
static bool load_body(const struct kedge_journal *j, uint8_t sector, bool keep)
{
    const uint32_t base = sector == 0 ? 0 : j->sector;
    uint8_t chunk[CHUNK];
    uint32_t crc = 0;

    for (uint32_t at = 0; at < j->marks_at; at += CHUNK) {
        const uint32_t hashed = at + CHUNK == j->marks_at ? CHUNK - 4 : CHUNK;
        const size_t left = at < j->body.size ? j->body.size - at : 0;

        if (kedge_region_read(&j->region, base + at, kedge_buf(chunk, CHUNK)) != 0) {
            return false;
        }
        crc = kedge_crc32(crc, kedge_bytes(chunk, hashed));
        if (keep && left != 0) {
            memcpy(j->body.at + at, chunk, left < CHUNK ? left : CHUNK);
        }
    }
    return crc == kedge_le32(chunk + CHUNK - 4);
}

static int write_body(const struct kedge_journal *j, uint8_t sector)
{
    const uint32_t base = sector == 0 ? 0 : j->sector;
    uint8_t chunk[CHUNK];
    uint32_t crc = 0;
    int rc = 0;

    for (uint32_t at = 0; at < j->marks_at && rc == 0; at += CHUNK) {
        const uint32_t hashed = at + CHUNK == j->marks_at ? CHUNK - 4 : CHUNK;
        const size_t left = at < j->body.size ? j->body.size - at : 0;

        memset(chunk, j->region.flash->geometry.erased, sizeof chunk);
        if (left != 0) {
            memcpy(chunk, j->body.at + at, left < CHUNK ? left : CHUNK);
        }
        crc = kedge_crc32(crc, kedge_bytes(chunk, hashed));
        if (hashed < CHUNK) {
            kedge_put_le32(chunk + hashed, crc);
        }
        rc = write_back(j, base + at, kedge_bytes(chunk, CHUNK));
    }
    return rc;
}

/* Records from index 0 up to the first that is not exact [J1]. */
static void replay_log(struct kedge_journal *j, kedge_journal_replay replay, void *ctx)
{
    uint32_t value;

    while (j->next < j->capacity && read_exact(j, record_of(j, j->next), j->next, &value)) {
        j->next++;
        j->sealed = value >> 16 == KEDGE_RECORD_SEAL;
        if (replay != NULL) {
            replay(ctx, (uint16_t)(value >> 16), (uint16_t)value);
        }
    }
}

int kedge_journal_open(struct kedge_journal *journal, kedge_journal_replay replay, void *ctx)
{
    const int rc = measure(journal);
    uint32_t rank[2];

    journal->authority = KEDGE_JOURNAL_NOBODY;
    journal->next = 0;
    journal->highest = 0;
    journal->own = false;
    journal->sealed = false;
    if (rc != 0) {
        return rc;
    }
    rank[0] = scan_marks(journal, 0);
    rank[1] = scan_marks(journal, 1);
    for (unsigned i = 0; i < 2 * TRIES; i++) {
        const uint8_t sector = (uint8_t)((rank[1] > rank[0]) ^ (i >= TRIES));

        if (rank[sector] != 0 && load_body(journal, sector, false) &&
            load_body(journal, sector, true)) {
            journal->authority = sector;
            replay_log(journal, replay, ctx);
            /* A rank above ours was begun: its mark may read as there tomorrow [J4]. */
            journal->sealed = journal->sealed && rank[sector] == journal->highest;
            return 0;
        }
    }
    return KEDGE_E_NONE;
}

/* The bump is finished before the mark is begun, so nobody ever takes this rank again [J3]. */
static int write_mark(struct kedge_journal *j, uint8_t sector, uint32_t rank)
{
    const uint32_t at = slot_of(j, sector, rank);
    int rc;

    j->highest = rank;
    rc = write_cell(j, at, rank, SALT_BUMP);
    if (rc == 0) {
        rc = write_cell(j, at + j->cell, rank, SALT_MARK);
    }
    return rc;
}

/* Give the authority a finished mark above every rank that may be half written, before the other
 * sector goes [J3]. A slot belongs to one rank in sixteen: what was torn there and reads blank is
 * programmed again with the same bits only [J6]. */
static void reaffirm(struct kedge_journal *j)
{
    const uint32_t first = j->highest + 1;
    uint8_t scratch[CHUNK];

    for (uint32_t rank = first; rank < first + SLOTS; rank++) {
        bool blank = false;

        if (kedge_region_blank(&j->region, slot_of(j, j->authority, rank), 2u * j->cell,
                               kedge_buf(scratch, sizeof scratch), &blank) == 0 &&
            blank && write_mark(j, j->authority, rank) == 0) {
            return;
        }
    }
}

static int renew(struct kedge_journal *j, uint8_t sector)
{
    const uint32_t base = sector == 0 ? 0 : j->sector;
    uint8_t scratch[CHUNK];
    bool blank = false;
    int rc = kedge_region_erase(&j->region, base, j->sector);

    if (rc == 0) {
        rc = kedge_region_blank(&j->region, base, j->sector, kedge_buf(scratch, sizeof scratch),
                                &blank);
    }
    if (rc == 0 && !blank) {
        rc = KEDGE_E_READBACK;
    }
    if (rc == 0) {
        rc = write_body(j, sector);
    }
    if (rc == 0) {
        rc = write_mark(j, sector, j->highest + 1);
    }
    return rc;
}

int kedge_journal_take_over(struct kedge_journal *journal)
{
    const uint8_t sector = journal->authority == 0 ? 1 : 0;
    int rc = KEDGE_E_READBACK;

    /* The mark of an own sector was finished in this power-on; it needs no second one. */
    if (journal->authority != KEDGE_JOURNAL_NOBODY && !journal->own) {
        reaffirm(journal);
    }
    for (unsigned i = 0; i < TRIES && rc != 0; i++) {
        rc = renew(journal, sector);
    }
    if (rc == 0) {
        journal->authority = sector;
        journal->next = 0;
        journal->own = true;
        journal->sealed = false;
    }
    return rc;
}

uint16_t kedge_journal_room(const struct kedge_journal *journal)
{
    return journal->own ? (uint16_t)(journal->capacity - journal->next) : 0;
}

int kedge_journal_append(struct kedge_journal *journal, uint16_t kind, uint16_t value)
{
    const uint32_t word = ((uint32_t)kind << 16) | value;
    int rc;

    if (kedge_journal_room(journal) == 0) {
        return KEDGE_E_SPACE;
    }
    rc = write_cell(journal, record_of(journal, journal->next), word, journal->next);
    journal->next++;
    journal->own = rc == 0;
    journal->sealed = rc == 0 && kind == KEDGE_RECORD_SEAL;
    return rc;
}
