/* Options and versions: a script's words must mean the same each time, or be refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "command.h"
#include "options.h"
#include "version_text.h"

static struct {
    bool flag, second;
    const char *text, *choice;
    struct option_number number;
    struct option_list list, pairs;
} given;

static const struct option options[] = {
    {'f', "flag", NULL, "", OPTION_FLAG, &given.flag},
    {'g', "second", NULL, "", OPTION_FLAG, &given.second},
    {'t', "text", "TEXT", "", OPTION_TEXT, &given.text},
    {0, "choice", "8|16|32", "", OPTION_CHOICE, &given.choice},
    {'n', "number", "N", "", OPTION_NUMBER, &given.number},
    {'l', "list", "X", "", OPTION_LIST, &given.list},
    {0, "pair", "A B", "", OPTION_PAIR, &given.pairs},
    {0, "foreign", "X", "do otherwise", OPTION_FOREIGN, NULL},
};

static int parse(bool stop, struct operands *operands, const char *const *words)
{
    const struct syntax syntax = {.command = "test",
                                  .operands = "A B",
                                  .about = "",
                                  .options = options,
                                  .option_count = sizeof(options) / sizeof(options[0]),
                                  .operands_max = 2,
                                  .stop_at_operand = stop};
    static char copies[16][32];
    char *argv[17];
    int argc = 0;

    memset(&given, 0, sizeof(given));
    for (; words[argc] != NULL; argc++) {
        snprintf(copies[argc], sizeof(copies[argc]), "%s", words[argc]);
        argv[argc] = copies[argc];
    }
    argv[argc] = NULL;
    return options_parse(&syntax, argc, argv, operands);
}
#define PARSE(stop, operands, ...)                                                                 \
    parse(stop, operands, (const char *const[]){"test", __VA_ARGS__, NULL})

/* Every form that people write an option in. */
static void forms(void **state)
{
    struct operands o;

    (void)state;
    assert_int_equal(PARSE(false, &o, "-fgt", "a", "one", "--choice=16", "--number", "0x10", "two"),
                     OPTIONS_GO);
    assert_true(given.flag && given.second);
    assert_string_equal(given.text, "a");
    assert_string_equal(given.choice, "16");
    assert_true(given.number.given);
    assert_int_equal(given.number.value, 16);
    assert_int_equal(o.count, 2);
    assert_string_equal(o.at[0], "one");
    assert_string_equal(o.at[1], "two");
    assert_int_equal(o.index, 3);
    assert_int_equal(PARSE(false, &o, "-n7", "--text=", "-l", "1", "--list=2", "--pair", "a", "-f"),
                     OPTIONS_GO);
    assert_int_equal(given.number.value, 7);
    assert_string_equal(given.text, "");
    assert_int_equal(given.list.count, 2);
    assert_string_equal(given.list.at[1], "2");
    assert_int_equal(given.pairs.count, 2);
    assert_string_equal(given.pairs.at[1], "-f");
    assert_false(given.flag);
    assert_int_equal(PARSE(false, &o, "--", "-f", "-"), OPTIONS_GO);
    assert_int_equal(o.count, 2);
    assert_false(given.flag);
}

/* The device's options stand before the command, the command's behind it. */
static void stops(void **state)
{
    struct operands o;

    (void)state;
    assert_int_equal(PARSE(true, &o, "-f", "image", "--anything", "-x"), OPTIONS_GO);
    assert_int_equal(o.index, 2);
    assert_int_equal(o.count, 1);
}

/* A typing error must never change what is done. */
static void misuses(void **state)
{
    struct operands o;

    (void)state;
    assert_int_equal(PARSE(false, &o, "--unknown"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "-fx"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "--fla"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "--flag=1"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "--text"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "--pair", "a"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "--choice", "1"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "--choice", "8|16"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "--choice", ""), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "--number", "4294967296"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "--foreign", "1"), EXIT_MISUSE);
    assert_int_equal(PARSE(false, &o, "1", "2", "3"), EXIT_MISUSE);
}

/* A number read as another one is an image at a wrong place. */
static void numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t max, value;
        bool good;
    } cases[] = {
        {"0", 9, 0, true},
        {"9", 9, 9, true},
        {"10", 9, 0, false},
        {"0x1F", 255, 31, true},
        {"0Xff", 255, 255, true},
        {"0x100", 255, 0, false},
        {"0b101", 9, 5, true},
        {"0o17", 99, 15, true},
        {"017", 99, 0, false},
        {"", 9, 0, false},
        {"0x", 9, 0, false},
        {"-1", 9, 0, false},
        {"1 ", 9, 0, false},
        {"0b2", 9, 0, false},
        {"12a", 99, 0, false},
        {"5", 3, 0, false},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
        {"18446744073709551616", UINT64_MAX, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 0;

        assert_int_equal(number_parse(cases[i].text, cases[i].max, &value), cases[i].good);
        assert_int_equal(value, cases[i].value);
    }
}

/* A version read as another decides which image runs. */
static void versions(void **state)
{
    struct kedge_version v;

    (void)state;
    assert_null(version_parse("255.254.65535+4294967295", &v));
    assert_int_equal(v.major, 255);
    assert_int_equal(v.minor, 254);
    assert_int_equal(v.revision, 65535);
    assert_int_equal(v.build, 4294967295u);
    assert_null(version_parse("7", &v));
    assert_int_equal(v.major, 7);
    assert_int_equal(v.minor | v.revision | v.build, 0);
    static const char *const bad[] = {
        "",      "1.",        "1.2.3.4",          "01", "1.2+3",    "1.2.3+", "256",
        "1.256", "1.0.65536", "1.0.0+4294967296", "v1", "1.2.3+4x", " 1",     "-1"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(version_parse(bad[i], &v));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),   cmocka_unit_test(stops),    cmocka_unit_test(misuses),
        cmocka_unit_test(numbers), cmocka_unit_test(versions),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
