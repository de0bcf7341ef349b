/* See array_flash.h. */
#include "array_flash.h"

#include <string.h>

static int read_array(void *ctx, uint32_t at, struct kedge_buf to)
{
    struct array_flash *const array = ctx;

    array->reads++;
    if (array->reads == array->fail_read ||
        (at < array->bad_to && at + to.size > array->bad_from)) {
        return KEDGE_E_IO;
    }
    memcpy(to.at, array->bytes + at, to.size);
    if (array->reads == array->flip_read) {
        to.at[0] ^= array->flip_mask;
    }
    return 0;
}

void array_flash_open(struct array_flash *array, uint8_t *bytes, uint32_t size, uint32_t erase_size)
{
    static const struct kedge_flash_ops ops = {.read = read_array};

    *array = (struct array_flash){
        .flash = {.ops = &ops,
                  .ctx = array,
                  .geometry = {.size = size,
                               .erase_size = erase_size,
                               .page_size = 256,
                               .write_block = 1,
                               .erased = 0xff}},
        .bytes = bytes,
    };
}
