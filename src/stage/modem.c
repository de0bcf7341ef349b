/* A dialogue of commands and answers, one step after the other: what a step sends, what has to
 * come, how long it may take, and where it goes from there. */
#include "kedge/stage_modem.h"

#include <string.h>

#define QUIET_MS     120u /* so long nothing: what was under way is over */
#define SETTLE_MS    5000u
#define SILENCE_MS   1500u
#define ATTENTIONS   12u /* one that waits for a URL since before our reset waits for 5 s */
#define RETRIES      3u
#define URL_MAX      700u
#define FILE_MAX     40u
#define COMMAND_MAX  96u
#define READS_A_POLL 32u

enum step {
    IDLE,
    SETTLE, /* nothing is sent: what an earlier dialogue left comes to its end */
    ATTENTION,
    SETUP,
    OPEN_FILES, /* ours may be open since before our own reset */
    CLOSE_OLD,
    ADDRESS,
    ADDRESS_TEXT,
    GET,
    SAVE,
    OPEN,
    SEEK,
    READ,
    CLOSE,
    OVER
};

/* What ends a step besides OK, and what else is special about it. */
enum { CONNECTS = 1, MAY_FAIL = 2, TOLD_LATER = 4 };

static const struct {
    const char *command; /* its name, also for words */
    const char *tells;   /* this line has to come as well, with numbers; NULL: none has to */
    uint32_t patience_ms;
    uint8_t flags; /* TOLD_LATER: that line counts behind OK only, an older one may be on its way */
} rules[] = {
    [ATTENTION] = {"AT", NULL, 500, 0},
    [SETUP] = {"the set-up", NULL, 150000, MAY_FAIL}, /* AT+QIACT may take 150 s */
    [OPEN_FILES] = {"AT+QFOPEN?", NULL, 5000, MAY_FAIL},
    [CLOSE_OLD] = {"AT+QFCLOSE", NULL, 5000, MAY_FAIL},
    [ADDRESS] = {"AT+QHTTPURL", NULL, 5000, CONNECTS},
    [ADDRESS_TEXT] = {"the URL", NULL, 10000, 0},
    [GET] = {"AT+QHTTPGET", "+QHTTPGET:", 90000, TOLD_LATER},
    [SAVE] = {"AT+QHTTPREADFILE", "+QHTTPREADFILE:", 90000, TOLD_LATER},
    [OPEN] = {"AT+QFOPEN", "+QFOPEN:", 5000, 0},
    [SEEK] = {"AT+QFSEEK", NULL, 5000, 0},
    [READ] = {"AT+QFREAD", NULL, 5000, CONNECTS},
    [CLOSE] = {"AT+QFCLOSE", NULL, 5000, MAY_FAIL},
};

static uint32_t now_ms(const struct kedge_modem *modem)
{
    return modem->line->now_ms(modem->line->ctx);
}

/* ---- text ------------------------------------------------------------------------------------ */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Decimal numbers, commas and blanks between them; where something else stands, they end. */
static uint8_t read_numbers(const char *text, uint32_t *numbers, uint8_t most)
{
    uint8_t count = 0;

    while (count < most) {
        uint32_t value = 0;

        while (*text == ' ' || *text == ',') {
            text++;
        }
        if (*text < '0' || *text > '9') {
            break;
        }
        for (; *text >= '0' && *text <= '9'; text++) {
            const uint32_t digit = (uint32_t)(*text - '0');

            value = value <= (UINT32_MAX - digit) / 10u ? value * 10u + digit : UINT32_MAX;
        }
        numbers[count++] = value;
    }
    return count;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Words of a failure; the dialogue is over. */
static int fail(struct kedge_modem *modem, int error, const char *words, const char *more)
{
    struct kedge_text reason = {modem->reason, 0, sizeof(modem->reason)};

    kedge_text_put(&reason, words);
    kedge_text_put(&reason, more);
    modem->step = IDLE;
    return error;
}

static int fail_number(struct kedge_modem *modem, int error, const char *words, uint32_t number)
{
    struct kedge_text reason = {modem->reason, 0, sizeof(modem->reason)};

    kedge_text_put(&reason, words);
    kedge_text_number(&reason, number, 10);
    modem->step = IDLE;
    return error;
}

static bool is_whole_wanted(const struct kedge_modem *modem)
{
    return modem->end == 0;
}

/* The command of the step at hand, without its line's end. */
static void compose(const struct kedge_modem *modem, struct kedge_text *to)
{
    kedge_text_put(to, modem->step == SETUP ? modem->setup[modem->setup_at]
                                            : rules[modem->step].command);
    switch (modem->step) {
    case ADDRESS:
        kedge_text_put(to, "=");
        kedge_text_number(to, (uint32_t)strlen(modem->url), 10);
        kedge_text_put(to, ",5"); /* seconds that it waits for the URL itself */
        break;
    case GET:
        kedge_text_put(to, is_whole_wanted(modem) ? "=80" : "EX=80,");
        if (!is_whole_wanted(modem)) {
            kedge_text_number(to, modem->at, 10);
            kedge_text_put(to, ",");
            kedge_text_number(to, kedge_least(modem->part, modem->end - modem->at), 10);
        }
        break;
    case SAVE:
    case OPEN:
        kedge_text_put(to, "=\"");
        kedge_text_put(to, modem->file);
        kedge_text_put(to, modem->step == SAVE ? "\",80" : "\",2"); /* 2: to be read only */
        break;
    case SEEK:
        kedge_text_put(to, "=");
        kedge_text_number(to, modem->handle, 10);
        kedge_text_put(to, ",");
        kedge_text_number(to, modem->at - modem->part_at, 10);
        kedge_text_put(to, ",0"); /* from its start */
        break;
    case READ:
        kedge_text_put(to, "=");
        kedge_text_number(to, modem->handle, 10);
        kedge_text_put(to, ",");
        kedge_text_number(to, kedge_least(KEDGE_MODEM_PIECE, modem->part_end - modem->at), 10);
        break;
    case CLOSE_OLD:
    case CLOSE:
        kedge_text_put(to, "=");
        kedge_text_number(to, modem->handle, 10);
        break;
    default:
        break;
    }
}

/* Go on with a step: its command goes out. */
static int enter(struct kedge_modem *modem, uint8_t step)
{
    char command[COMMAND_MAX];
    struct kedge_text to = {command, 0, sizeof(command)};
    const struct kedge_modem_line *const line = modem->line;

    modem->step = step;
    modem->ok = modem->told = modem->connected = false;
    modem->filled = modem->asked = 0;
    modem->number_count = 0;
    modem->since_ms = modem->heard_ms = now_ms(modem);
    if (step == SETTLE || step == OVER) {
        modem->text_size = 0;
        return 0;
    }
    struct kedge_bytes out = kedge_bytes(modem->url, strlen(modem->url));

    if (step != ADDRESS_TEXT) { /* which has no line's end: the modem counts */
        compose(modem, &to);
        kedge_text_put(&to, "\r");
        out = kedge_bytes(command, to.size);
    }
    return line->write(line->ctx, out)
               ? 0
               : fail(modem, KEDGE_E_IO, "the line to the modem is gone", "");
}

/* What the server answered, as the modem tells it: error, status, length. */
static int judge_answer(struct kedge_modem *modem)
{
    const uint32_t *const n = modem->numbers;
    const uint32_t wanted =
        is_whole_wanted(modem) ? 0 : kedge_least(modem->part, modem->end - modem->at);

    if (modem->number_count == 0 || (n[0] == 0 && modem->number_count < 2)) {
        return fail(modem, KEDGE_E_FORMAT, "the modem does not tell how AT+QHTTPGET ended", "");
    }
    if (n[0] != 0) {
        return fail_number(modem, KEDGE_E_IO, "the modem says HTTP error ", n[0]);
    }
    const int error = kedge_pull_status(n[1]);
    const uint32_t length = modem->number_count > 2 ? n[2] : 0;

    if (error != 0) {
        return fail_number(modem, error, "the server says HTTP ", n[1]);
    }
    if (n[1] == 206) {
        modem->part_at = modem->at;
        modem->part_end = modem->at + wanted;
        return wanted != 0 && (length == 0 || length == wanted)
                   ? 0
                   : fail(modem, KEDGE_E_FORMAT, "the server answers with another range", "");
    }
    /* the file from its start */
    modem->part_at = 0;
    if (is_whole_wanted(modem)) {
        modem->end = length;
    }
    modem->part_end = modem->end;
    if (length == 0 && modem->end == 0) {
        return fail(modem, KEDGE_E_FORMAT, "the server does not tell the file's size", "");
    }
    return length == 0 || length >= modem->end
               ? 0
               : fail(modem, KEDGE_E_STATE, "the file has another size on the server", "");
}

static int after_setup(struct kedge_modem *modem)
{
    if (!modem->set_up && modem->setup != NULL && modem->setup[modem->setup_at] != NULL) {
        return enter(modem, SETUP);
    }
    modem->set_up = true;
    return enter(modem, OPEN_FILES);
}

/* The step at hand came to its end as it should. */
static int leave(struct kedge_modem *modem)
{
    int error;

    switch (modem->step) {
    case ATTENTION:
        return modem->reading_on ? enter(modem, SEEK) : after_setup(modem);
    case SETUP:
        modem->setup_at++;
        return after_setup(modem);
    case OPEN_FILES:
        return enter(modem, modem->number_count > 0 ? CLOSE_OLD : ADDRESS);
    case GET:
        error = judge_answer(modem);
        return error != 0 ? error : enter(modem, SAVE);
    case SAVE:
        return modem->number_count > 0 && modem->numbers[0] == 0
                   ? enter(modem, OPEN)
                   : fail_number(modem, KEDGE_E_IO, "the modem cannot keep the file: error ",
                                 modem->numbers[0]);
    case OPEN:
        modem->handle = modem->numbers[0];
        if (modem->number_count == 0) {
            return fail(modem, KEDGE_E_FORMAT, "the modem opens a file without a handle", "");
        }
        return enter(modem, modem->at > modem->part_at ? SEEK : READ);
    case CLOSE:
        return enter(modem, modem->at < modem->end ? GET : OVER);
    default: /* CLOSE_OLD, ADDRESS, ADDRESS_TEXT, SEEK go to the next one */
        return enter(modem, (uint8_t)(modem->step + 1u));
    }
}

/* It did not: a read is tried again from where it was, without asking the server. */
static int complain(struct kedge_modem *modem, int error, const char *words)
{
    const uint8_t step = modem->step;

    if ((rules[step].flags & MAY_FAIL) != 0) {
        return leave(modem);
    }
    if (step == ATTENTION && ++modem->tries < ATTENTIONS) {
        return enter(modem, ATTENTION);
    }
    if ((step == READ || step == SEEK) && modem->retries < RETRIES) {
        modem->retries++;
        modem->reading_on = true;
        modem->tries = 0;
        return enter(modem, SETTLE);
    }
    return fail(modem, error, words, rules[step].command);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static int take_connect(struct kedge_modem *modem, const char *length)
{
    modem->connected = true;
    if (modem->step == ADDRESS) {
        return 0;
    }
    if (read_numbers(length, &modem->asked, 1) == 0 || modem->asked == 0 ||
        modem->asked > kedge_least(KEDGE_MODEM_PIECE, modem->part_end - modem->at)) {
        modem->asked = 0;
        return complain(modem, KEDGE_E_FORMAT, "the modem gives another length for ");
    }
    return 0;
}

/* "+QFOPEN: "NAME",HANDLE,MODE" among the files that are open: is it ours? */
static void take_open_file(struct kedge_modem *modem, const char *text)
{
    const size_t name = strlen(modem->file);

    if (begins(text, "+QFOPEN: \"") && begins(text + 10, modem->file) && text[10 + name] == '"') {
        modem->number_count = read_numbers(text + 11 + name, &modem->handle, 1);
    }
}

static bool is_refusal(const char *text)
{
    return strcmp(text, "ERROR") == 0 || begins(text, "+CME ERROR") ||
           strcmp(text, "NO CARRIER") == 0;
}

static bool is_start(const char *text)
{
    return strcmp(text, "RDY") == 0 || strcmp(text, "POWERED DOWN") == 0;
}

/* A line of the modem is whole. Echoes and news that nobody asked for mean nothing. */
static int take_line(struct kedge_modem *modem)
{
    const char *const text = modem->text;
    const uint8_t flags = rules[modem->step].flags;
    const char *const tells = rules[modem->step].tells;

    if (strcmp(text, "OK") == 0) {
        modem->ok = true;
        return 0;
    }
    if (is_refusal(text)) {
        return complain(modem, KEDGE_E_IO, "the modem refuses ");
    }
    if (is_start(text)) {
        modem->set_up = false;
        return fail(modem, KEDGE_E_IO, "the modem has started anew", "");
    }
    if (modem->step == READ && modem->connected) {
        return complain(modem, KEDGE_E_FORMAT, "the modem gives more than it said for ");
    }
    if (begins(text, "CONNECT") && (flags & CONNECTS) != 0) {
        return take_connect(modem, text + 7);
    }
    if (modem->step == OPEN_FILES) {
        take_open_file(modem, text);
    } else if (tells != NULL && begins(text, tells) && ((flags & TOLD_LATER) == 0 || modem->ok)) {
        modem->told = true;
        modem->number_count = read_numbers(text + strlen(tells), modem->numbers, 3);
    }
    return 0;
}

static int take_byte(struct kedge_modem *modem, uint8_t byte)
{
    if (byte != '\n' && byte != '\r') {
        if (modem->text_size + 1u < sizeof(modem->text)) {
            modem->text[modem->text_size++] = (char)byte;
        }
        return 0;
    }
    const bool empty = modem->text_size == 0;

    modem->text[modem->text_size] = '\0';
    modem->text_size = 0;
    return empty ? 0 : take_line(modem);
}

static bool is_data(const struct kedge_modem *modem)
{
    return modem->step == READ && modem->connected && modem->filled < modem->asked;
}

/* Has what the step waits for come? */
static bool is_done(const struct kedge_modem *modem)
{
    switch (modem->step) {
    case IDLE:
    case SETTLE:
    case OVER:
        return false;
    case ADDRESS:
        return modem->connected;
    case READ:
        return modem->ok && modem->connected && modem->filled == modem->asked;
    default:
        return modem->ok && (rules[modem->step].tells == NULL || modem->told);
    }
}

/* In the middle of data a line's end is data; the LF behind CONNECT's CR is not. */
static int take(struct kedge_modem *modem, struct kedge_bytes in)
{
    int error = 0;

    for (size_t i = 0; i < in.size && error == 0 && modem->step != OVER; i++) {
        const uint8_t byte = in.at[i];

        if (!is_data(modem)) {
            error = modem->step == SETTLE ? 0 : take_byte(modem, byte);
            modem->closed = is_data(modem) && byte == '\r';
        } else if (modem->closed && byte == '\n') {
            modem->closed = false;
        } else {
            modem->closed = false;
            modem->piece[modem->filled++] = byte;
        }
    }
    return error;
}

/* ---- the source ------------------------------------------------------------------------------ */

static int modem_open(void *ctx, uint32_t at, uint32_t size)
{
    struct kedge_modem *const modem = ctx;

    if (strlen(modem->url) > URL_MAX || strlen(modem->file) > FILE_MAX || modem->part == 0) {
        return fail(modem, KEDGE_E_REFUSED, "the modem's URL or file name is too long", "");
    }
    modem->at = at;
    modem->end = size == 0 ? 0 : at + size;
    modem->part_end = 0;
    modem->setup_at = 0;
    modem->tries = modem->retries = 0;
    modem->reading_on = modem->given = false;
    return enter(modem, SETTLE);
}

/* The piece that went out was taken: only now comes the next one, nothing has to be kept of it. */
static int go_on(struct kedge_modem *modem)
{
    modem->given = false;
    modem->at += modem->filled;
    modem->retries = 0;
    return enter(modem, modem->at < modem->part_end ? READ : CLOSE);
}

/* Is what the step waits for overdue? */
static int wait(struct kedge_modem *modem)
{
    /* of data that does not go on: silence since its last byte */
    const bool broken = modem->step == READ && modem->connected;
    const uint32_t waited = now_ms(modem) - (broken ? modem->heard_ms : modem->since_ms);

    if (modem->step == SETTLE) {
        return now_ms(modem) - modem->heard_ms < QUIET_MS && waited < SETTLE_MS
                   ? 0
                   : enter(modem, ATTENTION);
    }
    return modem->step == OVER || waited < (broken ? SILENCE_MS : rules[modem->step].patience_ms)
               ? 0
               : complain(modem, KEDGE_E_IO, "the modem does not answer ");
}

/* Some of what came; KEDGE_PULL_PIECE when it made a piece whole. */
static int receive(struct kedge_modem *modem, struct kedge_bytes in)
{
    const int error = take(modem, in);

    modem->heard_ms = now_ms(modem);
    if (error != 0 || !is_done(modem)) {
        return error;
    }
    modem->given = modem->step == READ;
    return modem->given ? KEDGE_PULL_PIECE : leave(modem);
}

static int modem_poll(void *ctx, struct kedge_pull_piece *piece)
{
    struct kedge_modem *const modem = ctx;
    const struct kedge_modem_line *const line = modem->line;
    uint8_t in[64];
    size_t got = 1;
    int result = modem->given ? go_on(modem) : 0;

    if (modem->step == IDLE) {
        return KEDGE_E_IO;
    }
    for (unsigned n = 0; n < READS_A_POLL && result == 0 && got > 0 && modem->step != OVER; n++) {
        got = line->read(line->ctx, kedge_buf(in, sizeof(in)));
        result = got > 0 ? receive(modem, kedge_bytes(in, got)) : 0;
    }
    if (result == KEDGE_PULL_PIECE) {
        *piece = (struct kedge_pull_piece){modem->at, kedge_bytes(modem->piece, modem->filled)};
        return result;
    }
    result = result != 0 ? result : wait(modem);
    return result == 0 && modem->step == OVER ? KEDGE_PULL_END : result;
}

static void modem_close(void *ctx)
{
    struct kedge_modem *const modem = ctx;

    modem->step = IDLE;
}

static const char *modem_reason(void *ctx)
{
    const struct kedge_modem *const modem = ctx;

    return modem->reason;
}

struct kedge_pull_source kedge_modem_source(struct kedge_modem *modem)
{
    return (struct kedge_pull_source){modem_open, modem_poll,   modem_close,
                                      NULL,       modem_reason, modem};
}
