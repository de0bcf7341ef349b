/* Bytes and numbers: what every other room of the house stands on.
 *
 * Pointer and length travel together. Bytes from flash or wire are read by kedge_le32() and its
 * kin, never by casting a struct over them. */
#ifndef KEDGE_BASE_H
#define KEDGE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kedge/error.h"

/* Never inlined: big locals that must not lie in the frame of a caller that lives on. */
#define KEDGE_APART __attribute__((noinline))

/* Read-only bytes, owned by somebody else. */
struct kedge_bytes {
    const uint8_t *at;
    size_t size;
};

/* Bytes to be written to, owned by somebody else. */
struct kedge_buf {
    uint8_t *at;
    size_t size;
};

/* Inlined by force: one load or store where the processor reads words at any address, which a
 * compiler sees only after it has judged their size. */
#define KEDGE_INLINE static inline __attribute__((always_inline))

static inline struct kedge_bytes kedge_bytes(const void *at, size_t size)
{
    return (struct kedge_bytes){.at = (const uint8_t *)at, .size = size};
}

static inline struct kedge_buf kedge_buf(void *at, size_t size)
{
    return (struct kedge_buf){.at = (uint8_t *)at, .size = size};
}

KEDGE_INLINE uint16_t kedge_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

KEDGE_INLINE uint32_t kedge_le32(const uint8_t *p)
{
    return (uint32_t)kedge_le16(p) | ((uint32_t)kedge_le16(p + 2) << 16);
}

static inline uint16_t kedge_be16(const uint8_t *p)
{
    return (uint16_t)((uint16_t)(p[0] << 8) | p[1]);
}

static inline uint32_t kedge_be32(const uint8_t *p)
{
    return ((uint32_t)kedge_be16(p) << 16) | kedge_be16(p + 2);
}

KEDGE_INLINE void kedge_put_le16(uint8_t *p, uint16_t v)
{
    const uint16_t le = kedge_le16((const uint8_t *)&v);
    __builtin_memcpy(p, &le, sizeof(le));
}

/* By way of the order that this processor has: one store where it may write words at any address;
 * bytes shifted out one by one stay four stores. */
KEDGE_INLINE void kedge_put_le32(uint8_t *p, uint32_t v)
{
    const uint32_t le = kedge_le32((const uint8_t *)&v);
    __builtin_memcpy(p, &le, sizeof(le));
}

static inline void kedge_put_be32(uint8_t *p, uint32_t v)
{
    const uint32_t be = kedge_be32((const uint8_t *)&v);
    __builtin_memcpy(p, &be, sizeof(be));
}

static inline void kedge_put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* Where this is so, what flash or wire holds in little endian and without gaps is copied whole. */
#define KEDGE_LITTLE_ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/* CRC-32 (IEEE 802.3, reflected, init and xorout 0xFFFFFFFF). Chain by passing the last result as
 * `crc`; start with 0. */
uint32_t kedge_crc32_of(uint32_t crc, const uint8_t *at, size_t size);
KEDGE_INLINE uint32_t kedge_crc32(uint32_t crc, struct kedge_bytes of)
{
    return kedge_crc32_of(crc, of.at, of.size);
}

/* CRC-16/XMODEM (poly 0x1021, init 0, not reflected); chain by passing the last result. */
uint16_t kedge_crc16(uint16_t crc, struct kedge_bytes of);

/* True when every byte of `of` equals `value`. */
bool kedge_all_of(const uint8_t *at, size_t size, uint8_t value);
KEDGE_INLINE bool kedge_all(struct kedge_bytes of, uint8_t value)
{
    return kedge_all_of(of.at, of.size, value);
}

/* Equality of `size` bytes in time that does not depend on their content. */
bool kedge_equal(const uint8_t *a, const uint8_t *b, size_t size);

static inline uint32_t kedge_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Words put together in memory of the caller: `room` bytes at `at`, always closed with 0; what does
 * not fit is cut. Begin with size 0. */
struct kedge_text {
    char *at;
    size_t size, room;
};
void kedge_text_put(struct kedge_text *text, const char *words);
void kedge_text_number(struct kedge_text *text, uint32_t number, unsigned base); /* base 2 to 16 */

/* A broken promise inside Kedge (never caused by input). The port supplies kedge_trap(); it does
 * not return. Asserts stay on in release builds. */
_Noreturn void kedge_trap(void);
#define KEDGE_ASSERT(holds) ((holds) ? (void)0 : kedge_trap())

#endif
