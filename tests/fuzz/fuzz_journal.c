/* Arbitrary bytes in the journal's region, as after a debugger's mishap: opening and taking over
 * never crash, loop or write outside, and after a take-over the state is ours. The first byte
 * chooses the part; the rest is the flash, repeated. */
#include <stdlib.h>
#include <string.h>

#include "kedge/journal.h"
#include "kedge/policy.h"

#define SECTOR                                                                                     \
    4096 /* KEDGE_JOURNAL_SECTOR_MIN: less has no room for a log at the largest write block */

void kedge_trap(void)
{
    abort();
}

static void must(int holds)
{
    if (!holds)
        abort();
}

static uint8_t memory[2 * SECTOR];
static uint8_t erased;

static int read_memory(void *ctx, uint32_t at, struct kedge_buf to)
{
    (void)ctx;
    must(at <= sizeof memory && to.size <= sizeof memory - at);
    memcpy(to.at, memory + at, to.size);
    return 0;
}

static int program_memory(void *ctx, uint32_t at, struct kedge_bytes from)
{
    (void)ctx;
    must(at <= sizeof memory && from.size <= sizeof memory - at);
    for (size_t i = 0; i < from.size; i++)
        memory[at + i] = erased == 0 ? memory[at + i] | from.at[i] : memory[at + i] & from.at[i];
    return 0;
}

static int erase_memory(void *ctx, uint32_t at, uint32_t size)
{
    (void)ctx;
    must(at <= sizeof memory && size <= sizeof memory - at);
    memset(memory + at, erased, size);
    return 0;
}

static int sync_memory(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct kedge_flash_ops ops = {.read = read_memory,
                                           .program = program_memory,
                                           .erase = erase_memory,
                                           .sync = sync_memory,
                                           .probe = sync_memory};

static void count(void *ctx, uint16_t kind, uint16_t value)
{
    (void)kind;
    (void)value;
    must(++*(unsigned *)ctx <= SECTOR / 8);
}

static void use_journal(const struct kedge_region *region)
{
    uint8_t body[64];
    unsigned records = 0;
    struct kedge_journal journal = {.region = *region, .body = kedge_buf(body, sizeof body)};

    (void)kedge_journal_open(&journal, count, &records);
    memset(body, 0x3C, sizeof body);
    must(kedge_journal_take_over(&journal) == 0);
    must(kedge_journal_append(&journal, KEDGE_RECORD_PC, 5) == 0);
    memset(body, 0, sizeof body);
    records = 0;
    must(kedge_journal_open(&journal, count, &records) == 0);
    must(body[0] == 0x3C && body[63] == 0x3C && records == 1 && !journal.sealed);
}

static void use_settings(const struct kedge_region *region)
{
    struct kedge_policy policy, again;

    kedge_policy_load(region, &kedge_policy_default, &policy);
    for (unsigned key = 0; key < KEDGE_POLICY_KEYS; key++)
        must(kedge_policy_allows(key, policy.value[key]));
    must(kedge_policy_store(region, &policy, KEDGE_POLICY_ATTEMPTS, 9) == 0);
    kedge_policy_load(region, &kedge_policy_default, &again);
    must(memcmp(&policy, &again, sizeof policy) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kedge_flash flash = {.ops = &ops};
    const struct kedge_region region = {.flash = &flash, .start = 0, .size = sizeof memory};

    if (size < 2)
        return 0;
    erased = (data[0] & 8) != 0 ? 0x00 : 0xFF;
    flash.geometry = (struct kedge_geometry){.size = sizeof memory,
                                             .erase_size = SECTOR,
                                             .page_size = 256,
                                             .write_block = 1u << (data[0] & 7) % 6,
                                             .erased = erased};
    for (size_t i = 0; i < sizeof memory; i++)
        memory[i] = data[1 + i % (size - 1)];
    use_journal(&region);
    for (size_t i = 0; i < sizeof memory; i++)
        memory[i] = data[1 + i % (size - 1)];
    use_settings(&region);
    return 0;
}
