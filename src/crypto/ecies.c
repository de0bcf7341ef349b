/* What is behind the key agreement of ECIES (facts/mcuboot-format.md 7.3), for every curve. */
#include <string.h>

#include "kedge/device_key.h"

static const uint8_t image_label[] = {'M', 'C', 'U', 'B', 'o', 'o', 't', '_',
                                      'E', 'C', 'I', 'E', 'S', '_', 'v', '1'};
const struct kedge_bytes kedge_info_image = {image_label, sizeof(image_label)};

int kedge_ecies_open(const struct kedge_hash *hash, const struct kedge_cipher *cipher,
                     const uint8_t *shared, struct kedge_bytes info, struct kedge_bytes sealed,
                     struct kedge_buf content)
{
    uint8_t keys[KEDGE_CIPHER_KEY_MAX + KEDGE_DIGEST_MAX]; /* AES key, then MAC key */
    uint8_t mac[KEDGE_DIGEST_MAX];
    struct kedge_cipher_state state;

    if (sealed.size != hash->size + content.size) {
        return KEDGE_E_FORMAT;
    }
    const uint8_t *const encrypted = sealed.at + hash->size;

    kedge_hkdf(hash, kedge_bytes(NULL, 0), kedge_bytes(shared, 32), info,
               kedge_buf(keys, content.size + hash->size));
    kedge_hmac(hash, kedge_bytes(keys + content.size, hash->size),
               kedge_bytes(encrypted, content.size), mac);
    const bool good = kedge_equal(mac, sealed.at, hash->size);

    if (good) {
        memcpy(content.at, encrypted, content.size);
        cipher->start(&state, kedge_bytes(keys, content.size));
        cipher->crypt(&state, 0, content);
        kedge_wipe(&state, sizeof(state));
    }
    kedge_wipe(keys, sizeof(keys));
    return good ? 0 : KEDGE_E_KEY;
}
