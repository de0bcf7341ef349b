/* The four functions of <string.h> that the core and its libraries use, and that a compiler may
 * call by itself. Short rather than fast, but a word at a time: a Cortex-M4 reads and writes words
 * at any address of its memories. newlib's take 570 bytes. */
#include <stdint.h>
#include <string.h>

typedef uint32_t __attribute__((aligned(1), may_alias)) word;

/* Loops over words: rolled up, or as a faster build wants them. */
#ifndef MEMORY_UNROLL
#define MEMORY_UNROLL
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    MEMORY_UNROLL
    for (; size >= sizeof(word); size -= sizeof(word)) {
        *(word *)(void *)d = *(const word *)(const void *)s;
        d += sizeof(word);
        s += sizeof(word);
    }
    while (size-- > 0) {
        *d++ = *s++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if (d <= s) {
        return memcpy(to, from, size); /* ascending */
    }
    while (size-- > 0) {
        d[size] = s[size];
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    const word all = 0x01010101u * (uint8_t)value;
    uint8_t *d = to;
    MEMORY_UNROLL
    for (; size >= sizeof(word); size -= sizeof(word)) {
        *(word *)(void *)d = all;
        d += sizeof(word);
    }
    while (size-- > 0) {
        *d++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const uint8_t *a = left;
    const uint8_t *b = right;
    for (; size >= sizeof(word) && *(const word *)(const void *)a == *(const word *)(const void *)b;
         size -= sizeof(word)) {
        a += sizeof(word);
        b += sizeof(word);
    }
    for (; size > 0; size--, a++, b++) {
        if (*a != *b) {
            return *a - *b;
        }
    }
    return 0;
}
