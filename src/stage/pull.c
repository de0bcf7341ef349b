/* Which parts of a file are fetched, in which order, how often: the same for every source. */
#include "kedge/stage_pull.h"

#include <string.h>

int kedge_pull_status(uint32_t status)
{
    switch (status) {
    case 200:
    case 205: /* CoAP 2.05 Content */
    case 206:
        return 0;
    case 404:
    case 410:
        return KEDGE_E_NONE;
    case 408:
    case 425:
    case 429:
        return KEDGE_E_IO;
    case 416: /* the part that we want is not there any more */
        return KEDGE_E_STATE;
    default:
        return status >= 400 && status < 500 ? KEDGE_E_REFUSED : KEDGE_E_IO;
    }
}

static uint32_t now_ms(const struct kedge_pull *pull)
{
    const struct kedge_agent_config *const config = pull->stage->agent->config;

    return config->now_ms(config->ctx);
}

static void say(struct kedge_pull *pull, const char *words)
{
    size_t i = 0;

    for (; words[i] != '\0' && i + 1 < sizeof(pull->reason); i++) {
        pull->reason[i] = words[i];
    }
    pull->reason[i] = '\0';
}

static void close_source(struct kedge_pull *pull)
{
    if (pull->open) {
        pull->source->close(pull->source->ctx);
    }
    pull->open = false;
    pull->have = 0;
}

static void stop(struct kedge_pull *pull, enum kedge_pull_state state, const char *words)
{
    close_source(pull);
    say(pull, words);
    pull->state = (uint8_t)state;
}

static void decode(struct kedge_pull *pull)
{
    close_source(pull);
    if (kedge_stage_finish(pull->stage, (enum kedge_stage_then)pull->then) != KEDGE_STAGE_OK) {
        stop(pull, KEDGE_PULL_STOPPED, pull->stage->agent->detail);
        return;
    }
    pull->state = KEDGE_PULL_DECODING;
}

/* Somebody may abort the file and begin another one at any time. */
static bool is_mine(const struct kedge_pull *pull)
{
    const struct kedge_stage *const stage = pull->stage;

    return stage->state != KEDGE_STAGE_EMPTY &&
           memcmp(stage->manifest.id, pull->manifest.id, sizeof(pull->manifest.id)) == 0;
}

static bool is_whole(struct kedge_pull *pull)
{
    return kedge_stage_next_missing(pull->stage, 0) == pull->stage->chunks;
}

/* Counted before it costs anything; the store says how long to wait, or that it was enough. */
static void attempt(struct kedge_pull *pull)
{
    close_source(pull);
    if (is_whole(pull)) {
        decode(pull); /* what failed came behind the last byte */
        return;
    }
    if (kedge_stage_attempt(pull->stage, &pull->wait_ms) != KEDGE_STAGE_OK) {
        stop(pull, KEDGE_PULL_STOPPED, pull->stage->agent->detail);
        return;
    }
    pull->since_ms = now_ms(pull);
    pull->state = KEDGE_PULL_WAITING;
}

void kedge_pull_start(struct kedge_pull *pull)
{
    close_source(pull);
    pull->at = 0;
    KEDGE_ASSERT(pull->chunk.size >= pull->manifest.chunk);
    if (is_mine(pull) && pull->stage->state == KEDGE_STAGE_DECODED) {
        pull->state = KEDGE_PULL_DONE; /* in an earlier power-on: what came of it may run by now */
        return;
    }
    if (kedge_stage_begin(pull->stage, &pull->manifest) != KEDGE_STAGE_OK) {
        stop(pull, KEDGE_PULL_STOPPED, pull->stage->agent->detail);
    } else {
        attempt(pull);
    }
}

/* ---- fetching -------------------------------------------------------------------------------- */

static void fail(struct kedge_pull *pull, int error)
{
    say(pull, pull->source->reason(pull->source->ctx));
    switch (error) {
    case KEDGE_E_NONE:
    case KEDGE_E_REFUSED:
        stop(pull, KEDGE_PULL_STOPPED, pull->reason);
        break;
    case KEDGE_E_STATE:
        stop(pull, KEDGE_PULL_CHANGED, pull->reason);
        break;
    default:
        attempt(pull);
        break;
    }
}

/* The first gap in one go: a file of which nothing is there costs one request. */
static void open_gap(struct kedge_pull *pull)
{
    struct kedge_stage *const stage = pull->stage;
    const uint32_t first = kedge_stage_next_missing(stage, 0);
    const uint32_t behind = kedge_stage_next_present(stage, first);
    const uint32_t chunk = pull->manifest.chunk;
    const uint32_t at = first * chunk;
    const uint32_t end = behind == stage->chunks ? pull->manifest.size : behind * chunk;

    pull->at = at;
    pull->have = 0;
    pull->received = stage->received;
    pull->open = true;
    pull->state = KEDGE_PULL_FETCHING;
    const int error = pull->source->open(pull->source->ctx, at, end - at);

    if (error != 0) {
        fail(pull, error);
    }
}

/* What this open gave was all. Nothing new in it: that was an attempt for nothing. */
static void next_gap(struct kedge_pull *pull)
{
    const bool brought = pull->stage->received > pull->received;

    close_source(pull);
    if (brought && !is_whole(pull)) {
        open_gap(pull);
        return;
    }
    if (!brought) {
        say(pull, "the source gives nothing that is missing");
    }
    attempt(pull);
}

/* A whole chunk is assembled. One that is damaged stays missing and is asked for again. */
static void put(struct kedge_pull *pull, uint32_t index, uint32_t size)
{
    uint8_t check[KEDGE_DIGEST_MAX];
    const uint8_t check_size = pull->manifest.check_size;
    const int error = check_size > 0 ? pull->source->check(pull->source->ctx, index, check) : 0;

    if (error != 0) {
        fail(pull, error);
        return;
    }
    const int status =
        kedge_stage_put(pull->stage, index * pull->manifest.chunk,
                        kedge_bytes(pull->chunk.at, size), kedge_bytes(check, check_size));

    if (status != KEDGE_STAGE_OK && status != KEDGE_STAGE_BAD_CHECK) {
        stop(pull, KEDGE_PULL_STOPPED, pull->stage->agent->detail);
    }
}

/* Take bytes of one chunk; how many. The start of a chunk that was not seen is no use. */
static size_t take(struct kedge_pull *pull, struct kedge_bytes data)
{
    const uint32_t chunk = pull->manifest.chunk;
    const uint32_t index = pull->at / chunk;
    const uint32_t inside = pull->at % chunk;
    const uint32_t size = kedge_stage_chunk_size(pull->stage, index);
    const size_t n = data.size < size - inside ? data.size : size - inside;

    if (inside == 0) {
        pull->have = 0;
    }
    if (pull->have == inside) {
        memcpy(pull->chunk.at + inside, data.at, n);
        pull->have += (uint32_t)n;
    }
    pull->at += (uint32_t)n;
    if (pull->have == size && inside + n == size &&
        kedge_stage_next_missing(pull->stage, index) == index) {
        put(pull, index, size);
    }
    return n;
}

static void take_piece(struct kedge_pull *pull, struct kedge_pull_piece piece)
{
    if (piece.at != pull->at) {
        pull->at = piece.at;
        pull->have = UINT32_MAX; /* of no chunk */
    }
    while (piece.data.size > 0 && pull->open) {
        if (pull->at >= pull->manifest.size) {
            close_source(pull);
            say(pull, "the source gives more than the file's size");
            attempt(pull);
            return;
        }
        const size_t n = take(pull, piece.data);

        piece.data = kedge_bytes(piece.data.at + n, piece.data.size - n);
    }
}

static bool fetch(struct kedge_pull *pull)
{
    struct kedge_pull_piece piece;
    const int answer = pull->source->poll(pull->source->ctx, &piece);

    switch (answer) {
    case KEDGE_PULL_NOTHING:
        return false;
    case KEDGE_PULL_PIECE:
        take_piece(pull, piece);
        break;
    case KEDGE_PULL_END:
        next_gap(pull);
        break;
    default:
        fail(pull, answer);
        break;
    }
    return true;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static bool watch_decoding(struct kedge_pull *pull)
{
    struct kedge_stage *const stage = pull->stage;

    if (kedge_stage_step(stage)) {
        return true;
    }
    switch (stage->state) {
    case KEDGE_STAGE_DECODED:
        pull->state = KEDGE_PULL_DONE;
        break;
    case KEDGE_STAGE_SPOILT:
        kedge_pull_start(pull); /* fetched once more, a few times */
        break;
    default:
        stop(pull, KEDGE_PULL_STOPPED, stage->reason);
        break;
    }
    return true;
}

bool kedge_pull_step(struct kedge_pull *pull)
{
    if (pull->state <= KEDGE_PULL_DECODING && !is_mine(pull)) {
        stop(pull, KEDGE_PULL_STOPPED, "the staged file was aborted");
        return true;
    }
    switch (pull->state) {
    case KEDGE_PULL_WAITING:
        if (now_ms(pull) - pull->since_ms < pull->wait_ms) {
            return false;
        }
        open_gap(pull);
        return true;
    case KEDGE_PULL_FETCHING:
        return fetch(pull);
    case KEDGE_PULL_DECODING:
        return watch_decoding(pull);
    default:
        return false;
    }
}
