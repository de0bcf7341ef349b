/* CoAP (RFC 7252) over UDP or DTLS with a shared key, by libcoap: the file by blocks (RFC 7959),
 * each asked for by its number, so that a download goes on at any block. */
#include <coap3/coap.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pull_transport.h"

#define BLOCK_SIZE_CODE 6u /* 1024 bytes; a server may answer with smaller ones */
#define RETRANSMITS     4
#define ANSWER_S        40 /* longer than libcoap asks again */
#define STEP_MS         50u

struct coap {
    coap_context_t *context;
    coap_session_t *session;
    char host[128]; /* that the session is with */
    uint16_t port;
    char identity[64], key[128];
    size_t key_size;
    const struct pull_call *call;
    struct pull_answer *answer;
    bool answered, more;
    uint32_t at; /* next byte that is wanted */
    uint8_t size_code;
    int error;
};

static int refuse(struct coap *coap, int error, const char *words)
{
    snprintf(coap->answer->reason, sizeof coap->answer->reason, "%s", words);
    coap->error = error;
    return error;
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool option_of(const coap_pdu_t *pdu, coap_option_num_t number, struct kedge_bytes *value)
{
    coap_opt_iterator_t iterator;
    coap_opt_t *const option = coap_check_option(pdu, number, &iterator);

    if (option != NULL) {
        *value = kedge_bytes(coap_opt_value(option), coap_opt_length(option));
    }
    return option != NULL;
}

static void read_tag(struct coap *coap, const coap_pdu_t *pdu)
{
    struct kedge_bytes value;
    char *const tag = coap->answer->tag;

    if (option_of(pdu, COAP_OPTION_ETAG, &value) && value.size <= 8) {
        for (size_t i = 0; i < value.size; i++) {
            snprintf(tag + 2 * i, 3, "%02x", value.at[i]);
        }
    }
    if (option_of(pdu, COAP_OPTION_SIZE2, &value) && value.size <= 4) {
        coap->answer->whole = coap_decode_var_bytes(value.at, value.size);
    }
}

/* Is it still the file that we know? */
static int check_file(struct coap *coap)
{
    const struct pull_call *const call = coap->call;
    const struct pull_answer *const answer = coap->answer;

    if (call->tag[0] != '\0' && answer->tag[0] != '\0' && strcmp(call->tag, answer->tag) != 0) {
        return refuse(coap, KEDGE_E_STATE, "the file changed on the server");
    }
    if (call->whole != 0 && answer->whole != 0 && call->whole != answer->whole) {
        return refuse(coap, KEDGE_E_STATE, "the file has another size on the server");
    }
    return 0;
}

static void take(struct coap *coap, const coap_pdu_t *pdu)
{
    coap_block_t block = {0};
    const uint8_t *data = NULL;
    size_t size = 0, offset, total;
    const bool blockwise = coap_get_block(pdu, COAP_OPTION_BLOCK2, &block) != 0;
    const uint32_t at = blockwise ? block.num << (block.szx + 4) : 0;

    (void)coap_get_data_large(pdu, &size, &data, &offset, &total);
    read_tag(coap, pdu);
    if (check_file(coap) != 0) {
        return;
    }
    if (at > coap->at || size > UINT32_MAX - at || at + size <= coap->at) {
        refuse(coap, KEDGE_E_FORMAT, "the server answers with another block");
        return;
    }
    coap->more = blockwise && block.m != 0;
    coap->size_code =
        blockwise && block.szx < coap->size_code ? (uint8_t)block.szx : coap->size_code;
    if (!coap->more && coap->answer->whole == 0) {
        coap->answer->whole = at + (uint32_t)size;
    }
    if (coap->call->piece(coap->call->ctx, at, kedge_bytes(data, size))) {
        coap->at = at + (uint32_t)size;
    } else {
        coap->more = false;
    }
}

static coap_response_t on_answer(coap_session_t *session, const coap_pdu_t *sent,
                                 const coap_pdu_t *received, const coap_mid_t mid)
{
    struct coap *const coap = coap_session_get_app_data(session);
    const coap_pdu_code_t code = coap_pdu_get_code(received);
    const unsigned status = ((unsigned)code >> 5) * 100 + ((unsigned)code & 0x1f);

    (void)sent, (void)mid;
    if (coap->answered || coap->call == NULL) {
        return COAP_RESPONSE_OK; /* a repetition of the last one */
    }
    coap->answered = true;
    coap->error = kedge_pull_status(status);
    if (coap->error == 0) {
        take(coap, received);
    } else {
        snprintf(coap->answer->reason, sizeof coap->answer->reason, "the server says CoAP %u.%02u",
                 status / 100, status % 100);
    }
    return COAP_RESPONSE_OK;
}

static void on_failure(coap_session_t *session, const coap_pdu_t *sent,
                       const coap_nack_reason_t reason, const coap_mid_t mid)
{
    struct coap *const coap = coap_session_get_app_data(session);

    (void)sent, (void)mid;
    coap->answered = true;
    refuse(coap, KEDGE_E_IO,
           reason == COAP_NACK_TLS_FAILED ? "the server refuses our key (DTLS)"
                                          : "the server does not answer");
}

/* ---- requests -------------------------------------------------------------------------------- */

static int resolve(const char *host, uint16_t port, coap_address_t *address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    char service[8];

    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0 || found == NULL) {
        return KEDGE_E_IO;
    }
    coap_address_init(address);
    address->size = found->ai_addrlen;
    memcpy(&address->addr, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

static void drop_session(struct coap *coap)
{
    if (coap->session != NULL) {
        coap_session_release(coap->session);
        coap->session = NULL;
    }
}

static int connect_to(struct coap *coap, const coap_uri_t *uri)
{
    coap_address_t address;
    char host[sizeof coap->host];

    if (uri->host.length >= sizeof host) {
        return refuse(coap, KEDGE_E_REFUSED, "the host's name is too long");
    }
    memcpy(host, uri->host.s, uri->host.length);
    host[uri->host.length] = '\0';
    if (coap->session != NULL && strcmp(host, coap->host) == 0 && uri->port == coap->port) {
        return 0;
    }
    drop_session(coap);
    if (resolve(host, uri->port, &address) != 0) {
        return refuse(coap, KEDGE_E_IO, "the host's name cannot be resolved");
    }
    if (uri->scheme == COAP_URI_SCHEME_COAPS) {
        coap_dtls_cpsk_t psk = {.version = COAP_DTLS_CPSK_SETUP_VERSION, .client_sni = host};

        psk.psk_info.identity =
            (coap_bin_const_t){strlen(coap->identity), (const uint8_t *)coap->identity};
        psk.psk_info.key = (coap_bin_const_t){coap->key_size, (const uint8_t *)coap->key};
        coap->session =
            coap_new_client_session_psk2(coap->context, NULL, &address, COAP_PROTO_DTLS, &psk);
    } else {
        coap->session = coap_new_client_session(coap->context, NULL, &address, COAP_PROTO_UDP);
    }
    if (coap->session == NULL) {
        return refuse(coap, KEDGE_E_IO, "no connection to the server");
    }
    coap_session_set_app_data(coap->session, coap);
    coap_session_set_max_retransmit(coap->session, RETRANSMITS);
    coap_session_set_ack_timeout(coap->session, (coap_fixed_point_t){1, 0});
    memcpy(coap->host, host, sizeof host);
    coap->port = uri->port;
    return 0;
}

static coap_optlist_t *path_options(const coap_uri_t *uri)
{
    coap_optlist_t *list = NULL;
    uint8_t buffer[512], *at = buffer;
    size_t room = sizeof buffer;
    const int count = coap_split_path(uri->path.s, uri->path.length, buffer, &room);

    for (int i = 0; i < count; i++) {
        coap_insert_optlist(
            &list, coap_new_optlist(COAP_OPTION_URI_PATH, coap_opt_length(at), coap_opt_value(at)));
        at += coap_opt_size(at);
    }
    return list;
}

static void add_number(coap_optlist_t **list, uint16_t option, unsigned number)
{
    uint8_t value[4];
    const unsigned size = coap_encode_var_safe(value, sizeof value, number);

    coap_insert_optlist(list, coap_new_optlist(option, size, value));
}

static int send_request(struct coap *coap, const coap_uri_t *uri)
{
    coap_pdu_t *const pdu = coap_new_pdu(COAP_MESSAGE_CON, COAP_REQUEST_CODE_GET, coap->session);
    coap_optlist_t *list = path_options(uri);
    uint8_t token[8];
    size_t size;

    if (pdu == NULL) {
        coap_delete_optlist(list);
        return refuse(coap, KEDGE_E_IO, "out of memory");
    }
    coap_session_new_token(coap->session, &size, token);
    coap_add_token(pdu, size, token);
    add_number(&list, COAP_OPTION_BLOCK2,
               (coap->at >> (coap->size_code + 4)) << 4 | coap->size_code);
    add_number(&list, COAP_OPTION_SIZE2, 0);
    coap_add_optlist_pdu(pdu, &list);
    coap_delete_optlist(list);
    coap->answered = false;
    return coap_send(coap->session, pdu) == COAP_INVALID_MID
               ? refuse(coap, KEDGE_E_IO, "the request cannot be sent")
               : 0;
}

static int wait_for_answer(struct coap *coap)
{
    const time_t start = time(NULL);

    while (!coap->answered) {
        if (atomic_load(coap->call->cancelled)) {
            return refuse(coap, KEDGE_E_IO, "cancelled");
        }
        if (coap_io_process(coap->context, STEP_MS) < 0 || time(NULL) - start > ANSWER_S) {
            return refuse(coap, KEDGE_E_IO, "the server does not answer");
        }
    }
    return coap->error;
}

/* Blocks from call->at on, until the part that is wanted is there. */
static int get_blocks(struct coap *coap, const coap_uri_t *uri)
{
    const struct pull_call *const call = coap->call;
    int error = 0;

    coap->at = call->at;
    coap->more = true;
    while (error == 0 && coap->more && (call->size == 0 || coap->at - call->at < call->size)) {
        error = send_request(coap, uri);
        if (error == 0) {
            error = wait_for_answer(coap);
        }
    }
    return error;
}

static int get(void *state, const struct pull_call *call, struct pull_answer *answer)
{
    struct coap *const coap = state;
    coap_uri_t uri;

    *answer = (struct pull_answer){0};
    coap->call = call;
    coap->answer = answer;
    coap->error = 0;
    coap->size_code = BLOCK_SIZE_CODE;
    int error = 0;

    if (coap_split_uri((const uint8_t *)call->url, strlen(call->url), &uri) != 0) {
        error = refuse(coap, KEDGE_E_REFUSED, "not a CoAP address");
    } else {
        error = connect_to(coap, &uri);
    }
    if (error == 0) {
        error = get_blocks(coap, &uri);
    }
    if (error == KEDGE_E_IO) {
        drop_session(coap); /* a new connection for the next try */
    }
    coap->call = NULL;
    return error;
}

static int keep_key(struct coap *coap, const char *psk)
{
    const char *const colon = psk == NULL ? NULL : strchr(psk, ':');

    if (psk == NULL) {
        return 0;
    }
    if (colon == NULL || (size_t)(colon - psk) >= sizeof coap->identity ||
        strlen(colon + 1) >= sizeof coap->key || colon[1] == '\0') {
        return -1;
    }
    memcpy(coap->identity, psk, (size_t)(colon - psk));
    coap->key_size = strlen(colon + 1);
    memcpy(coap->key, colon + 1, coap->key_size);
    return 0;
}

static void *open_coap(const struct pull_options *options, char *why)
{
    struct coap *const coap = calloc(1, sizeof *coap);

    if (coap == NULL || keep_key(coap, options->psk) != 0) {
        snprintf(why, PULL_REASON, "--psk must be IDENTITY:KEY");
        free(coap);
        return NULL;
    }
    coap_startup();
    coap_set_log_level(LOG_EMERG);
    coap->context = coap_new_context(NULL);
    if (coap->context == NULL) {
        snprintf(why, PULL_REASON, "libcoap cannot be started");
        free(coap);
        return NULL;
    }
    coap_context_set_block_mode(coap->context, 0);
    coap_register_response_handler(coap->context, on_answer);
    coap_register_nack_handler(coap->context, on_failure);
    return coap;
}

static void close_coap(void *state)
{
    struct coap *const coap = state;

    drop_session(coap);
    coap_free_context(coap->context);
    coap_cleanup();
    free(coap);
}

const struct pull_transport pull_coap = {open_coap, get, close_coap};
