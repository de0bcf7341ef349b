#include "pull.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_DEFAULT 4096u
#define MANIFESTS     3 /* damaged ones, before it is the server's fault */
#define REST_FIRST_MS 1000u
#define REST_MOST_MS  600000u

static uint32_t now_ms(const struct pull *pull)
{
    const struct kedge_agent_config *const config = pull->stage->agent->config;

    return config->now_ms(config->ctx);
}

__attribute__((format(printf, 2, 3))) static void say(struct pull *pull, const char *format, ...)
{
    char line[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    pull->say(pull->ctx, line);
}

/* ---- the source, as the engine sees it ------------------------------------------------------- */

static void start_job(struct pull *pull, const char *suffix, uint32_t at, uint32_t size)
{
    struct pull_job job = {.at = at, .size = size};

    snprintf(job.url, sizeof job.url, "%s%s", pull->options->url, suffix);
    if (*suffix == '\0') {
        job.whole = pull->manifest.size;
        memcpy(job.tag, pull->tag, sizeof job.tag);
    }
    pull->sidecar_size = *suffix == '\0' ? pull->sidecar_size : 0;
    pull_worker_start(&pull->worker, &job);
}

static int source_open(void *ctx, uint32_t at, uint32_t size)
{
    start_job(ctx, "", at, size);
    return 0;
}

static int source_poll(void *ctx, struct kedge_pull_piece *piece)
{
    struct pull *const pull = ctx;
    const int result = pull_worker_poll(&pull->worker, piece);

    if (result != KEDGE_PULL_NOTHING && result != KEDGE_PULL_PIECE && pull->tag[0] == '\0') {
        memcpy(pull->tag, pull->worker.answer.tag, sizeof pull->tag);
    }
    return result;
}

static void source_close(void *ctx)
{
    struct pull *const pull = ctx;

    pull_worker_cancel(&pull->worker);
}

static int source_check(void *ctx, uint32_t index, uint8_t *check)
{
    const struct pull *const pull = ctx;
    const uint8_t size = pull->manifest.check_size;

    memcpy(check, pull->sidecar + KEDGE_STAGE_RECORD + (size_t)index * size, size);
    return 0;
}

static const char *source_reason(void *ctx)
{
    const struct pull *const pull = ctx;

    return pull->worker.answer.reason;
}

/* ---- what is the file? ----------------------------------------------------------------------- */

/* The file is the same, or nobody says: the engine goes on where it waited. */
static void go_on(struct pull *pull)
{
    pull->asks_again = false;
    pull->engine.wait_ms = 0;
    pull->phase = PULL_RUNS;
}

/* While it is asked again, an answer that says nothing ends that question only. */
static void over(struct pull *pull, const char *words)
{
    if (pull->asks_again) {
        go_on(pull);
        return;
    }
    say(pull, "pull stopped: %s", words);
    pull->phase = PULL_OVER;
}

/* A server that does not answer yet: nothing is staged, so nothing is counted; only ever slower. */
static void rest(struct pull *pull, uint8_t again, const char *words)
{
    const uint32_t doubled = REST_FIRST_MS << (pull->tries < 10 ? pull->tries : 10);

    if (pull->asks_again) {
        go_on(pull);
        return;
    }
    pull->tries++;
    pull->again = again;
    pull->since_ms = now_ms(pull);
    pull->wait_ms = doubled < REST_MOST_MS ? doubled : REST_MOST_MS;
    pull->phase = PULL_RESTING;
    say(pull, "pull: %s: again in %u s", words, (unsigned)(pull->wait_ms / 1000));
}

static void ask(struct pull *pull, uint8_t phase)
{
    pull->phase = phase;
    switch (phase) {
    case PULL_MANIFEST:
        pull->manifest = (struct kedge_manifest){0};
        pull->tag[0] = '\0';
        start_job(pull, ".manifest", 0, 0);
        break;
    case PULL_SHA256:
        start_job(pull, ".sha256", 0, 0);
        break;
    default:
        start_job(pull, "", 0, 1); /* its first byte: the answer tells the size of all */
        break;
    }
}

static bool is_closed(const struct pull *pull)
{
    return pull->stage->state == KEDGE_STAGE_EMPTY || pull->stage->state == KEDGE_STAGE_DECODED;
}

/* What the server has now takes the place of what this pull had begun before. */
static void run(struct pull *pull)
{
    struct kedge_stage *const stage = pull->stage;
    struct kedge_manifest *const manifest = &pull->manifest;
    const struct kedge_manifest *const staged = &stage->manifest;

    if (pull->asks_again &&
        memcmp(manifest->id, pull->engine.manifest.id, sizeof manifest->id) == 0) {
        go_on(pull);
        return;
    }
    pull->asks_again = false;
    manifest->origin = kedge_crc32(0, kedge_bytes(pull->options->url, strlen(pull->options->url)));
    if (!is_closed(pull) && staged->origin == manifest->origin &&
        (memcmp(staged->id, manifest->id, sizeof manifest->id) != 0 ||
         staged->size != manifest->size || staged->chunk != manifest->chunk ||
         staged->check != manifest->check || staged->check_size != manifest->check_size)) {
        say(pull, "pull: the server has another file now: begun anew");
        (void)kedge_stage_abort(stage);
    }
    pull->engine = (struct kedge_pull){.stage = stage,
                                       .source = &pull->source,
                                       .manifest = *manifest,
                                       .chunk = kedge_buf(pull->chunk, sizeof pull->chunk),
                                       .then = KEDGE_STAGE_THEN_TEST};
    pull->phase = PULL_RUNS;
    kedge_pull_start(&pull->engine);
    if (pull->engine.state == KEDGE_PULL_DONE) {
        say(pull, "pull: nothing new at %s", pull->options->url);
        pull->phase = PULL_OVER;
    } else if (pull->engine.state != KEDGE_PULL_STOPPED) {
        say(pull, "pull: %u of %u chunks are here", (unsigned)stage->received,
            (unsigned)stage->chunks);
    }
}

static void got_manifest(struct pull *pull, int result)
{
    if (result == KEDGE_E_NONE ||
        result == KEDGE_E_REFUSED) { /* some stores say 403 for "not there" */
        ask(pull, PULL_SHA256);
    } else if (result != KEDGE_PULL_END) {
        rest(pull, PULL_MANIFEST, pull->worker.answer.reason);
    } else if (pull_manifest_parse(kedge_bytes(pull->sidecar, pull->sidecar_size),
                                   &pull->manifest) != 0) {
        if (++pull->damaged < MANIFESTS) { /* a line without checks of its own: a modem's */
            rest(pull, PULL_MANIFEST, "the .manifest came damaged");
        } else {
            over(pull, "the .manifest on the server is none of kedge stage manifest");
        }
    } else {
        run(pull);
    }
}

static void got_sha256(struct pull *pull, int result)
{
    if (result == KEDGE_E_NONE || result == KEDGE_E_REFUSED) {
        over(pull, "put a .manifest (kedge stage manifest FILE) or a .sha256 (sha256sum FILE) "
                   "beside the file on the server, or give --pull-sha256");
    } else if (result != KEDGE_PULL_END) {
        rest(pull, PULL_SHA256, pull->worker.answer.reason);
    } else if (!pull_sha256_text(kedge_bytes(pull->sidecar, pull->sidecar_size),
                                 pull->manifest.id)) {
        over(pull, "the .sha256 on the server does not begin with 64 hex digits");
    } else {
        ask(pull, PULL_SIZE);
    }
}

static void got_size(struct pull *pull, int result)
{
    const struct pull_answer *const answer = &pull->worker.answer;

    if (result == KEDGE_E_NONE || result == KEDGE_E_REFUSED) {
        over(pull, answer->reason);
    } else if (result != KEDGE_PULL_END) {
        rest(pull, PULL_SIZE, answer->reason);
    } else if (answer->whole == 0) {
        over(pull, "the server does not tell the file's size");
    } else {
        pull->manifest.size = answer->whole;
        pull->manifest.chunk = CHUNK_DEFAULT;
        memcpy(pull->tag, answer->tag, sizeof pull->tag);
        run(pull);
    }
}

/* A piece of a sidecar, or the answer's end. */
static bool collect(struct pull *pull)
{
    struct kedge_pull_piece piece;
    const int result = pull_worker_poll(&pull->worker, &piece);

    if (result == KEDGE_PULL_NOTHING) {
        return false;
    }
    if (result == KEDGE_PULL_PIECE) {
        if (pull->phase == PULL_SIZE) {
            return true; /* its first byte, or all of it: only the size is wanted */
        }
        if (piece.at > PULL_SIDECAR || piece.data.size > PULL_SIDECAR - piece.at) {
            pull_worker_cancel(&pull->worker);
            over(pull, "the manifest on the server is larger than any manifest");
            return true;
        }
        memcpy(pull->sidecar + piece.at, piece.data.at, piece.data.size);
        pull->sidecar_size = piece.at + piece.data.size;
        return true;
    }
    switch (pull->phase) {
    case PULL_MANIFEST:
        got_manifest(pull, result);
        break;
    case PULL_SHA256:
        got_sha256(pull, result);
        break;
    default:
        got_size(pull, result);
        break;
    }
    return true;
}

/* ---- the work -------------------------------------------------------------------------------- */

static uint8_t first_phase(const struct pull *pull)
{
    return pull->options->sha256 != NULL ? PULL_SIZE : PULL_MANIFEST;
}

static void ask_first(struct pull *pull)
{
    ask(pull, first_phase(pull));
    if (pull->options->sha256 != NULL) {
        (void)pull_sha256_text(kedge_bytes(pull->options->sha256, strlen(pull->options->sha256)),
                               pull->manifest.id);
    }
}

/* The engine came to a state that somebody wants to know of. */
static void engine_changed(struct pull *pull, uint8_t before, bool *asked)
{
    struct kedge_pull *const engine = &pull->engine;

    switch (engine->state) {
    case KEDGE_PULL_WAITING:
        if (engine->wait_ms > 0) {
            say(pull, "pull: %s: again in %u s", engine->reason,
                (unsigned)(engine->wait_ms / 1000));
        }
        break;
    case KEDGE_PULL_DECODING:
        say(pull, "pull: all %u chunks are here: decoding", (unsigned)pull->stage->chunks);
        break;
    case KEDGE_PULL_DONE:
        say(pull, "pull: decoded, will be tried at the next boot");
        *asked = before != KEDGE_PULL_DONE;
        pull->phase = PULL_OVER;
        break;
    case KEDGE_PULL_CHANGED:
        say(pull, "pull: %s", engine->reason);
        ask_first(pull);
        break;
    case KEDGE_PULL_STOPPED:
        over(pull, engine->reason);
        break;
    default:
        break;
    }
}

static bool run_engine(struct pull *pull, bool *asked)
{
    struct kedge_pull *const engine = &pull->engine;
    const uint8_t before = engine->state;
    const uint32_t since = engine->since_ms;

    if (before == KEDGE_PULL_STOPPED) {
        over(pull, engine->reason); /* refused at its start */
        return true;
    }
    /* An attempt brought nothing: before the next one, is it still that file on the server? */
    if (before == KEDGE_PULL_WAITING && engine->wait_ms > 0 && pull->options->sha256 == NULL &&
        now_ms(pull) - since >= engine->wait_ms) {
        pull->asks_again = true;
        ask_first(pull);
        return true;
    }
    const bool did = kedge_pull_step(engine);

    if (engine->state != before ||
        (engine->state == KEDGE_PULL_WAITING && engine->since_ms != since)) {
        engine_changed(pull, before, asked);
    }
    return did;
}

bool pull_step(struct pull *pull, bool *asked)
{
    *asked = false;
    switch (pull->phase) {
    case PULL_MANIFEST:
    case PULL_SHA256:
    case PULL_SIZE:
        return collect(pull);
    case PULL_RESTING:
        if (now_ms(pull) - pull->since_ms >= pull->wait_ms) {
            ask(pull, pull->again);
            return true;
        }
        return false;
    case PULL_RUNS:
        return run_engine(pull, asked);
    default:
        return false;
    }
}

static const struct pull_transport *transport_of(const struct pull_options *options)
{
    const char *const url = options->url;
    const bool http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    const bool coap = strncmp(url, "coap://", 7) == 0 || strncmp(url, "coaps://", 8) == 0;

    return options->modem != NULL ? (http ? &pull_modem : NULL)
           : http                 ? &pull_http
           : coap                 ? &pull_coap
                                  : NULL;
}

int pull_open(struct pull *pull, const struct pull_options *options, struct kedge_stage *stage,
              char *why)
{
    const struct pull_transport *const transport = transport_of(options);
    uint8_t sha[32];

    if (transport == NULL || strlen(options->url) > PULL_URL - 16) {
        snprintf(why, PULL_REASON,
                 options->modem != NULL
                     ? "--pull takes http:// and https:// addresses over a modem"
                     : "--pull takes http://, https://, coap:// and coaps:// addresses");
        return -1;
    }
    if (strncmp(options->url, "coaps://", 8) == 0 && options->psk == NULL) {
        snprintf(why, PULL_REASON, "coaps needs a key: --psk IDENTITY:KEY");
        return -1;
    }
    if (options->sha256 != NULL &&
        !pull_sha256_text(kedge_bytes(options->sha256, strlen(options->sha256)), sha)) {
        snprintf(why, PULL_REASON, "--pull-sha256 takes 64 hex digits");
        return -1;
    }
    if (pull->sidecar == NULL) {
        pull->sidecar = malloc(PULL_SIDECAR);
    }
    if (pull->sidecar == NULL) {
        snprintf(why, PULL_REASON, "out of memory");
        return -1;
    }
    if (pull_worker_open(&pull->worker, transport, options, why) != 0) {
        return -1;
    }
    pull->options = options;
    pull->stage = stage;
    pull->source = (struct kedge_pull_source){source_open,  source_poll,   source_close,
                                              source_check, source_reason, pull};
    pull->tries = 0;
    pull->damaged = 0;
    ask_first(pull);
    return 0;
}

void pull_close(struct pull *pull)
{
    pull_worker_close(&pull->worker);
    free(pull->sidecar);
    pull->sidecar = NULL;
}
