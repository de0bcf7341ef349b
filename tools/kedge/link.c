/* Which way leads to the device. */
#include "link.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "report.h"

int link_open(struct link *link)
{
    if (device_target.hci != NULL && device_target.ble == NULL) {
        return misuse(NULL, "--hci is for --ble");
    }
    if (device_target.hci != NULL && strncmp(device_target.hci, "tcp:", 4) != 0 &&
        strncmp(device_target.hci, "hci", 3) != 0) {
        return misuse(NULL, "--hci must be tcp:HOST:PORT or hciN, not %s", device_target.hci);
    }
    if (device_target.ble != NULL) {
        return link_open_ble(link, device_target.ble, device_target.hci);
    }
    if (device_target.serial != NULL) {
        return link_open_serial(link, device_target.serial, device_target.raw);
    }
    if (device_target.raw) {
        return misuse(NULL, "--raw is for --serial");
    }
    return link_open_udp(link, device_target.udp == NULL ? "127.0.0.1" : device_target.udp);
}

void link_close(struct link *link)
{
    if (link->ops->close != NULL) {
        link->ops->close(link);
    } else {
        close(link->fd);
    }
}

uint64_t link_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}
