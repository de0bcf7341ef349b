/* kedge testplan: run the cases, say what came of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cbor_json.h"
#include "file.h"
#include "group.h"
#include "link.h"
#include "report.h"
#include "testplan.h"
#include "testplan_rig.h"

static const struct testplan_part *const parts[] = {&testplan_candidates, &testplan_trials,
                                                    &testplan_swaps, &testplan_faults};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static struct {
    struct option_list cases;
    struct option_number seed;
    const char *report, *keep;
} given;

/* What became of a case. */
struct outcome {
    const struct testplan_part *part;
    const struct testplan_case *what;
    bool passed;
    unsigned boots;
    uint64_t ms;
    char why[RIG_WHY];
};

/* ---- the cases ------------------------------------------------------------------------------- */

static size_t count_cases(void)
{
    size_t count = 0;

    for (size_t i = 0; i < PARTS; i++) {
        count += parts[i]->count;
    }
    return count;
}

static bool is_wanted(const char *name)
{
    for (size_t i = 0; i < given.cases.count; i++) {
        if (strcmp(given.cases.at[i], name) == 0) {
            return true;
        }
    }
    return given.cases.count == 0;
}

/* Those that were asked for, in order; how many. `outcomes` has room for all. */
static size_t choose(struct outcome *outcomes)
{
    size_t count = 0;

    for (size_t i = 0; i < PARTS; i++) {
        for (size_t k = 0; k < parts[i]->count; k++) {
            if (is_wanted(parts[i]->cases[k].name)) {
                outcomes[count].part = parts[i];
                outcomes[count++].what = &parts[i]->cases[k];
            }
        }
    }
    return count;
}

static bool exists(const char *name)
{
    for (size_t i = 0; i < PARTS; i++) {
        for (size_t k = 0; k < parts[i]->count; k++) {
            if (strcmp(parts[i]->cases[k].name, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* ---- progress -------------------------------------------------------------------------------- */

static struct {
    bool on, shown;
    uint64_t start_ms, last_ms;
    size_t done, of;
    const char *name;
} progress;

static void tick(void)
{
    enum { WIDTH = 30 };
    const uint64_t now = link_clock_ms();

    if (!progress.on || now - progress.start_ms < 1000 || now - progress.last_ms < 100) {
        return;
    }
    const int filled = (int)(progress.done * WIDTH / progress.of);

    progress.last_ms = now;
    progress.shown = true;
    fprintf(stderr, "\r[%.*s%*s] %zu of %zu  %-36.36s", filled, "##############################",
            WIDTH - filled, "", progress.done, progress.of, progress.name);
}

static void clear_progress(void)
{
    if (progress.shown) {
        fprintf(stderr, "\r%*s\r", 78, "");
        progress.shown = false;
    }
}

/* ---- one case -------------------------------------------------------------------------------- */

static uint32_t seed(void)
{
    return given.seed.given ? given.seed.value : 1;
}

static int run_case(const struct plan_keys *keys, struct outcome *outcome)
{
    static struct rig rig; /* large, and must not move */
    const uint64_t begun = link_clock_ms();

    memset(&rig, 0, sizeof(rig));
    rig.plan_keys = keys;
    rig.keep = given.keep;
    rig.name = outcome->what->name;
    rig.seed = seed();
    rig.tick = tick;
    const int result = rig_open(&rig);

    if (result != 0) {
        return result;
    }
    outcome->passed = rig_passes(&rig, outcome->what->run);
    outcome->boots = rig.boots;
    memcpy(outcome->why, rig.why, sizeof(rig.why));
    rig_close(&rig);
    outcome->ms = link_clock_ms() - begun;
    return 0;
}

static void print_outcome(const struct outcome *o)
{
    clear_progress();
    printf("%s %-36s %s\n", o->passed ? "ok    " : "FAILED", o->what->name,
           o->passed ? o->what->proves : o->why);
    fflush(stdout);
}

/* ---- the whole run --------------------------------------------------------------------------- */

static struct kedge_bytes text(const char *words)
{
    return kedge_bytes(words, strlen(words));
}

static void print_json(const struct outcome *outcomes, size_t count, size_t failed)
{
    printf("{\"seed\": %u, \"passed\": %zu, \"failed\": %zu, \"cases\": [", seed(), count - failed,
           failed);
    for (size_t i = 0; i < count; i++) {
        const struct outcome *const o = &outcomes[i];

        printf("%s\n  {\"name\": \"%s\", \"part\": \"%s\", \"passed\": %s, \"boots\": %u, "
               "\"ms\": %llu, \"proves\": ",
               i == 0 ? "" : ",", o->what->name, o->part->title, o->passed ? "true" : "false",
               o->boots, (unsigned long long)o->ms);
        json_text(stdout, text(o->what->proves));
        if (!o->passed) {
            printf(", \"why\": ");
            json_text(stdout, text(o->why));
        }
        printf("}");
    }
    puts("\n]}");
}

/* A table; | in words would end a column. */
static void put_cell(struct blob *to, const char *words)
{
    for (; *words != '\0'; words++) {
        if (*words == '|') {
            blob_byte(to, '\\');
        }
        blob_byte(to, (uint8_t)*words);
    }
}

static void put_line(struct blob *to, const struct outcome *o)
{
    char numbers[64];

    blob_put(to, text(o->passed ? "| ok | `" : "| **FAILED** | `"));
    put_cell(to, o->what->name);
    blob_put(to, text("` | "));
    put_cell(to, o->passed ? o->what->proves : o->why);
    snprintf(numbers, sizeof(numbers), " | %u | %llu |\n", o->boots, (unsigned long long)o->ms);
    blob_put(to, text(numbers));
}

static int write_report(const struct outcome *outcomes, size_t count, size_t failed)
{
    struct blob to = {0};
    char head[160];

    snprintf(head, sizeof(head), "# Test plan\n\n%zu passed, %zu failed; seed %u\n", count - failed,
             failed, seed());
    blob_put(&to, text(head));
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || outcomes[i].part != outcomes[i - 1].part) {
            blob_put(&to, text("\n## "));
            put_cell(&to, outcomes[i].part->title);
            blob_put(&to,
                     text("\n\n| | case | what it shows | boots | ms |\n|---|---|---|--:|--:|\n"));
        }
        put_line(&to, &outcomes[i]);
    }
    const int result = file_write(given.report, blob_bytes(&to), 0666);

    blob_free(&to);
    return result;
}

static int run_all(struct outcome *outcomes, size_t count, size_t *failed)
{
    struct plan_keys keys;
    int result = plan_keys_make(&keys);

    progress.on = isatty(STDERR_FILENO) != 0;
    progress.start_ms = progress.last_ms = link_clock_ms();
    progress.of = count;
    for (size_t i = 0; i < count && result == 0; i++) {
        progress.done = i;
        progress.name = outcomes[i].what->name;
        result = run_case(&keys, &outcomes[i]);
        *failed += !outcomes[i].passed;
        if (result == 0 && !device_target.json) {
            print_outcome(&outcomes[i]);
        }
    }
    clear_progress();
    plan_keys_free(&keys);
    return result;
}

static const struct option run_options[] = {
    {0, "case", "NAME", "only this one; may be given several times", OPTION_LIST, &given.cases},
    {0, "seed", "S", "of the random power cuts and faults (default 1)", OPTION_NUMBER, &given.seed},
    {0, "report", "FILE.md", "write the results as a table, too", OPTION_TEXT, &given.report},
    {0, "keep", "DIR", "keep the flashes of each failure, to replay it with kedge-device",
     OPTION_TEXT, &given.keep},
    OPTION_JSON,
};

static const struct syntax run_syntax = {
    .command = "testplan run",
    .operands = "",
    .about =
        "Runs the test plan on virtual devices in memory: real loader and agent, strict flash\n"
        "simulator, images signed on the spot. No device is needed. Exit 1 when a case fails.",
    .options = run_options,
    .option_count = sizeof(run_options) / sizeof(run_options[0]),
};

static int check_names(void)
{
    for (size_t i = 0; i < given.cases.count; i++) {
        if (!exists(given.cases.at[i])) {
            return misuse("testplan run", "there is no case %s (kedge testplan list shows all)",
                          given.cases.at[i]);
        }
    }
    return OPTIONS_GO;
}

static int run_run(int argc, char **argv)
{
    struct operands operands;
    int result = options_parse(&run_syntax, argc, argv, &operands);
    size_t failed = 0;

    if (result == OPTIONS_GO) {
        result = check_names();
    }
    if (result != OPTIONS_GO) {
        return result;
    }
    struct outcome *const outcomes = grab(count_cases() * sizeof(*outcomes));

    memset(outcomes, 0, count_cases() * sizeof(*outcomes));
    const size_t count = choose(outcomes);

    result = run_all(outcomes, count, &failed);
    if (result == 0 && device_target.json) {
        print_json(outcomes, count, failed);
    } else if (result == 0) {
        printf("%zu passed, %zu failed\n", count - failed, failed);
    }
    if (result == 0 && given.report != NULL) {
        result = write_report(outcomes, count, failed);
    }
    free(outcomes);
    return result != 0 ? result : failed == 0 ? EXIT_DONE : EXIT_REFUSED;
}

/* ---- list ------------------------------------------------------------------------------------ */

static void list_json(void)
{
    const char *gap = "";

    printf("[");
    for (size_t i = 0; i < PARTS; i++) {
        for (size_t k = 0; k < parts[i]->count; k++) {
            printf("%s\n  {\"name\": \"%s\", \"part\": \"%s\", \"proves\": ", gap,
                   parts[i]->cases[k].name, parts[i]->title);
            json_text(stdout, text(parts[i]->cases[k].proves));
            printf("}");
            gap = ",";
        }
    }
    puts("\n]");
}

static int run_list(int argc, char **argv)
{
    struct operands operands;
    const int result = group_parse("testplan list", "", "Shows the cases, as a table of Markdown.",
                                   0, 0, argc, argv, &operands);

    if (result != OPTIONS_GO) {
        return result;
    }
    if (device_target.json) {
        list_json();
        return EXIT_DONE;
    }
    for (size_t i = 0; i < PARTS; i++) {
        printf("%s## %s\n\n| case | what it shows |\n|---|---|\n", i == 0 ? "" : "\n",
               parts[i]->title);
        for (size_t k = 0; k < parts[i]->count; k++) {
            printf("| `%s` | %s |\n", parts[i]->cases[k].name, parts[i]->cases[k].proves);
        }
    }
    return EXIT_DONE;
}

int run_testplan(int argc, char **argv)
{
    static const struct command commands[] = {
        {"run", "run the cases", run_run},
        {"list", "show the cases", run_list},
    };
    static const struct group group = {"testplan", "The test plan of this field, as named cases",
                                       commands, 2, true};

    return group_run(&group, argc, argv);
}
