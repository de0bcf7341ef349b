/* SHA-256's compression function (FIPS 180-4, 6.2.2) in 190 bytes and 40 instructions a byte. A
 * compiler's that is as quick takes 800, its smallest one 60 instructions: it has no register left
 * for the two pointers, and does not know that one instruction moves eight of them on. What tests
 * it is that images boot (tests/qemu, bench/size.sh): of a wrong hash none would. */
#include "crypto/sha256_round.h"

__attribute__((naked)) void kedge_sha256_round(const uint8_t *block, uint32_t *value)
{
    (void)block;
    (void)value;
    __asm volatile(
        "\tpush {r1, r4-r11, lr}\n"
        "\tsub sp, #288\n" /* on it: a to h, then the 64 words of the schedule */
        "\tldm r1, {r4-r11}\n"
        "\tadd r1, sp, #32\n"
        "\tmovs r3, #16\n"
        "1:\tldr r2, [r0], #4\n" /* the block, big endian */
        "\trev r2, r2\n"
        "\tstm r1!, {r2}\n"
        "\tsubs r3, #1\n"
        "\tbne 1b\n"
        "\tadd r0, sp, #32\n"
        "\tmovs r1, #48\n"
        "2:\tldr r2, [r0, #4]\n" /* w[i] = s0(w[i - 15]) + s1(w[i - 2]) + w[i - 7] + w[i - 16] */
        "\tror r3, r2, #7\n"
        "\teor r3, r3, r2, ror #18\n"
        "\teor r3, r3, r2, lsr #3\n"
        "\tldr r2, [r0, #56]\n"
        "\tror r12, r2, #17\n"
        "\teor r12, r12, r2, ror #19\n"
        "\teor r12, r12, r2, lsr #10\n"
        "\tadd r3, r12\n"
        "\tldr r2, [r0, #36]\n"
        "\tadd r3, r2\n"
        "\tldm r0!, {r2}\n"
        "\tadd r3, r2\n"
        "\tstr r3, [r0, #60]\n"
        "\tsubs r1, #1\n"
        "\tbne 2b\n"
        "\tadd r0, sp, #32\n"
        "\tadr r1, 5f\n"
        "\tadd lr, r1, #256\n"
        "\tadd r12, sp, #4\n"
        "3:\tldm r0!, {r2}\n" /* a to h are r4 to r11: h += w[i] + k[i] */
        "\tldm r1!, {r3}\n"
        "\tadd r11, r2\n"
        "\tadd r11, r3\n"
        "\teor r2, r8, r8, ror #5\n" /* h += S1(e) */
        "\teor r2, r2, r8, ror #19\n"
        "\tadd r11, r11, r2, ror #6\n"
        "\teor r2, r9, r10\n" /* h += Ch(e, f, g) */
        "\tand r2, r2, r8\n"
        "\teor r2, r2, r10\n"
        "\tadd r11, r2\n"
        "\tadd r7, r11\n"             /* d += h */
        "\teor r2, r4, r4, ror #11\n" /* h += S0(a) */
        "\teor r2, r2, r4, ror #20\n"
        "\tadd r11, r11, r2, ror #2\n"
        "\torr r2, r4, r5\n" /* h += Maj(a, b, c) */
        "\tand r2, r2, r6\n"
        "\tand r3, r4, r5\n"
        "\torrs r2, r3\n"
        "\tadd r11, r2\n"
        "\tstr r11, [sp]\n" /* everybody moves on by one */
        "\tstm r12, {r4-r10}\n"
        "\tldm sp, {r4-r11}\n"
        "\tcmp r1, lr\n"
        "\tbne 3b\n"
        "\tmovs r3, #8\n"
        "\tldr r1, [sp, #288]\n"
        "4:\tldr r2, [r1]\n"
        "\tpop {r0}\n"
        "\tadd r2, r0\n"
        "\tstm r1!, {r2}\n"
        "\tsubs r3, #1\n"
        "\tbne 4b\n"
        "\tadd sp, #256\n"
        "\tpop {r1, r4-r11, pc}\n"
        ".align 2\n"
        "5:\n"
        ".word 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5\n"
        ".word 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5\n"
        ".word 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3\n"
        ".word 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174\n"
        ".word 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc\n"
        ".word 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da\n"
        ".word 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7\n"
        ".word 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967\n"
        ".word 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13\n"
        ".word 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85\n"
        ".word 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3\n"
        ".word 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070\n"
        ".word 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5\n"
        ".word 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3\n"
        ".word 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208\n"
        ".word 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2\n");
}
