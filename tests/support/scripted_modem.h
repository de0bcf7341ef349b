/* A cellular modem in memory with a server behind it, for tests: Quectel's commands for files over
 * HTTP, well or badly answered. tests/modem/modem.py is the same on a pty. */
#ifndef KEDGE_TEST_SCRIPTED_MODEM_H
#define KEDGE_TEST_SCRIPTED_MODEM_H

#include "kedge/base.h"
#include "random.h"

#define SCRIPTED_FILE "UFS:kedge.part"

struct scripted_modem {
    struct kedge_random random;
    struct kedge_bytes content;  /* at every URL ... */
    struct kedge_bytes manifest; /* ... but those that end with .manifest */
    unsigned bad;                /* one answer of so many is a wrong one; 0: none */
    unsigned status;             /* of the server; 0: 206 to a range, 200 to all */
    bool ranges_off;             /* the server gives the whole file */
    bool echo, waking;           /* waking: the first three AT get no answer */
    bool line_gone;
    /* what happened */
    char url[1024];
    uint32_t gets, commands, reads;
    uint32_t air;    /* bytes that the server sent */
    uint32_t handle; /* of the open file; 0: none */
    /* private */
    uint8_t command[1024];
    size_t command_size, url_wanted;
    uint32_t body_at, body_size, file_at,
        file_size; /* parts of what is served: fetched, in the file */
    uint32_t at, next;
    uint8_t out[8192];
    size_t out_size, out_at;
};

extern struct scripted_modem far;

/* For struct kedge_modem_line. */
size_t scripted_read(void *ctx, struct kedge_buf to);
bool scripted_write(void *ctx, struct kedge_bytes bytes);
/* The modem says something that nobody asked for. */
void scripted_says(const void *bytes, size_t size);
/* What it has not said yet is lost. */
void scripted_forgets(void);

#endif
