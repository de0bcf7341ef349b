/* lwIP on a bare Cortex-M4. */
#include <stdlib.h>
#define LWIP_PLATFORM_DIAG(x)                                                                      \
    do {                                                                                           \
    } while (0)
#define LWIP_PLATFORM_ASSERT(x) abort()
#define LWIP_RAND()             ((u32_t)rand())
