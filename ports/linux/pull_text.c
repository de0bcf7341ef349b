#include <stdlib.h>
#include <string.h>

#include "pull_transport.h"

/* A decimal number at *text, which moves behind it. */
static bool number(const char **text, uint32_t *value)
{
    const char *const start = *text;
    uint64_t sum = 0;

    while (**text >= '0' && **text <= '9' && sum <= UINT32_MAX) {
        sum = sum * 10 + (uint64_t)(**text - '0');
        (*text)++;
    }
    *value = (uint32_t)sum;
    return *text != start && sum <= UINT32_MAX;
}

bool pull_content_range(const char *text, uint32_t *from, uint32_t *to, uint32_t *whole)
{
    if (strncmp(text, "bytes ", 6) != 0) {
        return false;
    }
    text += 6;
    if (!number(&text, from) || *text++ != '-' || !number(&text, to) || *text++ != '/' ||
        *to < *from) {
        return false;
    }
    if (*text == '*') {
        *whole = 0;
        return text[1] == '\0';
    }
    return number(&text, whole) && *text == '\0' && *to < *whole;
}

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool pull_sha256_text(struct kedge_bytes text, uint8_t sha[32])
{
    if (text.size < 64 || (text.size > 64 && digit(text.at[64]) >= 0)) {
        return false;
    }
    for (size_t i = 0; i < 32; i++) {
        const int high = digit(text.at[2 * i]), low = digit(text.at[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        sha[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

int pull_manifest_parse(struct kedge_bytes file, struct kedge_manifest *manifest)
{
    uint8_t rounds;

    if (file.size < KEDGE_STAGE_RECORD ||
        kedge_stage_record_parse(file.at, manifest, &rounds) == 0 || manifest->chunk == 0 ||
        manifest->chunk > KEDGE_STAGE_CHUNK_MAX || manifest->check_size > 32) {
        return KEDGE_E_FORMAT;
    }
    const uint64_t chunks = ((uint64_t)manifest->size + manifest->chunk - 1) / manifest->chunk;

    return file.size == KEDGE_STAGE_RECORD + chunks * manifest->check_size ? 0 : KEDGE_E_FORMAT;
}
