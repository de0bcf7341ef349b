/* The words of PRODUCT.md's policy table, both ways. */
#include "kedge/policy.h"

#define WORDS 3

/* A key and its values from 0; a key without words has plain numbers. */
static const struct {
    const char *key;
    const char *value[WORDS];
} table[KEDGE_POLICY_KEYS] = {
    [KEDGE_POLICY_AFTER_CONFIRM] = {"after_confirm", {"keep", "trailer", "wipe"}},
    [KEDGE_POLICY_HOLD] = {"hold", {"off", "on", NULL}},
    [KEDGE_POLICY_ATTEMPTS] = {"attempts", {NULL, NULL, NULL}},
    [KEDGE_POLICY_ERASE_PENDING] = {"erase_pending", {"allow", "refuse", NULL}},
    [KEDGE_POLICY_DOWNGRADE] = {"downgrade", {"allow", "refuse", NULL}},
    [KEDGE_POLICY_CONFIDENTIAL] = {"confidential", {"off", "on", NULL}},
};

const char *kedge_policy_key_text(enum kedge_policy_key key)
{
    return (unsigned)key < KEDGE_POLICY_KEYS ? table[key].key : NULL;
}

size_t kedge_policy_value_text(enum kedge_policy_key key, uint8_t value, char *to)
{
    size_t size = 0;

    if (kedge_policy_allows(key, value) && key == KEDGE_POLICY_ATTEMPTS) {
        if (value >= 10) {
            to[size++] = (char)('0' + value / 10);
        }
        to[size++] = (char)('0' + value % 10);
    } else if (kedge_policy_allows(key, value)) {
        for (const char *word = table[key].value[value]; *word != '\0'; word++) {
            to[size++] = *word;
        }
    }
    to[size] = '\0';
    return size;
}

static bool says(struct kedge_bytes text, const char *word)
{
    size_t i = 0;

    while (i < text.size && word[i] != '\0' && text.at[i] == (uint8_t)word[i]) {
        i++;
    }
    return i == text.size && word[i] == '\0';
}

/* Every value that a key may have is written out and compared: nothing else is ever accepted. */
static int parse_value(enum kedge_policy_key key, struct kedge_bytes text, uint8_t *value)
{
    char word[8];

    for (uint8_t v = 0; v < 16; v++) {
        if (kedge_policy_value_text(key, v, word) != 0 && says(text, word)) {
            *value = v;
            return 0;
        }
    }
    return KEDGE_E_FORMAT;
}

int kedge_policy_parse(struct kedge_bytes key, struct kedge_bytes value, enum kedge_policy_key *k,
                       uint8_t *v)
{
    for (unsigned i = 0; i < KEDGE_POLICY_KEYS; i++) {
        if (says(key, table[i].key)) {
            *k = (enum kedge_policy_key)i;
            return parse_value(*k, value, v);
        }
    }
    return KEDGE_E_NONE;
}
