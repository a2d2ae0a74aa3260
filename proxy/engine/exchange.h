/* One request and its response: the state machine of the data path.
 *
 *   HOLD     the request's body is read (and held where a fact in it decides something)
 *   CONNECT  waiting for an address or a connection
 *   SEND     the request goes upstream
 *   AWAIT    the request is sent; no response yet
 *   RELAY    the response goes to the client
 *   DRAIN    the client left; the response is read for its usage
 *   TUNNEL   a WebSocket is open, whose responses are exchanges of their own
 *
 * HEAD (a request head is read) is a client without an exchange; settling takes no
 * time. A state is a list of the worker; exchange_move() alone changes it. There is
 * one way out, exchange_end(), always with a fault or FAULT_NONE, and it settles
 * the journal's slot.
 *
 * A response over a WebSocket is an exchange without connections of its own: from HOLD
 * it goes to AWAIT, RELAY and perhaps DRAIN (tunnel.h).
 *
 * Code: exchange.c (states, beginning, end), exchange_request.c, exchange_response.c. */
#ifndef ASSAY_ENGINE_EXCHANGE_H
#define ASSAY_ENGINE_EXCHANGE_H

#include "filters/watch.h"
#include "proxy/analyst/analyst.h"
#include "proxy/base/arena.h"
#include "proxy/engine/cut.h"
#include "proxy/engine/flow.h"
#include "proxy/meter/quota.h"
#include "proxy/net/block.h"

enum exchange_state {
    EXCHANGE_HOLD,
    EXCHANGE_CONNECT,
    EXCHANGE_SEND,
    EXCHANGE_AWAIT,
    EXCHANGE_RELAY,
    EXCHANGE_DRAIN,
    EXCHANGE_TUNNEL,
    EXCHANGE_STATES
};

/* The states' names for metrics, NULL at the end. */
extern const char *const exchange_state_names[EXCHANGE_STATES + 1];

struct client;
struct upstream;
struct worker;
struct view;
struct origin;
struct splice;
struct strip;
struct tunnel;

struct exchange {
    struct exchange *next, *previous; /* of the same state */
    struct worker *worker;
    struct view *view;         /* the configuration that it began under */
    struct client *client;     /* NULL: it left */
    struct upstream *upstream; /* NULL: none yet, or given back */
    struct origin *origin;     /* the provider */
    const struct dialect *dialect;
    const struct dialect_route *route;
    struct entry *entry;             /* the journal's slot; NULL: not taken */
    struct request_watch *asked;     /* reads the request along; NULL: it ended */
    struct response_watch *answered; /* reads the response along; NULL: none yet */
    struct tunnel *tunnel; /* the WebSocket that it opens or belongs to; NULL: none */
    struct strip *strip;   /* removes the usage chunk that a splice provoked */
    struct arena arena;
    struct span head;           /* the upstream head, without secret and framing */
    struct span accept;         /* Accept-Encoding to send, unless usage is injected */
    struct span signature;      /* lines of the upstream head that sign it */
    struct span encoding;       /* Content-Encoding of the request body */
    struct block_queue held;    /* request body that did not leave yet */
    struct block_queue decoded; /* its decoded copy, kept while a splice may need it */
    struct facts facts;
    struct claims *claims; /* borrowed; NULL: none, or in the entry */
    struct reservation reservation;
    struct analyst_open looked_at; /* the analyst waits for it until it is settled */
    struct call *call;             /* what the turn gate tells of it; NULL: nothing */
    struct span refusal_words;     /* in the arena; empty: the fault's own */
    uint64_t retry_after_s;        /* to tell with a refusal; 0: not told */
    struct flow request;
    struct flow response;
    struct cut cut; /* of the response */
    uint64_t input_text_bytes;
    uint64_t request_length; /* of the body that leaves, with FRAMING_LENGTH */
    uint64_t held_counted;   /* of held and decoded, in the worker's account */
    uint64_t began_ns;       /* monotonic */
    uint64_t drain_bytes;
    enum exchange_state state;
    enum fault fault; /* why it ends */
    enum method method;
    uint16_t status;    /* what the client got; 0: nothing yet */
    uint8_t interim;    /* 1xx heads seen */
    uint8_t connects;   /* addresses that refused */
    bool head_borrowed; /* head and accept lie in the worker's buffer */
    bool http10;
    bool asks_for_events;  /* by alt=sse in the query */
    bool keep_alive;       /* the client's connection may live on */
    bool upstream_keeps;   /* the provider's connection may live on */
    bool surplus;          /* bytes came behind the response's end */
    bool going;            /* the body need not be held any longer */
    bool quota_waits;      /* a quota has to know the whole body first */
    bool injected;         /* include_usage was spliced in */
    bool no_memory;        /* a copy could not be kept */
    bool head_sent;        /* the client has a response head */
    bool response_watched; /* the provider's final head came */
    bool refused;          /* assay itself answered */
};

struct known_head;

/* ---- the client's side: called by client.c ----------------------------------------- */

/* A whole request head has come: begins an exchange, or refuses the request. `raw` is
 * borrowed. `known`: what is known of it already, or NULL. */
void exchange_begin(struct client *client, struct span raw,
                    const struct known_head *known);

/* Does it still want request body? */
bool exchange_wants_body(const struct exchange *x);

/* Takes request body off the front of the bytes; returns what is not its own. */
struct span exchange_request(struct exchange *x, struct span bytes);

/* The client's bytes of this turn are used up: what was borrowed from them is kept. */
void exchange_keep(struct exchange *x);

/* The client's connection is gone. */
void exchange_client_left(struct exchange *x);

/* The client took what was queued. */
void exchange_client_drained(struct exchange *x);

/* ---- the provider's side: called by upstream.c ------------------------------------- */

/* The upstream connection stands (or stood already): the request goes out. */
void exchange_upstream_ready(struct exchange *x);

/* No connection could be had. */
void exchange_upstream_failed(struct exchange *x, enum fault fault);

/* The provider took what was queued. */
void exchange_upstream_drained(struct exchange *x);

/* A whole response head, interim ones too; then what came of its body. */
void exchange_response_head(struct exchange *x, const struct head *head);
void exchange_response(struct exchange *x, struct span bytes);

/* The provider ended its side. */
void exchange_upstream_ended(struct exchange *x, enum stream_end how);

/* The time of exchange_deadline() or exchange_await_more() is over. */
void exchange_upstream_expired(struct exchange *x);

/* ---- the end ----------------------------------------------------------------------- */

/* Ends it: the one way out. Settles, gives connections back, forgets the exchange. */
void exchange_end(struct exchange *x, enum fault fault);

/* Ends with a fault: refuses if nothing was sent to the client, cuts it otherwise. */
void exchange_fail(struct exchange *x, enum fault fault);

/* ---- for the parts of an exchange -------------------------------------------------- */

/* Begins the exchange of a response over this one's WebSocket. NULL when there are too
 * many or no memory. */
struct exchange *exchange_within(struct exchange *socket);

/* The last byte of the request came (or it has no body). */
void exchange_request_ended(struct exchange *x);

/* The provider has this much time for its next step. */
void exchange_deadline(struct exchange *x, uint32_t wait_ms);

/* The same for the time that may pass between bytes: timeouts.idle. */
void exchange_await_more(struct exchange *x);

/* The client left: may the response be read on for its usage?
 * exchange_drain() does so. */
bool exchange_may_drain(const struct exchange *x);
void exchange_drain(struct exchange *x);

/* Changes state; CHECKs that the transition is legal. */
void exchange_move(struct exchange *x, enum exchange_state state);

#endif
