#include "device_kinds.h"

#include "kedge/delta.h"

void device_kinds_make(struct device_kinds *kinds, const struct kedge_device_keys *device,
                       struct kedge_bytes shared, struct kedge_bytes local)
{
    *kinds = (struct device_kinds){
        .sealed = {.aead = &kedge_chacha20, .device = device, .shared = shared},
        .local = {.cipher = &kedge_aes, .key = local}};
    kinds->at[kinds->count++] =
        (struct kedge_pipe_kind){KEDGE_SEALED_MAGIC, &kedge_sealed, &kinds->sealed};
    kinds->at[kinds->count++] = (struct kedge_pipe_kind){KEDGE_DELTA_MAGIC, &kedge_delta, NULL};
    kinds->at[kinds->count++] =
        (struct kedge_pipe_kind){KEDGE_CTR_MAGIC, &kedge_ctr, &kinds->local};
}
