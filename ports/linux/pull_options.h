/* What kedge-device --pull is told. */
#ifndef KEDGE_LINUX_PULL_OPTIONS_H
#define KEDGE_LINUX_PULL_OPTIONS_H

struct pull_options {
    const char *url, *sha256, *psk, *modem; /* NULL: not given */
};

#endif
