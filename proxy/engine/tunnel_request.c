/* What the client says over a WebSocket: relayed, but for messages that ask for a
 * response, which are held to their end and then admitted like any request. */
#include "proxy/base/clock.h"
#include "proxy/engine/client.h"
#include "proxy/engine/hold.h"
#include "proxy/engine/reply.h"
#include "proxy/engine/reserve.h"
#include "proxy/engine/tunnel.h"
#include "proxy/engine/turns.h"
#include "proxy/engine/upstream.h"
#include "proxy/engine/worker.h"

/* ---- to the provider ------------------------------------------------------------- */

static void send_raw(struct tunnel *tunnel, struct span raw)
{
    stream_send(&tunnel->socket->upstream->stream, raw);
}

static void send_held(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;
    const struct block *cursor = NULL;
    struct span bytes;

    while ((bytes = block_next(&socket->held, &cursor)).len > 0) {
        stream_send(&socket->upstream->stream, bytes);
    }
    stream_flush(&socket->upstream->stream);
    hold_clear(socket);
}

/* ---- messages that ask for a response -------------------------------------------- */

/* Tells the client that its message did not go on, and forgets the message. */
static bool refuse(struct tunnel *tunnel, struct exchange *x, enum fault fault)
{
    SCRATCH char memory[REPLY_EVENT_MAX];
    struct text event = text_over(memory, sizeof memory);

    hold_clear(tunnel->socket);
    reply_error_event(x != NULL ? x : tunnel->socket, fault,
                      span_text(tunnel->said.lane), &event);
    if (x != NULL) {
        x->refused = true;
        x->status = (uint16_t)fault_row(fault)->status;
        exchange_end(x, fault);
    }
    if (!tunnel_tell(tunnel, WEBSOCKET_TEXT, text_span(&event))) {
        tunnel_fail(tunnel, FAULT_NO_MEMORY, WEBSOCKET_INTERNAL);
        return false;
    }
    return true;
}

static enum fault admit_message(struct tunnel *tunnel, struct exchange **begun)
{
    enum fault fault = lane_begin(tunnel, begun);
    struct exchange *x = *begun;

    if (x == NULL) {
        return fault;
    }
    x->began_ns = tunnel->message_began_ns;
    x->request.bytes = tunnel->message_bytes;
    x->input_text_bytes =
        tunnel->context_text_bytes + request_watch_text_bytes(tunnel->socket->asked);
    if (fault == FAULT_NONE) {
        fault = tunnel->message_fault;
    }
    if (fault == FAULT_NONE && x->worker->stop != WORKER_RUNS) {
        fault = FAULT_STOPPING;
    }
    if (fault == FAULT_NONE) {
        fault = reserve(x);
    }
    if (fault == FAULT_NONE) {
        x->call = request_watch_call(tunnel->socket->asked);
        if (lane_add(tunnel, x, span_text(tunnel->said.lane)) == NULL) {
            fault = FAULT_NO_MEMORY;
        }
    }
    return fault;
}

static bool ask(struct tunnel *tunnel)
{
    struct exchange *x;
    enum fault fault = admit_message(tunnel, &x);

    if (fault != FAULT_NONE) {
        return refuse(tunnel, x, fault);
    }
    x->entry->overhead_us = (clock_monotonic_ns() - x->began_ns) / NS_PER_US;
    exchange_move(x, EXCHANGE_AWAIT);
    send_held(tunnel);
    return true;
}

/* ---- messages -------------------------------------------------------------------- */

static bool begin_message(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;

    tunnel->claims = *socket->claims;
    socket->asked = request_watch_open_message(socket->worker->watches, socket->dialect,
                                               socket->route, &tunnel->facts,
                                               &tunnel->claims, &tunnel->said);
    memset(&tunnel->tools, 0, sizeof tunnel->tools);
    tunnel->facts.tools = &tunnel->tools;
    tunnel->message_bytes = 0;
    tunnel->message_began_ns = socket->worker->loop->now_ns;
    tunnel->message_fault = FAULT_NONE;
    tunnel->passes = false;
    if (socket->asked != NULL) {
        turns_begin(socket);
    }
    return socket->asked != NULL;
}

static void text_came(void *self, struct span text)
{
    struct tunnel *tunnel = self;

    if (tunnel->message_fault == FAULT_NONE) {
        tunnel->message_fault = request_watch_data(tunnel->socket->asked, text);
    }
}

static bool asks(const struct tunnel *tunnel)
{
    return strcmp(tunnel->said.type, tunnel->socket->dialect->request_type) == 0;
}

static enum websocket_code read_piece(struct tunnel *tunnel,
                                      const struct websocket_piece *piece)
{
    tunnel->message_bytes += piece->payload.len;
    if (tunnel->message_bytes >
        worker_config(tunnel->socket->worker)->limits.body_bytes) {
        return WEBSOCKET_TOO_BIG;
    }
    switch (message_feed(tunnel->client_text, piece, text_came, tunnel)) {
    case DECODE_OVER_LIMIT:
        return WEBSOCKET_TOO_BIG;
    case DECODE_CORRUPT:
        return WEBSOCKET_INVALID;
    case DECODE_NO_MEMORY:
        return WEBSOCKET_INTERNAL;
    case DECODE_OK:
        break;
    }
    return WEBSOCKET_SOUND;
}

static enum websocket_code closing_code(enum fault fault)
{
    enum blame blame = fault_row(fault)->blame;

    return blame == BLAME_CLIENT || blame == BLAME_POLICY ? WEBSOCKET_POLICY
                                                          : WEBSOCKET_INTERNAL;
}

/* A message whose front went on already cannot be refused any more. */
static bool relay_piece(struct tunnel *tunnel, const struct websocket_piece *piece)
{
    enum fault fault = FAULT_NONE;

    if (!tunnel->passes && tunnel->message_fault == FAULT_NONE &&
        tunnel->said.type[0] != '\0' && !asks(tunnel)) {
        tunnel->passes = true;
        send_held(tunnel);
    }
    if (!tunnel->passes) {
        fault = hold_put(tunnel->socket, piece->raw);
    } else if (tunnel->message_fault != FAULT_NONE) {
        fault = tunnel->message_fault;
    } else {
        send_raw(tunnel, piece->raw);
    }
    if (fault != FAULT_NONE) {
        tunnel_fail(tunnel, fault, closing_code(fault));
        return false;
    }
    return true;
}

static bool end_message(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;
    bool alive = true;

    if (tunnel->message_fault == FAULT_NONE) {
        tunnel->message_fault = request_watch_end(tunnel->socket->asked);
    }
    if (tunnel->passes && tunnel->message_fault != FAULT_NONE) {
        tunnel_fail(tunnel, tunnel->message_fault, WEBSOCKET_POLICY);
        return false;
    }
    if (!tunnel->passes && (tunnel->message_fault != FAULT_NONE || asks(tunnel))) {
        alive = ask(tunnel);
    } else {
        tunnel->context_text_bytes += request_watch_text_bytes(tunnel->socket->asked);
        send_held(tunnel);
    }
    if (alive) {
        socket->asked = request_watch_close(socket->asked);
        deadline_clear(&socket->client->stream.deadline);
        client_watch_queue(socket->client);
    }
    return alive;
}

static bool data_piece(struct tunnel *tunnel, const struct websocket_piece *piece)
{
    enum websocket_code wrong;

    if (piece->begins && piece->opcode != WEBSOCKET_TEXT) {
        tunnel_fail(tunnel, FAULT_BAD_FRAME, WEBSOCKET_UNSUPPORTED);
        return false;
    }
    if (piece->begins && !begin_message(tunnel)) {
        tunnel_fail(tunnel, FAULT_NO_MEMORY, WEBSOCKET_INTERNAL);
        return false;
    }
    wrong = read_piece(tunnel, piece);
    if (wrong != WEBSOCKET_SOUND) {
        tunnel_fail(tunnel,
                    wrong == WEBSOCKET_TOO_BIG ? FAULT_BODY_TOO_LARGE : FAULT_BAD_FRAME,
                    wrong);
        return false;
    }
    return relay_piece(tunnel, piece) && (!piece->ends || end_message(tunnel));
}

/* ---- frames ---------------------------------------------------------------------- */

/* A client that closes while responses are under way has left them: they are read on
 * for their usage, so the provider may not hear of it yet. */
static bool client_leaves(struct tunnel *tunnel)
{
    struct client *client = tunnel->socket->client;
    enum websocket_code code = tunnel->client_frames.code;

    tunnel_close_client(tunnel, code == WEBSOCKET_NO_CODE ? WEBSOCKET_NORMAL : code,
                        SPAN(""));
    tunnel_client_left(tunnel);
    client_exchange_over(client, false);
    return false;
}

static bool closes(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;

    tunnel->client_closing = true;
    stream_flush(&socket->upstream->stream);
    if (tunnel->provider_frames.closed) {
        socket->response.ended = true;
        exchange_end(socket, FAULT_NONE);
        return false;
    }
    return true;
}

static bool is_left(const struct tunnel *tunnel)
{
    return tunnel->lanes != NULL && !tunnel->provider_frames.closed &&
           exchange_may_drain(tunnel->lanes->exchange);
}

/* Control frames may stand within a message that is held: they go at once. */
static bool control_piece(struct tunnel *tunnel, const struct websocket_piece *piece)
{
    if (piece->opcode != WEBSOCKET_CLOSE) {
        send_raw(tunnel, piece->raw);
        return true;
    }
    if (is_left(tunnel)) {
        return !piece->ends || client_leaves(tunnel);
    }
    send_raw(tunnel, piece->raw);
    return !piece->ends || closes(tunnel);
}

/* A message may not be broken off for long. */
static void pace(struct tunnel *tunnel)
{
    struct exchange *socket = tunnel->socket;
    struct stream *stream = &socket->client->stream;

    stream_flush(&socket->upstream->stream);
    /* Also one that does not read what it is refused. */
    if (stream_queued(&socket->upstream->stream) > STREAM_HIGH ||
        stream_queued(stream) > STREAM_HIGH) {
        stream_pause(stream);
    }
    if (stream->paused) {
        deadline_clear(&stream->deadline); /* its silence is our own doing */
    } else if (!websocket_between_messages(&tunnel->client_frames)) {
        stream_deadline(stream, (uint64_t)worker_config(socket->worker)
                                        ->limits.body_timeout_ms *
                                    NS_PER_MS);
    }
}

void tunnel_request(struct tunnel *tunnel, struct span bytes)
{
    struct exchange *socket = tunnel->socket;
    struct websocket_piece piece;

    socket->request.bytes += bytes.len;
    while (websocket_next(&tunnel->client_frames, &bytes, &piece)) {
        if (piece.control ? !control_piece(tunnel, &piece)
                          : !data_piece(tunnel, &piece)) {
            return;
        }
    }
    if (tunnel->client_frames.wrong != WEBSOCKET_SOUND) {
        tunnel_fail(tunnel, FAULT_BAD_FRAME, tunnel->client_frames.wrong);
        return;
    }
    pace(tunnel);
    tunnel_touch(tunnel);
}
