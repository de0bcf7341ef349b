/* A file in an envelope (pipe.h): what the client sends goes in, what comes out goes to the slot.
 *
 *   LOOKS   the pipe is fed until the image's header has come out. Nothing is touched: a file for
 *           another device, or a patch for another image, costs nothing that was good.
 *   PIPED   output is pulled only as far as it can be written: up to the next sector to be erased.
 *           The transforms hold the rest; nothing is stored in between.
 *
 * A resume after a reset: the client sends the file's head again, the transforms seek to the last
 * border before what is marked, the client is told to jump. Where one cannot, all output comes
 * again, and what lies in the slot is compared instead of written. */
#include <string.h>

#include "agent/checked.h"
#include "agent/mailbox.h"
#include "agent/session.h"
#include "kedge/cipher.h"

/* Output of one call, in sectors: with sectors erased ahead one chunk could become a whole image.
 */
#define SECTORS_A_CALL 2u
#define PIECE          256u

/* ---- what transforms may read ---------------------------------------------------------------- */

static int read_running(void *ctx, uint32_t at, struct kedge_buf to)
{
    struct kedge_agent *const agent = ctx;

    return at > agent->transforms.old.size || to.size > agent->transforms.old.size - at
               ? KEDGE_E_BOUNDS
               : kedge_slot_read(&kedge_agent_pair(agent)->primary, 0, at, to);
}

/* One byte run of what came out so far, from wherever it is: still held back, or in the slot. */
static int read_run(struct kedge_agent *agent, uint32_t at, struct kedge_buf to, size_t *size)
{
    const struct kedge_upload *const upload = &agent->upload;
    const uint32_t end = kedge_upload_data_end(agent, upload->length);
    const uint32_t written = (upload->at < end ? upload->at : end) - upload->pending_size;
    const uint32_t tail = upload->length - kedge_upload_tail_size(agent);
    const uint8_t *from = NULL;
    uint32_t next = written;

    if (at < KEDGE_UPLOAD_HEAD) {
        from = upload->head + at;
        next = KEDGE_UPLOAD_HEAD;
    } else if (at >= written && at < end) {
        from = upload->pending + (at - written);
        next = end;
    } else if (at >= end) {
        from = at < tail ? NULL : upload->tail + (at - tail);
        next = at < tail ? tail : upload->length;
    }
    *size = kedge_least((uint32_t)to.size, next - at);
    if (from != NULL) {
        memcpy(to.at, from, *size);
    } else if (at >= end) {
        memset(to.at, kedge_agent_geometry(agent)->erased, *size);
    } else {
        return kedge_checked_read(&kedge_agent_secondary(agent)->region, at,
                                  kedge_buf(to.at, *size));
    }
    return 0;
}

static int read_output(void *ctx, uint32_t at, struct kedge_buf to)
{
    struct kedge_agent *const agent = ctx;
    int error = 0;

    if (at > agent->upload.at || to.size > agent->upload.at - at) {
        return KEDGE_E_BOUNDS;
    }
    while (to.size > 0 && error == 0) {
        size_t n = 0;

        error = read_run(agent, at, to, &n);
        at += (uint32_t)n;
        to = kedge_buf(to.at + n, to.size - n);
    }
    return error;
}

void kedge_wrapped_start(struct kedge_agent *agent)
{
    agent->transforms = (struct kedge_pipe_config){
        .kinds = agent->config->kinds,
        .kind_count = agent->config->kind_count,
        .memory = agent->config->pipe_memory,
        .old = {.read = read_running, .ctx = agent},
        .out = {.read = read_output, .ctx = agent, .size = kedge_agent_slot_size(agent)},
    };
}

/* The running image as it lies, TLVs included. */
static void find_running(struct kedge_agent *agent)
{
    const struct kedge_slot_view view = {.slot = &kedge_agent_pair(agent)->primary};
    const struct kedge_source source = kedge_slot_source(&view);
    struct kedge_image image;

    agent->transforms.old.size =
        kedge_image_parse(&source, &image) == KEDGE_IMAGE_GOOD ? image.size : 0;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static enum kedge_agent_status status_of(int error)
{
    switch (error) {
    case KEDGE_E_KEY:
    case KEDGE_E_NONE:
    case KEDGE_E_REFUSED:
        return KEDGE_AGENT_DENIED;
    case KEDGE_E_SPACE:
        return KEDGE_AGENT_TOO_LARGE;
    case KEDGE_E_HASH:
    case KEDGE_E_SIGNATURE:
        return KEDGE_AGENT_INVALID_HASH;
    case KEDGE_E_FORMAT:
    case KEDGE_E_SOURCE:
    case KEDGE_E_UNSUPPORTED:
        return KEDGE_AGENT_INVALID_HEADER;
    default:
        return KEDGE_AGENT_READ_FAILED;
    }
}

void kedge_wrapped_forget(struct kedge_agent *agent)
{
    agent->upload = (struct kedge_upload){0};
    kedge_wipe(agent->transforms.memory.at, agent->transforms.memory.size);
}

static int refuse(struct kedge_agent *agent, enum kedge_agent_status status, const char *words)
{
    const int result = kedge_agent_refuse(agent, status, words);

    kedge_wrapped_forget(agent);
    return result;
}

static int refuse_error(struct kedge_agent *agent, int error)
{
    return refuse(agent, status_of(error), kedge_pipe_reason(agent->config->pipe, error));
}

/* ---- until the image's header is there ------------------------------------------------------- */

bool kedge_wrapped_is(const struct kedge_agent *agent, struct kedge_bytes data)
{
    return agent->config->kind_count > 0 &&
           (kedge_le32(data.at + 16) & KEDGE_IMAGE_NON_BOOTABLE) != 0 &&
           (data.size < KEDGE_ENVELOPE_HEAD ||
            kedge_pipe_find(&agent->transforms, data.at) != NULL);
}

/* Its header is out: may it come? Then the slot is its own from here on. */
static int admit(struct kedge_agent *agent, bool *may_erase)
{
    struct kedge_upload *const upload = &agent->upload;
    struct kedge_pipe *const pipe = agent->config->pipe;
    int status;

    upload->depth = (uint8_t)kedge_pipe_depth(pipe);
    upload->length = upload->depth == 0 ? upload->size : kedge_pipe_size(pipe);
    if (kedge_le32(upload->head) != KEDGE_IMAGE_MAGIC || upload->length <= KEDGE_UPLOAD_HEAD) {
        return refuse(agent, KEDGE_AGENT_INVALID_MAGIC, "there is no signed image in the file");
    }
    status = kedge_upload_admit(agent, upload->head, upload->length, upload->upgrade);
    if (status == KEDGE_AGENT_OK) {
        *may_erase = false;
        upload->way = KEDGE_UPLOAD_PIPED;
        upload->erased_to = upload->same_to;
        return kedge_upload_record(agent, upload->same_to / kedge_agent_sector(agent));
    }
    kedge_wrapped_forget(agent);
    return status;
}

/* Go on behind what a reset left. *jumped: `off` is another one now. */
static int resume(struct kedge_agent *agent, bool *jumped)
{
    struct kedge_upload *const upload = &agent->upload;
    uint32_t out = upload->same_to;
    uint32_t in = 0;
    const int error = kedge_pipe_seek(agent->config->pipe, upload->depth, &out, &in);

    switch (error) {
    case KEDGE_E_STATE:
        return KEDGE_AGENT_OK;
    case KEDGE_E_UNSUPPORTED:
        upload->depth = 0; /* all output comes again */
        return KEDGE_AGENT_OK;
    case 0:
        break;
    default:
        return refuse_error(agent, error);
    }
    if (in >= upload->size || (out > 0 && out < KEDGE_UPLOAD_HEAD)) {
        return refuse(agent, KEDGE_AGENT_INVALID_HEADER, "the file is shorter than it says");
    }
    upload->depth = 0;
    upload->at = out; /* the header in front of it is the record's */
    upload->off = in;
    *jumped = true;
    return KEDGE_AGENT_OK;
}

static int look(struct kedge_agent *agent, bool *may_erase, bool *jumped)
{
    struct kedge_upload *const upload = &agent->upload;
    size_t given = 1;
    int status = KEDGE_AGENT_OK;

    if (upload->depth > 0) {
        status = resume(agent, jumped);
        if (status != KEDGE_AGENT_OK || upload->depth > 0) {
            return status;
        }
    }
    while (upload->at < KEDGE_UPLOAD_HEAD && given > 0) {
        const int error = kedge_pipe_pull(
            agent->config->pipe,
            kedge_buf(upload->head + upload->at, KEDGE_UPLOAD_HEAD - upload->at), &given);

        if (error != 0) {
            return refuse_error(agent, error);
        }
        upload->at += (uint32_t)given;
    }
    return upload->at < KEDGE_UPLOAD_HEAD ? KEDGE_AGENT_OK : admit(agent, may_erase);
}

/* ---- output into the slot -------------------------------------------------------------------- */

/* What a reset left must be what comes now; if it is not, nothing of it may be resumed again. */
static int compare(struct kedge_agent *agent, struct kedge_bytes data)
{
    struct kedge_upload *const upload = &agent->upload;
    uint8_t there[PIECE];
    bool same = false;

    for (unsigned i = 0; i < KEDGE_CHECKED_TRIES && !same; i++) {
        same = kedge_checked_read(&kedge_agent_secondary(agent)->region, upload->at,
                                  kedge_buf(there, data.size)) == 0 &&
               memcmp(there, data.at, data.size) == 0;
    }
    if (!same) {
        (void)kedge_mailbox_erase(agent);
        return refuse(agent, KEDGE_AGENT_WRITE_FAILED,
                      "the slot does not hold what came before the reset: upload again");
    }
    upload->at += (uint32_t)data.size;
    return KEDGE_AGENT_OK;
}

/* Bytes that may come out now. Erases for them, once a call. */
static int make_room(struct kedge_agent *agent, bool *may_erase, uint32_t *room)
{
    const struct kedge_upload *const upload = &agent->upload;
    int status = KEDGE_AGENT_OK;

    while (upload->at >= kedge_upload_limit(agent) && kedge_upload_unprepared(agent) &&
           *may_erase && status == KEDGE_AGENT_OK) {
        bool erased = false;

        status = kedge_upload_prepare(agent, &erased);
        *may_erase = !erased;
    }
    /* the header, held back, is ahead of the first sector's erase */
    const uint32_t limit = status == KEDGE_AGENT_OK ? kedge_upload_limit(agent) : 0;

    *room = limit > upload->at ? limit - upload->at : 0;
    if (upload->at < upload->same_to) {
        *room = kedge_least(*room, upload->same_to - upload->at);
    }
    return status;
}

static int pull_and_put(struct kedge_agent *agent, bool *may_erase, uint32_t *budget, bool *waits)
{
    struct kedge_upload *const upload = &agent->upload;
    size_t given = 1;
    int status = KEDGE_AGENT_OK;

    *waits = false;
    while (given > 0 && status == KEDGE_AGENT_OK) {
        const bool over = upload->at == upload->length;
        uint8_t out[PIECE];
        uint32_t room = 1; /* behind the end: to see that nothing comes */

        if (!over) {
            status = make_room(agent, may_erase, &room);
            room = kedge_least(room, *budget);
        }
        if (status != KEDGE_AGENT_OK || room == 0) {
            *waits = status == KEDGE_AGENT_OK;
            break;
        }
        const int error =
            kedge_pipe_pull(agent->config->pipe, kedge_buf(out, kedge_least(room, PIECE)), &given);
        if (error != 0) {
            return refuse_error(agent, error);
        }
        if (over && given > 0) {
            return refuse(agent, KEDGE_AGENT_OVERRUN, "more came out of the file than it told");
        }
        *budget -= (uint32_t)given;
        const uint32_t from = upload->at;

        status = upload->at < upload->same_to
                     ? compare(agent, kedge_bytes(out, given))
                     : kedge_upload_put(agent, kedge_bytes(out, given), may_erase);
        KEDGE_ASSERT(status != KEDGE_AGENT_OK || upload->at == from + given);
    }
    return status;
}

/* *waits: output may be waiting for the next call. */
static int drain(struct kedge_agent *agent, bool *may_erase, uint32_t *budget, bool *waits)
{
    const uint8_t before = kedge_agent_enter(agent, KEDGE_PHASE_DECODE);
    const int status = pull_and_put(agent, may_erase, budget, waits);

    (void)kedge_agent_enter(agent, before);
    return status;
}

/* All is in: may the client be told? */
static bool is_over(const struct kedge_agent *agent)
{
    const struct kedge_upload *const upload = &agent->upload;

    return upload->way == KEDGE_UPLOAD_PIPED && upload->at == upload->length &&
           !kedge_upload_unprepared(agent);
}

/* Feed the first bytes of *data; what the client sends next is behind them. While output `waits`
 * the transform takes what it can hold, and of what follows the payload a call takes one byte: the
 * client sees it move, however much a few bytes become. */
static int push(struct kedge_agent *agent, struct kedge_bytes *data, bool waits)
{
    struct kedge_upload *const upload = &agent->upload;
    const uint32_t payload = kedge_pipe_payload_left(agent->config->pipe);
    const size_t most = !waits || data->size <= payload ? data->size : payload == 0 ? 1 : payload;
    size_t taken = 0;
    const int error = kedge_pipe_push(agent->config->pipe, kedge_bytes(data->at, most), &taken);

    if (error != 0) {
        return refuse_error(agent, error);
    }
    if (taken == 0 && !waits) {
        return refuse(agent, KEDGE_AGENT_INVALID_HEADER, "the file goes on behind its end");
    }
    upload->off += (uint32_t)taken;
    *data = taken == 0 || (waits && payload == 0)
                ? kedge_bytes(data->at, 0)
                : kedge_bytes(data->at + taken, data->size - taken);
    return KEDGE_AGENT_OK;
}

/* The pipe has the whole file. The client is told so when the slot has it too; its last byte stays
 * to be sent until then. */
static int end_of_file(struct kedge_agent *agent, bool waits)
{
    struct kedge_upload *const upload = &agent->upload;

    upload->all_in = !is_over(agent);
    upload->off = upload->size - (upload->all_in ? 1u : 0u);
    if (!upload->all_in || waits) {
        return KEDGE_AGENT_OK;
    }
    const int error = kedge_pipe_finish(agent->config->pipe);

    return error != 0 ? refuse_error(agent, error)
                      : refuse(agent, KEDGE_AGENT_INVALID_HEADER,
                               "less came out of the file than it told");
}

int kedge_wrapped_take(struct kedge_agent *agent, struct kedge_bytes data)
{
    struct kedge_upload *const upload = &agent->upload;
    uint32_t budget = SECTORS_A_CALL * kedge_agent_sector(agent);
    bool may_erase = true;
    bool jumped = false;
    bool waits = false;
    int status = KEDGE_AGENT_OK;

    if (upload->all_in) {
        data.size = 0;
    }
    while (status == KEDGE_AGENT_OK) {
        if (upload->way == KEDGE_UPLOAD_LOOKS) {
            status = look(agent, &may_erase, &jumped);
        }
        if (status == KEDGE_AGENT_OK && upload->way == KEDGE_UPLOAD_PIPED && !jumped) {
            status = drain(agent, &may_erase, &budget, &waits);
        }
        if (status != KEDGE_AGENT_OK || data.size == 0 || jumped) {
            break;
        }
        status = push(agent, &data, waits);
    }
    return status == KEDGE_AGENT_OK && (upload->off == upload->size || upload->all_in)
               ? end_of_file(agent, waits)
               : status;
}

int kedge_wrapped_open(struct kedge_agent *agent, struct kedge_bytes data)
{
    struct kedge_upload *const upload = &agent->upload;

    find_running(agent);
    upload->way = KEDGE_UPLOAD_LOOKS;
    upload->off = 0;
    upload->at = 0;
    upload->length = 0;
    kedge_pipe_start(agent->config->pipe, &agent->transforms);
    return kedge_wrapped_take(agent, data);
}

/* ---- the end --------------------------------------------------------------------------------- */

int kedge_wrapped_finish(struct kedge_agent *agent, bool *match)
{
    struct kedge_upload *const upload = &agent->upload;
    struct kedge_pipe *const pipe = agent->config->pipe;
    const int error = kedge_pipe_finish(pipe);
    uint8_t digest[KEDGE_SHA256_SIZE];
    int status;

    if (error != 0) {
        return refuse_error(agent, error);
    }
    *match = upload->sha_size == KEDGE_SHA256_SIZE;
    if (*match && kedge_pipe_digest(pipe, digest) &&
        !kedge_equal(digest, upload->sha, sizeof(digest))) {
        *match = false; /* as for a plain file the client says so; the slot offers nothing */
        return KEDGE_AGENT_OK;
    }
    upload->has_alias = kedge_pipe_envelope(pipe, upload->alias);
    status = kedge_upload_put_header(agent);
    if (status == KEDGE_AGENT_OK) {
        status = kedge_agent_check_secret(agent);
    }
    if (status == KEDGE_AGENT_OK) {
        status = kedge_agent_check_candidate(agent, 0);
    }
    if (status == KEDGE_AGENT_OK) {
        status = kedge_upload_complete(agent);
    }
    if (status != KEDGE_AGENT_OK) {
        kedge_wrapped_forget(agent);
    }
    return status;
}
