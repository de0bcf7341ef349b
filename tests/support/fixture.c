/* See fixture.h. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

size_t fixture_load(const char *name, uint8_t to[FIXTURE_MAX])
{
    char path[1024];

    assert_in_range(snprintf(path, sizeof(path), "%s/tests/fixtures/%s", KEDGE_SOURCE_DIR, name), 1,
                    sizeof(path) - 1);
    FILE *const file = fopen(path, "rb");

    if (file == NULL) {
        fail_msg("cannot open %s", path);
    }
    const size_t size = fread(to, 1, FIXTURE_MAX, file);

    assert_int_equal(fclose(file), 0);
    assert_in_range(size, 1, FIXTURE_MAX);
    return size;
}

static const struct {
    const char *name;
    const struct kedge_signature *type;
} known[] = {
    {"p256", &kedge_ecdsa_p256},        {"p384", &kedge_ecdsa_p384}, {"ed25519", &kedge_ed25519},
    {"ed25519", &kedge_ed25519_sha512}, {"rsa2048", &kedge_rsa2048}, {"rsa3072", &kedge_rsa3072},
    {"stranger", &kedge_ecdsa_p256},
};

size_t fixture_keys(const char *name, struct kedge_key keys[FIXTURE_KEYS])
{
    static uint8_t der[sizeof(known) / sizeof(known[0])][FIXTURE_MAX];
    static size_t sizes[sizeof(known) / sizeof(known[0])]; /* 0: not loaded yet */
    size_t count = 0;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const bool in_all = strcmp(name, "all") == 0 && strcmp(known[i].name, "stranger") != 0;

        if (in_all || strcmp(name, known[i].name) == 0) {
            char file[64];

            if (sizes[i] == 0) {
                (void)snprintf(file, sizeof(file), "keys/%s.der", known[i].name);
                sizes[i] = fixture_load(file, der[i]);
            }
            keys[count++] = (struct kedge_key){
                .type = known[i].type,
                .der = kedge_bytes(der[i], sizes[i]),
            };
        }
    }
    assert_int_not_equal(count, 0);
    return count;
}

static int read_memory(const void *ctx, uint32_t at, struct kedge_buf to)
{
    struct fixture_source *const memory = (struct fixture_source *)(uintptr_t)ctx;

    assert_true(at <= memory->size && to.size <= memory->size - at);
    if (++memory->reads == memory->fail_read) {
        return KEDGE_E_IO;
    }
    if (to.size > 0) {
        memcpy(to.at, memory->at + at, to.size);
    }
    if (memory->flip_mask != 0 && memory->flip_at >= at && memory->flip_at - at < to.size &&
        ++memory->visits == memory->flip_visit) {
        to.at[memory->flip_at - at] ^= memory->flip_mask;
    }
    return 0;
}

struct kedge_source fixture_source(const struct fixture_source *memory)
{
    return (struct kedge_source){.read = read_memory, .ctx = memory, .size = memory->size};
}

size_t fixture_append_tlv(uint8_t image[FIXTURE_MAX], size_t size, uint16_t type,
                          struct kedge_bytes data)
{
    uint8_t *const info =
        image + kedge_le16(image + 8) + kedge_le32(image + 12) + kedge_le16(image + 10);

    assert_in_range(size + 4 + data.size, 0, FIXTURE_MAX);
    kedge_put_le16(image + size, type);
    kedge_put_le16(image + size + 2, (uint16_t)data.size);
    memcpy(image + size + 4, data.at, data.size);
    kedge_put_le16(info + 2, (uint16_t)(kedge_le16(info + 2) + 4 + data.size));
    return size + 4 + data.size;
}
