/* The request half of an exchange: its body is watched, held as long as something in it
 * decides, and sent. */
#include "proxy/base/clock.h"
#include "proxy/engine/admit.h"
#include "proxy/engine/client.h"
#include "proxy/engine/forward.h"
#include "proxy/engine/hold.h"
#include "proxy/engine/reserve.h"
#include "proxy/engine/settle.h"
#include "proxy/engine/sign.h"
#include "proxy/engine/tag.h"
#include "proxy/engine/tunnel.h"
#include "proxy/engine/turns.h"
#include "proxy/engine/upstream.h"
#include "proxy/engine/worker.h"

enum { CONNECTS_MAX = 3 }; /* addresses tried for one exchange */

/* ---- the request goes upstream --------------------------------------------------- */

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

/* The body need not be held any longer: connects and sends. */
static void exchange_go(struct exchange *x)
{
    enum fault fault;

    x->going = true;
    settle_facts(x);
    fault = x->tunnel != NULL ? tunnel_admit(x->tunnel) : reserve(x);
    if (fault != FAULT_NONE) {
        exchange_fail(x, fault);
        return;
    }
    if (admit_may_inject(x) && x->facts.stream && !x->facts.usage_asked &&
        !hold_inject_usage(x)) {
        exchange_fail(x, FAULT_NO_MEMORY);
        return;
    }
    fault = tag_waits(x) ? tag_body(x) : FAULT_NONE;
    if (fault != FAULT_NONE) {
        exchange_fail(x, fault);
        return;
    }
    hold_clear_decoded(x);
    choose_framing(x);
    fault = sign_waits(x) ? sign_request(x) : FAULT_NONE;
    if (fault != FAULT_NONE) {
        exchange_fail(x, fault);
        return;
    }
    x->entry->overhead_us = (clock_monotonic_ns() - x->began_ns) / NS_PER_US;
    exchange_move(x, EXCHANGE_CONNECT);
    if (upstream_lease(x)) {
        exchange_upstream_ready(x);
    }
}

static void put_framing(const struct exchange *x, struct text *out)
{
    if (x->injected || (x->reservation.cuts && x->facts.stream)) {
        /* Events can be found only in what is not compressed. */
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
    SCRATCH char memory[HEAD_LINE_MAX];
    struct text framing = text_over(memory, sizeof memory);
    struct span secret;

    put_framing(x, &framing);
    CHECK(!framing.full);
    stream_send_copy(stream, x->head);
    if (forward_secret(x, &secret)) {
        stream_send_copy(stream, secret);
        stream_send_copy(stream, SPAN("\r\n"));
    }
    stream_send_copy(stream, x->signature);
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

/* The whole request has left, as far as this side is concerned. */
static void request_sent(struct exchange *x)
{
    if (x->state == EXCHANGE_SEND) {
        exchange_move(x, EXCHANGE_AWAIT);
        exchange_deadline(x, x->origin->provider->first_byte_timeout_ms);
    }
}

/* The client's silence counts only while it may speak. */
static void body_deadline(struct exchange *x)
{
    if (x->client->stream.paused) {
        deadline_clear(&x->client->stream.deadline);
    } else {
        stream_deadline(&x->client->stream,
                        (uint64_t)worker_config(x->worker)->limits.body_timeout_ms *
                            NS_PER_MS);
    }
}

static void request_paces(struct exchange *x)
{
    if (x->client != NULL && !x->request.ended &&
        stream_queued(&x->upstream->stream) > STREAM_HIGH) {
        stream_pause(&x->client->stream);
        body_deadline(x);
    }
}

static void request_resumes(struct exchange *x)
{
    if (x->client == NULL) {
        return;
    }
    client_resume(x->client);
    if (!x->request.ended) {
        body_deadline(x);
    }
}

/* false: the pooled connection was dead all along. */
static bool request_leaves(struct exchange *x)
{
    struct stream *stream = &x->upstream->stream;
    uint64_t sent_before = stream->sent;

    exchange_move(x, EXCHANGE_SEND);
    send_head(x);
    send_held(x);
    if (x->request.ended) {
        flow_send_end(&x->request, stream);
    }
    stream_flush(stream);
    return !upstream_was_dead(x->upstream, sent_before);
}

/* What only the request needed is forgotten, once all of it came and its head has left.
 * A WebSocket's goes on: its messages are requests. */
static void forget_request(struct exchange *x)
{
    if (x->request.ended && x->tunnel == NULL) {
        x->claims = NULL;
        x->facts.tools = NULL;
        arena_done(&x->arena);
    }
}

/* The provider's token was there when the head was written; a reload may have taken its
 * source since. */
static bool secret_is_gone(const struct exchange *x)
{
    struct span secret;

    return forward_secret(x, &secret) && secret.len == 0;
}

void exchange_upstream_ready(struct exchange *x)
{
    if (secret_is_gone(x)) {
        exchange_fail(x, FAULT_NO_PROVIDER_CREDENTIAL);
        return;
    }
    while (!request_leaves(x)) {
        upstream_drop(x->upstream);
        x->upstream = NULL;
        exchange_move(x, EXCHANGE_CONNECT);
        if (!upstream_lease(x)) {
            return;
        }
    }
    hold_clear(x);
    x->head = span_of(NULL, 0);
    x->signature = span_of(NULL, 0);
    x->head_borrowed = false;
    forget_request(x);
    request_resumes(x);
    exchange_await_more(x);
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
    if (exchange_wants_body(x)) {
        request_resumes(x);
    }
}

/* ---- the request's body ---------------------------------------------------------- */

bool exchange_wants_body(const struct exchange *x)
{
    return !x->request.ended || x->state == EXCHANGE_TUNNEL;
}

static enum fault hold(struct exchange *x, struct span data)
{
    enum fault fault = hold_put(x, data);

    if (x->going && x->held.bytes > STREAM_HIGH) {
        stream_pause(&x->client->stream);
    }
    return fault;
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
    exchange_await_more(x);
    request_paces(x);
    return FAULT_NONE;
}

void exchange_request_ended(struct exchange *x)
{
    enum fault fault = request_watch_end(x->asked);

    deadline_clear(&x->client->stream.deadline);
    x->input_text_bytes = request_watch_text_bytes(x->asked);
    if (fault != FAULT_NONE) {
        exchange_fail(x, fault);
        return;
    }
    turns_asked(x);
    x->asked = request_watch_close(x->asked);
    if (!x->going) {
        exchange_go(x);
        return;
    }
    settle_facts(x);
    if (x->state == EXCHANGE_SEND || x->state == EXCHANGE_RELAY) {
        forget_request(x);
        flow_send_end(&x->request, &x->upstream->stream);
        request_sent(x);
    }
}

/* May the body go before its end? */
static bool goes_early(const struct exchange *x)
{
    return !x->quota_waits && !sign_waits(x) && !tag_waits(x) &&
           request_watch_decided(x->asked) &&
           !(admit_may_inject(x) && request_watch_encoded(x->asked));
}

struct span exchange_request(struct exchange *x, struct span bytes)
{
    struct client *client = x->client;

    if (x->state == EXCHANGE_TUNNEL) {
        tunnel_request(x->tunnel, bytes);
        return span_of(bytes.at, 0);
    }
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
        exchange_request_ended(x);
        return bytes;
    }
    body_deadline(x);
    if (!x->going && goes_early(x)) {
        exchange_go(x);
    }
    return bytes;
}
