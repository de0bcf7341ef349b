/* The journal: two sectors, of which one is the authority.
 *
 * Everything rests on two words, a bump and a mark of the same rank. A mark makes a sector count; a
 * bump of that rank was finished before the mark was begun. So whoever comes after a cut may read a
 * torn mark as there or as not there, once so and once so, but always sees that its rank is taken.
 * What it then does is: give the sector it believes in a mark of a still higher rank, finish it,
 * and only then erase the other one. From there on both readings of the torn mark agree.
 *
 * No word is acted on unless it is exact: value and CRC as they were written. Rules: FORMAT.md [J1]
 * to [J9]. */
#include "kedge/journal.h"

#include <string.h>

#define CHUNK       32 /* bytes streamed at a time; the largest write block */
#define SLOTS       16
#define RECORDS     (2u * SLOTS) /* cells of MARKS: the LOG begins behind them */
#define TRIES       3
#define MIN_RECORDS 8
#define RANK_LIMIT  0x80000000u /* more take-overs than any flash survives; keeps rank + 1 exact */

/* What the CRC of a cell covers besides its value, so that no cell is taken for another kind. None
 * of them makes an erased cell exact, be it 0xFF or 0x00 (a salt of 0 would: [J7]). */
#define SALT_BUMP 0x504D5542u /* "BUMP" */
#define SALT_MARK 0x4B52414Du /* "MARK" */
#define SALT_LOG  0x4C000000u /* + index of the record */

static void encode(uint8_t *cell, uint32_t value, uint32_t salt)
{
    kedge_put_le32(cell, value);
    kedge_put_le32(cell + 4, salt);
    kedge_put_le32(cell + 4, kedge_crc32(0, kedge_bytes(cell, 8)));
}

/* Value of an exact cell, 0 for any other: no rank and no record is 0. A word that the flash cannot
 * read (torn, behind ECC) is not exact. */
static uint32_t read_exact(const struct kedge_journal *j, uint32_t at, uint32_t salt)
{
    uint8_t cell[8];
    uint32_t value, crc;

    if (kedge_region_read(&j->region, at, kedge_buf(cell, sizeof cell)) != 0) {
        return 0;
    }
    value = kedge_le32(cell);
    crc = kedge_le32(cell + 4);
    encode(cell, value, salt);
    return kedge_le32(cell + 4) == crc ? value : 0;
}

/* Program and read back. Filling that is all erased needs no program. */
static int write_back(const struct kedge_journal *j, uint32_t at, const uint8_t *from, size_t size)
{
    uint8_t found[CHUNK];
    int rc = 0;

    if (!kedge_all(kedge_bytes(from, size), j->region.flash->geometry.erased)) {
        rc = kedge_region_program(&j->region, at, kedge_bytes(from, size));
    }
    if (rc == 0) {
        rc = kedge_region_read(&j->region, at, kedge_buf(found, size));
    }
    if (rc == 0 && memcmp(found, from, size) != 0) {
        rc = KEDGE_E_READBACK;
    }
    return rc;
}

static int write_cell(const struct kedge_journal *j, uint32_t at, uint32_t value, uint32_t salt)
{
    uint8_t cell[CHUNK];

    memset(cell, j->region.flash->geometry.erased, sizeof cell);
    encode(cell, value, salt);
    return write_back(j, at, cell, j->cell);
}

static uint32_t cell_of(const struct kedge_journal *j, uint8_t sector, uint32_t index)
{
    return sector * j->sector + j->marks_at + j->cell * index;
}

/* Place of the next LOG record. */
static uint32_t record_of(const struct kedge_journal *j)
{
    return cell_of(j, j->authority, RECORDS + j->next);
}

/* Sizes follow from the region and the device alone [J7]. */
static int measure(struct kedge_journal *j)
{
    uint32_t block, records;

    if (j->region.flash == NULL) {
        return KEDGE_E_UNSUPPORTED;
    }
    block = j->region.flash->geometry.write_block;
    if (block > CHUNK) {
        return KEDGE_E_SPACE;
    }
    j->cell = (uint8_t)(block > 8 ? block : 8);
    j->sector = j->region.size / 2;
    j->marks_at = ((j->reserve != 0 ? j->reserve : (uint32_t)j->body.size + 4) + 255) & ~255u;
    records = (j->sector - j->marks_at) / j->cell - RECORDS;
    if (j->marks_at < j->body.size + 4 || j->marks_at > j->sector ||
        records - MIN_RECORDS > UINT16_MAX - MIN_RECORDS) {
        return KEDGE_E_SPACE;
    }
    j->capacity = (uint16_t)records;
    return 0;
}

/* Highest exact mark of a sector, 0: none. Notes in rival, bit by sector, whether any word of it is
 * exact, and the highest rank of all. */
static uint32_t scan_marks(struct kedge_journal *j, uint8_t sector)
{
    uint32_t mark = 0;

    for (uint32_t i = 0; i < RECORDS; i++) {
        const uint32_t rank = read_exact(j, cell_of(j, sector, i), i & 1 ? SALT_MARK : SALT_BUMP);

        if (rank == 0 || rank >= RANK_LIMIT) {
            continue;
        }
        j->rival |= (uint8_t)(1u << sector);
        if (rank > j->highest) {
            j->highest = rank;
        }
        if ((i & 1) != 0 && rank > mark) {
            mark = rank;
        }
    }
    return mark;
}

/* One pass over the place of BODY. Reading: the bytes go to RAM, 0 when the CRC is right. Writing:
 * RAM, erased filling, CRC; each chunk read back. */
static int pass_body(const struct kedge_journal *j, uint8_t sector, bool write)
{
    uint8_t chunk[CHUNK];
    uint8_t *ram = j->body.at;
    size_t left = j->body.size;
    uint32_t place = sector * j->sector;
    const uint32_t last = place + j->marks_at - CHUNK;
    uint32_t crc = 0;

    for (;; place += CHUNK) {
        const size_t part = left < CHUNK ? left : CHUNK;
        int rc = 0;

        if (write) {
            memset(chunk, j->region.flash->geometry.erased, sizeof chunk);
            memcpy(chunk, ram, part);
        } else {
            rc = kedge_region_read(&j->region, place, kedge_buf(chunk, CHUNK));
            memcpy(ram, chunk, part);
        }
        crc = kedge_crc32(crc, kedge_bytes(chunk, place == last ? CHUNK - 4 : CHUNK));
        if (write) {
            if (place == last) {
                kedge_put_le32(chunk + CHUNK - 4, crc);
            }
            rc = write_back(j, place, chunk, CHUNK);
        }
        if (rc != 0) {
            return rc;
        }
        if (place == last) {
            return crc == kedge_le32(chunk + CHUNK - 4) ? 0 : KEDGE_E_FORMAT;
        }
        ram += part;
        left -= part;
    }
}

static int read_body(const struct kedge_journal *j, uint8_t sector)
{
    int rc = KEDGE_E_FORMAT;

    for (unsigned i = 0; i < TRIES && rc != 0; i++) {
        rc = pass_body(j, sector, false);
    }
    return rc;
}

/* Records from index 0 up to the first that is not exact [J1]. */
static void replay_log(struct kedge_journal *j, kedge_journal_replay replay, void *ctx)
{
    uint32_t value;

    while (j->next < j->capacity &&
           (value = read_exact(j, record_of(j), SALT_LOG + j->next)) != 0) {
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
    journal->authority = KEDGE_JOURNAL_NOBODY;
    journal->next = 0;
    journal->highest = 0;
    journal->own = false;
    journal->sealed = false;
    journal->rival = 0;
    if (rc != 0) {
        return rc;
    }
    const uint32_t first = scan_marks(journal, 0);
    const uint32_t second = scan_marks(journal, 1);
    uint8_t sector = second > first; /* the higher one is asked first */

    for (unsigned i = 0; i < 2; i++, sector ^= 1) {
        const uint32_t mark = sector != 0 ? second : first;

        if (mark == 0 || read_body(journal, sector) != 0) {
            continue;
        }
        journal->authority = sector;
        journal->rival &= (uint8_t)(2u >> sector);
        replay_log(journal, replay, ctx);
        /* A rank above ours was begun: its mark may read as there tomorrow [J4]. */
        journal->sealed = journal->sealed && mark == journal->highest;
        return 0;
    }
    journal->rival = 0;
    return KEDGE_E_NONE;
}

/* Next rank of a sector: even ones are sector 0's, odd ones sector 1's, so that neither uses up the
 * other's slots. */
static uint32_t next_rank(const struct kedge_journal *j, uint8_t sector)
{
    return j->highest + 1 + ((j->highest + 1 + sector) & 1);
}

static uint32_t slot_of(const struct kedge_journal *j, uint8_t sector, uint32_t rank)
{
    return cell_of(j, sector, rank / 2 % SLOTS * 2);
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

static bool is_blank(const struct kedge_journal *j, uint32_t at, uint32_t size)
{
    uint8_t found[8];

    for (const uint32_t end = at + size; at != end; at += sizeof found) {
        if (kedge_region_read(&j->region, at, kedge_buf(found, sizeof found)) != 0 ||
            !kedge_all(kedge_bytes(found, sizeof found), j->region.flash->geometry.erased)) {
            return false;
        }
    }
    return true;
}

/* Give the authority a finished mark above every rank that may be half written, before the other
 * sector goes [J3]. A slot belongs to one rank in 32: what was torn there and reads blank is
 * programmed again with the same bits only [J6]. */
static void reaffirm(struct kedge_journal *j)
{
    uint32_t rank = next_rank(j, j->authority);

    for (unsigned i = 0; i < SLOTS; i++, rank += 2) {
        if (is_blank(j, slot_of(j, j->authority, rank), 2u * j->cell) &&
            write_mark(j, j->authority, rank) == 0) {
            return;
        }
    }
}

static int renew(struct kedge_journal *j, uint8_t sector)
{
    const uint32_t base = sector * j->sector;
    int rc = kedge_region_erase(&j->region, base, j->sector);

    if (rc == 0 && !is_blank(j, base, j->sector)) {
        rc = KEDGE_E_READBACK;
    }
    if (rc == 0) {
        rc = pass_body(j, sector, true);
    }
    if (rc == 0) {
        rc = write_mark(j, sector, next_rank(j, sector));
    }
    return rc;
}

int kedge_journal_take_over(struct kedge_journal *journal)
{
    const uint8_t sector = journal->authority == 0 ? 1 : 0;
    int rc = KEDGE_E_READBACK;

    for (unsigned i = 0; i < TRIES && rc != 0; i++) {
        if (journal->rival != 0) {
            reaffirm(journal);
        }
        journal->rival = journal->authority != KEDGE_JOURNAL_NOBODY;
        rc = renew(journal, sector);
    }
    if (rc == 0) {
        journal->rival = 0; /* our mark is finished and above all others */
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
    rc = write_cell(journal, record_of(journal), word, SALT_LOG + journal->next);
    journal->next++;
    journal->own = rc == 0;
    journal->sealed = rc == 0 && kind == KEDGE_RECORD_SEAL;
    return rc;
}
