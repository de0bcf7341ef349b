/* kedge-device's command line. */
#ifndef KEDGE_LINUX_DEVICE_OPTIONS_H
#define KEDGE_LINUX_DEVICE_OPTIONS_H

#include <time.h>

#include "kedge/image.h"
#include "pull_options.h"

#define DEVICE_KEYS    8
#define KEDGE_UNIT_MAX 131072u /* bytes: the largest sector of the parts that are known here */
#define KEDGE_PLAN_MAX 8192u

struct device_options {
    const char *state, *layout, *strategy;
    const char *keys[DEVICE_KEYS];
    size_t key_count;
    const char *enc_key;             /* NULL: the device has no key of its own */
    const char *shared_key;          /* NULL: none that it shares with others */
    const char *local_key;           /* NULL: none for files encrypted with AES-CTR */
    const char *udp, *pty, *raw_pty; /* NULL: not wanted */
    const char *hci, *ble_name;      /* NULL: no radio; the default name */
    uint8_t ble_security;            /* enum peripheral_security */
    uint16_t ble_mtu;
    struct pull_options pull;
    bool once, external_dead, has_crash_version;
    struct kedge_version crash_version;
    uint32_t cut;
    uint8_t cut_kind; /* enum kedge_sim_cut_kind */
    uint8_t time;     /* enum kedge_sim_time */
    uint64_t seed;
    time_t clock_offset; /* set by os datetime */
};

/* 0: go on. 1: wrong usage, said on stderr. -1: help was printed. */
int device_options_parse(struct device_options *options, int argc, char **argv);

#endif
