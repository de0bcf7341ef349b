/* Any bytes from a modem's serial line. What breaks in the field if it fails: a modem, or who sits
 * on its line, crashes the device, keeps it busy for ever, or gets bytes written outside a piece.
 * The first byte: how large the file is; then the line's bytes, where 0xFF is a pause of 100 ms and
 * 0xFE waits for the next command. */
#include <stdlib.h>
#include <string.h>

#include "kedge/stage_modem.h"

/* Polls are 500 ms apart here: all steps of a part take 370 s when nothing answers, and each piece
 * that comes, 12 bytes at least, allows three more tries of a read. */
#define POLLS_MAX(size) (4000u + 80u * (size))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    const uint8_t *at;
    size_t left;
    uint32_t now, commands, waited_for;
} far;

static size_t line_read(void *ctx, struct kedge_buf to)
{
    size_t n = 0;

    (void)ctx;
    while (n < to.size && far.left > 0) {
        const uint8_t byte = *far.at;

        if (byte == 0xFE && far.waited_for == far.commands) {
            break;
        }
        far.at++;
        far.left--;
        if (byte == 0xFF) {
            far.now += 100;
            break;
        }
        if (byte == 0xFE) {
            far.waited_for++;
            continue;
        }
        to.at[n++] = byte;
    }
    return n;
}

static bool line_write(void *ctx, struct kedge_bytes bytes)
{
    (void)ctx;
    if (bytes.size == 0 || bytes.size > 700) {
        abort();
    }
    far.commands++;
    return true;
}

static uint32_t line_ms(void *ctx)
{
    (void)ctx;
    return far.now;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const setup[] = {"AT+QIACT=1", NULL};
    static const struct kedge_modem_line line = {line_read, line_write, line_ms, NULL};
    static struct kedge_modem modem;

    if (size < 1) {
        return 0;
    }
    memset(&far, 0, sizeof(far));
    far.at = data + 1;
    far.left = size - 1;
    modem = (struct kedge_modem){
        .line = &line, .url = "http://a/b", .file = "UFS:f", .setup = setup, .part = 3000};
    const struct kedge_pull_source source = kedge_modem_source(&modem);
    const uint32_t end = data[0] * 40u;
    int answer = source.open(source.ctx, 0, end);

    for (unsigned n = 0; answer >= 0 && answer != KEDGE_PULL_END; n++) {
        struct kedge_pull_piece piece;

        if (n > POLLS_MAX(size)) {
            abort(); /* for ever */
        }
        answer = source.poll(source.ctx, &piece);
        if (answer == KEDGE_PULL_PIECE &&
            (piece.data.at != modem.piece || piece.data.size > KEDGE_MODEM_PIECE ||
             piece.data.size == 0 || (end != 0 && piece.at + piece.data.size > end))) {
            abort();
        }
        far.now += 500;
    }
    if (answer < 0 && source.reason(source.ctx)[0] == '\0') {
        abort();
    }
    return 0;
}
