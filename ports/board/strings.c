/* Two more of <string.h>, beside ports/cortex-m4/memory.c, that an agent and its texts need. */
#include <stdint.h>
#include <string.h>

size_t strlen(const char *text)
{
    const char *end = text;
    while (*end != '\0') {
        end++;
    }
    return (size_t)(end - text);
}

void *memchr(const void *in, int value, size_t size)
{
    const uint8_t *at = in;
    for (; size > 0; at++, size--) {
        if (*at == (uint8_t)value) {
            return (void *)(uintptr_t)at;
        }
    }
    return NULL;
}
