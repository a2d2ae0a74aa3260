#include "proxy/engine/tunnel.h"

#include "proxy/base/clock.h"
#include "proxy/engine/client.h"
#include "proxy/engine/reply.h"
#include "proxy/engine/reserve.h"
#include "proxy/engine/settle.h"
#include "proxy/engine/upstream.h"
#include "proxy/engine/worker.h"

#include <stdlib.h>

enum {
    CLOSING_MS = 3000,    /* a side has this much time to answer a close frame */
    OWN_MAX = 256 * 1024, /* frames of our own that wait for a message's end */
    FRAME_MAX = 16 * 1024 /* bytes of one of them */
};

/* ---- the handshake --------------------------------------------------------------- */

/* The model stands in the query, where it does not stand in messages: "?model=NAME", on
 * Azure "?deployment=NAME". */
static void read_query(struct tunnel *tunnel, struct span target)
{
    struct span rest = span_after(target, span_find(target, '?'));
    struct span part;

    if (rest.len > 0) {
        rest = span_after(rest, 1);
    }
    while (span_next(&rest, '&', &part)) {
        size_t equals = span_find(part, '=');
        struct span name = span_of(part.at, equals);

        if (equals < part.len &&
            (span_equal(name, SPAN("model")) || span_equal(name, SPAN("deployment")))) {
            text_store(tunnel->session_model, sizeof tunnel->session_model,
                       span_after(part, equals + 1));
        }
    }
}

enum fault tunnel_prepare(struct exchange *x, const struct head *head)
{
    bool keep = x->origin->provider->credential == CREDENTIAL_PASSTHROUGH;
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    enum fault fault;

    if (tunnel == NULL) {
        return FAULT_NO_MEMORY;
    }
    fault = handshake_request(head, keep, &tunnel->handshake);
    if (fault == FAULT_NONE) {
        tunnel->evidence =
            kept_evidence_new(&worker_config(x->worker)->listeners[x->client->listener],
                              head);
        fault = tunnel->evidence == NULL ? FAULT_NO_MEMORY : FAULT_NONE;
    }
    if (fault != FAULT_NONE) {
        free(tunnel);
        return fault;
    }
    tunnel->socket = x;
    x->tunnel = tunnel;
    read_query(tunnel, head->target);
    return FAULT_NONE;
}

enum fault tunnel_admit(struct tunnel *tunnel)
{
    struct exchange *x = tunnel->socket;

    if (tunnel->session_model[0] == '\0') {
        return FAULT_NONE;
    }
    memcpy(x->facts.model, tunnel->session_model, sizeof x->facts.model);
    settle_facts(x);
    return reserve_try(x);
}

static bool make_readers(struct tunnel *tunnel, const struct handshake_terms *terms)
{
    const struct config_limits *limits = &worker_config(tunnel->socket->worker)->limits;
    const struct decode_limits caps = { .bytes = limits->decoded_bytes,
                                        .ratio = limits->decoded_ratio };

    websocket_init(&tunnel->client_frames, true, terms->deflate);
    websocket_init(&tunnel->provider_frames, false, terms->deflate);
    tunnel->client_text = message_new(false, caps);
    tunnel->provider_text = message_new(terms->server_keeps, caps);
    tunnel->events =
        response_watch_open_events(tunnel->socket->worker->watches,
                                   tunnel->socket->dialect, &tunnel->event);
    return tunnel->client_text != NULL && tunnel->provider_text != NULL &&
           tunnel->events != NULL;
}

void tunnel_begin(struct exchange *x, const struct head *head)
{
    struct tunnel *tunnel = x->tunnel;
    struct handshake_terms terms;

    if (!handshake_response(&tunnel->handshake, head, &terms)) {
        exchange_fail(x, FAULT_UPSTREAM_HEAD);
        return;
    }
    if (!make_readers(tunnel, &terms)) {
        exchange_fail(x, FAULT_NO_MEMORY);
        return;
    }
    /* Calls that begin later need not wait for it at the analyst's. */
    analyst_closed(x->worker->analyst, &x->looked_at);
    x->entry->ttfb_us = (x->worker->loop->now_ns - x->began_ns) / NS_PER_US;
    x->keep_alive = false;
    x->upstream_keeps = false;
    reply_switch(x, head, &terms);
    x->head_sent = true;
    x->status = (uint16_t)head->status;
    exchange_move(x, EXCHANGE_TUNNEL);
    tunnel_touch(tunnel);
    client_serve_pending(x->client);
}

/* ---- frames of our own ----------------------------------------------------------- */

static bool can_tell_client(const struct tunnel *tunnel)
{
    return tunnel->socket->client != NULL && !tunnel->provider_frames.closed;
}

void tunnel_send_own(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;
    struct span bytes;

    if (tunnel->own.bytes == 0 || !can_tell_client(tunnel) ||
        !websocket_between_messages(&tunnel->provider_frames)) {
        return;
    }
    while ((bytes = block_front(&tunnel->own)).len > 0) {
        stream_send_copy(&socket->client->stream, bytes);
        block_drop(&tunnel->own, &socket->worker->loop->blocks, bytes.len);
    }
    stream_flush(&socket->client->stream);
    client_watch_queue(socket->client);
}

bool tunnel_tell(struct tunnel *tunnel, enum websocket_opcode opcode,
                 struct span payload)
{
    SCRATCH char memory[FRAME_MAX];
    struct text frame = text_over(memory, sizeof memory);

    websocket_put(&frame, opcode, NULL, payload);
    if (frame.full || tunnel->own.bytes + frame.len > OWN_MAX ||
        !block_put(&tunnel->own, &tunnel->socket->worker->loop->blocks,
                   text_span(&frame))) {
        return false;
    }
    tunnel_send_own(tunnel);
    return true;
}

void tunnel_close_client(struct tunnel *tunnel, enum websocket_code code,
                         struct span reason)
{
    char memory[WEBSOCKET_HEADER_MAX + WEBSOCKET_CONTROL_MAX];
    struct text frame = text_over(memory, sizeof memory);

    if (!can_tell_client(tunnel) ||
        !websocket_between_frames(&tunnel->provider_frames)) {
        return;
    }
    tunnel_send_own(tunnel);
    websocket_put_close(&frame, code, NULL, reason);
    stream_send_copy(&tunnel->socket->client->stream, text_span(&frame));
}

/* Nothing that anybody could guess is at stake in what assay itself says: the mask only
 * has to be there. */
static void close_provider(struct tunnel *tunnel, enum websocket_code code)
{
    char memory[WEBSOCKET_HEADER_MAX + WEBSOCKET_CONTROL_MAX];
    struct text frame = text_over(memory, sizeof memory);
    uint64_t now = clock_monotonic_ns();
    uint8_t mask[WEBSOCKET_MASK];
    struct upstream *upstream = tunnel->socket->upstream;

    if (upstream == NULL || tunnel->client_closing ||
        (tunnel->passes && !websocket_between_frames(&tunnel->client_frames))) {
        return;
    }
    memcpy(mask, &now, sizeof mask);
    websocket_put_close(&frame, code, mask, SPAN(""));
    stream_send_copy(&upstream->stream, text_span(&frame));
    stream_flush(&upstream->stream);
}

/* ---- time ------------------------------------------------------------------------ */

static bool awaits_first_event(const struct tunnel *tunnel)
{
    for (const struct lane *lane = tunnel->lanes; lane != NULL; lane = lane->next) {
        if (lane->exchange->state == EXCHANGE_AWAIT) {
            return true;
        }
    }
    return false;
}

void tunnel_touch(struct tunnel *tunnel)
{
    const struct config_provider *provider = tunnel->socket->origin->provider;

    if (tunnel->socket->client == NULL) {
        return; /* drained: its time is set */
    }
    if (tunnel->client_closing || tunnel->provider_frames.closed) {
        exchange_deadline(tunnel->socket, CLOSING_MS);
    } else if (tunnel->lanes == NULL) {
        exchange_deadline(tunnel->socket, provider->websocket_idle_timeout_ms);
    } else if (awaits_first_event(tunnel)) {
        exchange_deadline(tunnel->socket, provider->first_byte_timeout_ms);
    } else {
        exchange_await_more(tunnel->socket);
    }
}

void tunnel_expired(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;

    if (socket->client == NULL) {
        lanes_end(tunnel, FAULT_CLIENT_GONE);
        exchange_end(socket, FAULT_CLIENT_GONE);
    } else if (tunnel->lanes == NULL) {
        /* Nobody had anything to say, or a side does not answer a close. */
        tunnel_fail(tunnel, FAULT_NONE, WEBSOCKET_GOING_AWAY);
    } else {
        tunnel_fail(tunnel,
                    awaits_first_event(tunnel) ? FAULT_FIRST_BYTE_TIMEOUT
                                               : FAULT_IDLE_TIMEOUT,
                    WEBSOCKET_INTERNAL);
    }
}

/* ---- the end --------------------------------------------------------------------- */

void tunnel_fail(struct tunnel *tunnel, enum fault fault, enum websocket_code code)
{
    struct exchange *socket = tunnel->socket;

    tunnel_close_client(tunnel, code, span_text(fault_row(fault)->words));
    close_provider(tunnel, WEBSOCKET_GOING_AWAY);
    lanes_end(tunnel, fault);
    socket->response.ended = fault == FAULT_NONE;
    exchange_end(socket, fault);
}

void tunnel_stop(struct tunnel *tunnel)
{
    if (tunnel->lanes == NULL) {
        tunnel_fail(tunnel, FAULT_NONE, WEBSOCKET_GOING_AWAY);
    }
}

void tunnel_client_left(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;
    bool closed = tunnel->client_closing || tunnel->provider_frames.closed;

    socket->client = NULL;
    if (lanes_drain(tunnel)) {
        exchange_deadline(socket, socket->origin->provider->drain_timeout_ms);
        stream_resume(&socket->upstream->stream);
        return;
    }
    if (!closed) {
        close_provider(tunnel, WEBSOCKET_GOING_AWAY);
    }
    socket->response.ended = closed;
    exchange_end(socket, closed ? FAULT_NONE : FAULT_CLIENT_GONE);
}

void tunnel_provider_ended(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;
    bool closed = tunnel->provider_frames.closed || tunnel->client_closing;
    bool gone = socket->client == NULL;

    lanes_end(tunnel, gone ? FAULT_CLIENT_GONE : FAULT_UPSTREAM_CUT);
    socket->response.ended = closed;
    exchange_end(socket, closed ? FAULT_NONE : FAULT_UPSTREAM_CUT);
}

static void tunnel_free(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;

    lanes_end(tunnel, socket->fault != FAULT_NONE ? socket->fault : FAULT_CLIENT_GONE);
    if (tunnel->events != NULL) {
        response_watch_expect(tunnel->events, NULL);
        response_watch_close(tunnel->events);
    }
    message_free(tunnel->client_text);
    message_free(tunnel->provider_text);
    block_clear(&tunnel->own, &socket->worker->loop->blocks);
    kept_evidence_free(tunnel->evidence);
    free(tunnel);
}

static void lane_over(struct tunnel *tunnel, const struct exchange *x)
{
    struct lane **link = &tunnel->lanes;

    while ((*link)->exchange != x) {
        link = &(*link)->next;
    }
    *link = (*link)->next;
    tunnel->lane_count--;
    response_watch_expect(tunnel->events, NULL);
}

void tunnel_forget(struct exchange *x)
{
    struct tunnel *tunnel = x->tunnel;

    x->tunnel = NULL;
    if (tunnel->socket == x) {
        tunnel_free(tunnel);
    } else {
        lane_over(tunnel, x);
    }
}
