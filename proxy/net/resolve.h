/* Host names to addresses, without blocking the loop. Each name keeps its last good
 * addresses: a resolver that fails later does not take a provider down. */
#ifndef ASSAY_NET_RESOLVE_H
#define ASSAY_NET_RESOLVE_H

#include "proxy/net/loop.h"

#include <sys/socket.h>

enum { RESOLVE_ADDRESSES_MAX = 8 };

struct resolver;
struct resolver *resolver_new(struct loop *loop);

/* Answers that are still under way are dropped: their `done` is not called. */
struct resolver *resolver_free(struct resolver *resolver);

/* One host and port, resolved again when an answer is older than RESOLVE_FRESH_S, a
 * failure older than RESOLVE_RETRY_S. */
struct resolve_name;
enum { RESOLVE_FRESH_S = 30, RESOLVE_RETRY_S = 1 };

struct resolve_name *resolve_name_new(struct resolver *resolver, const char *host,
                                      uint16_t port);
struct resolve_name *resolve_name_free(struct resolve_name *name);

/* Somebody who waits for a first answer; embedded by the owner, zeroed at first. */
struct resolve_wait {
    struct resolve_wait *next, *previous;
    void (*done)(void *owner, bool found);
    void *owner;
};

/* An address to connect to, if one is known: returns true and rotates, so that the next
 * call gives the next address. A stale answer is used while a new one is fetched. Else
 * returns false, and wait->done is called later, once, never from within this call. */
bool resolve_address(struct resolve_name *name, struct resolve_wait *wait,
                     struct sockaddr_storage *address, socklen_t *length) MUST_CHECK;

/* Stops waiting; does nothing if it does not wait. */
void resolve_cancel(struct resolve_wait *wait);

#endif
