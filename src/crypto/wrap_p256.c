/* ECIES on P-256 by p256-m's field, with a check that the sender's point lies on the curve. */
#include <p256m_joint.h>

#include "crypto/wrapping.h"

static bool agree(uint8_t *shared, const uint8_t *secret, const uint8_t *point)
{
    return p256m_agree(shared, secret, point) == 0;
}

static int unwrap(const struct kedge_device_key *key, struct kedge_bytes info,
                  struct kedge_bytes wrapped, struct kedge_buf content)
{
    return kedge_unwrap_by_p256(agree, key, info, wrapped, content);
}

const struct kedge_wrapping kedge_wrap_p256 = {
    .tlv = KEDGE_TLV_ENC_P256,
    .unwrap = unwrap,
    .derive = kedge_derive_from_secret,
};
