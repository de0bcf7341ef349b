/* Hashes as people paste them. */
#include "hash_text.h"

#include <string.h>

#include "report.h"

#define PREFIX_MIN 8u

static int digit(char c)
{
    const char *const digits = "0123456789abcdef";
    const char *const at = strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c);

    return c == '\0' || at == NULL ? -1 : (int)(at - digits);
}

static bool has_prefix(struct kedge_bytes hash, const char *text, size_t digits)
{
    for (size_t i = 0; i < digits; i++) {
        const uint8_t byte = i / 2 < hash.size ? hash.at[i / 2] : 0;

        if (i / 2 >= hash.size || (i % 2 == 0 ? byte >> 4 : byte & 15) != digit(text[i])) {
            return false;
        }
    }
    return true;
}

static int find_on_device(struct device_link *device, const char *text, size_t digits,
                          uint8_t *hash, size_t *size)
{
    struct kedge_smp_request ask = device_request(device, KEDGE_SMP_READ, 1, 0);
    struct kedge_smp_image_entry entries[16];
    struct kedge_smp_reply reply;
    const int result = device_ask(device, &ask, SLOW_MS, "image list", &reply);
    const int count = result == 0 ? kedge_smp_read_images(reply.cbor, entries, 16) : 0;
    struct kedge_bytes found = kedge_bytes(NULL, 0);

    for (int i = 0; i < count; i++) {
        if (!has_prefix(entries[i].hash, text, digits) || entries[i].hash.size > KEDGE_DIGEST_MAX) {
            continue;
        }
        if (found.size > 0 && (found.size != entries[i].hash.size ||
                               memcmp(found.at, entries[i].hash.at, found.size) != 0)) {
            return fail("%s begins the hashes of two images: give more digits", text);
        }
        found = entries[i].hash;
    }
    if (result == 0 && found.size == 0) {
        return fail("no image on the device has a hash that begins with %s (kedge image list)",
                    text);
    }
    if (result == 0) {
        memcpy(hash, found.at, found.size);
        *size = found.size;
    }
    return result;
}

int hash_resolve(struct device_link *device, const char *command, const char *text,
                 uint8_t hash[KEDGE_DIGEST_MAX], size_t *size)
{
    const size_t digits = strlen(text);

    for (size_t i = 0; i < digits; i++) {
        if (digit(text[i]) < 0) {
            return misuse(command, "%s is no hash: it takes hex digits as image list shows them",
                          text);
        }
    }
    if (digits < PREFIX_MIN || digits > 2 * KEDGE_DIGEST_MAX) {
        return misuse(command, "a hash has 64, 96 or 128 hex digits; its first 8 are enough");
    }
    if (digits != 64 && digits != 96 && digits != 128) {
        return find_on_device(device, text, digits, hash, size);
    }
    for (size_t i = 0; i < digits; i += 2) {
        hash[i / 2] = (uint8_t)(digit(text[i]) << 4 | digit(text[i + 1]));
    }
    *size = digits / 2;
    return 0;
}
