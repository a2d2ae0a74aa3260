#include "proxy/engine/client.h"

#include "proxy/base/clock.h"
#include "proxy/engine/known_head.h"
#include "proxy/engine/reply.h"
#include "proxy/engine/worker.h"
#include "proxy/identity/peer.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    /* A refused client gets this much time and patience to read the refusal before its
     * connection goes, because closing with unread bytes would reset it. */
    LINGER_MS = 2000,
    LINGER_BYTES = 4 * 1024 * 1024
};

/* ---- pending bytes --------------------------------------------------------------- */

static bool pending_put(struct client *client, struct span bytes)
{
    size_t need = client->pending_len + bytes.len;

    if (need > client->pending_cap) {
        size_t cap = need < 1024 ? 1024 : need * 2;
        char *grown = realloc(client->pending, cap);

        if (grown == NULL) {
            return false;
        }
        client->pending = grown;
        client->pending_cap = cap;
    }
    memcpy(client->pending + client->pending_len, bytes.at, bytes.len);
    client->pending_len = need;
    return true;
}

static char *pending_take(struct client *client, struct span *bytes)
{
    char *taken = client->pending;

    *bytes = span_of(taken, client->pending_len);
    client->pending = NULL;
    client->pending_len = 0;
    client->pending_cap = 0;
    return taken;
}

/* ---- closing --------------------------------------------------------------------- */

static void client_freed(void *self)
{
    struct client *client = self;

    free(client->pending);
    free(client->certificate);
    worker_client_back(client->worker, client);
}

void client_close(struct client *client, enum stream_closing how)
{
    struct exchange *exchange = client->exchange;

    if (client->stream.closed) {
        return;
    }
    stream_close(&client->stream, how, client_freed);
    if (exchange != NULL) {
        client->exchange = NULL;
        exchange_client_left(exchange);
    }
}

static void client_linger(struct client *client)
{
    client->lingering = true;
    stream_shutdown(&client->stream);
    stream_resume(&client->stream);
    stream_deadline(&client->stream, (uint64_t)LINGER_MS * NS_PER_MS);
}

/* No further exchange: closes when what is queued has left. */
static void client_finish(struct client *client)
{
    client->closing = true;
    stream_flush(&client->stream);
    if (client->half_closed && stream_queued(&client->stream) == 0) {
        client_close(client, CLOSE_ORDERLY);
    } else if (stream_queued(&client->stream) == 0) {
        client_linger(client);
    } else {
        client_watch_queue(client);
    }
}

/* ---- reading --------------------------------------------------------------------- */

static void client_wait(struct client *client)
{
    const struct config_limits *limits = &worker_config(client->worker)->limits;
    uint32_t wait_ms =
        client->pending_len > 0 ? limits->head_timeout_ms : limits->keep_alive_ms;

    stream_deadline(&client->stream, (uint64_t)wait_ms * NS_PER_MS);
}

/* Keeps the front of a head. The time for the rest runs from the first byte, so that a
 * slow sender cannot stretch it. */
static void head_keep(struct client *client, struct span bytes)
{
    if (!pending_put(client, bytes)) {
        client_close(client, CLOSE_RESET);
    } else if (!client->head_begun) {
        client->head_begun = true;
        client_wait(client);
    }
}

/* Reads a head off the front of the bytes and begins its exchange; returns the rest. */
static struct span head_read(struct client *client, struct span bytes)
{
    size_t size;
    const struct known_head *known =
        known_heads_again(client->worker->view->known, client->head_hash, bytes, &size);
    enum fault fault =
        known == NULL ? head_find_end(bytes, &client->scanned, &size) : FAULT_NONE;

    if (fault != FAULT_NONE) {
        client->scanned = 0;
        reply_refuse_head(client, fault);
        return span_of(bytes.at, 0);
    }
    if (size == 0) {
        head_keep(client, bytes);
        return span_of(bytes.at, 0);
    }
    client->scanned = 0;
    client->head_begun = false;
    deadline_clear(&client->stream.deadline);
    exchange_begin(client, span_of(bytes.at, size), known);
    return span_after(bytes, size);
}

/* What came is all that comes: a request whose rest is missing cannot be completed. Who
 * has finished sending may still read its response. */
static void nothing_follows(struct client *client)
{
    if (client->exchange == NULL) {
        client_finish(client);
    } else if (exchange_wants_body(client->exchange)) {
        client_close(client, CLOSE_ORDERLY);
    }
}

static void client_feed(struct client *client, struct span bytes)
{
    client->feeding = true;
    while (bytes.len > 0 && !client->closing && !client->stream.closed) {
        if (client->exchange == NULL) {
            bytes = head_read(client, bytes);
        } else if (exchange_wants_body(client->exchange)) {
            bytes = exchange_request(client->exchange, bytes);
        } else {
            /* The next request: read when the response to this one is done. */
            if (!pending_put(client, bytes)) {
                client_close(client, CLOSE_RESET);
            }
            stream_pause(&client->stream);
            break;
        }
    }
    if (client->exchange != NULL) {
        exchange_keep(client->exchange);
    }
    client->feeding = false;
    if (client->closing || client->stream.closed) {
        return;
    }
    if (client->half_closed) {
        nothing_follows(client);
    } else if (client->exchange == NULL && client->stream.deadline.queue == NULL) {
        client_wait(client); /* what came was refused, and nothing more is here */
    }
}

/* Serves bytes that had to wait, with what follows them. */
static void client_feed_pending(struct client *client)
{
    struct span bytes;
    char *taken = pending_take(client, &bytes);

    client_feed(client, bytes);
    free(taken);
}

static void client_linger_read(struct client *client, struct span bytes)
{
    client->lingered += bytes.len;
    if (client->lingered > LINGER_BYTES) {
        client_close(client, CLOSE_RESET);
    }
}

static void on_readable(void *self, struct span bytes)
{
    struct client *client = self;

    if (client->closing) {
        client_linger_read(client, bytes);
    } else if (client->pending_len == 0) {
        client_feed(client, bytes);
    } else if (!pending_put(client, bytes)) {
        client_close(client, CLOSE_RESET);
    } else if (client->exchange == NULL) {
        client_feed_pending(client);
    } else {
        stream_pause(&client->stream);
    }
}

/* ---- other events ---------------------------------------------------------------- */

static void on_ready(void *self)
{
    (void)self; /* the handshake is done; the first head has the time that is left */
}

static void on_drained(void *self)
{
    struct client *client = self;

    deadline_clear(&client->stream.deadline);
    if (client->closing) {
        if (stream_queued(&client->stream) == 0) {
            client_finish(client);
        } else {
            client_watch_queue(client);
        }
    } else if (client->exchange != NULL) {
        exchange_client_drained(client->exchange);
    } else {
        client_wait(client);
    }
}

static void on_ended(void *self, enum stream_end how)
{
    struct client *client = self;
    bool lost = how != STREAM_EOF && how != STREAM_TRUNCATED;

    client->half_closed = true;
    if (lost) {
        client_close(client, CLOSE_ORDERLY);
    } else {
        nothing_follows(client);
    }
}

/* A slow reader has time as long as it reads on. */
static bool reads_on(const struct client *client)
{
    return stream_queued(&client->stream) > 0 && client->stream.sent != client->sent;
}

static void on_expired(void *self)
{
    struct client *client = self;

    if (reads_on(client)) {
        client_watch_queue(client);
    } else if (client->closing || stream_queued(&client->stream) > 0) {
        client_close(client, CLOSE_RESET);
    } else if (client->exchange != NULL) {
        exchange_fail(client->exchange, FAULT_BODY_TIMEOUT);
    } else if (client->pending_len > 0) {
        reply_refuse_head(client, FAULT_HEAD_TIMEOUT);
    } else {
        client_close(client, CLOSE_ORDERLY);
    }
    stream_flush(&client->stream);
}

static const struct stream_events client_events = {
    .ready = on_ready,
    .readable = on_readable,
    .drained = on_drained,
    .ended = on_ended,
};

/* ---- life ------------------------------------------------------------------------ */

void client_accept(struct worker *worker, size_t listener, int fd)
{
    struct tls_server *tls = worker->view->snapshot->tls[listener];
    struct client *client = worker_client(worker);
    SSL *ssl = NULL;

    if (client != NULL && tls != NULL) {
        ssl = tls_server_ssl(tls);
        if (ssl == NULL) {
            worker_client_back(worker, client);
            client = NULL;
        }
    }
    if (client == NULL) {
        close(fd);
        return;
    }
    if (!stream_accept(&client->stream, worker->loop, fd, ssl, &client_events,
                       client)) {
        worker_client_back(worker, client);
        return;
    }
    client->listener = listener;
    client->stream.deadline.expired = on_expired;
    client->stream.deadline.owner = client;
    /* A fresh connection has the time of a head for its handshake and
     * its first head. */
    stream_deadline(&client->stream,
                    (uint64_t)worker_config(worker)->limits.head_timeout_ms *
                        NS_PER_MS);
}

struct span client_certificate(struct client *client)
{
    const struct config_tls *tls =
        &worker_config(client->worker)->listeners[client->listener].tls;
    char name[PEER_NAME_MAX + 1];

    if (client->certificate == NULL && client->stream.ssl != NULL) {
        (void)peer_certificate_name(client->stream.ssl, &tls->names, name);
        client->certificate = strdup(name);
    }
    return span_text(client->certificate);
}

void client_watch_queue(struct client *client)
{
    if (stream_queued(&client->stream) > 0 && client->stream.deadline.queue == NULL) {
        uint32_t wait_ms = worker_config(client->worker)->limits.write_timeout_ms;

        client->sent = client->stream.sent;
        stream_deadline(&client->stream, (uint64_t)wait_ms * NS_PER_MS);
    }
}

void client_resume(struct client *client)
{
    if (client->pending_len == 0) {
        stream_resume(&client->stream);
    }
}

void client_serve_pending(struct client *client)
{
    stream_resume(&client->stream);
    if (client->pending_len > 0) {
        client_feed_pending(client);
    }
}

void client_exchange_over(struct client *client, bool keep)
{
    client->exchange = NULL;
    if (client->stream.closed) {
        return;
    }
    deadline_clear(&client->stream.deadline);
    if (!keep || client->worker->stop != WORKER_RUNS) {
        client_finish(client);
        return;
    }
    stream_resume(&client->stream);
    if (client->feeding) {
        return; /* client_feed() goes on by itself */
    }
    if (client->pending_len > 0) {
        client_feed_pending(client);
    } else if (client->half_closed) {
        client_finish(client);
    } else {
        client_wait(client);
    }
}
