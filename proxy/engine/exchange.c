#include "proxy/engine/exchange.h"

#include "proxy/base/clock.h"
#include "proxy/engine/admit.h"
#include "proxy/engine/client.h"
#include "proxy/engine/hold.h"
#include "proxy/engine/reply.h"
#include "proxy/engine/settle.h"
#include "proxy/engine/splice.h"
#include "proxy/engine/tunnel.h"
#include "proxy/engine/worker.h"

enum { ARENA_BUDGET = 96 * 1024 }; /* of one exchange: the head, kept while it waits */

const char *const exchange_state_names[EXCHANGE_STATES + 1] = {
    [EXCHANGE_HOLD] = "hold",     [EXCHANGE_CONNECT] = "connect",
    [EXCHANGE_SEND] = "send",     [EXCHANGE_AWAIT] = "await",
    [EXCHANGE_RELAY] = "relay",   [EXCHANGE_DRAIN] = "drain",
    [EXCHANGE_TUNNEL] = "tunnel",
};

/* ---- states ---------------------------------------------------------------------- */

/* Bit per state that may follow. */
static const uint8_t successors[EXCHANGE_STATES] = {
    [EXCHANGE_HOLD] = 1 << EXCHANGE_CONNECT | 1 << EXCHANGE_AWAIT,
    [EXCHANGE_CONNECT] = 1 << EXCHANGE_SEND,
    [EXCHANGE_SEND] = 1 << EXCHANGE_CONNECT | 1 << EXCHANGE_AWAIT | 1 << EXCHANGE_RELAY,
    [EXCHANGE_AWAIT] = 1 << EXCHANGE_RELAY | 1 << EXCHANGE_DRAIN | 1 << EXCHANGE_TUNNEL,
    [EXCHANGE_RELAY] = 1 << EXCHANGE_DRAIN,
    [EXCHANGE_DRAIN] = 0,
    [EXCHANGE_TUNNEL] = 0,
};

static void list_add(struct exchange *x, enum exchange_state state)
{
    struct exchange **list = &x->worker->states[state];

    x->state = state;
    x->previous = NULL;
    x->next = *list;
    if (*list != NULL) {
        (*list)->previous = x;
    }
    *list = x;
    metrics_in_flight(x->worker->metrics, state, 1);
}

static void list_remove(struct exchange *x)
{
    if (x->previous != NULL) {
        x->previous->next = x->next;
    } else {
        x->worker->states[x->state] = x->next;
    }
    if (x->next != NULL) {
        x->next->previous = x->previous;
    }
    metrics_in_flight(x->worker->metrics, x->state, -1);
}

void exchange_move(struct exchange *x, enum exchange_state state)
{
    CHECK((successors[x->state] >> state & 1) != 0);
    list_remove(x);
    list_add(x, state);
}

/* ---- the end --------------------------------------------------------------------- */

static bool upstream_reusable(const struct exchange *x)
{
    return x->fault == FAULT_NONE && x->response.ended && x->request.ended &&
           stream_queued(&x->upstream->stream) == 0 &&
           x->response.source != FRAMING_CLOSE && x->upstream_keeps && !x->surplus;
}

/* May the client's connection live on? After a refusal not where its sender and assay
 * may disagree about where the request ends. */
static bool survives(const struct exchange *x, enum fault fault)
{
    return fault == FAULT_NONE || (x->refused && fault != FAULT_STOPPING &&
                                   fault_row(fault)->blame != BLAME_CLIENT);
}

void exchange_end(struct exchange *x, enum fault fault)
{
    struct worker *worker = x->worker;
    struct client *client = x->client;
    struct upstream *upstream = x->upstream;
    bool keep = x->keep_alive && x->request.ended && survives(x, fault);

    x->fault = fault;
    if (x->tunnel != NULL) {
        tunnel_forget(x);
    }
    if (upstream != NULL) {
        bool reusable = upstream_reusable(x);

        x->upstream = NULL;
        if (reusable) {
            upstream_release(upstream);
        } else {
            upstream_drop(upstream);
        }
    }
    if (x->state == EXCHANGE_DRAIN) {
        worker->drain_count--;
        metrics_add(worker->metrics, METRIC_DRAINS, -1);
    }
    settle(x);
    hold_clear(x);
    x->asked = request_watch_close(x->asked);
    x->answered = response_watch_close(x->answered);
    x->strip = strip_free(x->strip);
    arena_done(&x->arena);
    list_remove(x);
    view_unref(worker, x->view);
    worker_exchange_back(worker, x);
    if (client != NULL) {
        client_exchange_over(client, keep);
    }
}

void exchange_fail(struct exchange *x, enum fault fault)
{
    bool visible = x->client != NULL && !x->head_sent;

    if (x->state == EXCHANGE_TUNNEL) {
        tunnel_fail(x->tunnel, fault,
                    fault == FAULT_STOPPING ? WEBSOCKET_GOING_AWAY : WEBSOCKET_POLICY);
        return;
    }
    if (visible) {
        x->refused = true;
        x->keep_alive = x->keep_alive && x->request.ended && survives(x, fault);
        x->status = (uint16_t)reply_refuse(x, fault);
    } else if (x->client != NULL && x->response.sink == FRAMING_CLOSE) {
        /* The end of the connection would pass for the end of the body. */
        struct client *client = x->client;

        x->client = NULL;
        client->exchange = NULL;
        client_close(client, CLOSE_RESET);
    }
    exchange_end(x, fault);
}

/* ---- the beginning --------------------------------------------------------------- */

static struct exchange *exchange_new(struct client *client, const struct head *head)
{
    struct worker *worker = client->worker;
    struct exchange *x = worker_exchange(worker);

    if (x == NULL) {
        return NULL;
    }
    x->client = client;
    x->view = view_ref(worker->view);
    x->began_ns = worker->loop->now_ns;
    x->method = head->method;
    x->http10 = head->minor == 0;
    x->keep_alive = head->keep_alive;
    arena_init(&x->arena, &worker->arenas, ARENA_BUDGET);
    flow_begin(&x->request, head, head->framing);
    list_add(x, EXCHANGE_HOLD);
    client->exchange = x;
    return x;
}

struct exchange *exchange_within(struct exchange *socket)
{
    struct worker *worker = socket->worker;
    struct exchange *x = worker_exchange(worker);

    if (x != NULL) {
        x->view = view_ref(worker->view);
        x->origin = socket->origin;
        x->dialect = socket->dialect;
        x->route = socket->route;
        x->method = METHOD_POST;
        x->began_ns = worker->loop->now_ns;
        x->request.ended = true;
        arena_init(&x->arena, &worker->arenas, ARENA_BUDGET);
        list_add(x, EXCHANGE_HOLD);
    }
    return x;
}

void exchange_deadline(struct exchange *x, uint32_t wait_ms)
{
    stream_deadline(&x->upstream->stream, (uint64_t)wait_ms * NS_PER_MS);
}

void exchange_await_more(struct exchange *x)
{
    stream_postpone(&x->upstream->stream,
                    (uint64_t)x->origin->provider->idle_timeout_ms * NS_PER_MS);
}

void exchange_begin(struct client *client, struct span raw,
                    const struct known_head *known)
{
    struct worker *worker = client->worker;
    struct exchange *x;
    SCRATCH struct head parsed;
    const struct head *head;
    enum fault fault;

    if (known == NULL) {
        known = known_heads_find(worker->view->known, raw, &client->head_hash);
    }
    head = known == NULL ? &parsed : known->head;
    fault = known == NULL ? head_parse_request(raw, &parsed) : FAULT_NONE;
    if (fault != FAULT_NONE) {
        reply_refuse_head(client, fault);
        return;
    }
    x = exchange_new(client, head);
    if (x == NULL) {
        reply_refuse_head(client, FAULT_OVERLOADED);
        return;
    }
    fault = admit(x, head, known, raw);
    if (fault != FAULT_NONE) {
        exchange_fail(x, fault);
        return;
    }
    if (x->request.ended) {
        exchange_request_ended(x);
        return;
    }
    if (head->expect_continue) {
        stream_send(&client->stream, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    stream_deadline(&client->stream,
                    (uint64_t)worker_config(worker)->limits.body_timeout_ms *
                        NS_PER_MS);
}

void exchange_keep(struct exchange *x)
{
    struct span head = x->head, accept = x->accept, encoding = x->encoding;

    if (!x->head_borrowed) {
        return;
    }
    x->head_borrowed = false;
    x->head = arena_copy(&x->arena, head);
    x->accept = arena_copy(&x->arena, accept);
    x->encoding = arena_copy(&x->arena, encoding);
    if (x->head.at == NULL || x->accept.at == NULL || x->encoding.at == NULL) {
        exchange_fail(x, FAULT_NO_MEMORY);
    }
}

/* ---- the client leaves ----------------------------------------------------------- */

bool exchange_may_drain(const struct exchange *x)
{
    const struct config_provider *provider = x->origin->provider;
    unsigned workers = x->worker->workers;

    return (x->state == EXCHANGE_AWAIT || x->state == EXCHANGE_RELAY) &&
           x->request.ended && provider->on_client_abort == ABORT_DRAIN &&
           x->worker->stop != WORKER_STOPS &&
           x->worker->drain_count < (provider->drain_limit + workers - 1) / workers;
}

void exchange_drain(struct exchange *x)
{
    exchange_move(x, EXCHANGE_DRAIN);
    x->worker->drain_count++;
    metrics_add(x->worker->metrics, METRIC_DRAINS, 1);
}

void exchange_client_left(struct exchange *x)
{
    if (x->state == EXCHANGE_TUNNEL) {
        tunnel_client_left(x->tunnel);
        return;
    }
    x->client = NULL;
    if (!exchange_may_drain(x)) {
        exchange_end(x, FAULT_CLIENT_GONE);
        return;
    }
    exchange_drain(x);
    exchange_deadline(x, x->origin->provider->drain_timeout_ms);
    stream_resume(&x->upstream->stream);
}
