/* Versions from the command line. */
#include "version_text.h"

#define FORM "a version is major.minor.revision+build, all but the major optional, e.g. 1.2.3+4"

/* The number at *text, which moves behind it. */
static const char *take(const char **text, uint32_t max, uint32_t *value)
{
    const char *at = *text;
    uint64_t sum = 0;

    if (*at < '0' || *at > '9' || (at[0] == '0' && at[1] >= '0' && at[1] <= '9')) {
        return FORM;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        sum = sum * 10 + (uint64_t)(*at - '0');
        if (sum > max) {
            return "the format has room for major and minor up to 255, revision up to 65535, build "
                   "up to 4294967295";
        }
    }
    *text = at;
    *value = (uint32_t)sum;
    return NULL;
}

const char *version_parse(const char *text, struct kedge_version *version)
{
    static const uint32_t most[] = {UINT8_MAX, UINT8_MAX, UINT16_MAX, UINT32_MAX};
    static const char separator[] = {'.', '.', '+', '\0'};
    uint32_t part[4] = {0};

    for (size_t i = 0; i < 4; i++) {
        const char *const wrong = take(&text, most[i], &part[i]);

        if (wrong != NULL) {
            return wrong;
        }
        if (*text == '\0') {
            break;
        }
        if (*text != separator[i]) {
            return FORM;
        }
        text++;
    }
    version->major = (uint8_t)part[0];
    version->minor = (uint8_t)part[1];
    version->revision = (uint16_t)part[2];
    version->build = part[3];
    return NULL;
}
