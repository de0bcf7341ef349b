/* HTTP and HTTPS by libcurl: parts by Range, resumed with If-Range, a changed file found by its
 * ETag (or Last-Modified). */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pull_transport.h"

#define CONNECT_S 10L
#define SILENCE_S 20L /* so long without a byte is a failure */
#define REDIRECTS 5L

struct http {
    CURL *curl;
    const struct pull_call *call;
    struct pull_answer *answer;
    char range[PULL_TAG]; /* Content-Range of the answer */
    char date[PULL_TAG];  /* Last-Modified */
    uint32_t at;          /* of the next body byte */
    bool begun, enough;
    int error;
};

static int set_reason(struct pull_answer *answer, int error, const char *words)
{
    snprintf(answer->reason, sizeof answer->reason, "%s", words);
    return error;
}

static void keep(char *to, size_t room, const char *value, size_t size)
{
    while (size > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        size--;
    }
    while (size > 0 && strchr("\r\n \t", value[size - 1]) != NULL) {
        size--;
    }
    size = size < room ? size : 0; /* one that is too long is none */
    memcpy(to, value, size);
    to[size] = '\0';
}

static size_t on_header(char *line, size_t one, size_t size, void *ctx)
{
    struct http *const http = ctx;
    const struct {
        const char *name;
        char *to;
        size_t room;
    } wanted[] = {{"content-range:", http->range, sizeof http->range},
                  {"last-modified:", http->date, sizeof http->date},
                  {"etag:", http->answer->tag, sizeof http->answer->tag}};

    if (size * one >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* the next answer, after a redirect */
        http->range[0] = http->date[0] = http->answer->tag[0] = '\0';
    }
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const size_t n = strlen(wanted[i].name);

        if (size >= n && strncasecmp(line, wanted[i].name, n) == 0) {
            keep(wanted[i].to, wanted[i].room, line + n, size - n);
        }
    }
    return size * one;
}

/* Where do the bytes that begin to come belong? */
static int begin(struct http *http)
{
    const struct pull_call *const call = http->call;
    struct pull_answer *const answer = http->answer;
    long status = 0;
    curl_off_t length = -1;
    uint32_t to;

    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (answer->tag[0] == '\0') {
        snprintf(answer->tag, sizeof answer->tag, "%s", http->date);
    }
    if (call->tag[0] != '\0' && answer->tag[0] != '\0' && strcmp(call->tag, answer->tag) != 0) {
        return set_reason(answer, KEDGE_E_STATE, "the file changed on the server");
    }
    if (status == 206) {
        /* more than was asked for is welcome (busybox takes 0-0 for all of it); it says where it
         * belongs */
        if (!pull_content_range(http->range, &http->at, &to, &answer->whole) ||
            http->at > call->at || to < call->at) {
            return set_reason(answer, KEDGE_E_FORMAT, "the server answers with another range");
        }
    } else {
        http->at = 0;
        curl_easy_getinfo(http->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        answer->whole = length > 0 && length <= UINT32_MAX ? (uint32_t)length : 0;
    }
    if (call->whole != 0 && answer->whole != 0 && call->whole != answer->whole) {
        return set_reason(answer, KEDGE_E_STATE, "the file has another size on the server");
    }
    return 0;
}

static size_t on_body(char *data, size_t one, size_t size, void *ctx)
{
    struct http *const http = ctx;
    long status = 0;

    size *= one;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (kedge_pull_status((uint32_t)status) != 0) {
        return size; /* the body of a refusal */
    }
    if (!http->begun) {
        http->begun = true;
        http->error = begin(http);
    }
    if (http->error != 0 || size > UINT32_MAX - http->at) {
        return 0;
    }
    http->enough = !http->call->piece(http->call->ctx, http->at, kedge_bytes(data, size));
    http->at += (uint32_t)size;
    return http->enough ? 0 : size;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct http *const http = ctx;

    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(http->call->cancelled) ? 1 : 0;
}

static struct curl_slist *set_range(struct http *http)
{
    const struct pull_call *const call = http->call;
    char text[PULL_TAG + 16];

    if (call->size == 0) {
        curl_easy_setopt(http->curl, CURLOPT_RANGE, NULL);
        return NULL;
    }
    snprintf(text, sizeof text, "%u-%u", (unsigned)call->at, (unsigned)(call->at + call->size - 1));
    curl_easy_setopt(http->curl, CURLOPT_RANGE, text);
    if (call->tag[0] == '\0' || strncmp(call->tag, "W/", 2) == 0) {
        return NULL; /* a weak one does not promise equal bytes */
    }
    snprintf(text, sizeof text, "If-Range: %s", call->tag);
    return curl_slist_append(NULL, text);
}

static int judge(struct http *http, CURLcode result)
{
    struct pull_answer *const answer = http->answer;
    long status = 0;

    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (http->error != 0 || http->enough) {
        return http->error;
    }
    if (result != CURLE_OK) {
        return set_reason(answer, result == CURLE_URL_MALFORMAT ? KEDGE_E_REFUSED : KEDGE_E_IO,
                          curl_easy_strerror(result));
    }
    const int error = kedge_pull_status((uint32_t)status);

    if (error != 0) {
        snprintf(answer->reason, sizeof answer->reason, "the server says HTTP %ld", status);
    }
    return error;
}

static int get(void *state, const struct pull_call *call, struct pull_answer *answer)
{
    struct http *const http = state;

    *answer = (struct pull_answer){0};
    *http = (struct http){.curl = http->curl, .call = call, .answer = answer};
    curl_easy_setopt(http->curl, CURLOPT_URL, call->url);
    struct curl_slist *const headers = set_range(http);

    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    const CURLcode result = curl_easy_perform(http->curl);

    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return judge(http, result);
}

static void *open_http(const struct pull_options *options, char *why)
{
    struct http *const http = calloc(1, sizeof *http);

    (void)options;
    if (http == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 ||
        (http->curl = curl_easy_init()) == NULL) {
        snprintf(why, PULL_REASON, "libcurl cannot be started");
        free(http);
        return NULL;
    }
    curl_easy_setopt(http->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(http->curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(http->curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(http->curl, CURLOPT_MAXREDIRS, REDIRECTS);
    curl_easy_setopt(http->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(http->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(http->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(http->curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    curl_easy_setopt(http->curl, CURLOPT_USERAGENT, "kedge-device");
    curl_easy_setopt(http->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(http->curl, CURLOPT_HEADERDATA, http);
    curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(http->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(http->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(http->curl, CURLOPT_XFERINFODATA, http);
    return http;
}

static void close_http(void *state)
{
    struct http *const http = state;

    curl_easy_cleanup(http->curl);
    free(http);
}

const struct pull_transport pull_http = {open_http, get, close_http};
