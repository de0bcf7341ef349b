#include "agent/checked.h"

#include <string.h>

int kedge_checked_read(const struct kedge_region *region, uint32_t at, struct kedge_buf to)
{
    int error = 0;

    for (unsigned i = 0; i < KEDGE_CHECKED_TRIES; i++) {
        error = kedge_region_read(region, at, to);
        if (error == 0) {
            break;
        }
    }
    return error;
}

static int compare(const struct kedge_region *region, uint32_t at, struct kedge_bytes with,
                   struct kedge_buf scratch)
{
    while (with.size > 0) {
        const size_t n = with.size < scratch.size ? with.size : scratch.size;
        const int error = kedge_region_read(region, at, kedge_buf(scratch.at, n));

        if (error != 0) {
            return error;
        }
        if (memcmp(scratch.at, with.at, n) != 0) {
            return KEDGE_E_READBACK;
        }
        at += (uint32_t)n;
        with = kedge_bytes(with.at + n, with.size - n);
    }
    return 0;
}

int kedge_checked_program(const struct kedge_region *region, uint32_t at, struct kedge_bytes from,
                          struct kedge_buf scratch)
{
    const bool blank = kedge_all(from, region->flash->geometry.erased);
    int error = 0;

    for (unsigned t = 0; t < KEDGE_CHECKED_TRIES; t++) {
        const int programmed = blank ? 0 : kedge_region_program(region, at, from);

        /* a call that reports a failure may have done its work: what is there decides */
        for (unsigned r = 0; r < KEDGE_CHECKED_TRIES; r++) {
            error = compare(region, at, from, scratch);
            if (error == 0) {
                return 0;
            }
        }
        if (programmed != 0) {
            error = programmed;
        }
    }
    return error;
}

int kedge_checked_erase(const struct kedge_region *region, uint32_t at, struct kedge_buf scratch)
{
    const uint32_t size = region->flash->geometry.erase_size;
    int error = 0;

    for (unsigned t = 0; t < KEDGE_CHECKED_TRIES; t++) {
        bool blank = false;

        error = kedge_region_erase(region, at, size);
        for (unsigned r = 0; r < KEDGE_CHECKED_TRIES && error == 0 && !blank; r++) {
            error = kedge_region_blank(region, at, size, scratch, &blank);
        }
        if (error == 0 && blank) {
            return 0;
        }
    }
    return error != 0 ? error : KEDGE_E_READBACK;
}
