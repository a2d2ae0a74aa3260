#include "proxy/engine/admit.h"

#include "filters/clients.h"
#include "proxy/base/clock.h"
#include "proxy/engine/client.h"
#include "proxy/engine/forward.h"
#include "proxy/engine/hold.h"
#include "proxy/engine/reserve.h"
#include "proxy/engine/route.h"
#include "proxy/engine/settle.h"
#include "proxy/engine/tag.h"
#include "proxy/engine/tunnel.h"
#include "proxy/engine/turns.h"
#include "proxy/engine/worker.h"
#include "proxy/identity/identity.h"
#include "proxy/identity/peer.h"

static bool is_encoded_twice(const struct head *head)
{
    size_t count = 0;

    for (size_t i = 0; i < head->field_count; i++) {
        count += head->fields[i].id == FIELD_CONTENT_ENCODING;
    }
    return count > 1;
}

/* A browser cannot set header fields for a WebSocket: its key comes as a subprotocol,
 * and counts like one in a field. */
static const struct head *lift_credential(const struct head *head, struct head *lifted)
{
    struct span key = handshake_credential(head);

    if (key.len == 0 || head->field_count == HEAD_FIELDS_MAX) {
        return head;
    }
    *lifted = *head;
    lifted->fields[lifted->field_count++] = (struct field){ .id = FIELD_X_ASSAY_KEY,
                                                            .name = SPAN("x-assay-key"),
                                                            .value = key };
    return lifted;
}

/* Other upgrades are offers that a server may pass over; a client that asks
 * for WebSocket waits for it, and falls back to plain HTTP at once only if it
 * is told so. */
static enum fault judge_upgrade(struct exchange *x, const struct head *head)
{
    if ((x->route->flags & ROUTE_WEBSOCKET) == 0) {
        return handshake_asked(head) ? FAULT_UPGRADE : FAULT_NONE;
    }
    return x->origin->provider->websockets ? tunnel_prepare(x, head) : FAULT_UPGRADE;
}

static enum fault take_slot(struct exchange *x, const struct caller *caller,
                            uint64_t now_unix_ns)
{
    x->entry = journal_take(x->worker->journal, now_unix_ns);
    if (x->entry == NULL) {
        return FAULT_JOURNAL_FULL;
    }
    settle_open(x, caller->known, now_unix_ns);
    return FAULT_NONE;
}

bool admit_may_inject(const struct exchange *x)
{
    return x->dialect->usage_splice && x->origin->provider->inject_usage;
}

static enum fault watch_request(struct exchange *x, const struct head *head,
                                const struct known_head *known)
{
    x->claims = arena_take(&x->arena, sizeof *x->claims);
    if (x->claims == NULL) {
        return FAULT_NO_MEMORY;
    }
    if (known != NULL) {
        *x->claims = known->claims;
    } else {
        clients_claims(x->view->snapshot->clients, head, x->claims);
    }
    x->asked = request_watch_open(x->worker->watches, x->dialect, x->route, head,
                                  &x->facts, x->claims);
    x->facts.tools = arena_take(&x->arena, sizeof *x->facts.tools);
    if (x->asked == NULL || x->facts.tools == NULL) {
        return FAULT_NO_MEMORY;
    }
    if (x->tunnel == NULL) {
        turns_begin(x);
    }
    if ((admit_may_inject(x) || tag_waits(x)) && request_watch_encoded(x->asked)) {
        request_watch_on_decoded(x->asked, hold_put_decoded, x);
    }
    return FAULT_NONE;
}

static enum fault find_route(const struct exchange *x, const struct head *head,
                             const struct known_head *known, struct route *route)
{
    if (known == NULL) {
        return route_find(x->view, head, route);
    }
    *route = known->route;
    return FAULT_NONE;
}

/* May the upstream head be used again? Not where it holds a credential that changes. */
static bool is_repeatable(const struct exchange *x)
{
    enum config_credential kind = x->origin->provider->credential;

    return kind != CREDENTIAL_PASSTHROUGH && kind != CREDENTIAL_GOOGLE &&
           x->tunnel == NULL;
}

/* The upstream head, written anew unless it was written for the same caller before. */
static enum fault write_head(struct exchange *x, const struct head *head,
                             const struct route *route, const struct caller *caller,
                             const struct known_head *known)
{
    if (known == NULL || strcmp(known->caller, caller->known->name) != 0 ||
        strcmp(known->key_id, caller->known->key_id) != 0) {
        return forward_head(x, head, route);
    }
    x->head = known->forwarded;
    x->accept = known->accept;
    x->encoding = known->encoding;
    x->head_borrowed = true;
    return FAULT_NONE;
}

static enum fault verify(struct exchange *x, const struct head *head, bool passthrough,
                         uint64_t now_unix_ns, struct caller *caller)
{
    struct client *client = x->client;
    const struct config_listener *listener =
        &worker_config(x->worker)->listeners[client->listener];
    struct evidence evidence = { .head = head,
                                 .listener = listener,
                                 .passthrough = passthrough,
                                 .now_unix_ns = now_unix_ns };

    if (listener->tls.client_ca != NULL) {
        evidence.certificate = client_certificate(client);
    }
    if (listener->trusted_header.name != NULL) {
        evidence.from_proxy =
            peer_is_in(client->stream.fd, &listener->trusted_header.from);
    }
    return identity_verify(x->worker->verifier, x->worker->trust, &evidence, caller);
}

static bool keeps_login(const struct origin *origin)
{
    return origin != NULL && origin->provider->credential == CREDENTIAL_PASSTHROUGH;
}

enum fault admit_again(struct exchange *socket)
{
    SCRATCH struct head head;
    struct caller caller;
    enum fault fault;

    if (socket->client == NULL) {
        return FAULT_NONE; /* he left: he asks for nothing */
    }
    kept_evidence_head(socket->tunnel->evidence, &head);
    fault =
        verify(socket, &head, keeps_login(socket->origin), clock_unix_ns(), &caller);
    if (fault == FAULT_NONE &&
        (strcmp(caller.known->team, socket->entry->team) != 0 ||
         strcmp(caller.known->name, socket->entry->caller) != 0)) {
        fault = FAULT_BAD_CREDENTIAL; /* it proves somebody else now */
    }
    return fault;
}

enum fault admit(struct exchange *x, const struct head *head,
                 const struct known_head *known, struct span raw)
{
    const struct config_limits *limits = &worker_config(x->worker)->limits;
    SCRATCH struct head lifted;
    struct caller caller;
    struct route route;
    enum fault astray = find_route(x, head, known, &route);
    bool passthrough = keeps_login(route.origin);
    uint64_t now_unix_ns = clock_unix_ns();
    enum fault fault;

    x->origin = route.origin;
    x->dialect = route.dialect;
    x->route = route.row;
    x->asks_for_events = route.events;
    if (!passthrough && handshake_asked(head)) {
        head = lift_credential(head, &lifted);
    }
    fault = verify(x, head, passthrough, now_unix_ns, &caller);
    if (fault == FAULT_NONE) {
        fault = take_slot(x, &caller, now_unix_ns);
    }
    if (fault == FAULT_NONE) {
        fault = judge_upgrade(x, head);
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
    x->quota_waits = reserve_waits(x);
    fault = watch_request(x, head, known);
    if (fault == FAULT_NONE) {
        fault = write_head(x, head, &route, &caller, known);
    }
    if (fault == FAULT_NONE && known == NULL && is_repeatable(x)) {
        known_heads_add(x->view->known, raw, head, &route, &caller, x);
    }
    return fault;
}
