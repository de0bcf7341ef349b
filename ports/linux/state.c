/* State directories. internal.bin and external.bin are written through (mmap), so what the flash
 * holds survives whatever ends the process. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

uint8_t *state_read_file(const char *path, size_t most, size_t *size, char *why)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = f == NULL ? NULL : malloc(most + 1);
    if (data == NULL) {
        snprintf(why, LAYOUT_WHY, "cannot read %s: %s", path, strerror(errno));
        if (f != NULL) {
            fclose(f);
        }
        return NULL;
    }
    *size = fread(data, 1, most + 1, f);
    const bool failed = ferror(f) != 0;
    fclose(f);
    if (failed || *size > most) {
        snprintf(why, LAYOUT_WHY, failed ? "cannot read %s" : "%s is longer than 0x%zX bytes", path,
                 most);
        free(data);
        return NULL;
    }
    return data;
}

static int write_file(const char *path, const char *text, size_t size, char *why)
{
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *f = fopen(temporary, "wb");
    if (f == NULL || fwrite(text, 1, size, f) != size || fclose(f) != 0 ||
        rename(temporary, path) != 0) {
        snprintf(why, LAYOUT_WHY, "cannot write %.160s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

#define LAYOUT_FILE_MAX 65536u

/* The directory's layout: adopted from options->layout, found there, or the default. Always stored,
 * so that another one is refused later. */
static int adopt_layout(struct state *state, const struct state_options *options, char *why)
{
    char path[4096];
    char text[2048];
    char *own = NULL;
    char *given = NULL;
    size_t own_size = 0;
    size_t given_size = 0;
    int result = -1;
    snprintf(path, sizeof path, "%s/layout", options->directory);
    if (access(path, F_OK) == 0 &&
        (own = (char *)state_read_file(path, LAYOUT_FILE_MAX, &own_size, why)) == NULL) {
        return -1;
    }
    if (options->layout != NULL &&
        (given = (char *)state_read_file(options->layout, LAYOUT_FILE_MAX, &given_size, why)) ==
            NULL) {
        goto out;
    }
    if (own != NULL && given != NULL &&
        (own_size != given_size || memcmp(own, given, own_size) != 0)) {
        snprintf(why, LAYOUT_WHY,
                 "%.160s was made with another layout (its file layout): use another --state DIR",
                 options->directory);
        goto out;
    }
    if (own == NULL && given == NULL) {
        layout_file_default(&state->file);
        result = write_file(path, text, layout_file_print(&state->file, text, sizeof text), why);
        goto out;
    }
    result = layout_file_parse(own != NULL ? own : given, own != NULL ? own_size : given_size,
                               &state->file, why);
out:
    free(own);
    free(given);
    return result;
}

/* Kept only once the layout has proved itself: a bad --layout must not spoil a new directory. */
static int keep_layout(const struct state_options *options, char *why)
{
    char path[4096];
    size_t size;
    snprintf(path, sizeof path, "%s/layout", options->directory);
    if (options->layout == NULL || access(path, F_OK) == 0) {
        return 0;
    }
    char *text = (char *)state_read_file(options->layout, LAYOUT_FILE_MAX, &size, why);
    if (text == NULL) {
        return -1;
    }
    const int result = write_file(path, text, size, why);
    free(text);
    return result;
}

/* Wrap both devices with the recorder and lay the regions out on them. */
static int assemble(struct state *state, char *why)
{
    const struct kedge_flash *inner[KEDGE_DEVICES] = {&state->board.internal,
                                                      &state->board.external};
    state->recorder = (struct kedge_recorder){
        .ring = {.at = state->events, .size = sizeof state->events},
        .forbidden = {[KEDGE_PHASE_DOWNLOAD] = 1u << KEDGE_INTERNAL,
                      [KEDGE_PHASE_DECODE] = 1u << KEDGE_INTERNAL},
    };
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        state->times[d] = kedge_sim_times(kedge_sim_part(state->board.sim, d));
        state->recorded[d] = (struct kedge_recorded){.inner = inner[d],
                                                     .recorder = &state->recorder,
                                                     .times = &state->times[d],
                                                     .device = d};
        kedge_recorder_wrap(&state->recorded[d], &state->flash[d]);
    }
    return layout_file_build(&state->file, &state->flash[KEDGE_INTERNAL],
                             &state->flash[KEDGE_EXTERNAL], &state->pair, &state->layout, why);
}

/* Check the layout on devices in memory before a file is made. */
static int rehearse(struct state *state, const struct kedge_sim_part *parts, char *why)
{
    const struct kedge_flash flash[KEDGE_DEVICES] = {{.geometry = parts[KEDGE_INTERNAL].geometry},
                                                     {.geometry = parts[KEDGE_EXTERNAL].geometry}};
    struct kedge_pair pair;
    struct kedge_layout layout;
    return layout_file_build(&state->file, &flash[KEDGE_INTERNAL], &flash[KEDGE_EXTERNAL], &pair,
                             &layout, why);
}

static int lock(struct state *state, const struct state_options *options, char *why)
{
    char path[4096];
    if (mkdir(options->directory, 0777) != 0 && errno != EEXIST) {
        snprintf(why, LAYOUT_WHY, "cannot make %s: %s", options->directory, strerror(errno));
        return -1;
    }
    snprintf(path, sizeof path, "%s/lock", options->directory);
    state->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (state->lock < 0) {
        snprintf(why, LAYOUT_WHY, "cannot open %.160s: %s", path, strerror(errno));
        return -1;
    }
    if (options->exclusive && flock(state->lock, LOCK_EX | LOCK_NB) != 0) {
        snprintf(why, LAYOUT_WHY, "a device is running on %s: stop it first", options->directory);
        return -1;
    }
    return 0;
}

int state_open(struct state *state, const struct state_options *options, char *why)
{
    char internal[4096];
    char external[4096];
    struct kedge_sim_part parts[KEDGE_DEVICES];
    memset(state, 0, sizeof *state);
    state->lock = -1;
    snprintf(internal, sizeof internal, "%s/internal.bin", options->directory);
    snprintf(external, sizeof external, "%s/external.bin", options->directory);
    const struct kedge_sim_config config = {.internal = &parts[KEDGE_INTERNAL],
                                            .external = &parts[KEDGE_EXTERNAL],
                                            .internal_file = internal,
                                            .external_file = external,
                                            .time = options->time,
                                            .seed = options->seed};
    if (lock(state, options, why) != 0 || adopt_layout(state, options, why) != 0 ||
        layout_file_parts(&state->file, parts, why) != 0 || rehearse(state, parts, why) != 0 ||
        keep_layout(options, why) != 0 || kedge_sim_board_open(&state->board, &config, why) != 0 ||
        assemble(state, why) != 0) {
        state_close(state);
        return -1;
    }
    return 0;
}

static int poke_dump(struct state *state, const char *path, uint8_t device, char *why)
{
    const uint32_t most = kedge_sim_part(state->board.sim, device)->geometry.size;
    size_t size;
    uint8_t *data = state_read_file(path, most, &size, why);
    if (data == NULL) {
        return -1;
    }
    kedge_sim_poke(state->board.sim, device, 0, kedge_bytes(data, size));
    free(data);
    return 0;
}

int state_open_dumps(struct state *state, const char *layout, const char *internal,
                     const char *external, char *why)
{
    struct kedge_sim_part parts[KEDGE_DEVICES];
    const struct kedge_sim_config config = {.internal = &parts[KEDGE_INTERNAL],
                                            .external = &parts[KEDGE_EXTERNAL],
                                            .time = KEDGE_SIM_TIME_TYPICAL};
    memset(state, 0, sizeof *state);
    state->lock = -1;
    layout_file_default(&state->file);
    if (layout != NULL) {
        size_t size;
        char *text = (char *)state_read_file(layout, LAYOUT_FILE_MAX, &size, why);
        const int parsed = text == NULL ? -1 : layout_file_parse(text, size, &state->file, why);
        free(text);
        if (parsed != 0) {
            return -1;
        }
    }
    if (layout_file_parts(&state->file, parts, why) != 0 ||
        kedge_sim_board_open(&state->board, &config, why) != 0 ||
        (internal != NULL && poke_dump(state, internal, KEDGE_INTERNAL, why) != 0) ||
        (external != NULL && poke_dump(state, external, KEDGE_EXTERNAL, why) != 0) ||
        assemble(state, why) != 0) {
        state_close(state);
        return -1;
    }
    return 0;
}

int state_open_copy(struct state *state, const struct state *from, char *why)
{
    struct kedge_sim_part parts[KEDGE_DEVICES];
    const struct kedge_sim_config config = {.internal = &parts[KEDGE_INTERNAL],
                                            .external = &parts[KEDGE_EXTERNAL],
                                            .time = KEDGE_SIM_TIME_TYPICAL};
    memset(state, 0, sizeof *state);
    state->lock = -1;
    state->file = from->file;
    if (layout_file_parts(&state->file, parts, why) != 0 ||
        kedge_sim_board_open(&state->board, &config, why) != 0) {
        state_close(state);
        return -1;
    }
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        kedge_sim_poke(state->board.sim, d, 0,
                       kedge_bytes(kedge_sim_contents(from->board.sim, d), parts[d].geometry.size));
    }
    if (assemble(state, why) != 0) {
        state_close(state);
        return -1;
    }
    return 0;
}

void state_close(struct state *state)
{
    if (state->board.sim != NULL) {
        kedge_sim_board_close(&state->board);
        state->board.sim = NULL;
    }
    if (state->lock >= 0) {
        close(state->lock);
        state->lock = -1;
    }
}
