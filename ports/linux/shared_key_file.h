/* A key that many devices share, from a file: 32 bytes, bare or as 64 hexadecimal digits. */
#ifndef KEDGE_LINUX_SHARED_KEY_FILE_H
#define KEDGE_LINUX_SHARED_KEY_FILE_H

#include <stdint.h>

#define SHARED_KEY_SIZE 32
#define SHARED_KEY_WHY  256

/* -1 with the reason and what to do in `why`. */
int shared_key_read(const char *path, uint8_t key[SHARED_KEY_SIZE], char *why);

#endif
