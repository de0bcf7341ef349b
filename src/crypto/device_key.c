/* Which of the device's keys opens it. */
#include "kedge/device_key.h"

#include "crypto/wrapping.h"

int kedge_key_unwrap(const struct kedge_device_keys *keys, uint16_t tlv, struct kedge_bytes info,
                     struct kedge_bytes wrapped, struct kedge_buf content)
{
    int error = KEDGE_E_NONE;

    for (size_t i = 0; i < keys->count; i++) {
        const struct kedge_device_key *const key = &keys->at[i];

        if (key->type->tlv != tlv) {
            continue;
        }
        error = key->type->unwrap(key, info, wrapped, content);
        if (error == 0) {
            return 0;
        }
    }
    kedge_wipe(content.at, content.size);
    return error;
}

int kedge_key_derive(const struct kedge_device_keys *keys, struct kedge_bytes salt,
                     struct kedge_bytes info, struct kedge_buf out)
{
    return keys->count == 0 || keys->at->type->derive == NULL
               ? KEDGE_E_NONE
               : keys->at->type->derive(keys->at, salt, info, out);
}

int kedge_derive_from_secret(const struct kedge_device_key *key, struct kedge_bytes salt,
                             struct kedge_bytes info, struct kedge_buf out)
{
    kedge_hkdf(&kedge_sha256, salt, key->secret, info, out);
    return 0;
}
