/* CBOR as SMP needs it: a thin layer over zcbor 0.9.1.
 *
 * Writing: entries are put one after the other; the first that does not fit makes the writer fail,
 * and everything after it does nothing (sticky), so an encoder reads as a straight line and asks
 * once, at its end. Maps and lists are written with indefinite length (BF .. FF), as Zephyr does.
 *
 * Reading: either a table of fields (kedge_smp_read_fields: one call for a whole request), or a
 * walk through maps and lists with enter, next, value, leave. Keys may come in any order, maps may
 * be definite or not, unknown keys are skipped, `null` counts as absent. Nothing is copied: bytes
 * and texts point into the message. Errors are sticky here too. Nesting is bounded by
 * KEDGE_SMP_DEPTH (deeper is a format error), and nothing recurses. Strings of indefinite length
 * are a format error.
 */
#ifndef KEDGE_SMP_CBOR_H
#define KEDGE_SMP_CBOR_H

#include "kedge/base.h"
#include "zcbor_common.h"

/* Containers inside one another that a reader follows; SMP's deepest (slot info) has 4. */
#define KEDGE_SMP_DEPTH 6

/* A C string as bytes, at most 255 of them. */
struct kedge_bytes kedge_smp_text(const char *text);

/* ---- writing -------------------------------------------------------------------------------- */

struct kedge_smp_writer {
    zcbor_state_t state;
    uint8_t *start;
    bool failed; /* something did not fit */
};

void kedge_smp_write_start(struct kedge_smp_writer *writer, struct kedge_buf to);
/* Bytes written so far. */
size_t kedge_smp_written(const struct kedge_smp_writer *writer);
/* Bytes left; for lists that hold as many entries as fit. */
size_t kedge_smp_room(const struct kedge_smp_writer *writer);

/* Entries of a map; with key NULL: elements of a list. */
void kedge_smp_put_uint(struct kedge_smp_writer *writer, const char *key, uint32_t value);
void kedge_smp_put_bool(struct kedge_smp_writer *writer, const char *key, bool value);
void kedge_smp_put_bytes(struct kedge_smp_writer *writer, const char *key,
                         struct kedge_bytes value);
void kedge_smp_put_text(struct kedge_smp_writer *writer, const char *key, struct kedge_bytes value);
void kedge_smp_put_string(struct kedge_smp_writer *writer, const char *key, const char *value);
/* Open a map or list; kedge_smp_close closes the innermost. */
void kedge_smp_open_map(struct kedge_smp_writer *writer, const char *key);
void kedge_smp_open_list(struct kedge_smp_writer *writer, const char *key);
void kedge_smp_close(struct kedge_smp_writer *writer);

/* ---- reading by a table --------------------------------------------------------------------- */

enum kedge_smp_kind {
    KEDGE_SMP_UINT,  /* uint32_t; larger or negative: format error */
    KEDGE_SMP_FLAG,  /* bool; an integer counts as != 0 (clients differ for `force`) */
    KEDGE_SMP_BYTES, /* struct kedge_bytes */
    KEDGE_SMP_TEXT   /* struct kedge_bytes */
};

struct kedge_smp_field {
    const char *key;
    uint8_t key_size;
    uint8_t kind; /* enum kedge_smp_kind */
    void *to;     /* of the type that `kind` names; untouched when the key is absent */
};
#define KEDGE_SMP_FIELD(key, kind, to)                                                             \
    {                                                                                              \
        (key), (uint8_t)(sizeof(key) - 1), (kind), (to)                                            \
    }

/* Read one map. -> bit i set for each field i that was there (at most 30 fields), or KEDGE_E_FORMAT
 * (not a map, wrong type, number too large, too deep, cut short). Empty `cbor`: an empty map. A key
 * that comes twice: the last one counts. Bytes behind the map are ignored. */
int kedge_smp_read_fields(struct kedge_bytes cbor, const struct kedge_smp_field *fields,
                          size_t count);

/* ---- reading by a walk ---------------------------------------------------------------------- */

struct kedge_smp_reader {
    zcbor_state_t states[KEDGE_SMP_DEPTH + 2];
    bool failed; /* sticky: not what was asked for, or cut short */
};

/* Types of the next value. */
enum kedge_smp_type {
    KEDGE_SMP_TYPE_NONE, /* end of the container or of the message, or the reader failed */
    KEDGE_SMP_TYPE_UINT,
    KEDGE_SMP_TYPE_NEGATIVE,
    KEDGE_SMP_TYPE_BYTES,
    KEDGE_SMP_TYPE_TEXT,
    KEDGE_SMP_TYPE_LIST,
    KEDGE_SMP_TYPE_MAP,
    KEDGE_SMP_TYPE_BOOL,
    KEDGE_SMP_TYPE_OTHER /* null, tags, floats: to be skipped */
};

void kedge_smp_read_start(struct kedge_smp_reader *reader, struct kedge_bytes cbor);
enum kedge_smp_type kedge_smp_peek(const struct kedge_smp_reader *reader);
/* Into the map or list that comes next; leave skips what is left of it. */
bool kedge_smp_enter(struct kedge_smp_reader *reader);
void kedge_smp_leave(struct kedge_smp_reader *reader);
/* Next key of the entered map, false at its end or after an error; each must be followed by exactly
 * one value, skip, or enter and leave. Entries whose key is no text are passed over. */
bool kedge_smp_next(struct kedge_smp_reader *reader, struct kedge_bytes *key);
/* Another element in the entered list? */
bool kedge_smp_more(const struct kedge_smp_reader *reader);
/* Values; 0, false or empty after an error. */
uint32_t kedge_smp_read_uint(struct kedge_smp_reader *reader);
int64_t kedge_smp_read_int(struct kedge_smp_reader *reader);
bool kedge_smp_read_flag(struct kedge_smp_reader *reader);
struct kedge_bytes kedge_smp_read_bytes(struct kedge_smp_reader *reader); /* bytes or text */
void kedge_smp_skip(struct kedge_smp_reader *reader);

/* True when `key` is the text of `text`. */
bool kedge_smp_is(struct kedge_bytes key, const char *text);

#endif
