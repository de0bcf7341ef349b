/* Transforms: what is received is not always what is stored. A transform takes the bytes of a file
 * as it was sent and gives the bytes of the image: it may decrypt, decompress, patch, or refuse.
 * Transforms chain into a pipe between any receiver (an upload, the chunk store) and any region.
 *
 *      receiver --push--> [ transform ] --> [ transform ] --pull--> slot
 *
 * A transform keeps all of its state in a struct of the caller, without pointers into itself, so
 * that the state may be copied at any moment between two calls, moved, or saved. It is fed hostile
 * input: it must end in a named error, never read or write outside, never loop without a bound. It
 * gives out no byte that it has not authenticated, if authenticating is its business. */
#ifndef KEDGE_TRANSFORM_H
#define KEDGE_TRANSFORM_H

#include "kedge/base.h"

/* Reads `to.size` bytes at `at` of some image: 0, or a negative error (KEDGE_E_BOUNDS past its
 * end). */
struct kedge_source_reader {
    int (*read)(void *ctx, uint32_t at, struct kedge_buf to);
    void *ctx;
    uint32_t size; /* bytes that can be read */
};

/* What a transform may look at besides its input; memory of the caller, alive while the pipe is. */
struct kedge_transform_env {
    struct kedge_source_reader old; /* the running image, header and TLVs included; size 0: none */
    struct kedge_source_reader out; /* what this pipe gave out so far, read back; size: the most it
                                       may give */
    const void *keys;               /* the transform's own: device key, shared key; may be NULL */
};

struct kedge_transform {
    const char *name;  /* "sealed", "delta": for logs and dumpinfo */
    size_t state_size; /* bytes of its state; aligned as uint64_t */

    /* Begin, with a state that is all zeros; later calls get the same state, maybe moved. NULL: the
     * zeros will do. */
    int (*start)(void *state, const struct kedge_transform_env *env);

    /* Take the first bytes of `in`; *taken tells how many: one at least unless output has to be
     * pulled first. Taking none with no output waiting is KEDGE_E_FORMAT's case, not an answer. */
    int (*push)(void *state, const struct kedge_transform_env *env, struct kedge_bytes in,
                size_t *taken);

    /* Fill the front of `out`; *given 0: wants more input. Bounded work: about one `out` of it. */
    int (*pull)(void *state, const struct kedge_transform_env *env, struct kedge_buf out,
                size_t *given);

    /* All input has been pushed and all output pulled: 0 when the file was whole and right. */
    int (*finish)(void *state, const struct kedge_transform_env *env);

    /* Bytes that will come out in all, once the head of the input has told; 0: not known yet. */
    uint32_t (*size)(const void *state);

    /* Resume after a reset. Called when the head has been pushed (size is known) and nothing was
     * pulled yet: the first `*out` bytes are already stored. Sets the state to the last border at
     * or before *out from which it can go on, *out to that border, *in to the input offset that has
     * to be pushed next. A transform that cannot: NULL; the input starts again. */
    int (*seek)(void *state, const struct kedge_transform_env *env, uint32_t *out, uint32_t *in);

    /* Words for the last error, for a person: "made for another device key". Gives never NULL;
     * where it is NULL itself, the error's name is said. */
    const char *(*reason)(const void *state, int error);
};

#endif
