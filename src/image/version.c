/* Image versions: order and text. */
#include "kedge/image.h"

int kedge_version_compare(const struct kedge_version *a, const struct kedge_version *b)
{
    const uint32_t left[] = {a->major, a->minor, a->revision, a->build};
    const uint32_t right[] = {b->major, b->minor, b->revision, b->build};

    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}

/* Decimal digits of `value` at `to`; how many. */
static size_t put_decimal(uint32_t value, char *to)
{
    char digits[10];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; i++) {
        to[i] = digits[count - 1 - i];
    }
    return count;
}

size_t kedge_version_text(const struct kedge_version *version, char *to)
{
    const uint32_t parts[] = {version->major, version->minor, version->revision, version->build};
    const size_t count = version->build != 0 ? 4 : 3;
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            to[size++] = '.';
        }
        size += put_decimal(parts[i], to + size);
    }
    to[size] = '\0';
    return size;
}
