#include "proxy/engine/exchange.h"

#include "filters/clients.h"
#include "filters/registry.h"
#include "proxy/base/clock.h"
#include "proxy/engine/client.h"
#include "proxy/engine/forward.h"
#include "proxy/engine/reply.h"
#include "proxy/engine/route.h"
#include "proxy/engine/settle.h"
#include "proxy/engine/splice.h"
#include "proxy/engine/worker.h"
#include "proxy/http/media.h"
#include "proxy/identity/identity.h"

enum {
    ARENA_BUDGET = 96 * 1024, /* of one exchange: the head, kept while it waits */
    INTERIM_MAX = 8,          /* 1xx responses before the final one */
    CONNECTS_MAX = 3,         /* addresses tried for one exchange */
    SPANS = 32                /* pieces of a response body that leave together */
};

const char *const exchange_state_names[EXCHANGE_STATES + 1] = {
    [EXCHANGE_HOLD] = "hold",   [EXCHANGE_CONNECT] = "connect",
    [EXCHANGE_SEND] = "send",   [EXCHANGE_AWAIT] = "await",
    [EXCHANGE_RELAY] = "relay", [EXCHANGE_DRAIN] = "drain",
};

/* ---- states ------------------------------------------------------------------------ */

/* Bit per state that may follow. */
static const uint8_t successors[EXCHANGE_STATES] = {
    [EXCHANGE_HOLD] = 1 << EXCHANGE_CONNECT,
    [EXCHANGE_CONNECT] = 1 << EXCHANGE_SEND,
    [EXCHANGE_SEND] = 1 << EXCHANGE_CONNECT | 1 << EXCHANGE_AWAIT | 1 << EXCHANGE_RELAY,
    [EXCHANGE_AWAIT] = 1 << EXCHANGE_RELAY | 1 << EXCHANGE_DRAIN,
    [EXCHANGE_RELAY] = 1 << EXCHANGE_DRAIN,
    [EXCHANGE_DRAIN] = 0,
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

/* ---- the end ----------------------------------------------------------------------- */

/* Brings the worker's account of held bytes up to date with this exchange's queues. */
static void held_count(struct exchange *x)
{
    uint64_t held = x->held.bytes + x->decoded.bytes;

    if (held != x->held_counted) {
        x->worker->held_bytes += held - x->held_counted;
        metrics_add(x->worker->metrics, METRIC_HELD_BYTES,
                    (int64_t)(held - x->held_counted));
        x->held_counted = held;
    }
}

static void held_clear(struct exchange *x)
{
    block_clear(&x->held, &x->worker->loop->blocks);
    block_clear(&x->decoded, &x->worker->loop->blocks);
    held_count(x);
}

static bool upstream_reusable(const struct exchange *x)
{
    return x->fault == FAULT_NONE && x->response.ended && x->request.ended &&
           x->response.source != FRAMING_CLOSE && x->upstream_keeps && !x->surplus;
}

/* May the client's connection live on after a refusal? Not where its sender and assay may
 * disagree about where the request ends. */
static bool survives(const struct exchange *x, enum fault fault)
{
    const struct fault_row *row = fault_row(fault);

    return fault == FAULT_NONE || (x->refused && fault != FAULT_STOPPING &&
                                   (row->blame != BLAME_CLIENT || row->status == 404));
}

/* The one way out. */
static void exchange_end(struct exchange *x, enum fault fault)
{
    struct worker *worker = x->worker;
    struct client *client = x->client;
    struct upstream *upstream = x->upstream;
    bool keep = x->keep_alive && x->request.ended && survives(x, fault);

    x->fault = fault;
    if (upstream != NULL) {
        x->upstream = NULL;
        upstream_release(upstream, upstream_reusable(x));
    }
    if (x->state == EXCHANGE_DRAIN) {
        worker->drain_count--;
        metrics_add(worker->metrics, METRIC_DRAINS, -1);
    }
    settle(x);
    held_clear(x);
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

    if (visible) {
        x->refused = true;
        x->keep_alive = x->keep_alive && x->request.ended && survives(x, fault);
        x->status = (uint16_t)reply_refuse(x, fault);
    } else if (x->client != NULL && x->response.sink == FRAMING_CLOSE) {
        /* The end of the connection would pass for the end of the body. */
        struct client *client = x->client;

        x->client = NULL;
        client->exchange = NULL;
        client_close(client, true);
    }
    exchange_end(x, fault);
}

/* ---- the beginning ----------------------------------------------------------------- */

static bool is_encoded_twice(const struct head *head)
{
    size_t count = 0;

    for (size_t i = 0; i < head->field_count; i++) {
        count += head->fields[i].id == FIELD_CONTENT_ENCODING;
    }
    return count > 1;
}

static enum fault take_slot(struct exchange *x, const struct caller *caller)
{
    x->entry = journal_take(x->worker->journal, clock_unix_ns());
    if (x->entry == NULL) {
        return FAULT_JOURNAL_FULL;
    }
    settle_open(x, caller);
    return FAULT_NONE;
}

static bool may_splice(const struct exchange *x)
{
    return x->dialect->usage_splice && x->origin->provider->inject_usage;
}

static void decoded_put(void *self, struct span piece)
{
    struct exchange *x = self;

    if (!block_put(&x->decoded, &x->worker->loop->blocks, piece)) {
        x->no_memory = true;
    }
    held_count(x);
}

static enum fault watch_request(struct exchange *x, const struct head *head)
{
    struct clients *clients = x->view->snapshot->clients;

    clients_claims(clients, head, &x->claims);
    x->asked = request_watch_open(x->worker->watches, x->dialect, x->route, head,
                                  &x->facts, &x->claims);
    if (x->asked == NULL) {
        return FAULT_NO_MEMORY;
    }
    if (may_splice(x) && request_watch_encoded(x->asked)) {
        request_watch_on_decoded(x->asked, decoded_put, x);
    }
    return FAULT_NONE;
}

/* Everything that is decided by the head alone. */
static enum fault admit(struct exchange *x, const struct head *head)
{
    const struct config_limits *limits = &worker_config(x->worker)->limits;
    struct caller caller;
    struct route route;
    enum fault astray = route_find(x->view, head, &route);
    bool passthrough = route.origin != NULL &&
                       route.origin->provider->credential == CREDENTIAL_PASSTHROUGH;
    enum fault fault;

    x->origin = route.origin;
    x->dialect = route.dialect;
    x->route = route.row;
    fault = identity_verify(head, x->worker->keyring->table, passthrough,
                            clock_unix_ns(), &caller);
    if (fault == FAULT_NONE) {
        fault = take_slot(x, &caller);
    }
    if (fault != FAULT_NONE || astray != FAULT_NONE) {
        return fault != FAULT_NONE ? fault : astray;
    }
    if (head->framing == FRAMING_LENGTH && head->length > limits->body_bytes) {
        return FAULT_BODY_TOO_LARGE;
    }
    if (is_encoded_twice(head)) {
        return FAULT_CODING;
    }
    fault = watch_request(x, head);
    return fault != FAULT_NONE ? fault : forward_head(x, head, &route);
}

static void request_ended(struct exchange *x);

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

void exchange_begin(struct client *client, struct span raw)
{
    struct worker *worker = client->worker;
    struct exchange *x;
    struct head head;
    enum fault fault = head_parse_request(raw, &head);

    if (fault != FAULT_NONE) {
        reply_refuse_head(client, fault);
        return;
    }
    x = exchange_new(client, &head);
    if (x == NULL) {
        reply_refuse_head(client, FAULT_OVERLOADED);
        return;
    }
    fault = admit(x, &head);
    if (fault != FAULT_NONE) {
        exchange_fail(x, fault);
        return;
    }
    if (x->request.ended) {
        request_ended(x);
        return;
    }
    if (head.expect_continue) {
        stream_send(&client->stream, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    client->stream.awaiting = true;
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

/* ---- the request goes upstream ----------------------------------------------------- */

/* How the body leaves, now that it is known how much of it there is. */
static void choose_framing(struct exchange *x)
{
    struct flow *flow = &x->request;

    if (flow->source == FRAMING_NONE) {
        flow->sink = FRAMING_NONE;
    } else if (flow->ended) {
        flow->sink = FRAMING_LENGTH;
        x->request_length = x->held.bytes;
    } else if (flow->source == FRAMING_LENGTH) {
        flow->sink = FRAMING_LENGTH;
        x->request_length = x->held.bytes + flow->left;
    } else {
        flow->sink = FRAMING_CHUNKED;
    }
}

/* Splices include_usage into the held body. false without memory. */
static bool inject_usage(struct exchange *x)
{
    struct block_pool *blocks = &x->worker->loop->blocks;
    struct splice splice;
    bool spliced;

    if (x->decoded.bytes > 0) {
        block_clear(&x->held, blocks);
        x->held = x->decoded;
        x->decoded = (struct block_queue){ 0 };
        x->encoding = span_of(NULL, 0);
    }
    splice = splice_plan(&x->facts);
    spliced = splice_apply(&splice, &x->held, blocks);
    held_count(x);
    x->injected = true;
    metrics_add(x->worker->metrics, METRIC_USAGE_INJECTED, 1);
    return spliced;
}

/* The body need not be held any longer: connects and sends. */
static void exchange_go(struct exchange *x)
{
    x->going = true;
    settle_facts(x);
    if (may_splice(x) && x->facts.stream && !x->facts.usage_asked && !inject_usage(x)) {
        exchange_fail(x, FAULT_NO_MEMORY);
        return;
    }
    block_clear(&x->decoded, &x->worker->loop->blocks);
    held_count(x);
    choose_framing(x);
    exchange_move(x, EXCHANGE_CONNECT);
    if (upstream_lease(x)) {
        exchange_upstream_ready(x);
    }
}

static void put_framing(const struct exchange *x, struct text *out)
{
    if (x->injected) {
        /* The extra chunk can be found only in what is not compressed. */
        text_put(out, SPAN("accept-encoding: identity\r\n"));
    } else if (x->accept.len > 0) {
        text_put(out, SPAN("accept-encoding: "));
        text_put(out, x->accept);
        text_put(out, SPAN("\r\n"));
    }
    if (x->encoding.len > 0) {
        text_put(out, SPAN("content-encoding: "));
        text_put(out, x->encoding);
        text_put(out, SPAN("\r\n"));
    }
    if (x->request.sink == FRAMING_LENGTH) {
        text_put(out, SPAN("content-length: "));
        text_put_u64(out, x->request_length);
        text_put(out, SPAN("\r\n"));
    } else if (x->request.sink == FRAMING_CHUNKED) {
        text_put(out, SPAN("transfer-encoding: chunked\r\n"));
    }
    text_put(out, SPAN("\r\n"));
}

static void send_head(struct exchange *x)
{
    struct stream *stream = &x->upstream->stream;
    char memory[HEAD_LINE_MAX];
    struct text framing = text_over(memory, sizeof memory);

    put_framing(x, &framing);
    CHECK(!framing.full);
    stream_send_copy(stream, x->head);
    stream_send_copy(stream, text_span(&framing));
}

static void send_held(struct exchange *x)
{
    const struct block *cursor = NULL;
    struct span bytes;

    while ((bytes = block_next(&x->held, &cursor)).len > 0) {
        flow_send(&x->request, &x->upstream->stream, bytes);
    }
}

static void upstream_deadline(struct exchange *x, uint32_t wait_ms)
{
    stream_deadline(&x->upstream->stream, (uint64_t)wait_ms * NS_PER_MS);
}

/* The whole request has left, as far as this side is concerned. */
static void request_sent(struct exchange *x)
{
    if (x->state == EXCHANGE_SEND) {
        exchange_move(x, EXCHANGE_AWAIT);
        upstream_deadline(x, x->origin->provider->first_byte_timeout_ms);
    }
}

static void request_paces(struct exchange *x)
{
    if (x->client != NULL && !x->request.ended &&
        stream_queued(&x->upstream->stream) > STREAM_HIGH) {
        stream_pause(&x->client->stream);
    }
}

void exchange_upstream_ready(struct exchange *x)
{
    struct stream *stream = &x->upstream->stream;
    uint64_t sent_before = stream->sent;

    if (x->entry != NULL && x->entry->overhead_us == 0) {
        x->entry->overhead_us = (clock_monotonic_ns() - x->began_ns) / NS_PER_US;
    }
    exchange_move(x, EXCHANGE_SEND);
    send_head(x);
    send_held(x);
    if (x->request.ended) {
        flow_send_end(&x->request, stream);
    }
    stream_flush(stream);
    if (upstream_was_dead(x->upstream, sent_before)) {
        upstream_release(x->upstream, false);
        x->upstream = NULL;
        exchange_move(x, EXCHANGE_CONNECT);
        if (upstream_lease(x)) {
            exchange_upstream_ready(x);
        }
        return;
    }
    held_clear(x);
    x->head = span_of(NULL, 0);
    x->head_borrowed = false;
    arena_done(&x->arena);
    if (x->client != NULL) {
        stream_resume(&x->client->stream);
    }
    upstream_deadline(x, x->origin->provider->idle_timeout_ms);
    request_paces(x);
    if (x->request.ended) {
        request_sent(x);
    }
}

void exchange_upstream_failed(struct exchange *x, enum fault fault)
{
    x->upstream = NULL;
    x->connects++;
    if (fault == FAULT_UPSTREAM_CONNECT && x->connects < CONNECTS_MAX) {
        if (upstream_lease(x)) {
            exchange_upstream_ready(x);
        }
        return;
    }
    exchange_fail(x, fault);
}

void exchange_upstream_drained(struct exchange *x)
{
    if (x->client != NULL && !x->request.ended) {
        stream_resume(&x->client->stream);
    }
}

/* ---- the request's body ------------------------------------------------------------ */

bool exchange_wants_body(const struct exchange *x)
{
    return !x->request.ended;
}

static enum fault hold(struct exchange *x, struct span data)
{
    const struct config_limits *limits = &worker_config(x->worker)->limits;

    if (x->worker->held_bytes + data.len > limits->held_bytes) {
        return FAULT_OVERLOADED;
    }
    if (!block_put(&x->held, &x->worker->loop->blocks, data) || x->no_memory) {
        return FAULT_NO_MEMORY;
    }
    held_count(x);
    if (x->going && x->held.bytes > STREAM_HIGH) {
        stream_pause(&x->client->stream);
    }
    return FAULT_NONE;
}

/* One piece of body: watched, then sent or held. */
static enum fault request_piece(struct exchange *x, struct span data)
{
    enum fault fault;

    if (x->request.bytes > worker_config(x->worker)->limits.body_bytes) {
        return FAULT_BODY_TOO_LARGE;
    }
    fault = request_watch_data(x->asked, data);
    if (fault != FAULT_NONE) {
        return fault;
    }
    if (!x->going || x->state == EXCHANGE_CONNECT) {
        return hold(x, data);
    }
    flow_send(&x->request, &x->upstream->stream, data);
    stream_flush(&x->upstream->stream);
    upstream_deadline(x, x->origin->provider->idle_timeout_ms);
    request_paces(x);
    return FAULT_NONE;
}

/* The last byte of the request came. */
static void request_ended(struct exchange *x)
{
    enum fault fault = request_watch_end(x->asked);

    deadline_clear(&x->client->stream.deadline);
    x->client->stream.awaiting = false;
    x->input_text_bytes = request_watch_text_bytes(x->asked);
    if (fault != FAULT_NONE) {
        exchange_fail(x, fault);
        return;
    }
    x->asked = request_watch_close(x->asked);
    if (!x->going) {
        exchange_go(x);
        return;
    }
    settle_facts(x);
    if (x->state == EXCHANGE_SEND || x->state == EXCHANGE_RELAY) {
        flow_send_end(&x->request, &x->upstream->stream);
        request_sent(x);
    }
}

/* May the body go before its end? */
static bool goes_early(const struct exchange *x)
{
    return request_watch_decided(x->asked) &&
           !(may_splice(x) && request_watch_encoded(x->asked));
}

struct span exchange_request(struct exchange *x, struct span bytes)
{
    struct client *client = x->client;

    while (client->exchange == x && !x->request.ended && bytes.len > 0) {
        struct span data;
        enum fault fault = flow_next(&x->request, &bytes, &data);

        if (fault == FAULT_NONE && data.len > 0) {
            fault = request_piece(x, data);
        }
        if (fault != FAULT_NONE) {
            exchange_fail(x, fault);
            return span_of(bytes.at, 0);
        }
    }
    if (client->exchange != x) {
        return bytes;
    }
    if (x->request.ended) {
        request_ended(x);
        return bytes;
    }
    stream_deadline(&client->stream,
                    (uint64_t)worker_config(x->worker)->limits.body_timeout_ms *
                        NS_PER_MS);
    if (!x->going && goes_early(x)) {
        exchange_go(x);
    }
    return bytes;
}

/* ---- the response ------------------------------------------------------------------ */

static bool is_event_stream(const struct head *head)
{
    const struct field *type = head_field(head, FIELD_CONTENT_TYPE);
    const struct field *coding = head_field(head, FIELD_CONTENT_ENCODING);

    return type != NULL && media_of(type->value) == MEDIA_EVENTS &&
           (coding == NULL || !decode_needed(coding->value));
}

static enum framing client_framing(const struct exchange *x)
{
    enum framing source = x->response.source;

    if (source == FRAMING_NONE || (source == FRAMING_LENGTH && x->strip == NULL)) {
        return source;
    }
    return x->http10 ? FRAMING_CLOSE : FRAMING_CHUNKED;
}

static enum fault response_open(struct exchange *x, const struct head *head)
{
    x->answered =
        response_watch_open(x->worker->watches, x->dialect, x->route, head, &x->facts);
    if (x->answered == NULL) {
        return FAULT_NO_MEMORY;
    }
    x->response_watched = true;
    if (x->injected && is_event_stream(head)) {
        x->strip = strip_new();
        if (x->strip == NULL) {
            return FAULT_NO_MEMORY;
        }
    }
    return FAULT_NONE;
}

void exchange_response_head(struct exchange *x, const struct head *head)
{
    enum fault fault;

    if (head->status < 200) {
        x->interim++;
        if (head->status == 101 || x->interim > INTERIM_MAX) {
            exchange_fail(x, FAULT_UPSTREAM_HEAD);
        }
        return;
    }
    x->entry->ttfb_us = (x->worker->loop->now_ns - x->began_ns) / NS_PER_US;
    x->upstream_keeps = head->keep_alive;
    flow_begin(&x->response, head, FRAMING_NONE);
    fault = response_open(x, head);
    if (fault != FAULT_NONE) {
        exchange_fail(x, fault);
        return;
    }
    x->response.sink = client_framing(x);
    if (x->client != NULL) {
        if (x->response.sink == FRAMING_CLOSE || !x->request.ended) {
            x->keep_alive = false;
        }
        reply_head(x, head);
        x->head_sent = true;
        x->status = (uint16_t)head->status;
        if (x->state != EXCHANGE_RELAY) {
            exchange_move(x, EXCHANGE_RELAY);
        }
    }
    if (x->response.ended) {
        exchange_end(x, FAULT_NONE);
    }
}

static void stripped_send(void *self, struct span bytes)
{
    struct exchange *x = self;

    flow_send(&x->response, &x->client->stream, bytes);
    stream_flush(&x->client->stream);
}

static void to_client(struct exchange *x, const struct span *spans, size_t count)
{
    struct stream *stream = &x->client->stream;

    if (x->strip == NULL) {
        flow_send_spans(&x->response, stream, spans, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            strip_feed(x->strip, spans[i], stripped_send, x);
        }
        if (x->response.ended) {
            strip_end(x->strip, stripped_send, x);
        }
    }
    if (x->response.ended) {
        flow_send_end(&x->response, stream);
    }
    stream_flush(stream);
    if (stream_queued(stream) > 0) {
        client_watch_queue(x->client);
        if (stream_queued(stream) > STREAM_HIGH) {
            stream_pause(&x->upstream->stream);
        }
    }
}

/* Sends pieces on, then reads them: the meter never delays a byte. */
static void deliver(struct exchange *x, const struct span *spans, size_t count)
{
    if (x->client != NULL) {
        to_client(x, spans, count);
    }
    for (size_t i = 0; i < count; i++) {
        response_watch_data(x->answered, spans[i]);
    }
    if (x->entry->ttft_us == 0 && response_watch_events(x->answered) > 0) {
        x->entry->ttft_us = (x->worker->loop->now_ns - x->began_ns) / NS_PER_US;
    }
}

/* false when the drain has read more than the provider's configuration allows. */
static bool drain_goes_on(struct exchange *x, size_t bytes)
{
    if (x->state != EXCHANGE_DRAIN) {
        upstream_deadline(x, x->origin->provider->idle_timeout_ms);
        return true;
    }
    x->drain_bytes += bytes;
    return x->drain_bytes <= x->origin->provider->drain_bytes;
}

void exchange_response(struct exchange *x, struct span bytes)
{
    struct span spans[SPANS];
    enum fault fault = FAULT_NONE;

    if (!drain_goes_on(x, bytes.len)) {
        exchange_end(x, FAULT_CLIENT_GONE);
        return;
    }
    while (bytes.len > 0 && !x->response.ended && fault == FAULT_NONE) {
        size_t count = 0;

        while (bytes.len > 0 && count < SPANS && !x->response.ended &&
               fault == FAULT_NONE) {
            fault = flow_next(&x->response, &bytes, &spans[count]);
            count += spans[count].len > 0;
        }
        deliver(x, spans, count);
    }
    x->surplus = bytes.len > 0;
    if (fault != FAULT_NONE) {
        exchange_fail(x, FAULT_UPSTREAM_BODY);
    } else if (x->response.ended) {
        exchange_end(x, x->client == NULL ? FAULT_CLIENT_GONE : FAULT_NONE);
    }
}

/* ---- other ends -------------------------------------------------------------------- */

static enum fault upstream_fault(const struct exchange *x, enum stream_end how)
{
    if (x->state == EXCHANGE_RELAY || x->state == EXCHANGE_DRAIN) {
        return FAULT_UPSTREAM_CUT;
    }
    return how == STREAM_RESET ? FAULT_UPSTREAM_RESET : FAULT_UPSTREAM_CLOSED;
}

void exchange_upstream_ended(struct exchange *x, enum stream_end how)
{
    bool clean = how == STREAM_EOF;

    if (x->response_watched && clean && flow_source_closed(&x->response)) {
        deliver(x, NULL, 0);
        exchange_end(x, x->client == NULL ? FAULT_CLIENT_GONE : FAULT_NONE);
        return;
    }
    exchange_fail(x, upstream_fault(x, how));
}

void exchange_upstream_expired(struct exchange *x)
{
    if (x->state == EXCHANGE_DRAIN) {
        exchange_end(x, FAULT_CLIENT_GONE);
    } else if (x->state == EXCHANGE_AWAIT) {
        exchange_fail(x, FAULT_FIRST_BYTE_TIMEOUT);
    } else {
        exchange_fail(x, FAULT_IDLE_TIMEOUT);
    }
    if (x->worker->loop->gather != NULL) {
        stream_flush(x->worker->loop->gather);
    }
}

void exchange_client_drained(struct exchange *x)
{
    if (x->upstream != NULL && x->head_sent) {
        stream_resume(&x->upstream->stream);
    }
}

static bool may_drain(const struct exchange *x)
{
    const struct config_provider *provider = x->origin->provider;
    unsigned workers = x->worker->workers;

    return (x->state == EXCHANGE_AWAIT || x->state == EXCHANGE_RELAY) &&
           x->request.ended && provider->on_client_abort == ABORT_DRAIN &&
           x->worker->stop != WORKER_STOPS &&
           x->worker->drain_count < (provider->drain_limit + workers - 1) / workers;
}

void exchange_client_left(struct exchange *x)
{
    x->client = NULL;
    if (!may_drain(x)) {
        exchange_end(x, FAULT_CLIENT_GONE);
        return;
    }
    exchange_move(x, EXCHANGE_DRAIN);
    x->worker->drain_count++;
    metrics_add(x->worker->metrics, METRIC_DRAINS, 1);
    upstream_deadline(x, x->origin->provider->drain_timeout_ms);
    stream_resume(&x->upstream->stream);
}
