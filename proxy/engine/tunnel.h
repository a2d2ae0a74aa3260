/* A WebSocket between a client and a provider. The exchange that opened it stays in
 * state TUNNEL until both sides have closed; every response that is asked for or begins
 * on it is an exchange of its own, with its own slot, reservation and price.
 *
 *   client   -> frames -> [a message that asks for a response is held] -> provider
 *            -> unmasked, inflated, scanned ---> facts -> slot, quota -> sent or refused
 *   provider -> frames --------------------------------------------------> client
 *            -> inflated, scanned -> whose event is it? -> that response's watch -> settled
 *
 * Frames leave as they came. Those of assay's own (a refusal, a close) stand between
 * messages. A client's messages are compressed each by itself (handshake.h), so that
 * one can be refused; the provider's may depend on earlier ones.
 *
 * Code: tunnel.c (the handshake, the end), tunnel_request.c, tunnel_response.c, lane.c
 * (the responses under way). */
#ifndef ASSAY_ENGINE_TUNNEL_H
#define ASSAY_ENGINE_TUNNEL_H

#include "filters/frame/message.h"
#include "proxy/engine/exchange.h"
#include "proxy/http/handshake.h"
#include "proxy/http/websocket.h"
#include "proxy/identity/kept_evidence.h"

/* A response under way. */
struct lane {
    struct lane *next; /* asked for after it */
    struct exchange *exchange;
    bool created;  /* the provider has begun it: its id is known */
    char name[64]; /* the stream it was asked for on */
    char id[64];
};

struct tunnel {
    struct exchange *socket; /* that opened it */
    struct handshake handshake;
    struct websocket client_frames, provider_frames;
    struct message *client_text, *provider_text;
    /* the client's message that is being read, by socket->asked if one is */
    struct message_facts said;
    struct facts facts;
    struct claims claims;
    struct named_tools tools;
    uint64_t message_bytes;
    uint64_t message_began_ns;
    enum fault message_fault; /* why it will be refused */
    bool passes;              /* it asks for nothing, so it is not held */
    /* the provider's event that is being read */
    struct response_watch *events;
    struct event event;
    uint64_t event_bytes;
    /* what is known of the conversation */
    char session_model[64], transcriber_model[64];
    struct kept_evidence *evidence; /* of who opened it */
    uint64_t context_text_bytes;    /* of messages that asked for nothing */
    struct lane *lanes;             /* in the order they were asked for */
    size_t lane_count;
    struct block_queue own; /* frames of our own, until the provider's message ends */
    bool client_closing;    /* its close frame went to the provider */
};

/* ---- the handshake and the end (tunnel.c) ---------------------------------------- */

/* Judges the request of a WebSocket and prepares for it: exchange->tunnel is set.
 * FAULT_HANDSHAKE, FAULT_NO_MEMORY. */
enum fault tunnel_prepare(struct exchange *x, const struct head *head) MUST_CHECK;

/* May the connection be opened? Where responses begin unasked, they cannot be refused
 * later: then there has to be room in the caller's quotas now. A fault of reserve(). */
enum fault tunnel_admit(struct tunnel *tunnel) MUST_CHECK;

/* The provider has switched: state TUNNEL, if it did so rightly. */
void tunnel_begin(struct exchange *x, const struct head *head);

/* Ends it with a fault: both sides are told by a close frame, where one can stand. */
void tunnel_fail(struct tunnel *tunnel, enum fault fault, enum websocket_code code);

/* The worker stops: a WebSocket without a response under way ends now. */
void tunnel_stop(struct tunnel *tunnel);

/* The exchange ends that opened it, or that is one of its responses. */
void tunnel_forget(struct exchange *x);

/* The time for the next byte begins anew. */
void tunnel_touch(struct tunnel *tunnel);

/* What happens to its connections. */
void tunnel_client_left(struct tunnel *tunnel);
void tunnel_provider_ended(struct tunnel *tunnel);
void tunnel_expired(struct tunnel *tunnel);

/* Sends the client a frame of our own as soon as one can stand.
 * False without memory. */
bool tunnel_tell(struct tunnel *tunnel, enum websocket_opcode opcode,
                 struct span payload) MUST_CHECK;
void tunnel_send_own(struct tunnel *tunnel);

/* The same for a close frame, where one can stand at all. */
void tunnel_close_client(struct tunnel *tunnel, enum websocket_code code,
                         struct span reason);

/* ---- both directions ------------------------------------------------------------- */

/* Takes bytes of the client's (tunnel_request.c). They may end the tunnel; so may those
 * of the provider. */
void tunnel_request(struct tunnel *tunnel, struct span bytes);

/* Takes bytes of the provider's (tunnel_response.c). */
void tunnel_response(struct tunnel *tunnel, struct span bytes);

/* ---- the responses under way (lane.c) -------------------------------------------- */

/* Begins the exchange of a response: its slot is taken, and its caller is still who he
 * was. A fault leaves *begun NULL, or an exchange that is to be ended by it. */
enum fault lane_begin(struct tunnel *tunnel, struct exchange **begun) MUST_CHECK;

/* The exchange is sent, or the provider began it by itself: it is one
 * of the tunnel's. */
struct lane *lane_add(struct tunnel *tunnel, struct exchange *x, struct span name);

/* Which response the event belongs to; NULL: none that is under way. */
struct lane *lane_of(const struct tunnel *tunnel, const struct event *event);

/* Ends every one of them. */
void lanes_end(struct tunnel *tunnel, enum fault fault);

/* The client left: as many are read on as may be. False: none is. */
bool lanes_drain(struct tunnel *tunnel);

#endif
