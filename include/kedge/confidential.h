/* Encrypted images in the loader: a strategy around a strategy. What is read from outside of the
 * internal flash is unmasked before anybody looks at it, what is written there is masked before; so
 * tables, comparisons and repairs are over the plain bytes as the primary holds them (SWAP.md 10).
 * A loader that names none of this links none of it.
 *
 * Content keys are in RAM only, unwrapped when they are first needed in a power-on. The journal's
 * BODY keeps what they are unwrapped from, of both images, since header and TLVs of either may be
 * between two places when the power comes back. */
#ifndef KEDGE_CONFIDENTIAL_H
#define KEDGE_CONFIDENTIAL_H

#include "kedge/encrypted.h"
#include "kedge/swap.h"

/* What is open in this power-on, by key record. Memory of the caller, all zero at the start; it
 * holds keys: kedge_opened_forget() before the application runs. */
struct kedge_opened {
    struct kedge_plain_view views[2];
    uint8_t open; /* bit r: view r */
};

struct kedge_confidential {
    const struct kedge_strategy *inner;
    const struct kedge_device_keys *keys;
    const struct kedge_cipher *cipher;
    struct kedge_opened *opened;
};

/* The strategy to put around `inner`; config->state then needs KEDGE_PLAN_KEYS bytes more than
 * kedge_boot_state_size() says. There is no sparse method: units that are equal in plain lie masked
 * by another key each in the secondary, so none can stay there; in the primary they do stay. */
#define KEDGE_CONFIDENTIAL_STRATEGY(METHOD, CONFIDENTIAL)                                          \
    {                                                                                              \
        .method = (METHOD), .sparse = (METHOD), .store = kedge_confidential_store,                 \
        .verify = kedge_confidential_verify, .crypt = kedge_confidential_crypt,                    \
        .confidential = (CONFIDENTIAL), .body = KEDGE_PLAN_KEYS                                    \
    }

/* Its functions (kedge_strategy says what each does). What they decide is decided when a plan is
 * made and written into the plan: by which key record each image leaves and comes back. A cut
 * changes nothing of it, and a policy that changes in the middle neither. */
int kedge_confidential_store(struct kedge_engine *engine, const struct kedge_slot *slot,
                             uint32_t at, uint32_t piece);
enum kedge_verdict kedge_confidential_verify(const struct kedge_source *source,
                                             struct kedge_verify *v);
int kedge_confidential_crypt(struct kedge_engine *engine, const struct kedge_copy *copy,
                             uint32_t at, struct kedge_buf data);

/* No key stays in RAM. */
void kedge_opened_forget(struct kedge_opened *opened);

#endif
