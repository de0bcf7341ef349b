#include "leak.h"

#include <string.h>

#define BASE  0x9E3779B97F4A7C15u
#define BASE4 (BASE * BASE * BASE * BASE)
/* BASE to the power of the window: what the byte that leaves has been multiplied by. */
#define LEAVING (BASE4 * BASE4 * BASE4 * BASE4)
_Static_assert(LEAK_WINDOW == 16, "LEAVING");

static unsigned values(const uint8_t *window)
{
    uint64_t seen[4] = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < LEAK_WINDOW; i++) {
        const uint64_t bit = (uint64_t)1 << window[i] % 64;
        count += (seen[window[i] / 64] & bit) == 0;
        seen[window[i] / 64] |= bit;
    }
    return count;
}

static size_t slot_of(const struct leak *leak, uint64_t hash)
{
    size_t slot = (size_t)(hash >> 40) % LEAK_SLOTS;
    while (leak->windows[slot] != 0 && leak->windows[slot] != hash)
        slot = (slot + 1) % LEAK_SLOTS;
    return slot;
}

void leak_clear(struct leak *leak)
{
    memset(leak, 0, sizeof(*leak));
}

/* The hash of the window that ends with byte i, from that of the one before. */
static uint64_t roll(uint64_t hash, struct kedge_bytes of, size_t i)
{
    hash = hash * BASE + of.at[i] + 1;
    return i < LEAK_WINDOW ? hash : hash - LEAVING * (of.at[i - LEAK_WINDOW] + 1u);
}

void leak_add(struct leak *leak, struct kedge_bytes secret)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < secret.size; i++) {
        hash = roll(hash, secret, i);
        if (i + 1 >= LEAK_WINDOW && values(secret.at + i + 1 - LEAK_WINDOW) >= LEAK_VALUES) {
            uint64_t *slot = &leak->windows[slot_of(leak, hash)];
            leak->count += *slot == 0;
            *slot = hash;
            KEDGE_ASSERT(leak->count < LEAK_SLOTS / 2);
        }
    }
}

size_t leak_find(const struct leak *leak, struct kedge_bytes in)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < in.size; i++) {
        hash = roll(hash, in, i);
        if (i + 1 >= LEAK_WINDOW && leak->windows[slot_of(leak, hash)] != 0)
            return i + 1 - LEAK_WINDOW;
    }
    return SIZE_MAX;
}
