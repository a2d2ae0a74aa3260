/* The response half of an exchange: relayed as it comes, then read for its usage. */
#include "proxy/base/clock.h"
#include "proxy/engine/client.h"
#include "proxy/engine/later.h"
#include "proxy/engine/reply.h"
#include "proxy/engine/splice.h"
#include "proxy/engine/tunnel.h"
#include "proxy/engine/turns.h"
#include "proxy/engine/upstream.h"
#include "proxy/engine/worker.h"
#include "proxy/http/media.h"

enum {
    INTERIM_MAX = 8, /* 1xx responses before the final one */
    SPANS = 32       /* pieces of a body that leave together */
};

/* ---- the head -------------------------------------------------------------------- */

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
    later_ask(x);
    x->answered =
        response_watch_open(x->worker->watches, x->dialect, x->route, head, &x->facts);
    if (x->answered == NULL) {
        return FAULT_NO_MEMORY;
    }
    turns_answer(x);
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

    if (head->status == 101 && x->tunnel != NULL) {
        tunnel_begin(x, head);
        return;
    }
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
    cut_begin(x, head);
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
        exchange_end(x, x->client == NULL ? FAULT_CLIENT_GONE : FAULT_NONE);
    } else if (x->state != EXCHANGE_DRAIN) {
        exchange_await_more(x);
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
            /* Its silence is our own doing now. */
            stream_pause(&x->upstream->stream);
            deadline_clear(&x->upstream->stream.deadline);
        }
    }
}

static void read_response(struct exchange *x, const struct span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        response_watch_data(x->answered, spans[i]);
    }
    later_read(x);
}

/* Sends pieces on, then reads them: the meter never delays a byte. But what a client
 * may ask for with the next call has to be known before. */
static void deliver(struct exchange *x, const struct span *spans, size_t count)
{
    bool before = later_expected(x);

    if (before) {
        read_response(x, spans, count);
    }
    if (x->client != NULL) {
        to_client(x, spans, count);
    }
    if (!before) {
        read_response(x, spans, count);
    }
    if (x->entry->ttft_us == 0 && response_watch_events(x->answered) > 0) {
        x->entry->ttft_us = (x->worker->loop->now_ns - x->began_ns) / NS_PER_US;
    }
}

/* false when the drain has read more than the provider's configuration allows. */
static bool drain_goes_on(struct exchange *x, size_t bytes)
{
    if (x->state != EXCHANGE_DRAIN) {
        exchange_await_more(x);
        return true;
    }
    x->drain_bytes += bytes;
    return x->drain_bytes <= x->origin->provider->drain_bytes;
}

/* The same for a stream that a quota may cut, event by event. true: it was cut. */
static bool deliver_events(struct exchange *x, const struct span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct span rest = spans[i];

        while (rest.len > 0) {
            struct span event = cut_take(&x->cut, &rest);

            deliver(x, &event, 1);
            cut_look(x);
            if (x->cut.wanted && !x->cut.inside) {
                cut_now(x);
                return true;
            }
        }
    }
    return false;
}

void exchange_response(struct exchange *x, struct span bytes)
{
    SCRATCH struct span spans[SPANS];
    enum fault fault = FAULT_NONE;

    if (x->state == EXCHANGE_TUNNEL) {
        tunnel_response(x->tunnel, bytes);
        return;
    }
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
        if (x->cut.framing == CUT_NONE || x->client == NULL || x->response.ended) {
            deliver(x, spans, count);
        } else if (deliver_events(x, spans, count)) {
            return;
        }
    }
    x->surplus = bytes.len > 0;
    if (fault != FAULT_NONE) {
        exchange_fail(x, FAULT_UPSTREAM_BODY);
    } else if (x->response.ended) {
        exchange_end(x, x->client == NULL ? FAULT_CLIENT_GONE : FAULT_NONE);
    }
}

/* ---- ends ------------------------------------------------------------------------ */

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

    if (x->state == EXCHANGE_TUNNEL) {
        tunnel_provider_ended(x->tunnel);
        return;
    }
    if (x->response_watched && clean && flow_source_closed(&x->response)) {
        deliver(x, NULL, 0);
        exchange_end(x, x->client == NULL ? FAULT_CLIENT_GONE : FAULT_NONE);
        return;
    }
    exchange_fail(x, upstream_fault(x, how));
}

void exchange_upstream_expired(struct exchange *x)
{
    if (x->state == EXCHANGE_TUNNEL) {
        tunnel_expired(x->tunnel);
    } else if (x->state == EXCHANGE_DRAIN) {
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
    if (x->state == EXCHANGE_TUNNEL) {
        client_resume(x->client);
    }
    if (x->upstream != NULL && x->upstream->stream.paused) {
        stream_resume(&x->upstream->stream);
        if (x->state == EXCHANGE_TUNNEL) {
            tunnel_touch(x->tunnel);
        } else {
            exchange_await_more(x);
        }
    }
}
