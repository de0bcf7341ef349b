/* The words of PRODUCT.md's policy table, both ways. */
#include "kedge/policy.h"

#define WORDS 3

/* A key and its values from 0; a key without words has plain numbers. */
static const struct {
    const char *key;
    const char *value[WORDS];
} table[KEDGE_POLICY_KEYS] = {
    [KEDGE_POLICY_AFTER_CONFIRM] = {"after_confirm", {"keep", "trailer", "wipe"}},
    [KEDGE_POLICY_HOLD] = {"hold", {"off", "on", NULL}}, /* and for-1 to for-15, from 2 on */
    [KEDGE_POLICY_ATTEMPTS] = {"attempts", {NULL, NULL, NULL}},
    [KEDGE_POLICY_ERASE_PENDING] = {"erase_pending", {"allow", "refuse", NULL}},
    [KEDGE_POLICY_DOWNGRADE] = {"downgrade", {"allow", "refuse", NULL}},
    [KEDGE_POLICY_CONFIDENTIAL] = {"confidential", {"off", "on", NULL}},
};

const char *kedge_policy_key_text(enum kedge_policy_key key)
{
    return (unsigned)key < KEDGE_POLICY_KEYS ? table[key].key : NULL;
}

static size_t put_word(char *to, const char *word)
{
    size_t size = 0;

    for (; word[size] != '\0'; size++) {
        to[size] = word[size];
    }
    return size;
}

/* 1 to 15, behind `size` chars. */
static size_t put_number(char *to, size_t size, unsigned number)
{
    if (number >= 10) {
        to[size++] = (char)('0' + number / 10);
    }
    to[size++] = (char)('0' + number % 10);
    return size;
}

size_t kedge_policy_value_text(enum kedge_policy_key key, uint8_t value, char *to)
{
    size_t size = 0;

    if (kedge_policy_allows(key, value) && key == KEDGE_POLICY_ATTEMPTS) {
        size = put_number(to, 0, value);
    } else if (key == KEDGE_POLICY_HOLD && value > 1 && kedge_policy_allows(key, value)) {
        size = put_number(to, put_word(to, "for-"), value - 1u);
    } else if (kedge_policy_allows(key, value)) {
        size = put_word(to, table[key].value[value]);
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

    for (uint8_t v = 0; v < 17; v++) {
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
