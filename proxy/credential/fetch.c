#include "proxy/credential/fetch.h"

#include "certs/tls.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>

#include <stdio.h>
#include <stdlib.h>

enum { FAILURE_SIZE = 256, HOST_SIZE = 256, HEAD_MAX = 32 * 1024 };

struct fetch {
    struct evhttp_uri *uri;
    struct tls_client *tls; /* NULL: plain */
    SSL *ssl;               /* the connection's */
    struct evhttp_connection *connection;
    struct event *end; /* in time or too late: tells the owner, outside of evhttp */
    void (*done)(void *owner, const struct fetch_reply *reply);
    void *owner;
    int status;
    char *body;
    size_t body_len;
    char failure[FAILURE_SIZE];
};

static const struct error_place nowhere = { 0 };

bool fetch_host_is_local(const char *host)
{
    static const char *const names[] = { "localhost",
                                         "127.0.0.1",
                                         "[::1]",
                                         "169.254.169.254",
                                         "169.254.170.2",
                                         "169.254.170.23",
                                         "[fd00:ec2::254]",
                                         "[fd00:ec2::23]",
                                         "metadata.google.internal",
                                         NULL };

    for (const char *const *name = names; *name != NULL; name++) {
        if (strcmp(*name, host) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- the end --------------------------------------------------------------------- */

struct fetch *fetch_cancel(struct fetch *fetch)
{
    if (fetch == NULL) {
        return NULL;
    }
    if (fetch->connection != NULL) {
        evhttp_connection_free(fetch->connection);
    }
    if (fetch->end != NULL) {
        event_free(fetch->end);
    }
    if (fetch->uri != NULL) {
        evhttp_uri_free(fetch->uri);
    }
    tls_client_free(fetch->tls);
    if (fetch->body != NULL) {
        explicit_bzero(fetch->body, fetch->body_len);
        free(fetch->body);
    }
    free(fetch);
    return NULL;
}

/* Why the connection failed, as far as TLS knows. */
static void note_failure(struct fetch *fetch)
{
    const char *refusal = tls_client_refusal(fetch->ssl);

    if (refusal == NULL) {
        (void)snprintf(fetch->failure, sizeof fetch->failure,
                       "it could not be reached, or ended the connection early");
    } else {
        (void)snprintf(fetch->failure, sizeof fetch->failure,
                       "its certificate was refused: %s", refusal);
    }
}

static void note_reply(struct fetch *fetch, struct evhttp_request *request)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_get_length(body);

    fetch->body = malloc(len + 1);
    CHECK(fetch->body != NULL);
    evbuffer_remove(body, fetch->body, len);
    fetch->body_len = len;
    fetch->status = evhttp_request_get_response_code(request);
}

static void on_reply(struct evhttp_request *request, void *self)
{
    struct fetch *fetch = self;

    if (request == NULL || evhttp_request_get_response_code(request) == 0) {
        note_failure(fetch);
    } else {
        note_reply(fetch, request);
    }
    event_active(fetch->end, EV_TIMEOUT, 0);
}

static void on_end(evutil_socket_t fd, short events, void *self)
{
    struct fetch *fetch = self;
    struct fetch_reply reply = { .status = fetch->status,
                                 .body = span_of(fetch->body, fetch->body_len) };

    (void)fd;
    (void)events;
    if (reply.status == 0) {
        reply.failure =
            fetch->failure[0] != '\0' ? fetch->failure : "it did not answer in time";
    }
    fetch->done(fetch->owner, &reply);
    fetch_cancel(fetch);
}

/* ---- the beginning --------------------------------------------------------------- */

struct target {
    char host[HOST_SIZE]; /* as it stands in the URL */
    char name[HOST_SIZE]; /* the same without brackets */
    uint16_t port;
    bool tls;
};

/* NULL, or what is wrong with the URL. */
static const char *target_of(const struct evhttp_uri *uri, struct target *target)
{
    const char *scheme = uri == NULL ? NULL : evhttp_uri_get_scheme(uri);
    const char *host = uri == NULL ? NULL : evhttp_uri_get_host(uri);
    size_t len = host == NULL ? 0 : strlen(host);
    bool bracketed = len > 2 && host[0] == '[';

    if (scheme == NULL || len == 0 || len >= HOST_SIZE ||
        (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)) {
        return "is not a URL with https:// or http:// and a host";
    }
    target->tls = strcmp(scheme, "https") == 0;
    target->port = evhttp_uri_get_port(uri) > 0 ? (uint16_t)evhttp_uri_get_port(uri)
                                                : (target->tls ? 443 : 80);
    memcpy(target->host, host, len + 1);
    (void)snprintf(target->name, sizeof target->name, "%.*s",
                   (int)(bracketed ? len - 2 : len), bracketed ? host + 1 : host);
    return target->tls || fetch_host_is_local(host)
               ? NULL
               : "would send a secret over plain http: use https://";
}

static bool connect_to(struct fetch *fetch, struct event_base *base,
                       struct evdns_base *names, const struct target *target,
                       const char *ca, struct error *error)
{
    struct bufferevent *stream = NULL;

    if (target->tls) {
        fetch->tls = tls_client_new(target->name, ca, false, error);
        if (fetch->tls == NULL) {
            return false;
        }
        fetch->ssl = tls_client_ssl(fetch->tls);
        CHECK(fetch->ssl != NULL);
        stream = bufferevent_openssl_socket_new(base, -1, fetch->ssl,
                                                BUFFEREVENT_SSL_CONNECTING,
                                                BEV_OPT_CLOSE_ON_FREE);
        CHECK(stream != NULL);
        bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
    }
    fetch->connection =
        evhttp_connection_base_bufferevent_new(base, names, stream, target->name,
                                               target->port);
    CHECK(fetch->connection != NULL);
    evhttp_connection_set_max_body_size(fetch->connection, FETCH_BODY_MAX);
    evhttp_connection_set_max_headers_size(fetch->connection, HEAD_MAX);
    return true;
}

static void put_head(struct evhttp_request *request, const struct fetch_request *wanted,
                     const struct target *target)
{
    struct evkeyvalq *fields = evhttp_request_get_output_headers(request);

    evhttp_add_header(fields, "Host", target->host);
    evhttp_add_header(fields, "Connection", "close");
    evhttp_add_header(fields, "User-Agent", "assay/" ASSAY_VERSION);
    for (const struct fetch_field *field = wanted->fields;
         field != NULL && field->name != NULL; field++) {
        evhttp_add_header(fields, field->name, field->value);
    }
}

static bool send_request(struct fetch *fetch, const struct fetch_request *wanted,
                         const struct target *target)
{
    static const enum evhttp_cmd_type commands[] = { [FETCH_GET] = EVHTTP_REQ_GET,
                                                     [FETCH_POST] = EVHTTP_REQ_POST,
                                                     [FETCH_PUT] = EVHTTP_REQ_PUT };
    struct evhttp_request *request = evhttp_request_new(on_reply, fetch);
    const char *path = evhttp_uri_get_path(fetch->uri);
    const char *query = evhttp_uri_get_query(fetch->uri);
    char line[2048];

    CHECK(request != NULL);
    put_head(request, wanted, target);
    evbuffer_add(evhttp_request_get_output_buffer(request), wanted->body.at,
                 wanted->body.len);
    (void)snprintf(line, sizeof line, "%s%s%s", path[0] == '\0' ? "/" : path,
                   query == NULL ? "" : "?", query == NULL ? "" : query);
    return evhttp_make_request(fetch->connection, request, commands[wanted->method],
                               line) == 0;
}

struct fetch *fetch_start(struct event_base *base, struct evdns_base *names,
                          const struct fetch_request *request,
                          void (*done)(void *owner, const struct fetch_reply *reply),
                          void *owner, struct error *error)
{
    const struct timeval wait = { .tv_sec = FETCH_TIMEOUT_S };
    struct fetch *fetch = calloc(1, sizeof *fetch);
    struct target target;
    const char *wrong;

    CHECK(fetch != NULL);
    fetch->done = done;
    fetch->owner = owner;
    fetch->uri = evhttp_uri_parse(request->url);
    wrong = target_of(fetch->uri, &target);
    if (wrong != NULL) {
        error_add(error, nowhere, "'%.200s' %s", request->url, wrong);
        return fetch_cancel(fetch);
    }
    fetch->end = event_new(base, -1, 0, on_end, fetch);
    CHECK(fetch->end != NULL && event_add(fetch->end, &wait) == 0);
    if (!connect_to(fetch, base, names, &target, request->ca, error)) {
        return fetch_cancel(fetch);
    }
    if (!send_request(fetch, request, &target)) {
        error_add(error, nowhere, "'%.200s' cannot be asked", request->url);
        return fetch_cancel(fetch);
    }
    return fetch;
}
