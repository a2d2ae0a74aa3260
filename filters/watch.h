/* The two watches of an exchange: one reads a copy of the request, one a copy of the
 * response. They learn facts, count tokens and judge; they cannot change, hold or lose
 * a byte of what is relayed.
 *
 *   request body  -> content decoder -> JSON scan -> facts
 *   response body -> content decoder -> frames (SSE, lines, whole) -> JSON scan -> tally
 *                 -> dialect's balance() -> usage */
#ifndef ASSAY_FILTERS_WATCH_H
#define ASSAY_FILTERS_WATCH_H

#include "filters/content/decode.h"
#include "filters/dialect.h"
#include "filters/facts.h"
#include "filters/turn/call.h"
#include "filters/turn/harness.h"
#include "filters/turn/sketch_key.h"
#include "proxy/meter/entry.h"

/* Watches kept for reuse, so that a busy worker allocates nothing. One per worker. */
struct watch_pool;
struct watch_pool *watch_pool_new(struct decode_limits limits);
struct watch_pool *watch_pool_free(struct watch_pool *pool);

/* ---- the request ----------------------------------------------------------------- */

struct request_watch;

/* Begins to watch. `facts` is filled as the body passes and outlives the watch, and so
 * does `claims` (already filled from the head). NULL without memory. */
struct request_watch *request_watch_open(struct watch_pool *pool,
                                         const struct dialect *dialect,
                                         const struct dialect_route *route,
                                         const struct head *head, struct facts *facts,
                                         struct claims *claims);

/* The same for a message of the client's over a WebSocket, which is a JSON text and
 * may be a request. *message is filled like the facts. FAULT_BAD_BODY also for one
 * that is empty or whose type is no string, FAULT_DUPLICATE_KEY for a type or lane
 * that stands twice. */
struct request_watch *request_watch_open_message(struct watch_pool *pool,
                                                 const struct dialect *dialect,
                                                 const struct dialect_route *route,
                                                 struct facts *facts,
                                                 struct claims *claims,
                                                 struct message_facts *message);

/* The next bytes of the body, without transfer framing. Faults: FAULT_BAD_BODY (not
 * JSON, not an object, a model that is neither string nor null or has a NUL, a damaged
 * coding), FAULT_DUPLICATE_KEY (a key that decides policy stands twice), FAULT_CODING,
 * FAULT_BODY_TOO_LARGE (decoded). The first one stays.
 *
 * A body that neither begins like a JSON text nor is declared as one has no facts and
 * no faults: its provider may judge it. */
enum fault request_watch_data(struct request_watch *watch,
                              struct span bytes) MUST_CHECK;

/* The body has ended; facts are final. */
enum fault request_watch_end(struct request_watch *watch) MUST_CHECK;

/* Is everything known that decides whether and where include_usage is spliced in? Then
 * the engine need not hold the body any longer. */
bool request_watch_decided(const struct request_watch *watch);

/* The body is content-encoded: then a splice needs the decoded copy, which `out` gets
 * in pieces from now on. To be called before the first data. */
bool request_watch_encoded(const struct request_watch *watch);
void request_watch_on_decoded(struct request_watch *watch,
                              void (*out)(void *self, struct span piece), void *self);

/* Bytes of text that cost input tokens, so far. */
uint64_t request_watch_text_bytes(const struct request_watch *watch);

/* Lets the turn gate read along, to be called before the first data: a call that
 * generates nothing, or in which nobody can speak, has no turn. False without memory:
 * the call is not seen. Key and table are borrowed until the watch is closed. */
bool request_watch_turns(struct request_watch *watch, const struct sketch_key *key,
                         const struct harness *harness) MUST_CHECK;

/* What the request tells of the call: taken over, once the request has ended without a
 * fault; to be given back to the pool. NULL if it is none. */
struct call *request_watch_call(struct request_watch *watch);
void watch_pool_call_back(struct watch_pool *pool, struct call *call);

/* Takes NULL; returns NULL. */
struct request_watch *request_watch_close(struct request_watch *watch);

/* ---- the response ---------------------------------------------------------------- */

struct response_watch;

struct response_watch *response_watch_open(struct watch_pool *pool,
                                           const struct dialect *dialect,
                                           const struct dialect_route *route,
                                           const struct head *head,
                                           const struct facts *facts);

/* Lets the turn gate read along, to be called before the first data: `call` is
 * completed by response_watch_settle(). False without memory. */
bool response_watch_turns(struct response_watch *watch, const struct sketch_key *key,
                          struct call *call) MUST_CHECK;

/* The next bytes of the body, without transfer framing. Never fails: what cannot be
 * read becomes a flag of the usage. */
void response_watch_data(struct response_watch *watch, struct span bytes);

/* Has the stream shown its regular end (a terminal event, [DONE], the usage)? A client
 * that leaves after this has lost nothing. */
bool response_watch_finished(const struct response_watch *watch);

/* Tokens of the generated text as they are counted here, to be compared with what the
 * provider reports; 0 where that would tell nothing: little text, or more than text was
 * generated. To be asked after response_watch_settle(). At most 100 us. */
uint64_t response_watch_count(const struct response_watch *watch,
                              const struct entry *entry);

/* The model that the response names; "" if none. Lives as long as the watch. */
const char *response_watch_model(const struct response_watch *watch);

/* Bytes of generated text so far. */
uint64_t response_watch_text_bytes(const struct response_watch *watch);

/* The hash of the id of an answer that may come later, and of the file it comes in,
 * once they were seen; else 0. */
uint64_t response_watch_object(const struct response_watch *watch);
uint64_t response_watch_file(const struct response_watch *watch);

/* Frames so far; 0 for a body that is not streamed. */
uint64_t response_watch_events(const struct response_watch *watch);

/* The body has ended, by its framing (`whole`) or by a cut. Writes usage with its
 * source, response_model, stream, events and service_tier into *entry.
 * `input_text_bytes` is the request watch's count, for estimates. */
void response_watch_settle(struct response_watch *watch, bool whole,
                           const struct facts *facts, uint64_t input_text_bytes,
                           struct entry *entry);

struct response_watch *response_watch_close(struct response_watch *watch);

/* ---- events over a WebSocket ----------------------------------------------------- */

/* What an event says of itself: whose it is stands anywhere in it. */
struct event {
    enum socket_event kind;
    uint16_t status; /* of an error; 0: not said */
    char lane[64];
    char id[64]; /* of the response */
    char session_model[64];
    char transcriber_model[64];
};

/* A watch that reads events one after the other, and one that gathers those of a
 * response. NULL without memory. */
struct response_watch *response_watch_open_events(struct watch_pool *pool,
                                                  const struct dialect *dialect,
                                                  struct event *event);
struct response_watch *response_watch_open_response(struct watch_pool *pool,
                                                    const struct dialect *dialect);

/* The next event is most likely this response's (NULL: not known): the turn gate, if it
 * reads that along, reads the event. To be called before its first piece. */
void response_watch_expect(struct response_watch *events,
                           const struct response_watch *response);

/* The next piece of an event's text; then its end, after which *event is filled. */
void response_watch_event_data(struct response_watch *events, struct span piece);
void response_watch_event_end(struct response_watch *events);

/* What the event that ended last says becomes part of this response; its
 * lines go over. */
void response_watch_absorb(struct response_watch *watch, struct response_watch *events);

#endif
