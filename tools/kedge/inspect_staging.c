/* What `flash inspect` says of the staging region: the file that is parked there, and its chunks as
 * a picture. The chunk store itself looks, on a copy of both flashes in memory. */
#include "inspect_staging.h"

#include "cbor_json.h"
#include "kedge/stage.h"

#define CELLS_A_ROW 64u
#define CELLS_MOST  (8u * CELLS_A_ROW) /* of more chunks each cell shows several */

static uint32_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

/* '#' all chunks of a cell are there, '+' some, '.' none. */
static void draw(FILE *out, struct kedge_stage *stage)
{
    const uint32_t each = (stage->chunks + CELLS_MOST - 1) / CELLS_MOST;
    const uint32_t cells = (stage->chunks + each - 1) / each;

    for (uint32_t cell = 0; cell < cells; cell++) {
        const uint32_t from = cell * each;
        const uint32_t to = from + each < stage->chunks ? from + each : stage->chunks;
        const bool all = kedge_stage_next_missing(stage, from) >= to;
        const bool none = kedge_stage_next_present(stage, from) >= to;

        if (cell % CELLS_A_ROW == 0) {
            fprintf(out, "%s           |", cell > 0 ? "|\n" : "");
        }
        fputc(all ? '#' : none ? '.' : '+', out);
    }
    fprintf(out, "|%s\n", each > 1 ? "  (each cell: several chunks)" : "");
}

static void say_missing(FILE *out, struct kedge_stage *stage)
{
    uint32_t at = kedge_stage_next_missing(stage, 0);

    for (unsigned n = 0; n < 8 && at < stage->chunks; n++) {
        const uint32_t end = kedge_stage_next_present(stage, at);

        fprintf(out, n == 0 ? "; missing " : ", ");
        fprintf(out, end - at > 1 ? "%u-%u" : "%u", at, end - 1);
        at = kedge_stage_next_missing(stage, end);
    }
    fprintf(out, at < stage->chunks ? ", ...\n" : "\n");
}

static void say_file(FILE *out, struct kedge_stage *stage)
{
    static const char *const checks[KEDGE_STAGE_CHECKS] = {"no check", "a CRC-32", "a SHA-256"};
    const struct kedge_manifest *const manifest = &stage->manifest;

    fprintf(out, "           a file of %u bytes (%s), %u chunks of %u with %s each, SHA-256 ",
            manifest->size,
            stage->kind == KEDGE_STAGE_ANY ? "its first chunk has not come"
                                           : kedge_stage_kind_text(stage->kind),
            stage->chunks, manifest->chunk, checks[manifest->check]);
    hex_print(out, kedge_bytes(manifest->id, 8));
    fprintf(out, "...\n");
    draw(out, stage);
    fprintf(out, "           %s: %u of %u chunks are there", kedge_stage_state_text(stage->state),
            stage->received, stage->chunks);
    if (stage->attempts > 0) {
        fprintf(out, ", %u attempts, the last %u brought nothing", stage->attempts, stage->idle);
    }
    say_missing(out, stage);
}

void inspect_staging(FILE *out, const struct state *state)
{
    static struct state copy;
    static uint8_t scratch[4096], buffer[1024];
    static struct kedge_agent agent;
    static struct kedge_stage stage;
    static const struct kedge_boot_report report;
    char why[LAYOUT_WHY];

    if (state_open_copy(&copy, state, why) != 0) {
        fprintf(out, "           %s\n", why);
        return;
    }
    const struct kedge_agent_config config = {.layout = &copy.layout,
                                              .defaults = &kedge_policy_default,
                                              .boot = &report,
                                              .recorder = &copy.recorder,
                                              .now_ms = no_time,
                                              .scratch = kedge_buf(scratch, sizeof(scratch))};

    kedge_agent_start(&agent, &config);
    kedge_stage_start(&stage, &agent, kedge_buf(buffer, sizeof(buffer)));
    if (stage.state == KEDGE_STAGE_EMPTY) {
        fprintf(out, "           nothing is staged\n");
    } else {
        say_file(out, &stage);
    }
    state_close(&copy);
}
