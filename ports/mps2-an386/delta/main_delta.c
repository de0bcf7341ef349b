/* The decoder of patches on QEMU's mps2-an386 (-icount shift=0: one instruction a nanosecond).
 * bench/delta/cortex_m4.py puts the old image at OLD, the patch at PATCH, its size at PATCH_SIZE,
 * and reads one line:
 *
 *     delta BYTES INSTRUCTIONS HASHES STACK STATE
 *
 * INSTRUCTIONS without the two hashes (of the old image, of the result), HASHES those. STATE: bytes
 * of RAM. The result lies at RESULT and was compared by the decoder itself. */
#include <string.h>

#include "kedge/delta.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define SYSTICK_CONTROL   REGISTER(0xE000E010)
#define SYSTICK_RELOAD    REGISTER(0xE000E014)
#define SYSTICK_NOW       REGISTER(0xE000E018)
#define SYSTICK_MOST      0xFFFFFFu
#define PER_TICK          40u /* instructions: 25 MHz, 1 ns each */

#define SYS_WRITE0        4u
#define SYS_EXIT          0x18u
#define EXIT_DONE         0x20026u

#define OLD               0x21000000u
#define PATCH             0x21400000u
#define PATCH_SIZE        0x217FFFF0u
#define RESULT            0x21800000u
#define ROOM              0x400000u
#define PIECE             256u
#define DEPTH             2048u /* of the stack that is watched */
#define PAINT             0x5AA55AA5u

static struct kedge_delta state;
static uint32_t given_out;

static void semihost(uint32_t operation, uint32_t argument)
{
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void print_number(uint32_t value)
{
    char text[12];
    char *at = text + sizeof text;
    *--at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    *--at = ' ';
    semihost(SYS_WRITE0, (uint32_t)(uintptr_t)at);
}

static int read_at(void *ctx, uint32_t at, struct kedge_buf to)
{
    memcpy(to.at, (const uint8_t *)ctx + at, to.size);
    return 0;
}

static const struct kedge_transform_env env = {
    .old = {read_at, (void *)OLD, ROOM},
    .out = {read_at, (void *)RESULT, ROOM},
};

static __attribute__((noinline)) int push(const uint8_t *at, size_t size)
{
    while (size > 0) {
        size_t taken = 0, given = 1;
        const size_t piece = size < PIECE ? size : PIECE;
        int error = kedge_delta.push(&state, &env, kedge_bytes(at, piece), &taken);
        at += taken;
        size -= taken;
        while (error == 0 && given > 0) {
            error = kedge_delta.pull(&state, &env, kedge_buf((uint8_t *)RESULT + given_out, PIECE),
                                     &given);
            given_out += (uint32_t)given;
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static uint32_t ticks_since(uint32_t from)
{
    return (from - SYSTICK_NOW) & SYSTICK_MOST;
}

int main(void)
{
    const uint8_t *const patch = (const uint8_t *)PATCH;
    uint32_t *const top = __builtin_frame_address(0);
    volatile uint32_t *deepest = top - DEPTH / 4;
    uint32_t *sp;
    SYSTICK_RELOAD = SYSTICK_MOST;
    SYSTICK_CONTROL = 5; /* on, by the processor's clock */
    __asm volatile("mov %0, sp" : "=r"(sp));
    for (volatile uint32_t *word = deepest; word < sp; word++) {
        *word = PAINT;
    }
    uint32_t from = SYSTICK_NOW;
    int error = kedge_delta.start(&state, &env);
    if (error == 0) {
        error = push(patch, KEDGE_DELTA_HEADER);
    }
    uint32_t hashes = ticks_since(from);
    from = SYSTICK_NOW;
    if (error == 0) {
        error = push(patch + KEDGE_DELTA_HEADER, REGISTER(PATCH_SIZE) - KEDGE_DELTA_HEADER);
    }
    const uint32_t decoding = ticks_since(from);
    while (*deepest == PAINT) {
        deepest++;
    }
    from = SYSTICK_NOW;
    if (error == 0) {
        error = kedge_delta.finish(&state, &env);
    }
    hashes += ticks_since(from);
    semihost(SYS_WRITE0, (uint32_t)(uintptr_t)(error == 0 ? "delta" : "delta failed"));
    print_number(error == 0 ? given_out : (uint32_t)-error);
    print_number(decoding * PER_TICK);
    print_number(hashes * PER_TICK);
    print_number((uint32_t)((uintptr_t)sp - (uintptr_t)deepest));
    print_number(sizeof state);
    semihost(SYS_WRITE0, (uint32_t)(uintptr_t) "\n");
    semihost(SYS_EXIT, EXIT_DONE);
    return 0;
}
