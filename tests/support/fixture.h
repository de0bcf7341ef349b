/* Fixture images and keys (tests/fixtures, made by make_images.py) and a source over them that
 * counts its reads and can fail or lie at one of them. */
#ifndef KEDGE_FIXTURE_H
#define KEDGE_FIXTURE_H

#include "kedge/image.h"

#define FIXTURE_MAX 4096

/* Reads tests/fixtures/<name>; fails the test when it cannot. Returns its size. */
size_t fixture_load(const char *name, uint8_t to[FIXTURE_MAX]);

/* The keys of this name: "p256", "p384", "ed25519" (both hashes), "rsa2048", "rsa3072",
 * "stranger", or "all" (everything but stranger). Returns how many; at most FIXTURE_KEYS. */
#define FIXTURE_KEYS 8
size_t fixture_keys(const char *name, struct kedge_key keys[FIXTURE_KEYS]);

/* An image in memory. A read outside [0, size) fails the test: parsers must never try. */
struct fixture_source {
    uint8_t *at;
    uint32_t size;
    unsigned reads;      /* so far */
    unsigned fail_read;  /* this read (from 1) fails; 0: none */
    uint32_t flip_at;    /* this byte ... */
    uint8_t flip_mask;   /* ... reads with these bits flipped ... */
    unsigned flip_visit; /* ... the so-many-th time that it is read (from 1) */
    unsigned visits;
};
struct kedge_source fixture_source(const struct fixture_source *memory);

/* Appends {type, size, data} to the unprotected area of the parsable image in `image`. */
size_t fixture_append_tlv(uint8_t image[FIXTURE_MAX], size_t size, uint16_t type,
                          struct kedge_bytes data);

#endif
