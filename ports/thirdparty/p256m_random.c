/* p256-m draws random numbers from PSA only to make keys and signatures, which no device of ours
 * does. So that it links everywhere, there is a source, and it refuses. */
#include <psa/crypto.h>

psa_status_t psa_generate_random(uint8_t *output, size_t output_size)
{
    (void)output;
    (void)output_size;
    return PSA_ERROR_NOT_SUPPORTED;
}
