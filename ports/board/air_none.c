#include "air.h"

const uint16_t air_buffers = 1;

void air_start(const struct kedge_region *settings)
{
    (void)settings;
}

bool air_receive(struct kedge_bytes *message, uint32_t *peer)
{
    (void)message;
    (void)peer;
    return false;
}

void air_reply(struct kedge_bytes reply)
{
    (void)reply;
}

void air_idle(void)
{
}

void air_stop(void)
{
}
