#include "proxy/alert/receiver.h"

#include "certs/tls.h"
#include "proxy/alert/signature.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include <stdio.h>
#include <stdlib.h>

enum {
    EVENTS_MAX = 16,
    HEAD_MAX = 16 * 1024, /* of an answer */
    BODY_MAX = 64 * 1024,
    REASON_MAX = 160
};

struct receiver {
    char *name, *host, *path;
    char *events[EVENTS_MAX];
    size_t event_count; /* 0: all */
    uint16_t port;
    int64_t timeout_ms, retry_ms, give_up_ms;
    struct secret *secret;
    struct tls_client *tls; /* NULL: plain HTTP */
    /* of the attempt under way */
    struct evhttp_connection *connection;
    SSL *ssl;  /* the connection's */
    bool over; /* the connection is only to be freed */
    int64_t deadline_ms;
    void (*done)(void *self, struct receiver *receiver, enum receiver_end end,
                 const char *reason);
    void *self;
};

/* ---- life ------------------------------------------------------------------------ */

static char *copy(const char *text)
{
    char *own = strdup(text);

    CHECK(own != NULL);
    return own;
}

struct receiver *receiver_new(const struct config_webhook *webhook, struct error *error)
{
    const struct config_url *url = &webhook->url;
    struct receiver *receiver = calloc(1, sizeof *receiver);
    size_t mistakes = error->count;

    CHECK(receiver != NULL);
    receiver->name = copy(webhook->name);
    receiver->host = copy(url->host);
    receiver->path = copy(url->base[0] == '\0' ? "/" : url->base);
    receiver->port = url->port;
    receiver->timeout_ms = webhook->timeout_ms;
    receiver->retry_ms = webhook->retry_ms;
    receiver->give_up_ms = webhook->give_up_ms;
    for (const char *const *event = webhook->events; event != NULL && *event != NULL;
         event++) {
        CHECK(receiver->event_count < EVENTS_MAX);
        receiver->events[receiver->event_count++] = copy(*event);
    }
    receiver->secret = secret_new(secret_reveal(webhook->secret));
    CHECK(receiver->secret != NULL);
    if (url->tls) {
        receiver->tls =
            tls_client_new(url->host, webhook->ca, webhook->insecure_for_tests, error);
    }
    return error->count == mistakes ? receiver : receiver_free(receiver);
}

static void connection_free(struct receiver *receiver)
{
    if (receiver->connection != NULL) {
        evhttp_connection_free(receiver->connection);
        receiver->connection = NULL;
        receiver->ssl = NULL;
    }
    receiver->over = false;
}

struct receiver *receiver_free(struct receiver *receiver)
{
    if (receiver == NULL) {
        return NULL;
    }
    connection_free(receiver);
    tls_client_free(receiver->tls);
    secret_free(receiver->secret);
    for (size_t i = 0; i < receiver->event_count; i++) {
        free(receiver->events[i]);
    }
    free(receiver->name);
    free(receiver->host);
    free(receiver->path);
    free(receiver);
    return NULL;
}

const char *receiver_name(const struct receiver *receiver)
{
    return receiver->name;
}

bool receiver_wants(const struct receiver *receiver, const char *event)
{
    for (size_t i = 0; i < receiver->event_count; i++) {
        if (strcmp(receiver->events[i], event) == 0) {
            return true;
        }
    }
    return receiver->event_count == 0;
}

int64_t receiver_wait_ms(const struct receiver *receiver, uint32_t tries)
{
    int64_t wait = receiver->retry_ms;

    for (uint32_t i = 0; i < tries && wait < RECEIVER_WAIT_MAX_MS; i++) {
        wait *= 2;
    }
    return wait < RECEIVER_WAIT_MAX_MS ? wait : RECEIVER_WAIT_MAX_MS;
}

int64_t receiver_give_up_ms(const struct receiver *receiver)
{
    return receiver->give_up_ms;
}

/* ---- one attempt ----------------------------------------------------------------- */

static void end(struct receiver *receiver, enum receiver_end how, const char *reason)
{
    receiver->over = true;
    receiver->done(receiver->self, receiver, how, reason);
}

/* Why the connection failed, as far as TLS knows. */
static void no_answer(struct receiver *receiver)
{
    const char *refusal = tls_client_refusal(receiver->ssl);
    char reason[REASON_MAX];

    if (refusal == NULL) {
        end(receiver, RECEIVER_FAILED, "there was no answer");
        return;
    }
    snprintf(reason, sizeof reason, "its certificate was refused: %s", refusal);
    end(receiver, RECEIVER_FAILED, reason);
}

/* Without a request, or without a status: the connection failed. */
static void on_answer(struct evhttp_request *request, void *self)
{
    int status = request == NULL ? 0 : evhttp_request_get_response_code(request);
    char reason[REASON_MAX];

    if (status == 0) {
        no_answer(self);
    } else if (status / 100 == 2) {
        end(self, RECEIVER_TAKEN, "");
    } else {
        snprintf(reason, sizeof reason, "the answer was %d", status);
        end(self, status == 410 ? RECEIVER_REFUSED : RECEIVER_FAILED, reason);
    }
}

static bool connect_to(struct receiver *receiver, struct event_base *base)
{
    struct bufferevent *stream = NULL;

    receiver->ssl = receiver->tls == NULL ? NULL : tls_client_ssl(receiver->tls);
    if (receiver->tls == NULL) {
        stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    } else if (receiver->ssl != NULL) {
        stream = bufferevent_openssl_socket_new(base, -1, receiver->ssl,
                                                BUFFEREVENT_SSL_CONNECTING,
                                                BEV_OPT_CLOSE_ON_FREE);
    }
    if (stream == NULL) {
        return false;
    }
    receiver->connection =
        evhttp_connection_base_bufferevent_new(base, NULL, stream, receiver->host,
                                               receiver->port);
    if (receiver->connection == NULL) {
        bufferevent_free(stream);
        return false;
    }
    evhttp_connection_set_max_headers_size(receiver->connection, HEAD_MAX);
    evhttp_connection_set_max_body_size(receiver->connection, BODY_MAX);
    return true;
}

static void add_fields(const struct receiver *receiver, struct evhttp_request *request,
                       const char *id, const char *timestamp, const char *signature)
{
    struct evkeyvalq *fields = evhttp_request_get_output_headers(request);
    bool ipv6 = strchr(receiver->host, ':') != NULL;
    char host[300];

    snprintf(host, sizeof host, ipv6 ? "[%s]:%u" : "%s:%u", receiver->host,
             receiver->port);
    evhttp_add_header(fields, "Host", host);
    evhttp_add_header(fields, "Connection", "close");
    evhttp_add_header(fields, "User-Agent", "assay/" ASSAY_VERSION);
    evhttp_add_header(fields, "Content-Type", "application/json");
    evhttp_add_header(fields, "webhook-id", id);
    evhttp_add_header(fields, "webhook-timestamp", timestamp);
    evhttp_add_header(fields, "webhook-signature", signature);
}

static bool request_goes(struct receiver *receiver,
                         const struct outbox_message *message, int64_t now_ms)
{
    struct span body = span_text(message->body);
    struct evhttp_request *request;
    char signature[SIGNATURE_SIZE], timestamp[24];

    snprintf(timestamp, sizeof timestamp, "%lld", (long long)(now_ms / 1000));
    if (!signature_make(receiver->secret, message->id, now_ms / 1000, body,
                        signature)) {
        return false;
    }
    request = evhttp_request_new(on_answer, receiver);
    CHECK(request != NULL);
    add_fields(receiver, request, message->id, timestamp, signature);
    evbuffer_add(evhttp_request_get_output_buffer(request), body.at, body.len);
    return evhttp_make_request(receiver->connection, request, EVHTTP_REQ_POST,
                               receiver->path) == 0;
}

void receiver_send(struct receiver *receiver, struct event_base *base,
                   const struct outbox_message *message, int64_t now_ms,
                   void (*done)(void *self, struct receiver *receiver,
                                enum receiver_end end, const char *reason),
                   void *self)
{
    CHECK(receiver->connection == NULL);
    receiver->deadline_ms = now_ms + receiver->timeout_ms;
    receiver->done = done;
    receiver->self = self;
    if (!connect_to(receiver, base)) {
        end(receiver, RECEIVER_FAILED, "a connection cannot be made");
    } else if (!request_goes(receiver, message, now_ms) && !receiver->over) {
        end(receiver, RECEIVER_FAILED, "the message cannot be signed or sent");
    }
}

bool receiver_busy(const struct receiver *receiver)
{
    return receiver->connection != NULL && !receiver->over;
}

int64_t receiver_turn(struct receiver *receiver, int64_t now_ms)
{
    bool late = receiver_busy(receiver) &&
                (now_ms >= receiver->deadline_ms ||
                 now_ms < receiver->deadline_ms - receiver->timeout_ms);

    if (late) {
        end(receiver, RECEIVER_FAILED, "there was no answer in time");
    }
    if (receiver->over) {
        connection_free(receiver);
    }
    return receiver->connection == NULL ? 0 : receiver->deadline_ms;
}
