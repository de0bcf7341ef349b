/* Erasing by the largest blocks that fit: an upload's slot at once takes a third of the time. */
#include "kedge/spinor.h"

#define ERASE     0x2120
#define ERASE_32K 0x5C52
#define ERASE_64K 0xDCD8

int kedge_spinor_erase_blocks(struct kedge_spinor *nor, uint32_t at, uint32_t size)
{
    const struct kedge_spinor_part *part = nor->part;
    /* few of the large chips have 5Ch */
    const unsigned flags =
        part->size > KEDGE_SPINOR_LARGE ? part->flags & KEDGE_SPINOR_64K : part->flags;

    while (size > 0) {
        uint32_t command = ERASE_64K, block = 0x10000, max_us = part->block_max_us;
        int error;

        if ((flags & KEDGE_SPINOR_64K) == 0 || (at & (block - 1)) != 0 || size < block) {
            command = ERASE_32K;
            block = 0x8000;
            if ((flags & KEDGE_SPINOR_32K) == 0 || (at & (block - 1)) != 0 || size < block) {
                command = ERASE;
                block = part->erase_size;
                max_us = part->erase_max_us;
            }
        }
        error = kedge_spinor_post(nor, command, at, kedge_bytes(NULL, 0), max_us);
        if (error != 0)
            return error;
        at += block;
        size -= block;
    }
    return 0;
}
