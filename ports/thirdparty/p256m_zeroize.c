/* p256-m clears secrets by Mbed TLS's function, whose pointer to memset() would be a loader's only
 * variable with a first value. */
#include <mbedtls/platform_util.h>
#include <string.h>

void mbedtls_platform_zeroize(void *at, size_t size)
{
    memset(at, 0, size);
    __asm volatile("" : : "r"(at) : "memory"); /* as if somebody read what was cleared */
}
