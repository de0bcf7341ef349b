#include "cellular.h"

#include <string.h>

static const char *const setup[] = {"ATE0", "AT+QHTTPCFG=\"contextid\",1", "AT+QIACT=1", NULL};

static int set_policy(struct cellular *c, const char *key, const char *value)
{
    return kedge_agent_policy_set(c->agent, kedge_bytes(key, strlen(key)),
                                  kedge_bytes(value, strlen(value)));
}

static void fail(struct cellular *c, const char *why)
{
    c->source.close(c->source.ctx);
    c->state = CELLULAR_FAILED;
    c->why = why;
}

/* The checks of the chunks lie behind the manifest's record. `ctx` is the modem, which lies in the
 * same struct. */
static int check_of(void *ctx, uint32_t index, uint8_t *check)
{
    const struct cellular *const c =
        (const struct cellular *)((const uint8_t *)ctx - offsetof(struct cellular, modem));

    memcpy(check, c->manifest + KEDGE_STAGE_RECORD + 4 * index, 4);
    return 0;
}

void cellular_start(struct cellular *c, struct kedge_agent *agent, struct kedge_stage *stage,
                    const struct kedge_modem_line *line, const char *url)
{
    memset(c, 0, sizeof(*c));
    c->agent = agent;
    c->stage = stage;
    c->modem = (struct kedge_modem){
        .line = line, .url = c->url, .file = "UFS:kedge.part", .setup = setup, .part = 65536};
    c->source = kedge_modem_source(&c->modem);
    c->source.check = check_of;
    if (strlen(url) > CELLULAR_URL) {
        fail(c, "the URL is too long");
        return;
    }
    strcat(strcpy(c->url, url), ".manifest");
    /* whatever is asked for waits until somebody says yes; kept over resets */
    if (set_policy(c, "hold", "on") != 0 || c->source.open(c->source.ctx, 0, 0) != 0) {
        fail(c, c->source.reason(c->source.ctx));
    }
}

/* All of the manifest is here: what is it, and do we have some of it? */
static void begin(struct cellular *c)
{
    struct kedge_manifest manifest;
    uint8_t rounds;

    c->source.close(c->source.ctx);
    if (c->manifest_size < KEDGE_STAGE_RECORD ||
        kedge_stage_record_parse(c->manifest, &manifest, &rounds) == 0 || manifest.chunk == 0 ||
        manifest.chunk > CELLULAR_CHUNK || manifest.check != KEDGE_STAGE_CHECK_CRC32 ||
        (c->manifest_size - KEDGE_STAGE_RECORD) / 4 < (manifest.size - 1) / manifest.chunk + 1) {
        fail(c, "this is no manifest of `kedge stage manifest`");
        return;
    }
    c->url[strlen(c->url) - strlen(".manifest")] = '\0';
    c->state = CELLULAR_DOWNLOADING;
    c->pull = (struct kedge_pull){.stage = c->stage,
                                  .source = &c->source,
                                  .manifest = manifest,
                                  .chunk = kedge_buf(c->chunk, sizeof(c->chunk)),
                                  .then = KEDGE_STAGE_THEN_TEST};
    kedge_pull_start(&c->pull);
}

static bool ask(struct cellular *c)
{
    struct kedge_pull_piece piece;
    const int answer = c->source.poll(c->source.ctx, &piece);

    if (answer == KEDGE_PULL_END) {
        begin(c);
    } else if (answer < 0) {
        fail(c, c->source.reason(c->source.ctx));
    } else if (answer == KEDGE_PULL_PIECE) {
        if (piece.at + piece.data.size > sizeof(c->manifest)) {
            fail(c, "the manifest is larger than expected");
            return true;
        }
        memcpy(c->manifest + piece.at, piece.data.at, piece.data.size);
        c->manifest_size = piece.at + (uint32_t)piece.data.size;
    }
    return answer != KEDGE_PULL_NOTHING;
}

bool cellular_step(struct cellular *c)
{
    if (c->state == CELLULAR_ASKING) {
        return ask(c);
    }
    if (c->state != CELLULAR_DOWNLOADING) {
        return false;
    }
    const bool did = kedge_pull_step(&c->pull);

    if (c->pull.state == KEDGE_PULL_DONE) {
        c->state = CELLULAR_WAITING;
    } else if (c->pull.state > KEDGE_PULL_DONE) {
        fail(c, c->pull.reason);
    }
    return did;
}

int cellular_install(struct cellular *c)
{
    return c->state == CELLULAR_WAITING ? set_policy(c, "hold", "off") : KEDGE_E_STATE;
}
