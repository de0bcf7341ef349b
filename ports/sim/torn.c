/* What a torn program was to write, kept beside a device's file (FILE.torn): the same bits may be
 * programmed again there (the rule of check_byte), also by the next process. One record each:
 * u32 at, u32 size, the bytes; native order, for this machine only. */
#include <stdio.h>

#include "inner.h"

void sim_torn_keep(const char *file, uint32_t at, uint32_t size, const uint8_t *data)
{
    const uint32_t head[2] = {at, size};
    FILE *const f = fopen(file, "ab");

    if (f == NULL)
        return; /* a rule is stricter than it should be in the next process */
    (void)fwrite(head, sizeof head, 1, f);
    (void)fwrite(data, 1, size, f);
    fclose(f);
}

/* Only where it can have been torn: no bit that has to be 1 is 0, and something is programmed. */
static void apply(struct sim_array *array, uint32_t at, uint32_t size, const uint8_t *data)
{
    for (uint32_t i = 0; i < size; i++)
        if ((data[i] & ~array->contents[at + i]) != 0)
            return;
    for (uint32_t i = 0; i < size; i++)
        array->taken[at + i] = (uint8_t)~data[i];
}

void sim_torn_recall(struct sim_array *array, const char *file)
{
    FILE *const f = fopen(file, "rb");
    uint32_t head[2];
    uint8_t data[SIM_BURST];

    if (f == NULL)
        return;
    while (fread(head, sizeof head, 1, f) == 1 && head[1] <= sizeof data &&
           head[0] <= array->part.geometry.size - head[1] && fread(data, 1, head[1], f) == head[1])
        apply(array, head[0], head[1], data);
    fclose(f);
}
