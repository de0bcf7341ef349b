/* Options by table. */
#include "options.h"

#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report.h"

/* Where the parser stands. */
struct reader {
    const struct syntax *syntax;
    int argc;
    char **argv;
    int at;
    bool only_operands; /* behind "--" */
    struct operands *operands;
};

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

bool number_parse(const char *text, uint64_t max, uint64_t *value)
{
    uint64_t base = 10;
    uint64_t sum = 0;

    if (text[0] == '0' && text[1] != '\0') {
        const char mark = (char)(text[1] | 0x20);

        base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
        text += 2;
    }
    if (base == 0 || *text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        const unsigned digit = digit_value(*text);

        if (digit >= base || sum > (max - digit) / base || digit > max) {
            return false;
        }
        sum = sum * base + digit;
    }
    *value = sum;
    return true;
}

static void help_line(const struct option *option)
{
    char left[80];
    const char *const values = option->values == NULL ? "" : option->values;
    const char *const gap = option->values == NULL ? "" : " ";

    if (option->letter != 0) {
        snprintf(left, sizeof(left), "-%c, --%s%s%s", option->letter, option->name, gap, values);
    } else {
        snprintf(left, sizeof(left), "    --%s%s%s", option->name, gap, values);
    }
    if (strlen(left) > 30) {
        printf("  %s\n  %-31s%s\n", left, "", option->help);
    } else {
        printf("  %-31s%s\n", left, option->help);
    }
}

void options_help(const struct syntax *syntax)
{
    static const struct option help = {'h', "help", NULL, "this text", OPTION_FLAG, NULL};

    puts("Options:");
    for (size_t i = 0; i < syntax->option_count; i++) {
        if (syntax->options[i].kind != OPTION_FOREIGN) {
            help_line(&syntax->options[i]);
        }
    }
    help_line(&help);
}

static void show_help(const struct syntax *syntax)
{
    printf("Usage: kedge %s [options] %s\n\n%s\n\n", syntax->command, syntax->operands,
           syntax->about);
    options_help(syntax);
}

/* Is `value` one of "a|b|c"? */
static bool is_choice(const char *choices, const char *value)
{
    const size_t size = strlen(value);

    if (size == 0 || strchr(value, '|') != NULL) {
        return false;
    }
    for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, value, size) == 0 && (at[size] == '|' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

static int store(const struct reader *r, const struct option *option, const char *value)
{
    const char *const command = r->syntax->command;
    uint64_t number = 0;

    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->to = true;
        return OPTIONS_GO;
    case OPTION_CHOICE:
        if (!is_choice(option->values, value)) {
            return misuse(command, "--%s cannot be %s: it is one of %s", option->name, value,
                          option->values);
        }
        *(const char **)option->to = value;
        return OPTIONS_GO;
    case OPTION_TEXT:
        *(const char **)option->to = value;
        return OPTIONS_GO;
    case OPTION_NUMBER:
        if (!number_parse(value, UINT32_MAX, &number)) {
            return misuse(command,
                          "--%s takes a number up to 0xffffffff (decimal or 0x...), not %s",
                          option->name, value);
        }
        *(struct option_number *)option->to = (struct option_number){true, (uint32_t)number};
        return OPTIONS_GO;
    default: {
        struct option_list *const list = option->to;

        if (list->count == OPTION_LIST_MAX) {
            return misuse(command, "--%s is given too often", option->name);
        }
        list->at[list->count++] = value;
        return OPTIONS_GO;
    }
    }
}

/* `value` is what came with the option itself; NULL: nothing did. */
static int take(struct reader *r, const struct option *option, const char *value)
{
    const int count = option->kind == OPTION_FLAG ? 0 : option->kind == OPTION_PAIR ? 2 : 1;
    int result = OPTIONS_GO;

    if (option->kind == OPTION_FOREIGN) {
        return misuse(r->syntax->command, "imgtool's --%s is not in this version: %s", option->name,
                      option->help);
    }
    if (count == 0) {
        return value == NULL ? store(r, option, NULL)
                             : misuse(r->syntax->command, "--%s takes no value", option->name);
    }
    for (int i = 0; i < count && result == OPTIONS_GO; i++) {
        if (value == NULL && ++r->at < r->argc) {
            value = r->argv[r->at];
        }
        if (value == NULL) {
            return misuse(r->syntax->command, "--%s needs %s", option->name, option->values);
        }
        result = store(r, option, value);
        value = NULL;
    }
    return result;
}

static int take_long(struct reader *r, const char *text)
{
    const char *const equals = strchr(text, '=');
    const size_t size = equals == NULL ? strlen(text) : (size_t)(equals - text);

    for (size_t i = 0; i < r->syntax->option_count; i++) {
        const struct option *const option = &r->syntax->options[i];

        if (strlen(option->name) == size && strncmp(option->name, text, size) == 0) {
            return take(r, option, equals == NULL ? NULL : equals + 1);
        }
    }
    return misuse(r->syntax->command, "unknown option --%.*s", (int)size, text);
}

/* One or several letters behind one dash; the rest of the word may be the value. */
static int take_short(struct reader *r, const char *text)
{
    while (*text != '\0') {
        const struct option *found = NULL;

        for (size_t i = 0; i < r->syntax->option_count && found == NULL; i++) {
            if (r->syntax->options[i].letter == *text) {
                found = &r->syntax->options[i];
            }
        }
        if (found == NULL) {
            return misuse(r->syntax->command, "unknown option -%c", *text);
        }
        text++;
        if (found->values != NULL) {
            return take(r, found, *text == '\0' ? NULL : text);
        }
        const int result = take(r, found, NULL);

        if (result != OPTIONS_GO) {
            return result;
        }
    }
    return OPTIONS_GO;
}

static int take_operand(struct reader *r, const char *text)
{
    if (r->operands->count == 0) {
        r->operands->index = r->at;
    }
    if (r->operands->count == r->syntax->operands_max) {
        return r->syntax->operands_max == 0
                   ? misuse(r->syntax->command, "%s is not expected here", text)
                   : misuse(r->syntax->command, "%s is one too many: it takes %s", text,
                            r->syntax->operands);
    }
    r->operands->at[r->operands->count++] = text;
    return OPTIONS_GO;
}

static bool is_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0;
}

static int take_word(struct reader *r)
{
    const char *const text = r->argv[r->at];

    if (r->only_operands || text[0] != '-' || text[1] == '\0') {
        return take_operand(r, text);
    }
    if (strcmp(text, "--") == 0) {
        r->only_operands = true;
        return OPTIONS_GO;
    }
    if (is_help(text) && r->syntax->command != NULL) {
        show_help(r->syntax);
        return EXIT_DONE;
    }
    return text[1] == '-' ? take_long(r, text + 2) : take_short(r, text + 1);
}

int options_parse(const struct syntax *syntax, int argc, char **argv, struct operands *operands)
{
    struct reader r = {.syntax = syntax, .argc = argc, .argv = argv, .operands = operands};

    *operands = (struct operands){.index = argc};
    for (r.at = 1; r.at < argc; r.at++) {
        const int result = take_word(&r);

        if (result != OPTIONS_GO) {
            return result;
        }
        if (syntax->stop_at_operand && operands->count > 0) {
            return OPTIONS_GO;
        }
    }
    if (operands->count < syntax->operands_min) {
        return misuse(syntax->command, "it needs %s", syntax->operands);
    }
    return OPTIONS_GO;
}
