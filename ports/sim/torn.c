/* What a torn program was to write, kept beside a device's file (FILE.torn): the same bits may be
 * programmed again there (the rule of check_byte), also by the next process, until the place is
 * erased. Records in the order in which it happened: u32 at, u32 size, the bytes; or, of what was
 * erased or put there by other hands, u32 at, u32 size | GONE. Native order, for this machine only.
 */
#include <stdio.h>

#include "inner.h"

#define GONE 0x80000000u

static void append(struct sim_array *array, uint32_t at, uint32_t size, const uint8_t *data)
{
    const uint32_t head[2] = {at, data == NULL ? size | GONE : size};
    FILE *const f = fopen(array->torn, "ab");

    if (f == NULL)
        return; /* a rule is stricter than it should be in the next process */
    (void)fwrite(head, sizeof head, 1, f);
    if (data != NULL)
        (void)fwrite(data, 1, size, f);
    fclose(f);
    array->has_torn = true;
}

void sim_torn_keep(struct sim_array *array, uint32_t at, uint32_t size, const uint8_t *data)
{
    if (array->torn != NULL)
        append(array, at, size, data);
}

void sim_torn_gone(struct sim_array *array, uint32_t at, uint32_t size)
{
    if (array->has_torn)
        append(array, at, size, NULL);
}

/* Only where it can have been torn: no bit that has to be 1 is 0. */
static void apply(struct sim_array *array, uint32_t at, uint32_t size, const uint8_t *data)
{
    for (uint32_t i = 0; i < size; i++)
        if ((data[i] & ~array->contents[at + i]) != 0)
            return;
    for (uint32_t i = 0; i < size; i++)
        array->taken[at + i] = (uint8_t)~data[i];
}

/* As after adopt(): each byte was programmed as it reads. */
static void forget(struct sim_array *array, uint32_t at, uint32_t size)
{
    for (uint32_t i = at; i < at + size; i++)
        array->taken[i] = (uint8_t)~array->contents[i];
}

void sim_torn_recall(struct sim_array *array)
{
    FILE *const f = array->torn == NULL ? NULL : fopen(array->torn, "rb");
    uint32_t head[2];
    uint8_t data[SIM_BURST];

    if (f == NULL)
        return;
    array->has_torn = true;
    while (fread(head, sizeof head, 1, f) == 1) {
        const uint32_t at = head[0], size = head[1] & ~GONE;

        if (size > array->part.geometry.size || at > array->part.geometry.size - size)
            break;
        if (head[1] != size)
            forget(array, at, size);
        else if (size <= sizeof data && fread(data, 1, size, f) == size)
            apply(array, at, size, data);
        else
            break;
    }
    fclose(f);
}
