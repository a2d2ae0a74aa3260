/* What the provider says over a WebSocket: relayed at once, then read, each event for
 * the response it belongs to. */
#include "proxy/base/clock.h"
#include "proxy/engine/client.h"
#include "proxy/engine/cut.h"
#include "proxy/engine/reply.h"
#include "proxy/engine/reserve.h"
#include "proxy/engine/tunnel.h"
#include "proxy/engine/upstream.h"
#include "proxy/engine/worker.h"

enum { PIECES = 32 }; /* that leave together */

/* ---- events ---------------------------------------------------------------------- */

static void absorb(struct tunnel *tunnel, struct exchange *x)
{
    uint64_t now_ns = x->worker->loop->now_ns;

    if (x->state == EXCHANGE_AWAIT) {
        exchange_move(x, EXCHANGE_RELAY);
        x->entry->ttfb_us = (now_ns - x->began_ns) / NS_PER_US;
        x->entry->ttft_us = x->entry->ttfb_us;
        x->response_watched = true;
        x->status = 200;
    }
    x->response.bytes += tunnel->event_bytes;
    response_watch_absorb(x->answered, tunnel->events);
}

static void lane_end(struct tunnel *tunnel, struct lane *lane)
{
    struct exchange *x = lane->exchange;

    if (x->facts.model[0] == '\0') {
        memcpy(x->facts.model, tunnel->session_model, sizeof x->facts.model);
    }
    x->response.ended = true;
    exchange_end(x, x->state == EXCHANGE_DRAIN ? FAULT_CLIENT_GONE : FAULT_NONE);
}

/* A response that nobody asked for by a message: the provider heard somebody finish
 * speaking, or goes on by itself. It cannot be refused any more; a quota that is used
 * up ends the conversation instead. */
static struct lane *lane_unasked(struct tunnel *tunnel, const char *model,
                                 enum fault *fault)
{
    struct exchange *x;
    struct lane *lane = NULL;

    tunnel->claims = *tunnel->socket->claims;
    tunnel->facts = (struct facts){ .stream = true };
    text_store(tunnel->facts.model, sizeof tunnel->facts.model, span_text(model));
    *fault = lane_begin(tunnel, &x);
    if (x == NULL) {
        return NULL;
    }
    x->input_text_bytes = tunnel->context_text_bytes;
    if (*fault == FAULT_NONE) {
        lane = lane_add(tunnel, x, span_text(tunnel->event.lane));
        *fault = lane == NULL ? FAULT_NO_MEMORY : reserve(x);
    }
    if (lane == NULL) {
        exchange_end(x, *fault);
        return NULL;
    }
    exchange_move(x, EXCHANGE_AWAIT);
    return lane;
}

/* Ends the conversation because of a response that may not be. */
static bool end_conversation(struct tunnel *tunnel, struct lane *lane, enum fault fault)
{
    SCRATCH char memory[REPLY_EVENT_MAX];
    struct text event = text_over(memory, sizeof memory);

    reply_error_event(lane != NULL ? lane->exchange : tunnel->socket,
                      fault == FAULT_QUOTA_CUT ? FAULT_QUOTA_EXCEEDED : fault,
                      span_text(tunnel->event.lane), &event);
    if (!tunnel_tell(tunnel, WEBSOCKET_TEXT, text_span(&event))) {
        fault = FAULT_NO_MEMORY;
    }
    tunnel_fail(tunnel, fault, WEBSOCKET_POLICY);
    return false;
}

static void note_begun(struct lane *lane, const struct event *event)
{
    if (!lane->created && event->kind != EVENT_ERROR) {
        lane->created = true;
        memcpy(lane->id, event->id, sizeof lane->id);
    }
}

/* What was heard was written down, by another model than the one that answers: a call
 * of its own, over at once. */
static bool transcribed(struct tunnel *tunnel)
{
    enum fault fault;
    struct lane *lane = lane_unasked(tunnel, tunnel->transcriber_model, &fault);

    if (lane == NULL) {
        return end_conversation(tunnel, NULL, fault);
    }
    absorb(tunnel, lane->exchange);
    lane_end(tunnel, lane);
    return fault == FAULT_NONE || end_conversation(tunnel, NULL, fault);
}

static bool event_of_lane(struct tunnel *tunnel)
{
    const struct event *event = &tunnel->event;
    struct lane *lane = lane_of(tunnel, event);
    enum fault fault = FAULT_NONE;

    if (lane == NULL &&
        (event->kind == EVENT_CREATED || event->kind == EVENT_TERMINAL)) {
        lane = lane_unasked(tunnel, tunnel->session_model, &fault);
        if (lane == NULL) {
            return end_conversation(tunnel, NULL, fault);
        }
    }
    if (lane == NULL) {
        return true;
    }
    absorb(tunnel, lane->exchange);
    if (event->kind == EVENT_ERROR && !lane->created && event->status != 0) {
        lane->exchange->status = event->status;
    }
    note_begun(lane, event);
    if (fault != FAULT_NONE) {
        return end_conversation(tunnel, lane, fault);
    }
    if (lane->exchange->reservation.cuts && event->kind == EVENT_PART) {
        cut_look(lane->exchange);
        if (lane->exchange->cut.wanted) {
            return end_conversation(tunnel, lane, FAULT_QUOTA_CUT);
        }
    }
    if (event->kind == EVENT_TERMINAL || event->kind == EVENT_ERROR) {
        lane_end(tunnel, lane);
    }
    return true;
}

static void note_models(struct tunnel *tunnel)
{
    const struct event *event = &tunnel->event;

    if (event->session_model[0] != '\0') {
        memcpy(tunnel->session_model, event->session_model,
               sizeof tunnel->session_model);
    }
    if (event->transcriber_model[0] != '\0') {
        memcpy(tunnel->transcriber_model, event->transcriber_model,
               sizeof tunnel->transcriber_model);
    }
}

/* Nobody is left to wait for what was drained, or the worker stops. */
static bool goes_on(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;

    if (tunnel->lanes != NULL) {
        return true;
    }
    if (socket->client == NULL) {
        tunnel_fail(tunnel, FAULT_CLIENT_GONE, WEBSOCKET_GOING_AWAY);
        return false;
    }
    if (socket->worker->stop != WORKER_RUNS && socket->asked == NULL) {
        tunnel_fail(tunnel, FAULT_NONE, WEBSOCKET_GOING_AWAY);
        return false;
    }
    return true;
}

/* The event has ended and is known. False: the tunnel is over. */
static bool event_seen(struct tunnel *tunnel)
{
    bool alive = true;

    note_models(tunnel);
    if (tunnel->event.kind == EVENT_TRANSCRIBED) {
        alive = transcribed(tunnel);
    } else if (tunnel->event.kind != EVENT_NONE) {
        alive = event_of_lane(tunnel);
    }
    tunnel->event_bytes = 0;
    return alive && goes_on(tunnel);
}

/* ---- frames ---------------------------------------------------------------------- */

static void text_came(void *self, struct span text)
{
    struct tunnel *tunnel = self;

    response_watch_event_data(tunnel->events, text);
}

static bool provider_closes(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;

    lanes_end(tunnel, socket->client == NULL ? FAULT_CLIENT_GONE : FAULT_UPSTREAM_CUT);
    if (socket->client == NULL || tunnel->client_closing) {
        socket->response.ended = true;
        exchange_end(socket, socket->client == NULL ? FAULT_CLIENT_GONE : FAULT_NONE);
        return false;
    }
    return true;
}

static bool read_piece(struct tunnel *tunnel, const struct websocket_piece *piece)
{
    if (piece->control) {
        return piece->opcode != WEBSOCKET_CLOSE || !piece->ends ||
               provider_closes(tunnel);
    }
    if (piece->begins) {
        /* Whose it is will be known at its end; but where there is only one ... */
        response_watch_expect(tunnel->events, tunnel->lane_count == 1
                                                  ? tunnel->lanes->exchange->answered
                                                  : NULL);
    }
    tunnel->event_bytes += piece->payload.len;
    if (message_feed(tunnel->provider_text, piece, text_came, tunnel) != DECODE_OK) {
        tunnel_fail(tunnel, FAULT_UPSTREAM_BODY, WEBSOCKET_INTERNAL);
        return false;
    }
    if (!piece->ends) {
        return true;
    }
    response_watch_event_end(tunnel->events);
    return event_seen(tunnel);
}

/* ---- bytes ----------------------------------------------------------------------- */

static void to_client(struct tunnel *tunnel, const struct websocket_piece *pieces,
                      size_t count)
{
    struct exchange *socket = tunnel->socket;
    struct stream *stream = &socket->client->stream;

    for (size_t i = 0; i < count; i++) {
        stream_send(stream, pieces[i].raw);
    }
    stream_flush(stream);
    if (stream_queued(stream) > 0) {
        client_watch_queue(socket->client);
        if (stream_queued(stream) > STREAM_HIGH) {
            stream_pause(&socket->upstream->stream);
        }
    }
}

/* Sends pieces on, then reads them: the meter never delays a byte. */
static bool deliver(struct tunnel *tunnel, const struct websocket_piece *pieces,
                    size_t count)
{
    if (tunnel->socket->client != NULL) {
        to_client(tunnel, pieces, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_piece(tunnel, &pieces[i])) {
            return false;
        }
    }
    return true;
}

/* False when the drain has read more than the provider's configuration allows. */
static bool drain_goes_on(struct tunnel *tunnel, size_t bytes)
{
    struct exchange *socket = tunnel->socket;

    if (socket->client != NULL) {
        return true;
    }
    socket->drain_bytes += bytes;
    return socket->drain_bytes <= socket->origin->provider->drain_bytes;
}

void tunnel_response(struct tunnel *tunnel, struct span bytes)
{
    struct exchange *socket = tunnel->socket;
    SCRATCH struct websocket_piece pieces[PIECES];
    size_t count;

    socket->response.bytes += bytes.len;
    if (!drain_goes_on(tunnel, bytes.len)) {
        tunnel_fail(tunnel, FAULT_CLIENT_GONE, WEBSOCKET_GOING_AWAY);
        return;
    }
    do {
        for (count = 0; count < PIECES && websocket_next(&tunnel->provider_frames,
                                                         &bytes, &pieces[count]);) {
            count++;
        }
        if (!deliver(tunnel, pieces, count)) {
            return;
        }
    } while (count == PIECES);
    if (tunnel->provider_frames.wrong != WEBSOCKET_SOUND) {
        tunnel_fail(tunnel, FAULT_UPSTREAM_BODY, WEBSOCKET_INTERNAL);
        return;
    }
    tunnel_send_own(tunnel);
    tunnel_touch(tunnel);
    if (socket->upstream->stream.paused) {
        deadline_clear(&socket->upstream->stream.deadline); /* our own doing */
    }
}
