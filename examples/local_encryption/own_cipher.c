/* A cipher of your own, undone on the way into the slot. A file is, for this example:
 *   "OWN1" | u32 size | u32 number of the file, never twice | the image, XORed with a key stream
 * The stream is XTEA of that number and a counter; take your own. */
#include "own_cipher.h"

static uint8_t stream_byte(const uint32_t key[4], uint32_t number, uint32_t at)
{
    uint32_t a = at / 8, b = number, sum = 0;
    for (int round = 0; round < 32; round++) {
        a += (((b << 4) ^ (b >> 5)) + b) ^ (sum + key[sum & 3]);
        sum += 0x9e3779b9u;
        b += (((a << 4) ^ (a >> 5)) + a) ^ (sum + key[(sum >> 11) & 3]);
    }
    return (uint8_t)((at % 8 < 4 ? a : b) >> (at % 4 * 8));
}
/* Bytes that will come out in all; 0 while the head is not there. */
static uint32_t size(const void *state)
{
    const struct own_cipher *own = state;
    return own->head_size == OWN_CIPHER_HEAD ? kedge_le32(own->head + 4) : 0;
}
/* Bytes come in: the head, then the image; one at a time, and not before the last one is out. */
static int push(void *state, const struct kedge_transform_env *env, struct kedge_bytes in,
                size_t *taken)
{
    struct own_cipher *own = state;
    const bool head = own->head_size < OWN_CIPHER_HEAD;
    (void)env;
    *taken = in.size > 0 && !own->full ? 1 : 0;
    if (*taken == 1)
        *(head ? &own->head[own->head_size++] : &own->byte) = in.at[0];
    own->full = own->full || (*taken == 1 && !head);
    return own->full && own->at == size(own) ? KEDGE_E_FORMAT : 0; /* more than the head says */
}
/* Bytes go out, as they shall lie in the slot. */
static int pull(void *state, const struct kedge_transform_env *env, struct kedge_buf out,
                size_t *given)
{
    struct own_cipher *own = state;
    *given = own->full && out.size > 0 ? 1 : 0;
    if (*given == 1)
        out.at[0] = own->byte ^ stream_byte(env->keys, kedge_le32(own->head + 8), own->at++);
    own->full = own->full && *given == 0;
    return 0;
}
/* The file is over: was it whole? */
static int finish(void *state, const struct kedge_transform_env *env)
{
    const struct own_cipher *own = state;
    (void)env;
    return size(own) != 0 && own->at == size(own) ? 0 : KEDGE_E_FORMAT;
}
const struct kedge_transform own_cipher = {.name = "own cipher",
                                           .state_size = sizeof(struct own_cipher),
                                           .push = push,
                                           .pull = pull,
                                           .finish = finish,
                                           .size = size};
