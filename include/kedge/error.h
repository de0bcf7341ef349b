/* Named errors. Every function that can fail returns 0 or one of these, negative. */
#ifndef KEDGE_ERROR_H
#define KEDGE_ERROR_H

enum kedge_error {
    KEDGE_OK = 0,
    KEDGE_E_BOUNDS = -1,    /* address or length outside the region or device */
    KEDGE_E_ALIGN = -2,     /* not a multiple of the device's write block or erase size */
    KEDGE_E_FORBIDDEN = -3, /* a rule of the recorder forbids this device in this phase */
    KEDGE_E_DEAD = -4,      /* the chip does not answer (its id reads as all 0x00 or all 0xFF) */
    KEDGE_E_FOREIGN = -5,   /* a chip answers, but not the one that was configured */
    KEDGE_E_BUSY = -6,      /* the chip is still busy after its longest specified time */
    KEDGE_E_PROTECTED = -7, /* block-protect bits cover the place */
    KEDGE_E_IO = -8,        /* the bus or controller reported a failure */
    KEDGE_E_READBACK = -9,  /* what was written does not read back, after all retries */
    KEDGE_E_SOURCE = -10,   /* the source of a copy does not match its CRC and cannot be repaired */
    KEDGE_E_FORMAT = -11,   /* bytes from outside do not follow their format */
    KEDGE_E_SPACE = -12,    /* it does not fit: buffer, slot, log */
    KEDGE_E_NONE = -13,     /* there is no such thing: no image, no record, no valid sector */
    KEDGE_E_STATE = -14,    /* not allowed in this state */
    KEDGE_E_REFUSED = -15,  /* a policy or a lock refuses it */
    KEDGE_E_UNSUPPORTED = -16,
    KEDGE_E_HASH = -17,      /* digest differs */
    KEDGE_E_SIGNATURE = -18, /* no signature by a known key */
    KEDGE_E_CUT = -19,       /* (simulator) power failed in this operation */
    KEDGE_E_KEY = -20        /* made for another device key */
};

/* A short phrase for a log or a person, e.g. "the flash chip does not answer". Never NULL. */
const char *kedge_error_text(int error);

#endif
