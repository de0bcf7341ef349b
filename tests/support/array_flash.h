/* A flash device that is nothing but an array, for tests that only read and look at geometry. Reads
 * can be made to fail or to flip a bit; whoever programs or erases uses the simulator. */
#ifndef KEDGE_ARRAY_FLASH_H
#define KEDGE_ARRAY_FLASH_H

#include "kedge/flash.h"

struct array_flash {
    struct kedge_flash flash; /* its ctx is this struct */
    uint8_t *bytes;
    unsigned reads;            /* so far */
    unsigned fail_read;        /* this read (from 1) fails; 0: none */
    uint32_t bad_from, bad_to; /* reads that touch this range fail */
    unsigned flip_read;        /* the first byte of this read (from 1) has flip_mask flipped */
    uint8_t flip_mask;
};

void array_flash_open(struct array_flash *array, uint8_t *bytes, uint32_t size,
                      uint32_t erase_size);

#endif
