/* malloc for targets without one: NimBLE allocates its attribute tables once, at its start. What is
 * freed comes back only if it was the last: enough for a host that is started once a power-on. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ROOM  2048u
#define ALIGN 8u

static union {
    uint64_t align;
    uint8_t bytes[ROOM];
} heap;
static size_t used;

static size_t round_up(size_t size)
{
    return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

void *malloc(size_t size)
{
    const size_t need = ALIGN + round_up(size);
    if (size > ROOM || need > ROOM - used) {
        return NULL;
    }
    uint8_t *at = heap.bytes + used;
    memcpy(at, &size, sizeof size);
    used += need;
    return at + ALIGN;
}

void free(void *block)
{
    size_t size;
    if (block == NULL) {
        return;
    }
    uint8_t *at = (uint8_t *)block - ALIGN;
    memcpy(&size, at, sizeof size);
    if (at + ALIGN + round_up(size) == heap.bytes + used) {
        used = (size_t)(at - heap.bytes);
    }
}

void *realloc(void *block, size_t size)
{
    size_t before = 0;
    if (block != NULL) {
        memcpy(&before, (uint8_t *)block - ALIGN, sizeof before);
    }
    void *const moved = malloc(size);
    if (moved != NULL && block != NULL) {
        memcpy(moved, block, before < size ? before : size);
        free(block);
    }
    return moved;
}
