/* AES by tables, both flashes at a time. The device's key is
 * tests/fixtures/keys/enc.pem; a product reads its own from where nobody else can. */
#include "loader_build.h"

static const uint8_t secret[32] = {
    0xc8, 0x72, 0x1e, 0xa3, 0xc6, 0xde, 0xf1, 0xce, 0x3e, 0x3a, 0xd0, 0xe8, 0x60, 0x8d, 0x21, 0x94,
    0x33, 0x7b, 0x1f, 0x0d, 0xf3, 0xc6, 0xaa, 0x04, 0x61, 0x9c, 0x5a, 0xf0, 0x3e, 0x56, 0x37, 0x3b,
};
static const struct kedge_device_key key = {
    .type = &kedge_wrap_p256, .cipher = &kedge_aes_tables, .secret = {secret, sizeof secret}};
static const struct kedge_device_keys keys = {&key, 1};
static struct kedge_opened opened;
static const struct kedge_confidential confidential = {
    .inner = &kedge_swap, .keys = &keys, .cipher = &kedge_aes_tables, .opened = &opened};

const struct kedge_strategy loader_confidential =
    KEDGE_CONFIDENTIAL_STRATEGY(KEDGE_METHOD_TOGGLE, &confidential);

void loader_forget(void)
{
    kedge_opened_forget(&opened);
}
