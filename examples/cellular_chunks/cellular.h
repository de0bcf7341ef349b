/* A firmware update over a cellular modem, from its first chunk to the user's word:
 * docs/cellular.md. */
#ifndef CELLULAR_H
#define CELLULAR_H

#include "kedge/stage_modem.h"

#define CELLULAR_CHUNK 4096
#define CELLULAR_MANIFEST                                                                          \
    1024 /* a record of 64 bytes and 4 a chunk: images up to 983,040 bytes                         \
          */
#define CELLULAR_URL 256

enum cellular_state {
    CELLULAR_ASKING,      /* for what there is: URL.manifest */
    CELLULAR_DOWNLOADING, /* chunks into the staging region; decoded when all are there */
    CELLULAR_WAITING,     /* decoded, hash and signature are right: for the user's word */
    CELLULAR_FAILED       /* cellular->why says why; start it again when there is hope */
};

struct cellular {
    struct kedge_agent *agent;
    struct kedge_stage *stage;
    struct kedge_modem modem;
    struct kedge_pull pull;
    struct kedge_pull_source source;
    uint8_t state; /* enum cellular_state */
    const char *why;
    char url[CELLULAR_URL + sizeof(".manifest")];
    uint32_t manifest_size;
    uint8_t manifest[CELLULAR_MANIFEST];
    uint8_t chunk[CELLULAR_CHUNK];
};

/* Begin, or go on with what an earlier power-on left. Agent and stage are started. */
void cellular_start(struct cellular *c, struct kedge_agent *agent, struct kedge_stage *stage,
                    const struct kedge_modem_line *line, const char *url);

/* One bounded step; call it in your main loop. True: it did something. */
bool cellular_step(struct cellular *c);

/* The user said yes: 0, then reset the device, and the loader installs the image for a trial. */
int cellular_install(struct cellular *c);

#endif
