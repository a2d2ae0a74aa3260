#include "proxy/engine/upstream.h"

#include "filters/registry.h"
#include "proxy/base/clock.h"
#include "proxy/base/wipe.h"
#include "proxy/engine/exchange.h"
#include "proxy/engine/worker.h"
#include "proxy/http/head.h"

#include <stdlib.h>

/* ---- origins --------------------------------------------------------------------- */

bool origin_init(struct origin *origin, struct worker *worker,
                 const struct config_provider *provider, struct error *error)
{
    *origin = (struct origin){ .provider = provider };
    origin->shape = registry_family_dialect(provider->dialects[0]);
    origin->name = resolve_name_new(worker->resolver, provider->host, provider->port);
    if (origin->name == NULL) {
        error_add(error, provider->place, "provider '%s': out of memory",
                  provider->name);
        return false;
    }
    if (provider->tls) {
        origin->tls = tls_client_new(provider->host, provider->ca,
                                     provider->insecure_for_tests, error);
        return origin->tls != NULL;
    }
    return true;
}

void origin_done(struct origin *origin)
{
    origin_close_idle(origin);
    head_forms_done(&origin->forms);
    origin->name = resolve_name_free(origin->name);
    origin->tls = tls_client_free(origin->tls);
}

static void idle_add(struct upstream *upstream)
{
    struct origin *origin = upstream->origin;

    upstream->previous = NULL;
    upstream->next = origin->idle;
    if (origin->idle != NULL) {
        origin->idle->previous = upstream;
    }
    origin->idle = upstream;
    origin->idle_count++;
}

static void idle_remove(struct upstream *upstream)
{
    struct origin *origin = upstream->origin;

    if (upstream->previous != NULL) {
        upstream->previous->next = upstream->next;
    } else {
        origin->idle = upstream->next;
    }
    if (upstream->next != NULL) {
        upstream->next->previous = upstream->previous;
    }
    origin->idle_count--;
}

/* The newest; NULL: none. */
static struct upstream *idle_pop(struct origin *origin)
{
    struct upstream *newest = origin->idle;

    if (newest != NULL) {
        origin->idle = newest->next;
        origin->idle_count--;
    }
    if (origin->idle != NULL) {
        origin->idle->previous = NULL;
    }
    return newest;
}

/* ---- life ------------------------------------------------------------------------ */

static void upstream_freed(void *self)
{
    struct upstream *upstream = self;

    free(upstream->pending);
    free(upstream);
}

static void upstream_close(struct upstream *upstream)
{
    resolve_cancel(&upstream->wait);
    deadline_clear(&upstream->stream.deadline);
    if (upstream->watched) {
        metrics_add(upstream->worker->metrics, METRIC_UPSTREAMS, -1);
        stream_close(&upstream->stream, false, upstream_freed);
    } else {
        upstream_freed(upstream);
    }
}

void origin_close_idle(struct origin *origin)
{
    struct upstream *upstream;

    while ((upstream = idle_pop(origin)) != NULL) {
        upstream_close(upstream);
    }
}

void upstream_drop(struct upstream *upstream)
{
    upstream->exchange = NULL;
    upstream_close(upstream);
}

void upstream_release(struct upstream *upstream)
{
    struct origin *origin = upstream->origin;
    const struct config_provider *provider = origin->provider;

    if (upstream->stream.read_ended || upstream->stream.failed ||
        upstream->worker->stop != WORKER_RUNS ||
        origin->idle_count >= provider->pool_size) {
        upstream_drop(upstream);
        return;
    }
    upstream->exchange = NULL;
    idle_add(upstream);
    stream_resume(&upstream->stream);
    stream_deadline(&upstream->stream, (uint64_t)provider->pool_idle_ms * NS_PER_MS);
}

bool upstream_was_dead(const struct upstream *upstream, uint64_t sent_before)
{
    return upstream->reused && upstream->stream.failed &&
           upstream->stream.sent == sent_before;
}

/* ---- events ---------------------------------------------------------------------- */

static void upstream_fail(struct upstream *upstream, enum fault fault)
{
    struct exchange *exchange = upstream->exchange;

    exchange->upstream = NULL;
    upstream->exchange = NULL;
    upstream_close(upstream);
    exchange_upstream_failed(exchange, fault);
}

static void on_ready(void *self)
{
    struct upstream *upstream = self;

    upstream->connected = true;
    deadline_clear(&upstream->stream.deadline);
    if (upstream->stream.ssl != NULL && SSL_session_reused(upstream->stream.ssl)) {
        metrics_add(upstream->worker->metrics, METRIC_TLS_RESUMED, 1);
    }
    exchange_upstream_ready(upstream->exchange);
}

/* Keeps the front of a response head until the rest comes. */
static void pending_keep(struct upstream *upstream, struct span bytes)
{
    upstream->pending = malloc(bytes.len + 1);
    if (upstream->pending == NULL) {
        exchange_fail(upstream->exchange, FAULT_NO_MEMORY);
        return;
    }
    memcpy(upstream->pending, bytes.at, bytes.len);
    upstream->pending_len = bytes.len;
}

/* The front that was kept, with what follows it; the caller frees it. NULL without
 * memory. */
static char *pending_join(struct upstream *upstream, struct span *bytes)
{
    char *joined = realloc(upstream->pending, upstream->pending_len + bytes->len);

    if (joined == NULL) {
        exchange_fail(upstream->exchange, FAULT_NO_MEMORY);
        return NULL;
    }
    memcpy(joined + upstream->pending_len, bytes->at, bytes->len);
    *bytes = span_of(joined, upstream->pending_len + bytes->len);
    upstream->pending = NULL;
    upstream->pending_len = 0;
    return joined;
}

static bool head_is_through(const struct exchange *exchange)
{
    return exchange->head_sent || exchange->response_watched;
}

/* Reads the head at the front of `bytes`, to `memory` unless it has a known form. NULL
 * if the end of the head has not come, or it is none. */
static const struct head *head_read(struct upstream *upstream, struct span bytes,
                                    struct head *memory, size_t *size)
{
    struct exchange *exchange = upstream->exchange;
    struct head_forms *forms = &upstream->origin->forms;
    const struct head *known = head_forms_read(forms, bytes, exchange->method, size);
    enum fault fault;

    if (known != NULL) {
        return known;
    }
    fault = head_find_end(bytes, &upstream->scanned, size);
    if (fault == FAULT_NONE && *size == 0) {
        return NULL;
    }
    bytes.len = *size;
    if (fault != FAULT_NONE ||
        head_parse_response(bytes, exchange->method, memory) != FAULT_NONE) {
        exchange_fail(exchange, FAULT_UPSTREAM_HEAD);
        return NULL;
    }
    head_forms_add(forms, bytes, memory);
    return memory;
}

/* Serves as many heads as lie whole in `bytes` (interim ones come before the
 * final one). Returns what is left: body bytes once the final head is through,
 * else a head's front. */
static struct span heads_read(struct upstream *upstream, struct span bytes)
{
    struct exchange *exchange = upstream->exchange;

    while (upstream->exchange == exchange && !head_is_through(exchange)) {
        SCRATCH struct head memory;
        size_t size;
        const struct head *head = head_read(upstream, bytes, &memory, &size);

        if (head == NULL) {
            break;
        }
        upstream->scanned = 0;
        bytes = span_after(bytes, size);
        exchange->surplus = bytes.len > 0; /* should the head be all of the response */
        exchange_response_head(exchange, head);
    }
    return bytes;
}

static void head_arrives(struct upstream *upstream, struct span bytes)
{
    struct exchange *exchange = upstream->exchange;
    char *joined = NULL;

    if (upstream->pending != NULL) {
        joined = pending_join(upstream, &bytes);
        if (joined == NULL) {
            return;
        }
    }
    bytes = heads_read(upstream, bytes);
    if (upstream->exchange == exchange && bytes.len > 0) {
        if (head_is_through(exchange)) {
            exchange_response(exchange, bytes);
        } else {
            pending_keep(upstream, bytes);
        }
    }
    wipe_free(joined);
}

static void on_readable(void *self, struct span bytes)
{
    struct upstream *upstream = self;

    if (upstream->exchange == NULL) {
        /* Nobody asked: what an idle connection says belongs to no response. */
        idle_remove(upstream);
        upstream_close(upstream);
    } else if (head_is_through(upstream->exchange)) {
        exchange_response(upstream->exchange, bytes);
    } else {
        head_arrives(upstream, bytes);
    }
}

static void on_drained(void *self)
{
    struct upstream *upstream = self;

    if (upstream->exchange != NULL) {
        exchange_upstream_drained(upstream->exchange);
    }
}

static void on_ended(void *self, enum stream_end how)
{
    struct upstream *upstream = self;
    struct exchange *exchange = upstream->exchange;

    if (exchange == NULL) {
        idle_remove(upstream);
        upstream_close(upstream);
    } else if (!upstream->connected) {
        upstream_fail(upstream, how == STREAM_REFUSED ? FAULT_UPSTREAM_CONNECT
                                                      : FAULT_UPSTREAM_TLS);
    } else {
        exchange_upstream_ended(exchange, how);
    }
}

static void on_expired(void *self)
{
    struct upstream *upstream = self;

    if (upstream->exchange == NULL) {
        idle_remove(upstream);
        upstream_close(upstream);
    } else if (!upstream->connected) {
        upstream_fail(upstream, FAULT_CONNECT_TIMEOUT);
    } else {
        exchange_upstream_expired(upstream->exchange);
    }
}

static const struct stream_events upstream_events = {
    .ready = on_ready,
    .readable = on_readable,
    .drained = on_drained,
    .ended = on_ended,
};

/* ---- leasing --------------------------------------------------------------------- */

static void upstream_connect(struct upstream *upstream,
                             const struct sockaddr_storage *address, socklen_t length)
{
    struct origin *origin = upstream->origin;
    uint64_t timeout_ns = (uint64_t)origin->provider->connect_timeout_ms * NS_PER_MS;
    SSL *ssl = NULL;

    if (origin->tls != NULL) {
        ssl = tls_client_ssl(origin->tls);
        if (ssl == NULL) {
            upstream_fail(upstream, FAULT_NO_MEMORY);
            return;
        }
    }
    deadline_clear(&upstream->stream.deadline);
    if (!stream_connect(&upstream->stream, upstream->worker->loop,
                        (const struct sockaddr *)address, length, ssl, &upstream_events,
                        upstream)) {
        upstream_fail(upstream, FAULT_UPSTREAM_CONNECT);
        return;
    }
    upstream->watched = true;
    upstream->stream.deadline.expired = on_expired;
    upstream->stream.deadline.owner = upstream;
    stream_deadline(&upstream->stream, timeout_ns);
    metrics_add(upstream->worker->metrics, METRIC_UPSTREAMS, 1);
    metrics_add(upstream->worker->metrics, METRIC_UPSTREAMS_TOTAL, 1);
}

static void on_resolved(void *self, bool found)
{
    struct upstream *upstream = self;
    struct sockaddr_storage address;
    socklen_t length;

    if (!found ||
        !resolve_address(upstream->origin->name, &upstream->wait, &address, &length)) {
        upstream_fail(upstream, FAULT_UPSTREAM_DNS);
        return;
    }
    upstream_connect(upstream, &address, length);
}

static struct upstream *upstream_new(struct exchange *exchange)
{
    struct upstream *upstream = calloc(1, sizeof *upstream);

    if (upstream != NULL) {
        upstream->worker = exchange->worker;
        upstream->origin = exchange->origin;
        upstream->exchange = exchange;
        upstream->wait.done = on_resolved;
        upstream->wait.owner = upstream;
        exchange->upstream = upstream;
    }
    return upstream;
}

/* The newest idle connection; NULL: none. One on which bytes came unasked is closed:
 * they would pass for the response. */
static struct upstream *idle_take(struct origin *origin, const struct loop *loop)
{
    struct upstream *upstream;

    while ((upstream = idle_pop(origin)) != NULL) {
        if (!loop_input_waits(loop, &upstream->stream.watch)) {
            return upstream;
        }
        upstream_close(upstream);
    }
    return NULL;
}

static bool lease_idle(struct exchange *exchange)
{
    struct upstream *upstream = idle_take(exchange->origin, exchange->worker->loop);

    if (upstream == NULL) {
        return false;
    }
    deadline_clear(&upstream->stream.deadline);
    upstream->exchange = exchange;
    upstream->reused = true;
    exchange->upstream = upstream;
    metrics_add(exchange->worker->metrics, METRIC_UPSTREAM_REUSED, 1);
    return true;
}

bool upstream_lease(struct exchange *exchange)
{
    struct sockaddr_storage address;
    struct upstream *upstream;
    socklen_t length;

    if (lease_idle(exchange)) {
        return true;
    }
    upstream = upstream_new(exchange);
    if (upstream == NULL) {
        exchange_upstream_failed(exchange, FAULT_NO_MEMORY);
        return false;
    }
    if (resolve_address(exchange->origin->name, &upstream->wait, &address, &length)) {
        upstream_connect(upstream, &address, length);
        return false;
    }
    upstream->stream.loop = exchange->worker->loop;
    upstream->stream.deadline.expired = on_expired;
    upstream->stream.deadline.owner = upstream;
    stream_deadline(&upstream->stream,
                    (uint64_t)exchange->origin->provider->connect_timeout_ms *
                        NS_PER_MS);
    return false;
}
