/* The message of a pure signature: the image once more. Linked only with a key type that has them.
 */
#include "image/parts.h"

/* Both digests must fit, so flash that reads differently by accident is caught; flash that lies on
 * purpose is not, and a loader therefore verifies in the internal flash, where nobody can. */
int kedge_message_digest(const void *message, struct kedge_bytes lead, uint8_t *digest)
{
    const struct kedge_pass *const first = message;
    struct kedge_verify again = *first->verify;
    struct kedge_pass pass = {
        .source = first->source,
        .verify = &again,
        .hash = first->hash,
    };

    again.tap = NULL;
    return kedge_pass_hashed(&pass, lead.at, lead.size, digest) == KEDGE_IMAGE_GOOD ? 0
                                                                                    : KEDGE_E_IO;
}
