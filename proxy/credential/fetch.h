/* One HTTP request of assay's own, for what it needs itself: tokens and keys, never
 * traffic. On a loop of libevent, off the workers'; TLS is always verified. */
#ifndef ASSAY_CREDENTIAL_FETCH_H
#define ASSAY_CREDENTIAL_FETCH_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"
#include "proxy/base/span.h"

#include <event2/dns.h>
#include <event2/event.h>

enum {
    FETCH_TIMEOUT_S = 10,       /* from the start to the reply's end */
    FETCH_BODY_MAX = 256 * 1024 /* of the reply */
};

enum fetch_method { FETCH_GET, FETCH_POST, FETCH_PUT };

struct fetch_field {
    const char *name;
    const char *value;
};

struct fetch_request {
    enum fetch_method method;
    const char *url;                  /* http:// or https:// */
    const char *ca;                   /* file; NULL: the system's store */
    const struct fetch_field *fields; /* name NULL at the end; NULL: none */
    struct span body;
};

struct fetch_reply {
    int status;       /* 0: none came, and `failure` says why */
    struct span body; /* borrowed during the call */
    const char *failure;
};

struct fetch;

/* Starts a request, of which nothing is borrowed. `done` is called once, later, never
 * from within this call. NULL and an entry in *error if it cannot be started. */
struct fetch *fetch_start(struct event_base *base, struct evdns_base *names,
                          const struct fetch_request *request,
                          void (*done)(void *owner, const struct fetch_reply *reply),
                          void *owner, struct error *error);

/* Before `done` was called: it never is. Takes NULL; returns NULL. */
struct fetch *fetch_cancel(struct fetch *fetch);

/* Is plain http to this host harmless: loopback, or a link-local or unique local
 * address where clouds serve their machines' credentials? */
bool fetch_host_is_local(const char *host);

#endif
