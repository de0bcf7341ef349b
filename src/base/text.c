#include "kedge/base.h"

void kedge_text_put(struct kedge_text *text, const char *words)
{
    for (; *words != '\0' && text->size + 1 < text->room; words++) {
        text->at[text->size++] = *words;
    }
    text->at[text->size] = '\0';
}

void kedge_text_number(struct kedge_text *text, uint32_t number, unsigned base)
{
    char digits[33];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    kedge_text_put(text, digits + at);
}
