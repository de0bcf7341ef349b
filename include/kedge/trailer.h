/* MCUboot's slot trailer: the bytes by which application and loader talk (facts 7.5, 7.6). Pure:
 * these functions see bytes, not flash. Maximum alignment 8, 16 or 32. */
#ifndef KEDGE_TRAILER_H
#define KEDGE_TRAILER_H

#include "kedge/base.h"

#define KEDGE_TRAILER_SIZE_MAX 128 /* magic + 3 flags at alignment 32 */

enum kedge_flag { KEDGE_FLAG_UNSET, KEDGE_FLAG_SET, KEDGE_FLAG_BAD };
enum kedge_magic { KEDGE_MAGIC_UNSET, KEDGE_MAGIC_GOOD, KEDGE_MAGIC_BAD };

/* Offsets from the slot's end, downwards: magic at end - magic, and so on. */
struct kedge_trailer_place {
    uint8_t magic, image_ok, copy_done, swap_info; /* 16, 24, 32, 40 at alignment 8 */
    uint8_t block;                                 /* bytes to program for one flag */
    uint8_t size;                                  /* = swap_info: the tail that matters */
};
struct kedge_trailer_place kedge_trailer_place(uint8_t max_align);

struct kedge_trailer {
    enum kedge_magic magic;
    enum kedge_flag image_ok, copy_done;
    uint8_t swap_type, image_number; /* swap_info nibbles; type 0: none or implausible */
    bool blank;                      /* the whole tail is erased */
};
/* `tail` is the last place.size bytes of the slot. */
struct kedge_trailer kedge_trailer_parse(struct kedge_bytes tail, uint8_t max_align,
                                         uint8_t erased);

/* The 16 bytes of the magic for this alignment. */
void kedge_trailer_magic(uint8_t max_align, uint8_t *magic);

/* What the application asks for by the secondary's trailer (SWAP.md 6). */
enum kedge_request {
    KEDGE_REQUEST_NONE,
    KEDGE_REQUEST_TEST,
    KEDGE_REQUEST_PERMANENT,
    KEDGE_REQUEST_TORN
};
enum kedge_request kedge_trailer_request(const struct kedge_trailer *trailer);

/* swap type bytes */
#define KEDGE_SWAP_TEST      2
#define KEDGE_SWAP_PERMANENT 3
#define KEDGE_SWAP_REVERT    4

#endif
