/* Connections to providers: pooled per worker and provider, verified TLS, resumed
 * sessions. A connection serves one exchange at a time. */
#ifndef ASSAY_ENGINE_UPSTREAM_H
#define ASSAY_ENGINE_UPSTREAM_H

#include "certs/tls.h"
#include "config/config.h"
#include "proxy/http/head_form.h"
#include "proxy/net/resolve.h"
#include "proxy/net/stream.h"

struct exchange;
struct worker;

/* A provider as one worker sees it. */
struct origin {
    const struct config_provider *provider;
    const struct dialect *shape; /* its first family's: error shape, credential field */
    struct resolve_name *name;
    struct tls_client *tls;  /* NULL: plain */
    struct head_forms forms; /* of its responses */
    struct upstream *idle;   /* most recently used first */
    size_t idle_count;
};

struct upstream {
    struct stream stream;
    struct worker *worker;
    struct origin *origin;
    struct upstream *next, *previous; /* among the idle ones */
    struct exchange *exchange;        /* NULL: idle */
    struct resolve_wait wait;
    char *pending; /* the front of a response head */
    size_t pending_len;
    size_t scanned;
    bool connected;
    bool reused;
    bool watched; /* the stream exists */
};

bool origin_init(struct origin *origin, struct worker *worker,
                 const struct config_provider *provider,
                 struct error *error) MUST_CHECK;
/* Closes idle connections. */
void origin_close_idle(struct origin *origin);
void origin_done(struct origin *origin);

/* Gives the exchange a connection: exchange->upstream is set and either ready at once
 * (true), or exchange_upstream_ready() or _failed() is called later (false). */
bool upstream_lease(struct exchange *exchange);

/* Did a pooled connection break without taking one byte more than `sent_before`? Then
 * it was dead all along, and the request may go over another. */
bool upstream_was_dead(const struct upstream *upstream, uint64_t sent_before);

/* The exchange is done with it: kept for another, if there is room and it stands. */
void upstream_release(struct upstream *upstream);
/* The same for one that nobody may use again: closed. */
void upstream_drop(struct upstream *upstream);

#endif
