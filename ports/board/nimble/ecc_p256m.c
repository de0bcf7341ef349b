/* NimBLE asks tinycrypt for P-256; on a board p256-m, which checks images' signatures already,
 * answers in its place: 3 KB less, and constant time. Defined here, so that tinycrypt's ecc.c is
 * not linked. */
#include <psa/crypto.h>
#include <tinycrypt/constants.h>
#include <tinycrypt/ecc.h>
#include <tinycrypt/ecc_dh.h>

#include "kedge/base.h"
#include "p256-m.h"

static uECC_RNG_Function rng;

void uECC_set_rng(uECC_RNG_Function rng_function)
{
    rng = rng_function;
}

/* p256-m's source of random numbers: NimBLE's, which is the controller's generator. */
psa_status_t psa_generate_random(uint8_t *output, size_t output_size)
{
    return rng != NULL && rng(output, (unsigned)output_size) == 1 ? PSA_SUCCESS
                                                                  : PSA_ERROR_NOT_SUPPORTED;
}

int uECC_make_key(uint8_t *public_key, uint8_t *private_key, uECC_Curve curve)
{
    (void)curve;
    return p256_gen_keypair(private_key, public_key) == P256_SUCCESS ? TC_CRYPTO_SUCCESS
                                                                     : TC_CRYPTO_FAIL;
}

int uECC_valid_public_key(const uint8_t *public_key, uECC_Curve curve)
{
    (void)curve;
    return p256_validate_pubkey(public_key) == P256_SUCCESS ? 0 : -1;
}

int uECC_shared_secret(const uint8_t *public_key, const uint8_t *private_key, uint8_t *secret,
                       uECC_Curve curve)
{
    (void)curve;
    return p256_ecdh_shared_secret(secret, private_key, public_key) == P256_SUCCESS
               ? TC_CRYPTO_SUCCESS
               : TC_CRYPTO_FAIL;
}

/* The curve's description in tinycrypt's header names these; nothing calls them. */
void double_jacobian_default(uECC_word_t *X1, uECC_word_t *Y1, uECC_word_t *Z1, uECC_Curve curve)
{
    (void)X1;
    (void)Y1;
    (void)Z1;
    (void)curve;
    kedge_trap();
}

void x_side_default(uECC_word_t *result, const uECC_word_t *x, uECC_Curve curve)
{
    (void)result;
    (void)x;
    (void)curve;
    kedge_trap();
}

void vli_mmod_fast_secp256r1(unsigned int *result, unsigned int *product)
{
    (void)result;
    (void)product;
    kedge_trap();
}
