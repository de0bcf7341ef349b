/* What uploads to this device may need before they are images: the table of a port. A device with a
 * transform of its own has a file of its own here (examples/local_encryption). */
#ifndef KEDGE_LINUX_DEVICE_KINDS_H
#define KEDGE_LINUX_DEVICE_KINDS_H

#include "kedge/ctr.h"
#include "kedge/pipe.h"
#include "kedge/sealed.h"

#define DEVICE_KINDS 8

struct device_kinds {
    struct kedge_pipe_kind at[DEVICE_KINDS];
    size_t count;
    struct kedge_sealed_keys sealed; /* keys of `at` */
    struct kedge_ctr_keys local;
};

/* `device`, `shared` and `local` (size 0: none) must stay, and so must *kinds. */
void device_kinds_make(struct device_kinds *kinds, const struct kedge_device_keys *device,
                       struct kedge_bytes shared, struct kedge_bytes local);

#endif
