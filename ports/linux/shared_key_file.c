#include "shared_key_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *const found = c == '\0' ? NULL : strchr(digits, tolower((unsigned char)c));

    return found == NULL ? -1 : (int)(found - digits);
}

static int from_hex(const char *text, uint8_t key[SHARED_KEY_SIZE])
{
    for (int i = 0; i < SHARED_KEY_SIZE; i++) {
        const int high = digit(text[2 * i]);
        const int low = high < 0 ? -1 : digit(text[2 * i + 1]);

        if (low < 0) {
            return -1;
        }
        key[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

int shared_key_read(const char *path, uint8_t key[SHARED_KEY_SIZE], char *why)
{
    char bytes[2 * SHARED_KEY_SIZE + 4] = "";
    FILE *const f = fopen(path, "rb");

    if (f == NULL) {
        snprintf(why, SHARED_KEY_WHY, "cannot read %s: %s", path, strerror(errno));
        return -1;
    }
    size_t n = fread(bytes, 1, sizeof(bytes) - 1, f);

    fclose(f);
    if (n == SHARED_KEY_SIZE) {
        memcpy(key, bytes, n);
        return 0;
    }
    while (n > 0 && isspace((unsigned char)bytes[n - 1])) {
        n--;
    }
    if (n == 2 * SHARED_KEY_SIZE && from_hex(bytes, key) == 0) {
        return 0;
    }
    snprintf(
        why, SHARED_KEY_WHY,
        "%s is no shared key: 32 random bytes, or 64 hexadecimal digits (openssl rand -hex 32)",
        path);
    return -1;
}
