/* The responses under way on a WebSocket. */
#include "proxy/base/clock.h"
#include "proxy/engine/admit.h"
#include "proxy/engine/settle.h"
#include "proxy/engine/tunnel.h"
#include "proxy/engine/turns.h"
#include "proxy/engine/worker.h"

enum { LANES_MAX = 64 }; /* of one WebSocket */

enum fault lane_begin(struct tunnel *tunnel, struct exchange **begun)
{
    struct exchange *socket = tunnel->socket;
    struct exchange *x;

    *begun = NULL;
    if (tunnel->lane_count >= LANES_MAX) {
        return FAULT_OVERLOADED;
    }
    x = exchange_within(socket);
    if (x == NULL) {
        return FAULT_OVERLOADED;
    }
    *begun = x;
    x->facts = tunnel->facts;
    x->facts.stream = true;
    x->claims = &tunnel->claims;
    if (x->facts.model[0] == '\0') {
        text_store(x->facts.model, sizeof x->facts.model,
                   span_text(tunnel->session_model));
    }
    x->entry = journal_take(x->worker->journal, clock_unix_ns());
    if (x->entry == NULL) {
        return FAULT_JOURNAL_FULL;
    }
    settle_open_within(x, socket->entry);
    settle_facts(x);
    x->claims = NULL;
    return admit_again(socket);
}

struct lane *lane_add(struct tunnel *tunnel, struct exchange *x, struct span name)
{
    struct lane **last = &tunnel->lanes;
    struct lane *lane = arena_take(&x->arena, sizeof *lane);

    if (lane == NULL) {
        return NULL;
    }
    x->answered = response_watch_open_response(x->worker->watches, x->dialect);
    if (x->answered == NULL) {
        return NULL;
    }
    turns_answer(x);
    lane->exchange = x;
    text_store(lane->name, sizeof lane->name, name);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = lane;
    tunnel->lane_count++;
    x->tunnel = tunnel;
    return lane;
}

static bool is_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static struct lane *lane_with_id(const struct tunnel *tunnel, const char *id)
{
    for (struct lane *lane = tunnel->lanes; lane != NULL; lane = lane->next) {
        if (lane->created && is_text(lane->id, id)) {
            return lane;
        }
    }
    return NULL;
}

/* The oldest response asked for on this stream that has begun (`created`),
 * or has not. */
static struct lane *lane_named(const struct tunnel *tunnel, const char *name,
                               bool created)
{
    for (struct lane *lane = tunnel->lanes; lane != NULL; lane = lane->next) {
        if (lane->created == created && is_text(lane->name, name)) {
            return lane;
        }
    }
    return NULL;
}

/* An error belongs to the response that has not begun yet. In dialects where an error
 * is the end of a response it may also belong to one that has. */
static struct lane *lane_in_error(const struct tunnel *tunnel,
                                  const struct event *event)
{
    struct lane *lane = lane_named(tunnel, event->lane, false);

    if (lane == NULL && tunnel->socket->dialect->terminal(SPAN("error"))) {
        lane = lane_named(tunnel, event->lane, true);
    }
    return lane;
}

struct lane *lane_of(const struct tunnel *tunnel, const struct event *event)
{
    struct lane *lane = NULL;

    if (event->kind == EVENT_ERROR) {
        return lane_in_error(tunnel, event);
    }
    if (event->id[0] != '\0') {
        lane = lane_with_id(tunnel, event->id);
        return lane != NULL ? lane : lane_named(tunnel, event->lane, false);
    }
    lane = lane_named(tunnel, event->lane, true);
    return lane != NULL ? lane : lane_named(tunnel, event->lane, false);
}

void lanes_end(struct tunnel *tunnel, enum fault fault)
{
    while (tunnel->lanes != NULL) {
        exchange_end(tunnel->lanes->exchange, fault);
    }
}

bool lanes_drain(struct tunnel *tunnel)
{
    struct lane *next;

    for (struct lane *lane = tunnel->lanes; lane != NULL; lane = next) {
        next = lane->next;
        if (exchange_may_drain(lane->exchange)) {
            exchange_drain(lane->exchange);
        } else {
            exchange_end(lane->exchange, FAULT_CLIENT_GONE);
        }
    }
    return tunnel->lanes != NULL;
}
