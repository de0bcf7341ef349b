/* Firmware is full of addresses of its own functions: odd words (Thumb), one above a place where a
 * function begins. Each such word together with each such place is a vote for a link address; the
 * true one gets far more votes than chance gives to any other. */
#include "delta_base.h"

#include <stdlib.h>

#define GRAIN     256u /* headers and vector tables are aligned to it */
#define WORDS     1500u
#define FUNCTIONS 1500u
#define VOTES     12u /* fewer may be chance */

static bool begins_function(uint32_t half)
{
    return half >> 8 == 0xB5 || half == 0xE92D; /* push {..., lr} */
}

/* Every n-th of those that are there, so that the whole image has its say. */
static size_t collect(struct kedge_bytes image, bool functions, uint32_t *to, size_t most)
{
    const size_t step = functions ? 2 : 4;
    size_t count = 0, skip = 1;
    for (;;) {
        size_t seen = 0;
        count = 0;
        for (size_t at = 0; at + 4 <= image.size; at += step) {
            const uint32_t word = kedge_le32(image.at + at);
            const bool wanted = functions ? begins_function(word & 0xFFFFu)
                                          : (word & 1u) != 0 && word >> 28 == 0 && word > GRAIN;
            if (wanted && seen++ % skip == 0) {
                if (count == most) {
                    break;
                }
                to[count++] = functions ? (uint32_t)at : word - 1;
            }
        }
        if (seen <= most * skip) {
            return count;
        }
        skip *= 2;
    }
}

static int compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t most_frequent(uint32_t *votes, size_t count)
{
    uint32_t best = 0;
    size_t run = 0, most = VOTES;
    qsort(votes, count, sizeof(*votes), compare);
    for (size_t i = 0; i < count; i++) {
        run = i > 0 && votes[i] == votes[i - 1] ? run + 1 : 1;
        if (run > most) {
            most = run;
            best = votes[i];
        }
    }
    return best;
}

uint32_t delta_base_of(struct kedge_bytes image)
{
    uint32_t *const words = malloc((WORDS + FUNCTIONS) * sizeof(*words));
    uint32_t *const votes = malloc((size_t)WORDS * FUNCTIONS * sizeof(*votes));
    uint32_t base = 0;
    if (words != NULL && votes != NULL) {
        uint32_t *const functions = words + WORDS;
        const size_t word_count = collect(image, false, words, WORDS);
        const size_t function_count = collect(image, true, functions, FUNCTIONS);
        size_t count = 0;
        for (size_t w = 0; w < word_count; w++) {
            for (size_t f = 0; f < function_count; f++) {
                if ((words[w] - functions[f]) % GRAIN == 0) {
                    votes[count++] = words[w] - functions[f];
                }
            }
        }
        base = most_frequent(votes, count);
    }
    free(words);
    free(votes);
    return base;
}
