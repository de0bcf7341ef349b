/* A cellular modem as a source for kedge_pull: it fetches a part of the file by HTTP into a file of
 * its own, and that file is read by AT commands, piece by piece, as fast as the caller takes them;
 * no flow control is needed on the line.
 *
 *      AT+QHTTPURL, AT+QHTTPGETEX, AT+QHTTPREADFILE, AT+QFOPEN, AT+QFREAD ..., AT+QFCLOSE
 *
 * The commands are those of Quectel's modems (EC2x, EG9x, BG9x: "HTTP(S) AT Commands Manual" and
 * "FILE AT Commands Manual"). A piece is given out when the modem closed it with its OK: one that
 * is cut short, or has bytes too many, is read again, three times, without new bytes over the air.
 * Bytes that were changed on the line are found by the chunk's check.
 *
 * All that comes over the line is hostile. No call blocks; nothing is allocated. */
#ifndef KEDGE_STAGE_MODEM_H
#define KEDGE_STAGE_MODEM_H

#include "kedge/stage_pull.h"

#define KEDGE_MODEM_PIECE 1024u /* bytes asked for with one AT+QFREAD */
#define KEDGE_MODEM_TEXT  128u  /* longer lines of the modem are cut */

/* The serial line to it. */
struct kedge_modem_line {
    /* Bytes that have come, into the front of `to`: how many; 0: none. */
    size_t (*read)(void *ctx, struct kedge_buf to);
    /* False: the line is gone. */
    bool (*write)(void *ctx, struct kedge_bytes bytes);
    uint32_t (*now_ms)(void *ctx);
    void *ctx;
};

struct kedge_modem {
    /* set by the caller */
    const struct kedge_modem_line *line;
    const char *url;          /* at most 700 characters */
    const char *file;         /* the modem's file, "UFS:kedge.part"; at most 40 characters */
    const char *const *setup; /* commands before the first request, to NULL: "AT+QIACT=1"; a modem
                                 may refuse them (it has done it already). NULL: none */
    uint32_t part;            /* bytes of one request over the air, what the file system holds */
    /* owned by the source */
    uint32_t at, end;       /* next byte that is wanted, and the end; end 0: not told yet */
    uint32_t part_at;       /* offset in the file at URL of the first byte in the modem's file */
    uint32_t part_end;      /* where to stop reading it */
    uint32_t since_ms;      /* of the command */
    uint32_t heard_ms;      /* of the last byte that came */
    uint32_t handle;        /* of the modem's open file */
    uint32_t asked, filled; /* bytes of `piece`: promised by CONNECT, there */
    uint16_t text_size, setup_at;
    uint8_t step, tries, retries;
    bool ok, told, connected, closed; /* of the step's answer */
    bool set_up, reading_on, given;
    uint32_t numbers[3]; /* of the answer that was told */
    uint8_t number_count;
    char text[KEDGE_MODEM_TEXT]; /* the line that comes */
    char reason[96];
    uint8_t piece[KEDGE_MODEM_PIECE];
};

/* The source over a modem, for pull->source; without `check`, which the caller adds when its
 * manifest has checks. kedge_pull's open with size 0 fetches all that the URL has. */
struct kedge_pull_source kedge_modem_source(struct kedge_modem *modem);

#endif
